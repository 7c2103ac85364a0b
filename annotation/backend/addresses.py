"""Which photo addresses may be read, and from where: decided here, before anything is opened."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, quote, unquote, urljoin, urlsplit

from toolkit.errors import InputError

MAX_ADDRESS_CHARACTERS = 4096
CLOUD_SCHEMES = ("s3", "gs", "azure-blob")
DEFAULT_PORTS = {"http": 80, "https": 443}

# The parts of Label Studio that serve files; nothing else is asked for with its key.
_SERVED = re.compile(r"^/(data/(upload|local-files)/|storage-data/|tasks/\d+/(resolve|presign)/)")
_ODD_CHARACTERS = re.compile(r"[\x00-\x20\x7f\\]")


class AddressError(InputError):
    """A photo address that may not be read, or makes no sense."""


@dataclass(frozen=True)
class Source:
    """Where a photo is: inline bytes, a local file, or a URL, with or without Label Studio's key."""

    kind: Literal["inline", "file", "url"]
    place: str
    with_key: bool = False


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port of a URL, in one spelling."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of an http(s) URL.

        Raises:
            AddressError: no such URL, or one with a user name in it.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise AddressError(f"photo address {shorten(url)}: not a valid URL") from error
        host = (parts.hostname or "").rstrip(".").lower()
        if parts.scheme not in DEFAULT_PORTS or not host:
            raise AddressError(f"photo address {shorten(url)}: expected http:// or https:// and a host")
        if parts.username is not None or parts.password is not None or "@" in parts.netloc:
            raise AddressError("photo address: user names and passwords in URLs are not accepted")
        return cls(parts.scheme, host, port if port is not None else DEFAULT_PORTS[parts.scheme])


@dataclass(frozen=True)
class AddressBook:
    """What may be read.

    Attributes:
        label_studio: Address of Label Studio, None where there is none.
        hosts: Other hosts: `host` (its default port), `host:port`, or `*.domain`.
        roots: Local folders behind `/data/local-files/?d=…`.
    """

    label_studio: str | None = None
    hosts: tuple[str, ...] = ()
    roots: tuple[Path, ...] = ()

    def resolve(self, address: object, task_id: int | None = None) -> Source:
        """Where the photo of a task is.

        Args:
            address: the value of the task's image field.
            task_id: needed for cloud storage, which Label Studio resolves by task.

        Raises:
            AddressError: it may not be read, or makes no sense; says why.
        """
        if not isinstance(address, str) or not address.strip():
            raise AddressError(f"photo address: expected a URL, got {shorten(repr(address))}")
        address = address.strip()
        if address.startswith("data:"):
            return Source("inline", address)
        if len(address) > MAX_ADDRESS_CHARACTERS:
            raise AddressError(f"photo address: longer than {MAX_ADDRESS_CHARACTERS} characters")
        if _ODD_CHARACTERS.search(address.replace(" ", "%20")):
            raise AddressError(f"photo address {shorten(address)}: holds characters that no URL has")
        address = address.replace(" ", "%20")
        scheme = address.partition(":")[0].lower()
        if scheme in CLOUD_SCHEMES and address[len(scheme) :].startswith("://"):
            return self._cloud(address, task_id)
        if address.startswith("/") and not address.startswith("//"):
            return self._relative(address)
        if scheme in DEFAULT_PORTS:
            return self._absolute(address)
        raise AddressError(
            f"photo address {shorten(address)}: expected an upload, a local file of Label Studio, "
            "cloud storage, or http(s)"
        )

    def follow(self, source: Source, location: str) -> Source:
        """Where a redirect leads; checked like any address, and the key stays with Label Studio.

        Raises:
            AddressError: it leads where nothing may be read.
        """
        target = urljoin(source.place, location)
        if Origin.of(source.place).scheme == "https" and Origin.of(target).scheme == "http":
            raise AddressError(f"{shorten(target)}: a redirect from https to http is not followed")
        return self._absolute(target)

    def _cloud(self, address: str, task_id: int | None) -> Source:
        if task_id is None:
            raise AddressError(f"photo address {shorten(address)}: cloud storage needs the task's id")
        coded = base64.urlsafe_b64encode(address.encode()).decode("ascii")
        return self._relative(f"/tasks/{task_id}/presign/?fileuri={quote(coded)}")

    def _relative(self, address: str) -> Source:
        path = address.partition("?")[0]
        _check_path(path)
        if not _SERVED.match(path if path.endswith("/") else path + "/"):
            raise AddressError(
                f"photo address {shorten(address)}: Label Studio serves photos under /data/upload/, "
                "/data/local-files/ and /storage-data/"
            )
        if path.startswith("/data/local-files/"):
            file = self._local_file(address)
            if file is not None:
                return Source("file", str(file))
        if self.label_studio is None:
            raise AddressError(
                f"photo address {shorten(address)}: needs the address of Label Studio; set LABEL_STUDIO_URL"
            )
        return Source("url", self.label_studio.rstrip("/") + address, with_key=True)

    def _absolute(self, address: str) -> Source:
        origin = Origin.of(address)
        path = urlsplit(address).path or "/"
        if self.label_studio is not None and same_place(origin, Origin.of(self.label_studio)):
            base = urlsplit(self.label_studio).path.rstrip("/")
            served = path.removeprefix(base) if base else path
            _check_path(served)
            return Source("url", address, with_key=bool(_SERVED.match(served)))
        if not any(_permits(host, origin) for host in self.hosts):
            raise AddressError(
                f"photo address: the host {origin.host}:{origin.port} is not on the list of allowed hosts; "
                "add it to DECLUTTER_ALLOWED_HOSTS if photos may be fetched from there"
            )
        return Source("url", address)

    def _local_file(self, address: str) -> Path | None:
        """The file behind `/data/local-files/?d=…`, None where it is left to Label Studio."""
        values = parse_qs(urlsplit(address).query, keep_blank_values=True).get("d", [])
        wanted = values[-1] if values else ""
        if not wanted or "\0" in wanted:
            raise AddressError(f"photo address {shorten(address)}: names no file (?d=…)")
        for root in self.roots:
            file = _below(root, wanted)
            if file is not None:
                return file
        if ".." in Path(wanted).parts:
            raise AddressError(f"photo address {shorten(address)}: leads out of the photo folders")
        return None


def same_place(a: Origin, b: Origin) -> bool:
    """Whether two origins are one server; the names of this machine are one."""
    loopback = ("localhost", "127.0.0.1", "::1")
    same_host = a.host == b.host or (a.host in loopback and b.host in loopback)
    return a.scheme == b.scheme and a.port == b.port and same_host


def shorten(text: str, most: int = 80) -> str:
    """A text short enough for a message, without its query (which may hold signatures)."""
    text = text.partition("?")[0]
    return text if len(text) <= most else text[: most - 1] + "…"


def _below(root: Path, wanted: str) -> Path | None:
    """The real file `root/wanted`, if it lies in `root` or in a folder that `root` links to directly."""
    root = root.resolve()
    try:
        file = (root / wanted.lstrip("/")).resolve(strict=True)
        if not file.is_file():
            return None
        allowed: Sequence[Path] = [root, *(link.resolve() for link in root.iterdir() if link.is_symlink())]
    except (OSError, RuntimeError, ValueError):
        return None
    return file if any(file.is_relative_to(place) for place in allowed) else None


def _check_path(path: str) -> None:
    decoded = unquote(unquote(path))
    if ".." in decoded.split("/") or "\\" in decoded or "//" in decoded:
        raise AddressError(f"photo address {shorten(path)}: leads out of where Label Studio keeps photos")


def _permits(entry: str, origin: Origin) -> bool:
    """Whether an entry of the list of allowed hosts covers an origin."""
    host, port = entry.lower().strip(), DEFAULT_PORTS[origin.scheme]
    if not host.endswith("]"):
        name, colon, number = host.rpartition(":")
        if colon and number.isdigit():
            host, port = name, int(number)
    host = host.strip("[]").rstrip(".")
    if port != origin.port:
        return False
    if host.startswith("*."):
        return origin.host.endswith(host[1:]) and origin.host != host[2:]
    return origin.host == host

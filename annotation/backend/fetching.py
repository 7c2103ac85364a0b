"""Fetch photos within limits of size, time and redirects, from allowed places only."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from annotation.backend.addresses import AddressBook, AddressError, Source, shorten
from annotation.backend.settings import MEGABYTE
from annotation.backend.tokens import ApiKey
from toolkit.errors import InputError


class FetchError(InputError):
    """A photo that could not be fetched."""


@dataclass(frozen=True)
class Limits:
    """How much a fetch may take."""

    max_bytes: int = 100 * MEGABYTE
    seconds: float = 20.0
    redirects: int = 3


class PhotoFetcher:
    """Fetches the bytes of photos.

    Args:
        book: what may be read.
        key: Label Studio's API key, given to Label Studio alone.
        limits: size, time, redirects.
        transport: how to speak HTTP, for tests.
    """

    def __init__(
        self,
        book: AddressBook,
        key: ApiKey | None = None,
        limits: Limits | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.book, self.key, self.limits = book, key, limits or Limits()
        # No proxies or netrc files from the environment: they would lead around the checks.
        self._client = httpx.Client(transport=transport, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(self, address: object, task_id: int | None = None) -> bytes:
        """The bytes of the photo at a task's address.

        Raises:
            AddressError: it may not be read.
            FetchError: it could not be read within the limits.
        """
        source = self.book.resolve(address, task_id)
        if source.kind == "inline":
            return self._inline(source.place)
        if source.kind == "file":
            return self._file(source.place)
        return self._follow(source)

    def _inline(self, url: str) -> bytes:
        head, comma, payload = url.partition(",")
        if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
            raise AddressError("photo address: a data: URL must be data:image/…;base64,…")
        if len(payload) > self.limits.max_bytes * 4 // 3 + 4:
            raise FetchError(self._too_large("the inline photo"))
        try:
            return base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError) as error:
            raise FetchError("photo address: the data: URL is not valid base64") from error

    def _file(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                data = file.read(self.limits.max_bytes + 1)
        except OSError as error:
            raise FetchError(f"photo {shorten(path)}: cannot be read ({error.strerror})") from error
        if len(data) > self.limits.max_bytes:
            raise FetchError(self._too_large(shorten(path)))
        return data

    def _follow(self, source: Source) -> bytes:
        deadline = time.monotonic() + self.limits.seconds
        for _ in range(self.limits.redirects + 1):
            answer = self._get(source, deadline)
            if isinstance(answer, bytes):
                return answer
            source = self.book.follow(source, answer)
        raise FetchError(f"photo {shorten(source.place)}: more than {self.limits.redirects} redirects")

    def _get(self, source: Source, deadline: float) -> bytes | str:
        """The body, or where a redirect leads."""
        name = shorten(source.place)
        left = deadline - time.monotonic()
        if left <= 0:
            raise FetchError(self._too_slow(name))
        headers = {"Accept": "image/*,*/*;q=0.5"}
        if source.with_key and self.key is not None:
            headers.update(self.key.headers(self._client, left))
        try:
            with self._client.stream("GET", source.place, headers=headers, timeout=left) as response:
                if response.has_redirect_location:
                    return response.headers["location"]
                self._check_status(response, source)
                return self._body(response, name, deadline)
        except httpx.TimeoutException as error:
            raise FetchError(self._too_slow(name)) from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise FetchError(f"photo {name}: cannot be fetched ({type(error).__name__}: {error})") from error

    def _check_status(self, response: httpx.Response, source: Source) -> None:
        if response.status_code == 200:
            return
        name = shorten(source.place)
        if response.status_code in (401, 403) and source.with_key:
            hint = "check LABEL_STUDIO_API_KEY" if self.key else "set LABEL_STUDIO_API_KEY"
            raise FetchError(f"photo {name}: Label Studio refused access ({response.status_code}); {hint}")
        raise FetchError(f"photo {name}: the server answered {response.status_code}")

    def _body(self, response: httpx.Response, name: str, deadline: float) -> bytes:
        announced = response.headers.get("content-length", "")
        if announced.isdigit() and len(announced) < 20 and int(announced) > self.limits.max_bytes:
            raise FetchError(self._too_large(name))
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > self.limits.max_bytes:
                raise FetchError(self._too_large(name))
            if time.monotonic() > deadline:
                raise FetchError(self._too_slow(name))
        return bytes(body)

    def _too_large(self, name: str) -> str:
        most = self.limits.max_bytes // MEGABYTE
        return f"photo {name}: larger than {most} MB; raise DECLUTTER_MAX_IMAGE_MB or shrink it"

    def _too_slow(self, name: str) -> str:
        return f"photo {name}: took longer than {self.limits.seconds:g} s; raise DECLUTTER_FETCH_SECONDS"


class Digests:
    """Remembers for a while which content an address had, so that a click need not fetch the photo again.

    Args:
        seconds: how long to believe it.
        most: addresses remembered.
        clock: seconds, rising.
    """

    def __init__(
        self, seconds: float = 300.0, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._most, self._clock = seconds, most, clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, float]] = {}

    def get(self, address: str) -> str | None:
        """The digest of the content at an address, None if unknown or too old."""
        with self._lock:
            digest, when = self._known.get(address, ("", -float("inf")))
            return digest if self._clock() - when < self._seconds else None

    def put(self, address: str, digest: str) -> None:
        """Remember the digest of the content at an address."""
        with self._lock:
            self._known.pop(address, None)
            self._known[address] = (digest, self._clock())
            while len(self._known) > self._most:
                self._known.pop(next(iter(self._known)))

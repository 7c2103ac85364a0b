"""How a backend runs: everything that can be set, and the environment variables that set it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from toolkit.errors import InputError

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class BackendSettings:
    """Settings of a backend.

    Attributes:
        label_studio_url: Address of Label Studio; uploads, local files and cloud files are fetched from
            there.
        api_key: Its legacy token or personal access token.
        allowed_hosts: Other hosts that photos may be fetched from, as `host` or `host:port`.
        local_roots: Folders whose files may be read directly for `/data/local-files/?d=…` addresses.
        username: Of basic authentication; with `password`, every request needs both.
        password: See `username`.
        host_names: Names the backend answers to (the Host header); empty for any.
        state_dir: Where annotations, training runs and the served version are kept; None keeps nothing.
        cache_mb: Memory for encoded photos.
        disk_cache_dir: Where encoded photos may be kept between runs; None for memory alone.
        disk_cache_mb: How much of the disk they may take.
        max_image_mb: Largest photo file that is fetched.
        max_pixels: Largest photo that is opened.
        fetch_seconds: Longest time that fetching a photo may take, redirects included.
        max_redirects: Redirects that are followed.
        max_body_mb: Largest request that is read.
        max_regions: Most regions in one answer.
        min_region_pixels: Smaller masks are left out.
        duplicate_iou: From this IoU on, a mask that the task holds already is left out.
        answer_seconds: After this time a click is answered empty (Label Studio waits 100 s).
        batch_seconds: How long a request for pre-labels waits before it goes on in the background.
        remember_minutes: How long a negative click counts for later clicks on the same task.
    """

    label_studio_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    local_roots: tuple[Path, ...] = ()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    host_names: tuple[str, ...] = ()
    state_dir: Path | None = None
    cache_mb: int = 1024
    disk_cache_dir: Path | None = None
    disk_cache_mb: int = 4096
    max_image_mb: int = 100
    max_pixels: int = 100_000_000
    fetch_seconds: float = 20.0
    max_redirects: int = 3
    max_body_mb: int = 256
    max_regions: int = 200
    min_region_pixels: int = 9
    duplicate_iou: float = 0.5
    answer_seconds: float = 90.0
    batch_seconds: float = 60.0
    remember_minutes: float = 30.0

    def __post_init__(self) -> None:
        if bool(self.username) != bool(self.password):
            raise InputError(
                "basic authentication needs both a user name and a password; set both or neither"
            )
        if self.label_studio_url and not self.label_studio_url.startswith(("http://", "https://")):
            raise InputError(
                f"Label Studio's address must start with http:// or https://, not {self.label_studio_url!r}"
            )
        for setting in fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, (int, float)) and value < 0:
                raise InputError(f"{setting.name} must be 0 or more, not {value}")


# Environment variable → setting. Secrets come from the environment only, so that no process list shows them.
VARIABLES: Mapping[str, str] = {
    "LABEL_STUDIO_URL": "label_studio_url",
    "LABEL_STUDIO_API_KEY": "api_key",
    "DECLUTTER_ALLOWED_HOSTS": "allowed_hosts",
    "DECLUTTER_LOCAL_ROOTS": "local_roots",
    "DECLUTTER_USERNAME": "username",
    "DECLUTTER_PASSWORD": "password",
    "DECLUTTER_HOST_NAMES": "host_names",
    "DECLUTTER_STATE_DIR": "state_dir",
    "DECLUTTER_CACHE_MB": "cache_mb",
    "DECLUTTER_DISK_CACHE_DIR": "disk_cache_dir",
    "DECLUTTER_DISK_CACHE_MB": "disk_cache_mb",
    "DECLUTTER_MAX_IMAGE_MB": "max_image_mb",
    "DECLUTTER_MAX_PIXELS": "max_pixels",
    "DECLUTTER_FETCH_SECONDS": "fetch_seconds",
    "DECLUTTER_MAX_BODY_MB": "max_body_mb",
    "DECLUTTER_MAX_REGIONS": "max_regions",
    "DECLUTTER_MIN_REGION_PIXELS": "min_region_pixels",
    "DECLUTTER_DUPLICATE_IOU": "duplicate_iou",
    "DECLUTTER_ANSWER_SECONDS": "answer_seconds",
    "DECLUTTER_BATCH_SECONDS": "batch_seconds",
}


def settings_from_environment(
    environment: Mapping[str, str] | None = None, **overrides: Any
) -> BackendSettings:
    """Settings from environment variables; `overrides` that are not None win.

    Raises:
        InputError: a variable cannot be understood; names it.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for variable, name in VARIABLES.items():
        text = environment.get(variable, "").strip()
        if text:
            values[name] = _parse(variable, name, text)
    values.update({name: value for name, value in overrides.items() if value is not None})
    return BackendSettings(**values)


def _parse(variable: str, name: str, text: str) -> Any:
    if name in ("allowed_hosts", "host_names"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if name == "local_roots":
        return tuple(Path(part) for part in text.split(os.pathsep) if part)
    if name.endswith("_dir"):
        return Path(text)
    default = getattr(BackendSettings, name, None)
    if isinstance(default, (int, float)):
        try:
            return type(default)(text)
        except ValueError as error:
            raise InputError(f"{variable} must be a number, not {text!r}") from error
    return text

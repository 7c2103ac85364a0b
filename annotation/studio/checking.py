"""Click as the page does, through Label Studio's own interface, to see that everything is connected."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

from annotation.backend.addresses import AddressBook
from annotation.backend.fetching import PhotoFetcher
from annotation.label_config import parse_label_config
from annotation.label_studio import LabelStudioClient
from toolkit.errors import InputError
from toolkit.image import image_size

# Percent of the photo: its middle, then around it, until there is an object.
POINTS = [(50, 50), (33, 33), (67, 33), (33, 67), (67, 67), (50, 25), (50, 75), (25, 50), (75, 50)]
READY_SECONDS = 900.0
TROUBLE = re.compile(
    r'declutter_empty_answers_total\{reason="(failed|too-slow|not-ready|refused)"\} ([0-9.e+]+)'
)


class NotWorkingError(RuntimeError):
    """Something that was set up does not work."""


@dataclass(frozen=True)
class BackendProbe:
    """Asks a backend itself how it is.

    Attributes:
        url: its address.
        username: of basic authentication.
        password: of basic authentication.
    """

    url: str
    username: str
    password: str

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until the model is loaded.

        Raises:
            NotWorkingError: it could not be loaded, or took too long.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            health = self._get("/health")
            if health is not None and health.json().get("state") == "ready":
                return
            if health is not None and health.json().get("state") == "failing":
                raise NotWorkingError(health.json().get("problem", "the backend is failing"))
            time.sleep(0.5)
        raise NotWorkingError(f"the model was not loaded within {seconds:g} s")

    def troubles(self) -> dict[str, float]:
        """How many clicks could not be answered, by reason."""
        page = self._get("/metrics")
        return {reason: float(count) for reason, count in TROUBLE.findall(page.text if page else "")}

    def _get(self, path: str) -> Any:
        import httpx

        try:
            return httpx.get(
                self.url + path, auth=(self.username, self.password), timeout=30, trust_env=False
            )
        except httpx.HTTPError:
            return None


def click_first_photo(client: LabelStudioClient, project: int) -> tuple[int, float]:
    """Click a project's first photo, in its middle and then around it, until something is found.

    Returns:
        (regions in the answer, seconds that the last click took).

    Raises:
        InputError: there is no photo, or no backend is connected.
    """
    config = parse_label_config(client.project(project).label_config)
    tasks = client.tasks(project)
    image, field = next(iter(config.images.items()))
    prompts = config.prompts_of(image)
    if not tasks or not prompts:
        raise InputError(f"project {project}: needs a photo and a smart label to click with")
    task = tasks[0]
    fetcher = PhotoFetcher(AddressBook(client.url), client.key)
    height, width = image_size(fetcher.fetch(task.data.get(field), task.id))
    control, label = prompts[0], prompts[0].labels[0].value
    regions: list[dict[str, Any]] = []
    seconds = 0.0
    for x, y in POINTS:
        point = {
            "id": "check",
            "type": control.result_type,
            "from_name": control.name,
            "to_name": image,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "is_positive": True,
            "value": {"x": x, "y": y, "width": 0.3, "labels": [label], control.result_type: [label]},
        }
        began = time.monotonic()
        regions = client.click(project, task.id, [point])
        seconds = time.monotonic() - began
        if regions:
            break
    return len(regions), seconds

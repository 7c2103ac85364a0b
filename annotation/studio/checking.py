"""Click once as the page does, through Label Studio's own interface, to see that everything is connected."""

from __future__ import annotations

import time

from annotation.backend.addresses import AddressBook
from annotation.backend.fetching import PhotoFetcher
from annotation.label_config import parse_label_config
from annotation.label_studio import LabelStudioClient
from toolkit.errors import InputError
from toolkit.image import image_size


def click_first_photo(client: LabelStudioClient, project: int) -> tuple[int, float]:
    """Click the middle of a project's first photo.

    Returns:
        (regions in the answer, seconds it took).

    Raises:
        InputError: there is no photo, or no answer came.
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
    point = {
        "id": "check",
        "type": control.result_type,
        "from_name": control.name,
        "to_name": image,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "is_positive": True,
        "value": {"x": 50.0, "y": 50.0, "width": 0.3, "labels": [label], control.result_type: [label]},
    }
    began = time.monotonic()
    regions = client.click(project, task.id, [point])
    return len(regions), time.monotonic() - began

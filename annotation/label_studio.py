"""Label Studio's own interface, through its SDK: projects, tasks, predictions, annotations, backends."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from annotation.backend.settings import BackendSettings
from annotation.backend.tokens import ApiKey
from annotation.schemas import Prediction
from toolkit.errors import InputError

logger = logging.getLogger(__name__)

BACKEND_TITLE = "Declutter"
TASKS_PER_IMPORT = 200
SECONDS = 120.0


class LabelStudioClient:
    """A signed-in connection to one Label Studio.

    Args:
        url: its address.
        key: a legacy token or a personal access token.
    """

    def __init__(self, url: str, key: str) -> None:
        from label_studio_sdk import LabelStudio

        self.url = url.rstrip("/")
        self.key = ApiKey(self.url, key)
        self._sdk: Any = LabelStudio(base_url=self.url, api_key=key, timeout=SECONDS)

    def check(self) -> str:
        """Whose key this is, by e-mail address.

        Raises:
            InputError: the server is not there, or refuses the key.
        """
        with self._clear_errors("sign in"):
            return str(self._sdk.users.whoami().email)

    def find_project(self, title: str) -> int | None:
        """The number of the oldest project with this title, None if there is none."""
        with self._clear_errors("list projects"):
            numbers = [
                project.id for project in self._sdk.projects.list(title=title) if project.title == title
            ]
        return min(numbers, default=None)

    def create_project(self, title: str, label_config: str, instruction: str = "") -> int:
        """Make a project; returns its number."""
        with self._clear_errors(f'create the project "{title}"'):
            project = self._sdk.projects.create(
                title=title,
                label_config=label_config,
                expert_instruction=instruction,
                show_instruction=bool(instruction),
            )
        return int(project.id)

    def project(self, number: int) -> Any:
        """A project's record."""
        with self._clear_errors(f"open project {number}"):
            return self._sdk.projects.get(number)

    def update_project(self, number: int, **fields: Any) -> None:
        """Change fields of a project."""
        with self._clear_errors(f"change project {number}"):
            self._sdk.projects.update(number, **fields)

    def tasks(self, project: int) -> list[Any]:
        """All tasks of a project, without their annotations."""
        with self._clear_errors(f"list the tasks of project {project}"):
            return list(self._sdk.tasks.list(project=project, fields="task_only", page_size=500))

    def import_tasks(self, project: int, tasks: Sequence[dict[str, Any]]) -> None:
        """Add tasks, with their predictions and annotations."""
        for start in range(0, len(tasks), TASKS_PER_IMPORT):
            with self._clear_errors(f"import tasks into project {project}"):
                self._sdk.projects.import_tasks(
                    project, request=list(tasks[start : start + TASKS_PER_IMPORT])
                )

    def upload_photos(self, project: int, folder: Path, names: Sequence[str]) -> dict[str, str]:
        """Upload photos, without making tasks of them.

        Args:
            project: its number.
            folder: where the photos are.
            names: their paths below it.

        Returns:
            The address of each photo by its path.
        """
        import httpx

        addresses: dict[str, str] = {}
        with (
            self._clear_errors(f"take uploads into project {project}"),
            httpx.Client(trust_env=False) as http,
        ):
            for name in names:
                with (folder / name).open("rb") as file:
                    answer = http.post(
                        f"{self.url}/api/projects/{project}/import",
                        params={"commit_to_project": "false"},
                        headers=self.key.headers(http),
                        files={"FileUpload": (Path(name).name, file)},
                        timeout=SECONDS,
                    )
                self._refuse_errors(answer, f"take {name}")
                uploads = answer.json().get("file_upload_ids") or []
                listed = http.get(
                    f"{self.url}/api/projects/{project}/file-uploads",
                    params={"ids": json.dumps(uploads)},
                    headers=self.key.headers(http),
                    timeout=SECONDS,
                )
                self._refuse_errors(listed, f"take {name}")
                addresses[name] = "/data/" + listed.json()[0]["file"].lstrip("/")
        return addresses

    def _refuse_errors(self, answer: Any, what: str) -> None:
        if answer.status_code >= 400:
            raise InputError(f"{self.url}: Label Studio could not {what} ({answer.status_code})")

    def export(self, project: int, predictions: bool = False) -> list[dict[str, Any]]:
        """All tasks of a project with annotations, as Label Studio's JSON export has them.

        Args:
            project: its number.
            predictions: whether to add the predictions whole; the export itself has no more than their
                numbers.
        """
        with self._clear_errors(f"export project {project}"):
            chunks = self._sdk.projects.exports.download_sync(
                project, export_type="JSON", download_all_tasks=True
            )
            tasks: list[dict[str, Any]] = json.loads(b"".join(chunks))
        if predictions:
            by_task = self._predictions(project)
            tasks = [{**task, "predictions": by_task.get(task["id"], [])} for task in tasks]
        return tasks

    def _predictions(self, project: int) -> dict[int, list[dict[str, Any]]]:
        found: dict[int, list[dict[str, Any]]] = {}
        with self._clear_errors(f"list the predictions of project {project}"):
            for one in self._sdk.predictions.list(project=project):
                found.setdefault(one.task, []).append(
                    {"id": one.id, "result": one.result, "score": one.score}
                )
        return found

    def serve_folder(self, project: int, path: str, title: str) -> None:
        """Let a project show the photos of a local folder (once)."""
        with self._clear_errors(f"let project {project} read {path}"):
            local = self._sdk.import_storage.local
            if any(storage.path == path for storage in local.list(project=project)):
                return
            local.create(project=project, path=path, use_blob_urls=True, title=title)

    def connect_backend(
        self, project: int, url: str, username: str | None = None, password: str | None = None
    ) -> None:
        """Connect a backend to a project, or move it to a new address."""
        fields: dict[str, Any] = {"url": url, "title": BACKEND_TITLE, "is_interactive": True}
        if username and password:
            fields.update(auth_method="BASIC_AUTH", basic_auth_user=username, basic_auth_pass=password)
        with self._clear_errors(f"connect the backend at {url} to project {project}"):
            known = [one for one in self._sdk.ml.list(project=project) if one.title == BACKEND_TITLE]
            if known:
                self._sdk.ml.update(known[0].id, project=project, **fields)
            else:
                self._sdk.ml.create(project=project, **fields)

    def click(self, project: int, task: int, points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Ask the backend for regions as the page does when somebody uses a smart tool.

        Raises:
            InputError: no backend is connected, or it did not answer; says why.
        """
        import httpx

        with self._clear_errors(f"ask the backend about task {task}"):
            backends = [one for one in self._sdk.ml.list(project=project) if one.is_interactive]
            if not backends:
                raise InputError(f"{self.url}: project {project} has no backend for smart tools")
            with httpx.Client(trust_env=False, timeout=SECONDS) as http:
                # The SDK drops what this address answers.
                answer = http.post(
                    f"{self.url}/api/ml/{backends[0].id}/interactive-annotating",
                    json={"task": task, "context": {"result": list(points)}},
                    headers=self.key.headers(http),
                )
            self._refuse_errors(answer, f"ask the backend about task {task}")
        body = answer.json()
        if body.get("errors"):
            raise InputError(f"{self.url}: the backend gave no answer: {'; '.join(map(str, body['errors']))}")
        return list((body.get("data") or {}).get("result") or [])

    def start_training(self, project: int) -> None:
        """Ask for training as **Start training** in the project's model settings does.

        Raises:
            InputError: no backend is connected.
        """
        with self._clear_errors(f"start training on project {project}"):
            backends = self._sdk.ml.list(project=project)
            if not backends:
                raise InputError(f"{self.url}: project {project} has no backend to train")
            self._sdk.ml.train(backends[0].id)

    def add_prediction(self, task: int, prediction: Prediction) -> None:
        """Store a prediction of a task."""
        with self._clear_errors(f"store the prediction of task {task}"):
            self._sdk.predictions.create(
                task=task,
                result=prediction.result,
                score=prediction.score,
                model_version=prediction.model_version,
            )

    def add_annotation(self, task: int, result: Sequence[dict[str, Any]]) -> None:
        """Store an annotation of a task, as if its user had submitted it."""
        with self._clear_errors(f"store an annotation of task {task}"):
            self._sdk.annotations.create(id=task, result=list(result))

    @contextlib.contextmanager
    def _clear_errors(self, what: str) -> Iterator[None]:
        """Turn the SDK's errors into one sentence that says what to do."""
        import httpx
        from label_studio_sdk.core import ApiError

        try:
            yield
        except ApiError as error:
            if error.status_code in (401, 403):
                raise InputError(
                    f"{self.url}: Label Studio refused the API key ({error.status_code}); copy a valid one "
                    "from Account & Settings, and allow its kind of token under Organization"
                ) from error
            raise InputError(
                f"{self.url}: Label Studio could not {what} ({error.status_code}: {_detail(error.body)})"
            ) from error
        except httpx.HTTPError as error:
            raise InputError(
                f"{self.url}: Label Studio does not answer ({type(error).__name__}); "
                "check the address and that it is running"
            ) from error


def deliver_prediction(settings: BackendSettings) -> Callable[[int, Prediction], None] | None:
    """A function that stores a late prediction in Label Studio; None without address or key."""
    url, key = settings.label_studio_url, settings.api_key
    if not url or not key:
        return None

    def deliver(task: int, prediction: Prediction) -> None:
        LabelStudioClient(url, key).add_prediction(task, prediction)

    return deliver


def collect_annotations(settings: BackendSettings) -> Callable[[str], list[dict[str, Any]]] | None:
    """A function that asks Label Studio for a project's tasks; None without address or key."""
    url, key = settings.label_studio_url, settings.api_key
    if not url or not key:
        return None

    def collect(project: str) -> list[dict[str, Any]]:
        if not project.isdigit():
            raise InputError(f"expected the number of a project, not {project!r}")
        return LabelStudioClient(url, key).export(int(project))

    return collect


def _detail(body: Any) -> str:
    """What an error's body says, short."""
    if isinstance(body, dict):
        body = body.get("validation_errors") or body.get("detail") or body
    text = body if isinstance(body, str) else json.dumps(body, default=str)
    return text if len(text) <= 300 else text[:299] + "…"

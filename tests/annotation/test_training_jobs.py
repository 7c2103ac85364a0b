"""The loop closed: annotations come in, training makes weights of them, the better ones are served."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest

from annotation.backend.model import ModelHolder, Served
from annotation.backend.settings import BackendSettings
from annotation.backend.training import TrainingRuns
from annotation.backend.webhooks import AnnotationStore
from annotation.label_config import Control, Label
from annotation.regions import Canvas, Drawing, region
from annotation.schemas import WebhookRequest
from annotation.systems import SERVED, load_served, training_runs
from annotation.training_jobs import fine_tune_and_compare, run_declutter, served_weights
from models.loading import BUNDLED
from tests.helpers.selection_system import RED, ShapesSystem, shapes_photo
from toolkit.errors import InputError
from toolkit.image import save_image
from toolkit.split import read_split

CONTROLS = {"bitmask": Control("mask", "BitmaskLabels", "image", (Label("Distractor", "all"),))}
WIDTH, HEIGHT = 60, 40


def annotated(photos: Path, count: int) -> list[dict]:
    """Tasks with one annotated disc each, in the form of Label Studio's export."""
    import numpy as np

    photos.mkdir(exist_ok=True)
    rows, columns = np.indices((HEIGHT, WIDTH))
    mask = np.hypot(columns - 20, rows - 20) < 8
    tasks = []
    for number in range(count):
        save_image(photos / f"{number}.png", shapes_photo([(20, 20, 8, RED)], HEIGHT, WIDTH, seed=number))
        one = region(mask, CONTROLS, Canvas(WIDTH, HEIGHT, "image"), Drawing("Distractor", score=0.9))
        tasks.append(
            {
                "id": number,
                "project": 1,
                "data": {"image": f"/data/local-files/?d=photos/{number}.png"},
                "annotations": [{"id": 100 + number, "result": [one], "updated_at": "2026-01-01"}],
            }
        )
    return tasks


class Declutter:
    """Stands for the command line: `train finetune` leaves the result that it is told to."""

    def __init__(self, after: float) -> None:
        self.after = after
        self.commands: list[list[str]] = []

    def __call__(self, arguments, say) -> None:
        self.commands.append(list(arguments))
        say("fine-tuning one-click")
        given = dict(itertools.pairwise(arguments))
        assert read_split(given["--set"].removeprefix("data.train=")).annotations
        out = Path(given["--out"])
        for part in ("one-click", "cpn", "pvm"):
            (out / "weights" / part).mkdir(parents=True)
            (out / "weights" / part / "config.json").write_text("{}")
        result = {"better": self.after > 0.5, "learn_photos": 10, "held_photos": 2}
        result |= {"miou_before": 0.5, "miou_after": self.after, "groups_ar_before": None}
        (out / "result.json").write_text(json.dumps({**result, "groups_ar_after": 0.1}))


@pytest.fixture
def served_before(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    for part in ("one-click", "cpn", "pvm"):
        (folder / part).mkdir(parents=True)
    return folder


def wait(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def event(action: str, **fields) -> WebhookRequest:
    return WebhookRequest(action=action, **fields)


def test_the_webhook_keeps_changes_and_drops_what_is_deleted(tmp_path):
    store = AnnotationStore(tmp_path)
    first = {"id": 5, "result": [1]}
    task = {"id": 3, "data": {"image": "x"}, "project": 1}
    assert store.take(event("ANNOTATION_CREATED", annotation=first, task=task)) == 1
    assert store.take(event("ANNOTATION_CREATED", annotation={"id": 6, "result": []}, task=task)) == 1
    assert store.take(event("ANNOTATION_UPDATED", annotation={"id": 5, "result": [2]}, task=task)) == 1
    (kept,) = store.tasks(1)
    assert sorted(one["id"] for one in kept["annotations"]) == [5, 6]
    assert {"id": 5, "result": [2]} in kept["annotations"]
    assert store.take(event("ANNOTATIONS_DELETED", annotations=[{"id": 5}])) == 1
    assert [one["id"] for task in store.tasks("1") for one in task["annotations"]] == [6]
    assert list(store.tasks(2)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"annotation": {"id": 1}},
        {"annotation": {"id": "../../x"}, "task": {"id": 1, "project": 1}},
        {"annotation": {"id": 1}, "task": {"id": 1, "project": "../../etc"}},
        {"annotation": {"id": None}, "task": {"id": 1, "project": 1}},
    ],
)
def test_events_without_numbers_are_not_stored(tmp_path, fields):
    assert AnnotationStore(tmp_path / "store").take(event("ANNOTATION_CREATED", **fields)) == 0
    assert not list(tmp_path.rglob("*.json"))
    assert (
        AnnotationStore(None).take(event("ANNOTATION_CREATED", annotation={"id": 1}, task={"project": 1}))
        == 0
    )


@pytest.mark.parametrize(("after", "better"), [(0.6, True), (0.5, False), (0.2, False)])
def test_start_training_serves_new_weights_only_if_they_are_better(
    start, tmp_path, served_before, after, better
):
    state = tmp_path / "state"
    settings = BackendSettings(state_dir=state, local_roots=(tmp_path / "photos",))
    tasks = annotated(tmp_path / "photos", 12)
    declutter = Declutter(after)
    new_system = ShapesSystem()

    def load(weights: Path, version: str) -> Served:
        assert (weights / "pvm" / "config.json").is_file()
        return Served(new_system, version)

    holder = ModelHolder(lambda: Served(ShapesSystem(), "shapes-1"))
    runs = TrainingRuns(
        state / "training", fine_tune_and_compare(settings, declutter, served_before), holder, load
    )
    client = start(training=runs, state_dir=state)
    holder.replace(Served(ShapesSystem(), "shapes-1"))
    client.backend.model = holder
    for task in tasks:
        body = {
            "action": "ANNOTATION_CREATED",
            "annotation": task["annotations"][0],
            "task": {key: task[key] for key in ("id", "data", "project")},
            "project": {"id": 1},
        }
        assert client.post("/webhook", json=body).json() == {"stored": 1}
    answer = client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 1}})
    assert (answer.status_code, answer.json()) == (201, {"job": 1, "status": "started"})
    wait(lambda: client.get("/training").json()[0]["state"] != "running")
    (report,) = client.get("/training").json()
    assert report["state"] == "finished", report
    assert report["outcome"]["better"] is better
    assert report["outcome"]["before"] == {"miou": 0.5, "groups_ar": None}
    assert report["outcome"]["after"] == {"miou": after, "groups_ar": 0.1}
    assert report["outcome"]["counts"] == {"learn_photos": 10, "held_photos": 2}
    (command,) = declutter.commands
    assert command[:2] == ["train", "finetune"]
    assert command[command.index("--init-from") + 1] == str(served_before)
    version = client.get("/health").json()["model_version"]
    assert version == (report["outcome"]["version"] if better else "shapes-1")


def test_one_run_at_a_time_and_failures_are_told(start, tmp_path):
    gate = []

    def never_ends(tasks, folder, say):
        wait(lambda: gate)
        raise InputError("3 photos with annotations are too few to learn from; annotate at least 5")

    holder = ModelHolder(lambda: Served(ShapesSystem(), "shapes-1"))
    runs = TrainingRuns(tmp_path, never_ends, holder, lambda weights, version: Served(None, version))
    client = start(training=runs)
    assert client.post("/train", json={"project": "1.179", "annotations": []}).status_code == 201
    again = client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 1}})
    assert again.status_code == 409
    assert "is under way" in again.json()["detail"]
    gate.append(1)
    wait(lambda: client.get("/training").json()[0]["state"] == "failed")
    assert "too few to learn from" in client.get("/training").json()[0]["problem"]
    assert client.get("/health").json()["state"] == "ready"


def test_without_a_place_to_train_the_answer_says_so(start):
    answer = start().post("/webhook", json={"action": "START_TRAINING", "project": {"id": 1}})
    assert answer.status_code == 409
    assert "without a place to train" in answer.json()["detail"]


def test_training_goes_on_from_what_is_served(tmp_path, served_before):
    settings = BackendSettings(state_dir=tmp_path / "state")
    holder = ModelHolder(lambda: Served(ShapesSystem(), "shapes-1"))
    assert training_runs(settings, holder) is not None
    assert training_runs(settings, holder, source=str(served_before)) is not None
    assert training_runs(settings, holder, source="grabcut") is None  # nothing there learns
    assert training_runs(BackendSettings(), holder) is None
    assert served_weights(settings.state_dir) == BUNDLED
    assert served_weights(settings.state_dir, str(served_before)) == served_before


def test_better_weights_are_served_after_a_restart(tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    asked = []

    def loader(source):
        asked.append(source)
        if source == str(weights) and (weights / "broken").exists():
            raise InputError("damaged")
        return ShapesSystem()

    assert load_served(None, tmp_path, loader).version == "shapes"
    (tmp_path / SERVED).write_text(json.dumps({"weights": str(weights), "version": "finetuned-1"}))
    assert load_served(None, tmp_path, loader).version == "finetuned-1"
    assert asked == [None, str(weights)]
    assert load_served("other", tmp_path, loader).version == "shapes"  # another system was asked for
    noted = {"weights": str(weights), "version": "finetuned-2", "source": "other"}
    (tmp_path / SERVED).write_text(json.dumps(noted))
    assert load_served("other", tmp_path, loader).version == "finetuned-2"
    assert load_served(None, tmp_path, loader).version == "shapes"
    (tmp_path / SERVED).write_text(json.dumps({**noted, "source": None}))
    (weights / "broken").touch()
    assert load_served(None, tmp_path, loader).version == "shapes"
    (tmp_path / SERVED).write_text("no json")
    assert load_served(None, tmp_path, loader).version == "shapes"


@pytest.mark.slow
def test_what_a_command_says_is_passed_on_and_its_failure_is_one_sentence():
    said = []
    run_declutter(["models", "list"], said.append)
    assert any(line.startswith("one-click") for line in said)
    with pytest.raises(InputError, match=r"declutter data validate failed: .*nowhere"):
        run_declutter(["data", "validate", "/nowhere"])

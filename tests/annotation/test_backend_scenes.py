"""How the backend keeps encoded photos, works through batches, and takes up systems and weights."""

from __future__ import annotations

import threading

from tests.helpers.five_discs import ADDRESS, DISCS, ask, at, matching, wait_for
from tests.helpers.label_studio_requests import batch_body, inline, task_body
from tests.helpers.selection_system import ShapesSystem, shapes_photo
from toolkit.errors import InputError


def test_a_photo_is_encoded_once_however_many_ask(start):
    system = ShapesSystem(encode_seconds=0.3)
    client = start(system)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(client, [at(1)]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(answer["result"]) for answer in answers] == [3] * 8
    assert system.calls["encode"] == 1
    assert system.threads == 1
    assert not system.overlapped


def test_opening_a_task_encodes_its_photo_ahead(start):
    system = ShapesSystem()
    system.gate = threading.Event()
    client = start(system)
    answer = client.post("/predict", json=batch_body([task_body(ADDRESS)]))
    # Answered before the photo is encoded; nothing is stored, so a later batch still asks.
    assert answer.json() == {"results": [[]]}
    assert len(client.backend.cache) == 0
    system.gate.set()
    wait_for(lambda: len(client.backend.cache) == 1)
    assert len(ask(client, [at(1)])["result"]) == 3
    assert system.calls["encode"] == 1


def test_batches_are_prelabelled_in_groups(start):
    client = start()
    tasks = [task_body(inline(shapes_photo(DISCS[:4], seed=seed)), task=seed) for seed in range(3)]
    results = client.post("/predict", json=batch_body(tasks)).json()["results"]
    assert [len(one) for one in results] == [1, 1, 1]
    regions = results[0][0]["result"]
    assert len(regions) == 4
    groups = [one["meta"]["declutter"]["group"] for one in regions]
    assert sorted(groups.count(group) for group in set(groups)) == [1, 3]
    assert sum("parentID" in one for one in regions) == 2
    report = client.get("/prelabel").json()[0]
    assert (report["total"], report["done"], report["failed"], report["state"]) == (3, 3, 0, "finished")


def test_a_bad_photo_does_not_spoil_a_batch(start):
    client = start()
    tasks = [
        task_body(ADDRESS, task=1),
        task_body("data:image/png;base64,AAAA", task=2),
        task_body(ADDRESS, task=3),
    ]
    results = client.post("/predict", json=batch_body(tasks)).json()["results"]
    assert [len(one) for one in results] == [1, 0, 1]
    report = client.get("/prelabel").json()[0]
    assert report["failed"] == 1
    assert report["problems"][0].startswith("task 2: the given bytes: not an image")


def test_a_long_batch_goes_on_in_the_background(start):
    delivered = []
    system = ShapesSystem()
    system.gate, system.free_encodes = threading.Event(), 2
    client = start(system, batch_seconds=3)
    client.backend.batches._deliver = lambda task, prediction: delivered.append(
        (task, len(prediction.result))
    )
    tasks = [task_body(inline(shapes_photo(DISCS, seed=seed)), task=seed) for seed in range(6)]
    results = client.post("/predict", json=batch_body(tasks)).json()["results"]
    assert [len(one) for one in results] == [1, 1, 0, 0, 0, 0]
    assert client.get("/prelabel").json()[0]["state"] == "running"
    system.gate.set()
    wait_for(lambda: client.get("/prelabel").json()[0]["state"] == "finished")
    assert delivered == [(2, 5), (3, 5), (4, 5), (5, 5)]
    assert client.get("/prelabel").json()[0]["delivered"] == 6
    # Asked again, everything is there at once.
    results = client.post("/predict", json=batch_body(tasks)).json()["results"]
    assert [len(one) for one in results] == [1] * 6
    assert system.calls["encode"] == 6


def test_loading_failing_and_ready_are_told_apart():
    from starlette.testclient import TestClient

    from annotation.backend.app import Backend, create_app
    from annotation.backend.model import ModelHolder, Served
    from annotation.backend.settings import BackendSettings

    gate = threading.Event()

    def load() -> Served:
        gate.wait(10)
        raise InputError("weights 'nowhere': no 1C-DSN there")

    model = ModelHolder(load)
    backend = Backend(BackendSettings(answer_seconds=0.1), model)
    with TestClient(create_app(backend), raise_server_exceptions=False) as client:
        assert client.get("/health").json()["state"] == "loading"
        assert ask(client, [at(1)])["result"] == []  # not an error, the model is not there yet
        gate.set()
        wait_for(lambda: client.get("/health").status_code == 503)
        body = client.get("/health").json()
        assert body["state"] == "failing"
        assert body["problem"] == "the model could not be loaded: weights 'nowhere': no 1C-DSN there"
        assert ask(client, [at(1)])["result"] == []
        model.replace(Served(ShapesSystem(), "shapes-2"))
        assert client.get("/health").json() == {"status": "UP", "state": "ready", "model_version": "shapes-2"}
        assert "declutter_ready 1.0" in client.get("/metrics").text


def test_new_weights_encode_anew_under_a_new_version(start):
    from annotation.backend.model import Served

    old, new = ShapesSystem(), ShapesSystem()
    client = start(old)
    ask(client, [at(1)])
    client.backend.model.replace(Served(new, "shapes-2"))
    assert ask(client, [at(1)])["model_version"] == "shapes-2"
    assert (old.calls["encode"], new.calls["encode"]) == (1, 1)


def test_the_cache_stays_within_its_budget(start):
    system = ShapesSystem(scene_bytes=400_000)
    client = start(system, cache_mb=1)
    for seed in range(5):
        ask(client, [at(1)], address=inline(shapes_photo(DISCS, seed=seed)))
    assert len(client.backend.cache) == 2
    assert client.backend.cache.nbytes == 800_000
    assert "declutter_scene_cache_evicted 3.0" in client.get("/metrics").text


def test_systems_without_siblings_answer_with_the_object(start):
    class Single(ShapesSystem):
        def encode(self, image):
            scene = super().encode(image)

            class OneByOne:
                height, width, nbytes = scene.height, scene.width, scene.nbytes
                segment, segment_each = scene.segment, scene.segment_each

            return OneByOne()

    client = start(Single())
    (head,) = ask(client, [at(1)])["result"]
    assert matching([head], 1)
    assert head["meta"]["text"] == ["this system finds no similar objects: only the clicked one is given"]
    assert "group" not in head["meta"]["declutter"]
    (only,) = ask(client, [at(1, label="Only this")])["result"]
    assert only["meta"]["text"] == []
    answer = client.post("/predict", json=batch_body([task_body(ADDRESS, 1), task_body(ADDRESS, 2)]))
    assert answer.json() == {"results": [[], []]}
    assert "cannot propose objects without a click" in client.get("/prelabel").json()[0]["problems"][0]


def test_a_classical_system_serves_label_studio(start):
    from models.loading import load_system

    client = start(load_system("grabcut"), version="grabcut")
    (head,) = ask(client, [at(1)])["result"]
    assert matching([head], 1)  # one red disc of three
    assert head["meta"]["text"] == ["this system finds no similar objects: only the clicked one is given"]

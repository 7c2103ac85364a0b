"""`studio up` with a real Label Studio: second run, clicks, pre-labels, round trips, a killed backend."""

from __future__ import annotations

import os
import signal
import threading
import time

import httpx
import numpy as np
import pytest

from annotation.decoding import region_to_mask
from annotation.exporting import export_tasks
from annotation.importing import local_address, split_label_config, split_tasks
from annotation.label_config import parse_label_config
from annotation.photo_sources import from_label_studio
from annotation.studio.checking import click_first_photo
from annotation.studio.project import Material, fill_by_upload, fill_locally, link_photos
from annotation.studio.server import PHOTOS
from annotation.studio.up import BACKEND_USER
from tests.annotation.studio.conftest import DISCS, HEIGHT, WIDTH
from tests.helpers.label_studio_requests import point_body
from tests.helpers.splits import write_small_split
from toolkit.errors import InputError
from toolkit.report import Report
from toolkit.split import read_split

pytestmark = [pytest.mark.slow, pytest.mark.studio]


def red_disc(number: int = 0) -> tuple[float, float]:
    """A point on a red disc, beside its hole."""
    x, y, radius, _ = DISCS[number]
    return x + radius / 2, y


def test_a_second_run_finds_everything_as_it_was(first_run, studio):
    assert studio.project == first_run.project
    tasks = [(task.id, task.data["image"]) for task in studio.client.tasks(studio.project)]
    assert tasks == first_run.tasks
    assert len(tasks) == 8
    assert any("8 photos (8 new)" in line for line in first_run.said)
    assert any("8 photos (0 new)" in line for line in studio.said)
    assert (studio.up.account.email, studio.up.account.password) == (first_run.email, first_run.password)


def test_nothing_listens_beyond_this_machine(studio):
    import psutil

    ports = {studio.up.account.port, studio.up.account.backend_port}
    listening = [
        c.laddr for c in psutil.net_connections("inet") if c.status == "LISTEN" and c.laddr.port in ports
    ]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == ports


def test_a_click_through_label_studio(studio):
    studio.up.probe.wait_ready()
    count, _ = click_first_photo(studio.client, studio.project)
    assert count == 0  # it looks at nine points, between the discs and in the hole of one
    assert studio.up.probe.troubles() == {}
    task = studio.client.tasks(studio.project)[4].id
    regions = studio.client.click(studio.project, task, [point_body(*red_disc(), WIDTH, HEIGHT)])
    assert len(regions) == 5
    assert all(region_to_mask(region).sum() > 1000 for region in regions)


def test_the_second_click_on_a_photo_takes_a_tenth_of_the_first(studio):
    task = studio.client.tasks(studio.project)[3].id
    seconds = []
    for _ in range(6):
        began = time.monotonic()
        assert studio.client.click(studio.project, task, [point_body(*red_disc(), WIDTH, HEIGHT)])
        seconds.append(time.monotonic() - began)
    # Label Studio's own share is in both, so only the difference is the backend's.
    assert seconds[0] > 0.5  # encoding takes half a second in the made-up system
    assert min(seconds[1:]) < seconds[0] - 0.35


def test_batch_prelabels_arrive_in_label_studio(studio):
    sdk = studio.client._sdk
    sdk.actions.create(
        id="retrieve_tasks_predictions",
        project=studio.project,
        selected_items={"all": True, "excluded": []},
    )
    deadline = time.monotonic() + 60
    while len(predictions := list(sdk.predictions.list(project=studio.project))) < 8:
        assert time.monotonic() < deadline, f"only {len(predictions)} predictions"
        time.sleep(0.5)
    assert {one.model_version for one in predictions} == {"shapes-1"}
    assert all(len(one.result) == len(DISCS) for one in predictions)
    for one in predictions:
        sdk.predictions.delete(one.id)


def same_masks(split, other, record) -> None:
    mine = {a.id: a for a in split.annotations_of(record.id)}
    theirs = {a.id: a for a in other.annotations_of(record.id)}
    assert mine.keys() == theirs.keys()
    for number, annotation in mine.items():
        again = theirs[number]
        assert np.array_equal(
            annotation.mask(record.height, record.width), again.mask(record.height, record.width)
        )
        for name in ("category_id", "group_id", "iscrowd", "origin", "extra", "area"):
            assert getattr(annotation, name) == getattr(again, name), name
        assert tuple(annotation.bbox) == tuple(again.bbox)


@pytest.mark.parametrize("way", ["linked", "uploaded"])
def test_a_split_goes_through_label_studio_and_back_without_loss(studio, options, tmp_path, way):
    split = read_split(write_small_split(tmp_path / f"small {way}", images=3))
    client = studio.client
    project = client.create_project(f"round trip {way}", split_label_config(split))
    material = Material("round trip", split.images_dir, split)
    report = Report()
    if way == "linked":
        added, total = fill_locally(client, project, material, options.data / PHOTOS, report)
    else:
        added, total = fill_by_upload(client, project, material, report)
    assert (added, total, report.skipped) == (3, 3, ())
    url, key = client.url, studio.up.account.token
    # As predictions, exported as they are:
    out = tmp_path / "predictions"
    export_tasks(client.export(project, predictions=True), out, from_label_studio(url, key), predictions=True)
    # Submitted by an annotator:
    for task in client.export(project, predictions=True):
        client.add_annotation(task["id"], task["predictions"][0]["result"])
    done = tmp_path / "annotations"
    export_tasks(client.export(project), done, from_label_studio(url, key))
    for folder in (out, done):
        back = read_split(folder)
        assert back.categories == split.categories
        assert back.licenses == split.licenses
        assert [r.file_name for r in back] == [r.file_name for r in split]
        for record in split:
            again = back.image(record.id)
            assert (again.license, again.source, again.extra) == (record.license, record.source, record.extra)
            assert back.image_path(again).read_bytes() == split.image_path(record).read_bytes()
            same_masks(split, back, record)


@pytest.mark.parametrize("tag", ["BrushLabels", "PolygonLabels", "BitmaskLabels"])
def test_every_mask_type_survives_the_round_trip(studio, options, tmp_path, tag):
    split = read_split(write_small_split(tmp_path / "small", images=1))
    labels = "".join(f'<Label value="{name}"/>' for name in split.category_names.values())
    config = (
        f'<View><Image name="image" value="$image"/><{tag} name="m" toName="image">{labels}</{tag}></View>'
    )
    project = studio.client.create_project(f"round trip {tag}", config)
    link = link_photos(options.data / PHOTOS, split.images_dir)
    studio.client.serve_folder(project, str(options.data / PHOTOS / link), "photos")
    report = Report()
    tasks = list(
        split_tasks(split, parse_label_config(config), local_address(link), report, as_annotations=True)
    )
    assert report.skipped == ()
    studio.client.import_tasks(project, tasks)
    out = tmp_path / "back"
    source = from_label_studio(studio.client.url, studio.up.account.token)
    export_tasks(studio.client.export(project), out, source)
    record = split.images[0]
    same_masks(split, read_split(out), record)


def test_another_users_label_studio_is_connected_by_url_and_key(studio, photos, monkeypatch):
    from typer.testing import CliRunner

    from annotation.commands import app

    backend = f"http://127.0.0.1:{studio.up.account.backend_port}"
    monkeypatch.setenv("DECLUTTER_USERNAME", BACKEND_USER)
    monkeypatch.setenv("DECLUTTER_PASSWORD", studio.up.account.token)
    arguments = ["connect", str(photos), "--url", studio.client.url, "--api-key", studio.up.account.token]
    arguments += ["--backend-url", backend, "--title", "Somebody's own"]
    for new in (8, 0):
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert f"8 photos ({new} new, 0 left out)" in result.output
    project = studio.client.find_project("Somebody's own")
    task = studio.client.tasks(project)[0]
    assert task.data["image"].startswith("/data/upload/")
    assert len(studio.client.click(project, task.id, [point_body(*red_disc(), WIDTH, HEIGHT)])) == 5
    with pytest.raises(InputError, match=r"refused the API key \(401\)"):
        CliRunner().invoke(app, [*arguments[:5], "f" * 40], catch_exceptions=False)


def test_a_personal_access_token_works_too(studio):
    from annotation.label_studio import LabelStudioClient

    token = studio.client._sdk.tokens.create().token
    client = LabelStudioClient(studio.client.url, token)
    assert client.check() == studio.up.account.email
    fetch = from_label_studio(client.url, token)
    task = client.tasks(studio.project)[0]
    assert fetch({"id": task.id}, task.data["image"])[:4] == b"\x89PNG"


def test_start_training_learns_from_the_annotations_and_serves_the_better_weights(studio):
    client, project = studio.client, studio.project
    task = client.tasks(project)[5].id
    regions = client.click(project, task, [point_body(*red_disc(), WIDTH, HEIGHT)])
    client.add_annotation(task, regions)
    given = [a["result"] for one in client.export(project) for a in one["annotations"]]

    def backend(path: str) -> httpx.Response:
        url = f"http://127.0.0.1:{studio.up.account.backend_port}{path}"
        return httpx.get(url, auth=(BACKEND_USER, studio.up.account.token), trust_env=False)

    assert backend("/health").json()["model_version"] == "shapes-1"
    client.start_training(project)
    deadline = time.monotonic() + 60
    while backend("/training").json()[0]["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (run,) = backend("/training").json()
    assert run["state"] == "finished", run
    assert run["project"] == str(project)
    assert run["outcome"]["counts"] == {"photos": len(given), "regions": sum(map(len, given))}
    assert backend("/health").json()["model_version"] == "shapes-2"
    assert len(client.click(project, task, [point_body(*red_disc(1), WIDTH, HEIGHT)])) in (0, 5)


def test_a_killed_backend_comes_back_and_no_annotation_is_lost(studio):
    client, project = studio.client, studio.project
    tasks = [task.id for task in client.tasks(project)]
    first = client.click(project, tasks[0], [point_body(*red_disc(), WIDTH, HEIGHT)])
    client.add_annotation(tasks[0], first)
    kept = client.export(project)[0]["annotations"][-1]["result"]

    stop = threading.Event()
    outcomes: list[str] = []

    def keep_clicking(number: int) -> None:
        while not stop.is_set():
            try:
                client.click(project, tasks[number], [point_body(*red_disc(), WIDTH, HEIGHT)])
                outcomes.append("answered")
            except InputError:
                outcomes.append("refused")

    def wait_for_answers(count: int) -> None:
        deadline = time.monotonic() + 120
        while outcomes.count("answered") < count:
            assert time.monotonic() < deadline, outcomes
            time.sleep(0.1)

    clickers = [threading.Thread(target=keep_clicking, args=(number,)) for number in range(1, 5)]
    for clicker in clickers:
        clicker.start()
    wait_for_answers(4)
    before = studio.up.backend.pid
    os.killpg(before, signal.SIGKILL)
    time.sleep(1)
    assert studio.up.ended == ""  # what `studio up` asks every second: it starts the backend again
    studio.up.backend.wait()
    assert studio.up.backend.pid != before
    wait_for_answers(outcomes.count("answered") + 4)
    stop.set()
    for clicker in clickers:
        clicker.join(timeout=60)
    again = client.click(project, tasks[2], [point_body(*red_disc(), WIDTH, HEIGHT)])
    assert len(again) == 5
    assert client.export(project)[0]["annotations"][-1]["result"] == kept


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_both_and_leaves_nothing(first_run, options, photos, tmp_path, number):
    import shutil
    import socket
    import subprocess
    import sys
    import threading

    import psutil

    data = tmp_path / "data"
    shutil.copytree(options.data, data, symlinks=True, ignore=shutil.ignore_patterns("*.log", "lock"))
    command = [sys.executable, "-m", "tests.helpers.studio_up_shapes", str(data), str(photos)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        watchdog = threading.Timer(180, process.kill)  # else a deaf process would hold the suite for ever
        watchdog.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("up "):
                break
        ports = [int(port) for port in lines[-1].split()[1:]]
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(60) == 0
        watchdog.cancel()
    assert "stopping" in rest
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0

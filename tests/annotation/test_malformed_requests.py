"""Two thousand malformed requests: no traceback, no 500, no file or host read that was not allowed."""

from __future__ import annotations

import builtins
import json
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.label_studio_requests import (
    batch_body,
    click_body,
    inline,
    point_body,
    setup_body,
    task_body,
)
from tests.helpers.selection_system import RED, ShapesSystem, shapes_photo

PATHS = ("/predict", "/setup", "/webhook", "/train", "/validate")
ADDRESS = inline(shapes_photo([(20, 20, 8, RED)], 40, 60))
GOOD: dict[str, Any] = {
    "/predict": click_body(task_body(ADDRESS), [point_body(20, 20, 60, 40)]),
    "/setup": setup_body(),
    "/webhook": {
        "action": "ANNOTATION_CREATED",
        "annotation": {"id": 5, "result": []},
        "task": {"id": 1, "data": {"image": "x"}, "project": 1},
        "project": {"id": 1},
    },
    "/train": {"project": "1.5", "annotations": [], "label_config": "<View/>"},
    "/validate": {"config": "<View/>"},
}
NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 10**30, -(10**30), 1e308, 0.1, "", " ", "x", "\x00", "🦑" * 50,
    "../../etc/passwd",
    "file:///etc/passwd", "http://169.254.169.254/", "//evil.example/", "/data/upload/../../etc/passwd",
    "/data/local-files/?d=/etc/passwd", "/data/local-files/?d=../../../etc/passwd", "<View>",
    "<!DOCTYPE a>", [], {},
    [[]], [None], {"result": None}, {"result": [{}]}, [[[[[]]]]], "9" * 5000, "NaN",
    "data:image/png;base64,AAAA",
    "s3://bucket/key", "${jndi:ldap://evil.example/a}", "%s%s%n", "'; DROP TABLE tasks; --",
]  # fmt: skip


@pytest.fixture(scope="module")
def guarded() -> Iterator[Callable[[str, bytes, str], int]]:
    """Send a body to a backend; fails if anything was opened that may not be, or a traceback was logged."""
    from starlette.testclient import TestClient

    from annotation.backend.app import Backend, create_app
    from annotation.backend.model import ModelHolder, Served
    from annotation.backend.settings import BackendSettings

    touched: list[str] = []
    real_open, real_connect, real_resolve = builtins.open, socket.socket.connect, socket.getaddrinfo

    def watched_open(file: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, (str, bytes)) and any(
            word in str(file) for word in ("passwd", "upload", "local-files")
        ):
            touched.append(f"open {file}")
        return real_open(file, *args, **kwargs)

    def watched_connect(self: socket.socket, address: Any) -> Any:
        touched.append(f"connect {address}")
        raise OSError("no connections in this test")

    def watched_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        touched.append(f"resolve {host}")
        raise socket.gaierror("no look-ups in this test")

    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Keep()
    served = Served(ShapesSystem(), "shapes-1")
    backend = Backend(BackendSettings(answer_seconds=5, batch_seconds=5), ModelHolder(lambda: served))
    with TestClient(create_app(backend), base_url="http://127.0.0.1") as client:
        backend.model.get(10)
        logging.getLogger("annotation").addHandler(handler)
        builtins.open, socket.socket.connect = watched_open, watched_connect  # type: ignore[assignment]
        socket.getaddrinfo = watched_resolve

        def send(path: str, body: bytes, kind: str = "application/json") -> int:
            answer = client.post(path, content=body, headers={"content-type": kind})
            shown = [r for r in records if r.exc_info]
            assert not shown, f"{shown[0].getMessage()} for {path} {body[:2000]!r}"
            assert not touched, f"{touched} for {path} {body[:2000]!r}"
            assert answer.status_code < 500, f"{answer.status_code} {answer.text} for {path} {body[:2000]!r}"
            assert "Traceback" not in answer.text
            return answer.status_code

        try:
            yield send
        finally:
            builtins.open, socket.socket.connect = real_open, real_connect
            socket.getaddrinfo = real_resolve
            logging.getLogger("annotation").removeHandler(handler)


def test_the_good_requests_are_good(guarded):
    for path, body in GOOD.items():
        assert guarded(path, json.dumps(body).encode()) in (200, 409)
    assert (
        guarded("/predict", json.dumps(batch_body([task_body(ADDRESS), task_body(ADDRESS)])).encode()) == 200
    )


def spots(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from spots(item, (*path, key))


def put(value: Any, path: tuple, new: Any) -> Any:
    """A copy of a JSON value with something else in one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


def without(value: Any, path: tuple) -> Any:
    """A copy of a JSON value with one place missing."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = without(copy[path[0]], path[1:])
    return copy


def test_every_field_replaced_by_everything_nasty(guarded):
    sent = 0
    for path, good in GOOD.items():
        for spot in spots(good):
            for nasty in NASTY:
                guarded(path, json.dumps(put(good, spot, nasty)).encode())
                sent += 1
            if spot:
                guarded(path, json.dumps(without(good, spot)).encode())
                sent += 1
    assert sent >= 2000


HAND_MADE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"1",
    b'"x"',
    b"\xff\xfe",
    b"\x00" * 100,
    b"{}" * 10,
    b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"tasks": [{"id": 1e999}]}',
    b'{"tasks": [{"id": NaN}]}',
    b'{"tasks": [{"id": 1, "id": 2}]}',
    b'{"tasks": ' + b"[{}," * 1000 + b"{}" + b"]" * 1000 + b"}",
    b'{"tasks": [{"data": {"image": "' + b"A" * 100_000 + b'"}}]}',
    json.dumps({"tasks": [task_body(ADDRESS)] * 20_000}).encode()[:2_000_000],
    json.dumps({"tasks": [{}] * 20_000}).encode(),
    json.dumps({"tasks": []}).encode(),
    b"<xml/>",
    b'{"tasks": [{"data": {"image": "\\ud800"}}]}',
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("number", range(len(HAND_MADE)))
def test_bodies_that_are_no_requests(guarded, path, number):
    guarded(path, HAND_MADE[number])


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml", "", "a/b; c=d"]
)
def test_only_json_is_taken(guarded, kind):
    assert guarded("/predict", json.dumps(GOOD["/predict"]).encode(), kind) == 415


def test_hostile_points(guarded):
    for x in (-1e9, -0.4, 0, 50, 100, 100.4, 101, 1e300):
        for rotation in (0, 90, 1e300):
            for side in (0, 1, 10**6, 10**9):
                point = point_body(20, 20, 60, 40)
                point["value"]["x"] = x
                point.update(image_rotation=rotation, original_width=side)
                guarded("/predict", json.dumps(click_body(task_body(ADDRESS), [point])).encode())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["image", "$x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.sampled_from(PATHS), JSON, st.randoms(use_true_random=False))
def test_any_json_anywhere(guarded, path, value, chance):
    good = GOOD[path]
    spot = chance.choice(list(spots(good)))
    guarded(path, json.dumps(put(good, spot, value)).encode())


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PATHS), st.binary(max_size=300))
def test_any_bytes(guarded, path, body):
    guarded(path, body)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/predict/../health", "/%2e%2e/etc/passwd", "/docs", "/openapi.json"]
)
def test_other_paths_are_not_there(guarded, path):
    assert guarded(path, b"{}") in (404, 405)

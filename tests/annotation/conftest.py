"""A backend around a made-up selection system, spoken to over HTTP in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from annotation.backend.app import Backend, create_app
from annotation.backend.model import ModelHolder, Served
from annotation.backend.settings import BackendSettings
from tests.helpers.selection_system import ShapesSystem


@pytest.fixture
def start() -> Iterator[Callable[..., TestClient]]:
    """Start a backend: `start(system, **settings)` gives a client; `client.backend` is behind it."""
    clients: list[TestClient] = []

    def starting(
        system: Any = None, version: str = "shapes-1", training: Any = None, **settings: Any
    ) -> TestClient:
        served = Served(system or ShapesSystem(), version)
        model = ModelHolder(lambda: served)
        backend = Backend(BackendSettings(**settings), model, training)
        client = TestClient(
            create_app(backend), base_url="http://127.0.0.1:9090", raise_server_exceptions=False
        )
        client.__enter__()
        clients.append(client)
        client.backend = backend  # type: ignore[attr-defined]
        model.get(timeout=30)
        return client

    yield starting
    for client in clients:
        client.__exit__(None, None, None)

"""Who may ask, how, and how much: authentication, host names, body sizes, secrets in logs."""

from __future__ import annotations

import base64
import json
import logging

import pytest

from annotation.backend.settings import BackendSettings, settings_from_environment
from tests.helpers.label_studio_requests import setup_body
from toolkit.errors import InputError


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_everything_asks_for_a_sign_in_once_one_is_set(start):
    client = start(username="ls", password="pass:wörd")
    for method, path in (("GET", "/health"), ("GET", "/metrics"), ("POST", "/predict"), ("POST", "/webhook")):
        answer = client.request(method, path, headers={"content-type": "application/json"})
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Basic")
    wrong = [basic("ls", "pass"), basic("ls", ""), basic("", "pass:wörd"), {"Authorization": "Basic %%%"}]
    wrong += [{"Authorization": "Bearer x"}, {"Authorization": "Basic"}]
    assert {client.get("/health", headers=headers).status_code for headers in wrong} == {401}
    assert client.get("/health", headers=basic("ls", "pass:wörd")).status_code == 200


def test_only_its_own_host_names_are_answered(start):
    client = start(host_names=("127.0.0.1", "localhost", "[::1]"))
    for host, status in (
        ("127.0.0.1:9090", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:9090", 200),
        ("evil.example", 421),  # a web page whose name was pointed at this machine
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ):
        assert client.get("/health", headers={"host": host}).status_code == status, host


def test_bodies_have_a_limit_announced_or_not(start):
    client = start(max_body_mb=1)
    body = json.dumps({"x": "y" * 2_000_000}).encode()
    assert (
        client.post("/predict", content=body, headers={"content-type": "application/json"}).status_code == 413
    )

    def pieces():
        for _ in range(40):
            yield b"x" * 100_000

    answer = client.post("/predict", content=pieces(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_every_answer_has_a_request_id(start):
    client = start()
    ids = {client.get("/health").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


def test_secrets_stay_out_of_logs_and_answers(start, caplog):
    caplog.set_level(logging.DEBUG)
    client = start(
        username="ls", password="hush-password", api_key="hush-key", label_studio_url="http://localhost:8080"
    )
    body = {**setup_body(), "access_token": "hush-token"}
    answer = client.post("/setup", json=body, headers=basic("ls", "hush-password"))
    assert answer.status_code == 200
    client.post("/setup", json={**body, "project": 5}, headers=basic("ls", "wrong-hush"))
    text = caplog.text + answer.text + repr(client.backend.settings) + client.get("/metrics").text
    assert "hush" not in text


def test_settings_come_from_the_environment():
    settings = settings_from_environment(
        {
            "LABEL_STUDIO_URL": "https://studio.example",
            "LABEL_STUDIO_API_KEY": "key",
            "DECLUTTER_ALLOWED_HOSTS": "cdn.example, *.bucket.example",
            "DECLUTTER_CACHE_MB": "64",
            "DECLUTTER_FETCH_SECONDS": "2.5",
            "DECLUTTER_STATE_DIR": "/var/lib/declutter",
        },
        max_regions=7,
        cache_mb=None,
    )
    assert settings.allowed_hosts == ("cdn.example", "*.bucket.example")
    assert (settings.cache_mb, settings.fetch_seconds, settings.max_regions) == (64, 2.5, 7)
    assert str(settings.state_dir) == "/var/lib/declutter"
    assert "key" not in repr(settings).replace("api_key", "")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"DECLUTTER_CACHE_MB": "many"}, "DECLUTTER_CACHE_MB must be a number"),
        ({"DECLUTTER_USERNAME": "me"}, "needs both"),
        ({"LABEL_STUDIO_URL": "studio.example"}, "must start with http"),
        ({"DECLUTTER_MAX_REGIONS": "-1"}, "must be 0 or more"),
    ],
)
def test_bad_settings_are_named(values, words):
    with pytest.raises(InputError, match=words):
        settings_from_environment(values)


def test_defaults_are_sane():
    settings = BackendSettings()
    assert settings.allowed_hosts == ()
    assert settings.local_roots == ()
    assert settings.answer_seconds < 100  # Label Studio gives up after that

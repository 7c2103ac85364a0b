"""Fetching photos from a server that misbehaves in every way it can."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import pytest

from annotation.backend.addresses import AddressBook, AddressError
from annotation.backend.fetching import Digests, FetchError, Limits, PhotoFetcher
from annotation.backend.tokens import ApiKey
from toolkit.errors import InputError

JWT = "aaa.bbb.ccc"


class Handler(http.server.BaseHTTPRequestHandler):
    """One path for each kind of trouble."""

    seen: ClassVar[list[tuple[str, str | None]]] = []
    refreshed = 0

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        Handler.refreshed += 1
        ok = JWT.encode() in body
        self._send(200 if ok else 401, b'{"access": "short-lived"}' if ok else b"{}")

    def do_GET(self) -> None:  # noqa: C901 - one branch for each kind of trouble
        Handler.seen.append((self.path, self.headers.get("Authorization")))
        name = self.path.rsplit("/", 1)[-1]
        if name == "ok.png":
            self._send(200, b"photo")
        elif name == "large":
            self._send(200, b"x" * 5000)
        elif name == "endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(10_000):
                try:
                    self.wfile.write(b"x" * 1000)
                except OSError:
                    return
        elif name == "drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                try:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(0.05)
        elif name == "silent":
            time.sleep(3)
        elif name == "loop":
            self._redirect("/data/upload/1/loop")
        elif name == "hop":
            self._redirect("/data/upload/1/ok.png")
        elif name == "away":
            self._redirect("http://169.254.169.254/latest/meta-data/")
        elif name == "file":
            self._redirect("file:///etc/passwd")
        elif name == "other":
            self._redirect(f"http://localhost:{self.server.server_port}/data/upload/1/ok.png")
        elif name == "lies":
            self.send_response(200)
            self.send_header("content-length", "999999999999999999999999")
            self.end_headers()
        elif name == "closed":
            self.connection.close()
        else:
            self._send(int(name) if name.isdigit() else 404, b"no")

    def _redirect(self, location: str) -> None:
        self.send_response(302)
        self.send_header("location", location)
        self.end_headers()

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[str]:
    Handler.seen = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def fetcher(url: str, key: str | None = "legacy", **limits: float) -> PhotoFetcher:
    chosen = Limits(**{"max_bytes": 1000, "seconds": 1.0, "redirects": 2, **limits})
    return PhotoFetcher(AddressBook(url), ApiKey(url, key) if key else None, chosen)


def test_a_photo_is_fetched_with_the_key(server):
    assert fetcher(server).fetch("/data/upload/1/ok.png") == b"photo"
    assert Handler.seen == [("/data/upload/1/ok.png", "Token legacy")]


def test_a_redirect_within_label_studio_is_followed(server):
    assert fetcher(server).fetch("/data/upload/1/hop") == b"photo"
    assert [auth for _, auth in Handler.seen] == ["Token legacy"] * 2


def test_a_personal_token_is_exchanged_once(server):
    one = fetcher(server, JWT)
    before = Handler.refreshed
    assert one.fetch("/data/upload/1/ok.png") == b"photo"
    assert one.fetch("/data/upload/1/ok.png") == b"photo"
    assert Handler.refreshed == before + 1
    assert Handler.seen[-1][1] == "Bearer short-lived"
    with pytest.raises(InputError, match="refused the access token"):
        fetcher(server, "x.y.z").fetch("/data/upload/1/ok.png")


def test_the_key_does_not_leave_label_studio(server):
    port = server.rsplit(":", 1)[1]
    book = AddressBook("http://studio.example:8080", hosts=(f"127.0.0.1:{port}",))
    one = PhotoFetcher(book, ApiKey("http://studio.example:8080", "legacy"))
    assert one.fetch(f"{server}/data/upload/1/ok.png") == b"photo"
    assert Handler.seen == [("/data/upload/1/ok.png", None)]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("large", FetchError, "larger than"),
        ("endless", FetchError, "larger than"),
        ("lies", FetchError, "cannot be fetched"),
        ("drip", FetchError, "took longer than"),
        ("silent", FetchError, "took longer than"),
        ("loop", FetchError, "more than 2 redirects"),
        ("away", AddressError, "169.254.169.254:80 is not on the list"),
        ("file", AddressError, "expected http"),
        ("closed", FetchError, "cannot be fetched"),
        ("401", FetchError, "check LABEL_STUDIO_API_KEY"),
        ("404", FetchError, "answered 404"),
        ("500", FetchError, "answered 500"),
    ],
)
def test_trouble_is_refused_in_words_and_in_time(server, name, kind, words):
    began = time.monotonic()
    with pytest.raises(kind, match=words):
        fetcher(server).fetch(f"/data/upload/1/{name}")
    assert time.monotonic() - began < 2.5


def test_a_server_that_is_not_there(server):
    with pytest.raises(FetchError, match="cannot be fetched"):
        fetcher("http://127.0.0.1:9").fetch("/data/upload/1/ok.png")


def test_secrets_are_not_shown(server, caplog):
    caplog.set_level("DEBUG")
    one = fetcher(server, "very-secret-key")
    one.fetch("/data/upload/1/ok.png")
    with pytest.raises(FetchError) as error:
        one.fetch("/data/upload/1/404?token=signature")
    assert "signature" not in str(error.value)
    assert "very-secret-key" not in caplog.text + repr(one.key) + str(error.value)


def test_inline_photos_have_a_limit_too():
    one = fetcher("http://127.0.0.1:9")
    assert one.fetch("data:image/png;base64,aGVsbG8=") == b"hello"
    for url in ("data:image/png;base64,!!", "data:text/html;base64,aGVsbG8=", "data:,hello"):
        with pytest.raises(InputError):
            one.fetch(url)
    with pytest.raises(FetchError, match="larger than"):
        one.fetch("data:image/png;base64," + "A" * 2000)


def test_large_local_files_are_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x" * 2000)
    one = PhotoFetcher(AddressBook(roots=(tmp_path,)), None, Limits(max_bytes=1000))
    with pytest.raises(FetchError, match="larger than"):
        one.fetch("/data/local-files/?d=a.jpg")


def test_digests_are_believed_for_a_while():
    now = [0.0]
    known = Digests(seconds=10, most=2, clock=lambda: now[0])
    known.put("a", "1")
    assert known.get("a") == "1"
    now[0] = 11
    assert known.get("a") is None
    for address in "abc":
        known.put(address, address)
    assert known.get("a") is None
    assert known.get("c") == "c"

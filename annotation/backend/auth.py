"""What stands before every request: who may ask, how much they may send, and a number for the log."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from annotation.backend.metrics import Metrics

logger = logging.getLogger(__name__)

REQUEST_ID = "request_id"


class Gate:
    """ASGI middleware: request ids, basic authentication, allowed host names, body size, JSON only.

    Only `application/json` bodies are taken, so that no web page in the annotator's browser can post here
    without the browser asking first (which is never allowed).

    Args:
        app: what comes after.
        metrics: counts the answers.
        username: of basic authentication; None for none.
        password: of basic authentication.
        host_names: names that the Host header may have; empty for any.
        max_body: bytes.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        username: str | None = None,
        password: str | None = None,
        host_names: tuple[str, ...] = (),
        max_body: int = 1 << 28,
    ) -> None:
        self.app, self.metrics, self.max_body = app, metrics, max_body
        self._credentials = f"{username}:{password}".encode() if username else None
        self._host_names = {name.lower() for name in host_names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(6)
        scope.setdefault("state", {})[REQUEST_ID] = request_id
        started = time.monotonic()
        status = [500]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                message = {
                    **message,
                    "headers": [*message["headers"], (b"x-request-id", request_id.encode())],
                }
            await send(message)

        headers = {name.lower(): value for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(sending, *refusal)
        else:
            await self._pass(scope, receive, sending, status)
        self._log(scope, request_id, status[0], time.monotonic() - started)

    def _refusal(
        self, scope: Scope, headers: dict[bytes, bytes]
    ) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
        if self._host_names and _host(headers) not in self._host_names:
            return 421, "this backend does not answer to that host name", []
        if self._credentials is not None and not self._known(headers.get(b"authorization", b"")):
            challenge = (b"www-authenticate", b'Basic realm="declutter", charset="UTF-8"')
            return 401, "user name and password needed", [challenge]
        if scope["method"] in ("POST", "PUT", "PATCH"):
            kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
            if kind != b"application/json":
                return 415, "expected a body of type application/json", []
            length = headers.get(b"content-length", b"0")
            if length.isdigit() and (len(length) > 18 or int(length) > self.max_body):
                return 413, f"the body is larger than {self.max_body >> 20} MB", []
        return None

    def _known(self, authorization: bytes) -> bool:
        kind, _, coded = authorization.partition(b" ")
        if kind.lower() != b"basic":
            return False
        try:
            given = base64.b64decode(coded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, self._credentials or b"")

    async def _pass(self, scope: Scope, receive: Receive, send: Send, status: list[int]) -> None:
        received = 0

        async def receiving() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self.max_body:
                    raise BodyTooLarge
            return message

        begun = [False]

        async def watched(message: Message) -> None:
            begun[0] = True
            await send(message)

        try:
            await self.app(scope, receiving, watched)
        except BodyTooLarge:
            if not begun[0]:
                await _answer(send, 413, f"the body is larger than {self.max_body >> 20} MB", [])
        except Exception:
            logger.exception("request %s failed", scope["state"][REQUEST_ID])
            if not begun[0]:
                await _answer(send, 500, "internal error; see the log", [])

    def _log(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        path = scope["path"] if scope["path"] in KNOWN_PATHS else "other"
        self.metrics.requests.labels(path, str(status)).inc()
        level = logging.DEBUG if status < 400 else logging.WARNING
        logger.log(level, "%s %s %s → %d in %.3f s", request_id, scope["method"], path, status, seconds)


class BodyTooLarge(Exception):
    """More bytes came than are taken."""


KNOWN_PATHS = frozenset(
    (
        "/",
        "/health",
        "/metrics",
        "/predict",
        "/prelabel",
        "/setup",
        "/train",
        "/training",
        "/validate",
        "/versions",
        "/webhook",
    )
)


def _host(headers: dict[bytes, bytes]) -> str:
    """The host name a request was sent to, without its port."""
    value = headers.get(b"host", b"").decode("latin-1").lower()
    if value.startswith("["):
        return value.partition("]")[0] + "]"
    return value.partition(":")[0]


async def _answer(send: Send, status: int, message: str, headers: list[tuple[bytes, bytes]]) -> None:
    body = json.dumps({"detail": message}).encode()
    start = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})

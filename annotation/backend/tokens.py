"""Label Studio's two kinds of API key, as request headers."""

from __future__ import annotations

import threading
import time

import httpx

from toolkit.errors import InputError

ACCESS_SECONDS = 240.0  # Label Studio's access tokens live five minutes


class ApiKey:
    """A legacy token, or a personal access token that is exchanged for short-lived access tokens.

    Args:
        url: Address of Label Studio.
        key: The token. It is never logged, nor shown by `repr`.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url.rstrip("/"), key
        self._lock = threading.Lock()
        self._access, self._until = "", 0.0

    def __repr__(self) -> str:
        return f"ApiKey({self._url!r}, …)"

    @property
    def personal(self) -> bool:
        """Whether it is a personal access token (a JWT: three parts joined by dots)."""
        return self._key.count(".") == 2

    def headers(self, client: httpx.Client, timeout: float = 10.0) -> dict[str, str]:
        """The headers that identify a request to Label Studio.

        Raises:
            InputError: Label Studio does not accept the personal access token.
        """
        if not self.personal:
            return {"Authorization": f"Token {self._key}"}
        with self._lock:
            if time.monotonic() >= self._until:
                self._access = self._exchange(client, timeout)
                self._until = time.monotonic() + ACCESS_SECONDS
            return {"Authorization": f"Bearer {self._access}"}

    def _exchange(self, client: httpx.Client, timeout: float) -> str:
        address = f"{self._url}/api/token/refresh"
        try:
            answer = client.post(address, json={"refresh": self._key}, timeout=timeout)
            access = answer.json().get("access") if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise InputError(
                f"{address}: cannot exchange the access token ({type(error).__name__})"
            ) from error
        if not isinstance(access, str):
            raise InputError(
                f"{address}: Label Studio refused the access token ({answer.status_code}); make a new one"
            )
        return access

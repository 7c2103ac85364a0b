"""`python -m annotation.backend.ping`: ask a backend on this machine how it is, for health checks."""

from __future__ import annotations

import base64
import os
import sys
import urllib.request

SECONDS = 2.5


def ping(port: int) -> bool:
    """Whether the backend on a port says that it is up (a model that is still loading counts as up)."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/health")
    username, password = os.environ.get("DECLUTTER_USERNAME"), os.environ.get("DECLUTTER_PASSWORD")
    if username and password:
        coded = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        request.add_header("Authorization", f"Basic {coded}")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if ping(int(os.environ.get("DECLUTTER_PORT", "9090"))) else 1)

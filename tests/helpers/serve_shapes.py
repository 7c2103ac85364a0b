"""A backend around the made-up selection system: `python -m tests.helpers.serve_shapes --port N`."""

from __future__ import annotations

import argparse

from annotation.backend.app import Backend, create_app
from annotation.backend.model import ModelHolder, Served
from annotation.backend.settings import settings_from_environment
from annotation.label_studio import deliver_prediction
from annotation.serve import host_names_for, run
from tests.helpers.selection_system import ShapesSystem


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--encode-seconds", type=float, default=0.0)
    parser.add_argument("--click-seconds", type=float, default=0.0)
    parser.add_argument("--held-bytes", type=int, default=0, help="memory that each scene really holds")
    arguments = parser.parse_args()
    system = ShapesSystem(arguments.encode_seconds, arguments.click_seconds)
    system.held_bytes = arguments.held_bytes
    settings = settings_from_environment(host_names=host_names_for("127.0.0.1"))
    holder = ModelHolder(lambda: Served(system, "shapes-1"))
    backend = Backend(settings, holder, None, deliver_prediction(settings))
    run(create_app(backend), "127.0.0.1", arguments.port)


if __name__ == "__main__":
    main()

"""Run a build on a Ray cluster: the same function per image, as tasks.

The sources must be readable under the same paths on every machine. The images come back to the machine that
asked, which alone writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from synth.build.job import Job
from synth.build.workshop import Made, make_image
from toolkit.errors import InputError

_AHEAD = 4  # images under way per core of the cluster: bounds memory on both sides
_RETRIES = 10  # times a task is tried again when its worker or machine is lost


def connect(address: str) -> Any:
    """Join a Ray cluster, or start one on this machine.

    Args:
        address: ``auto`` for the cluster this machine belongs to, or a local one where it belongs to none; or
            a cluster's address.

    Returns:
        The module ``ray``, connected.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("--ray needs Ray: install the extra with `pip install declutter[ray]`") from error
    if ray.is_initialized():
        return ray
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    try:
        if address == "auto":
            try:
                ray.init(address="auto", **options)
            except ConnectionError:  # this machine belongs to no cluster
                ray.init(address="local", include_dashboard=False, **options)
        else:
            ray.init(address=address, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"--ray {address}: there is no Ray cluster at this address ({error})") from error
    return ray


def run_ray(job: Job, indices: Sequence[int], address: str) -> Iterator[Made]:
    """Make images on a cluster, in any order.

    Args:
        job: the build.
        indices: the numbers of the images to make.
        address: see `connect`.
    """
    ray = connect(address)
    make = ray.remote(num_cpus=1, max_retries=_RETRIES)(_task)
    ahead = _AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
    waiting = iter(indices)
    under_way: list[Any] = []
    while True:
        for index in waiting:
            under_way.append(make.remote(job, index))
            if len(under_way) >= ahead:
                break
        if not under_way:
            return
        finished, under_way = ray.wait(under_way, num_returns=1)
        for reference in finished:
            yield ray.get(reference)


def _task(job: Job, index: int) -> Made:
    import cv2

    cv2.setNumThreads(1)
    return make_image(job, index)

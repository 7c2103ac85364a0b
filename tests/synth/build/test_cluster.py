"""A build on a real two-node Ray cluster on this machine, with a worker killed on the way."""

import os
import signal
import socket
import sys
from functools import partial

import pytest

from synth.build.cluster import run_ray
from synth.build.job import Job
from synth.build.local import run_local
from synth.build.run import build
from synth.settings import SynthSettings
from tests.helpers.scenes import write_donors, write_photos
from toolkit.errors import InputError

COUNT = 24


def test_without_ray_the_option_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)  # makes `import ray` fail
    job = Job(str(tmp_path), None, SynthSettings(), 1, 0)
    with pytest.raises(InputError, match=r"declutter\[ray\]"):
        next(run_ray(job, [0], "auto"))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each."""
    # A machine busy with other things starts nodes slowly.
    patience = {
        "RAY_raylet_start_wait_time_s": "240",
        "RAY_worker_register_timeout_seconds": "240",
        "RAY_agent_register_timeout_ms": "240000",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    os.environ.update(patience)
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install declutter[ray]")
    from ray.cluster_utils import Cluster

    def node():
        agents = (
            "metrics_agent_port",
            "metrics_export_port",
            "dashboard_agent_listen_port",
            "runtime_env_agent_port",
        )
        # With ports given, a node does not wait a fixed time for its agents to choose theirs.
        return {"num_cpus": 1, "object_store_memory": 100 * 1024**2, **{name: free_port() for name in agents}}

    try:
        running = Cluster(initialize_head=True, head_node_args={**node(), "include_dashboard": False})
        running.add_node(**node())
    except Exception as error:  # noqa: BLE001 - Ray raises nothing narrower; it waits 15 s for its own agents
        pytest.skip(f"Ray could not start two nodes on this machine as busy as it is ({error})")
    ray.init(address=running.address, log_to_driver=False, logging_level="warning")
    yield ray
    ray.shutdown()
    running.shutdown()
    for name in patience:
        del os.environ[name]


@pytest.mark.slow
def test_the_same_bytes_on_a_cluster_that_loses_workers(cluster, tmp_path):
    import psutil

    assert len(cluster.nodes()) == 2
    photos, donors = write_photos(tmp_path / "photos"), write_donors(tmp_path / "donors")
    job = Job(str(photos), str(donors), SynthSettings(), COUNT, 0)
    build(tmp_path / "here", job, partial(run_local, workers=1))
    killed, seen = [], []

    def kill_one(made):
        seen.append(made.index)
        if len(seen) in (2, 8):
            workers = [
                child
                for child in psutil.Process(os.getpid()).children(recursive=True)
                if child.name().startswith("ray::_task")
            ]
            if workers:
                workers[0].send_signal(signal.SIGKILL)
                killed.append(workers[0].pid)

    build(tmp_path / "there", job, partial(run_ray, address="auto"), on_image=kill_one)
    assert killed
    assert sorted(seen) == list(range(COUNT))
    files = sorted(path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*.*"))
    assert len(files) > COUNT
    for name in files:
        if (tmp_path / "here" / name).is_file():
            assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name


@pytest.mark.slow
def test_regions_are_found_by_actors(cluster, tmp_path):
    from synth.photos import open_regions, regions_file
    from synth.regions.run import extract_regions
    from tests.helpers.mask2former import write_tiny_mask2former
    from toolkit.report import Report
    from toolkit.split import read_split

    model = write_tiny_mask2former(tmp_path / "model")
    split = read_split(write_photos(tmp_path / "photos", count=5, regions=False))
    for folder, ray in (("here", None), ("there", "auto")):
        written = extract_regions(
            split, list(split), tmp_path / folder, Report(), model=str(model), device="cpu", batch=2, ray=ray
        )
        assert written == 5
    for record in split:
        here, there = (regions_file(split, record, tmp_path / folder) for folder in ("here", "there"))
        assert (open_regions(here, 120, 160) == open_regions(there, 120, 160)).all()

"""Run a build on this machine: in one process, or in several that share the cut-outs on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from synth.build.job import Job
from synth.build.workshop import Made, make_image, open_workshop
from toolkit.processes import Processes


def run_local(job: Job, indices: Sequence[int], workers: int) -> Iterator[Made]:
    """Make images, in any order.

    A worker that dies (killed for memory, say) is replaced, and what it was making is made again.

    Args:
        job: the build.
        indices: the numbers of the images to make.
        workers: processes; 1 makes them in this one.

    Raises:
        BrokenProcessPool: workers keep dying.
    """
    if workers <= 1 or len(indices) <= 1:
        return (make_image(job, index) for index in indices)
    shared = Processes(partial(make_image, job), partial(open_workshop, job), ("synth.build.workshop",))
    return shared.run(indices, workers)

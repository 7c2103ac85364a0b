"""What the first click on a photo and a later one cost, beside SAM ViT-B on the same machine.

    python -m tests.benchmarks.bench_sam

Processor times of one process; only their ratio means anything elsewhere. SAM has random weights: its speed
needs no trained ones.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from time import process_time

import torch
from transformers import SamConfig, SamModel

from models.selector import Selector
from tests.benchmarks.bench_clicks import clicks_on, coins_photo, median_time, without_memory
from toolkit.clicks import Click

SIDE = 1024  # pixels; SAM's own input size
POINT = (412.0, 300.0)


@dataclass(frozen=True)
class FirstClick:
    """Processor seconds of encoding a photo of 1024 × 1024 pixels and answering one click.

    Attributes:
        ours: Of the bundled selector.
        sam: Of SAM.
        later: Of the bundled selector for one more click, on something new.
    """

    ours: float
    sam: float
    later: float

    @property
    def ratio(self) -> float:
        """Of SAM's time, the part that ours takes."""
        return self.ours / self.sam


@torch.no_grad()
def measure(repeats: int = 3) -> FirstClick:
    """Measure both; the first run of each does not count."""
    image = coins_photo(SIDE, SIDE)
    selector = Selector.load()
    scene = selector.encode(image)
    places = iter(clicks_on(image, 100))
    torch.manual_seed(0)
    sam = SamModel(SamConfig()).eval()
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255  # [1, 3, 1024, 1024]
    point = torch.tensor([[[POINT]]])  # [1, 1, 1, 2]

    def our_click() -> None:
        selector.encode(image).segment([Click(*POINT)])

    def sam_click() -> None:
        sam(pixel_values=pixels, input_points=point, multimask_output=False)

    def later_click() -> None:
        without_memory(selector, scene).segment([next(places)])

    return FirstClick(
        later=median_time(later_click, 40, process_time),
        ours=median_time(our_click, repeats, process_time),
        sam=median_time(sam_click, max(repeats - 1, 1), process_time),
    )


def main() -> None:
    """Print the ratio."""
    torch.set_num_threads(1)
    found = measure()
    sys.stdout.write(
        f"first click at {SIDE} px, processor time: ours {found.ours:.2f} s, SAM ViT-B {found.sam:.2f} s, "
        f"ratio {found.ratio:.3f} (aim: under 0.1); a later click {1000 * found.later:.0f} ms, "
        f"1/{found.ours / found.later:.0f} of the first (aim: 1/50)\n"
    )


if __name__ == "__main__":
    main()

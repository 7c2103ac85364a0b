"""A tiny model with every kind of state that a resumed run can lose; as a module it trains by itself."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolkit.training import Schedule, fit


class TinyTask:
    """Learns a linear map of 5 numbers; dropout draws from torch's state, the loss from numpy's.

    Where plain, one of its weights is used in the loss alone, as mask kernels are.
    """

    def __init__(self, seed: int = 0, seconds_per_sample: float = 0.0, plain: bool = False) -> None:
        torch.manual_seed(seed)
        layers: list[torch.nn.Module] = [torch.nn.Linear(5, 8)]
        if not plain:
            layers += [torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3)]
        self.model: torch.nn.Module = torch.nn.Sequential(*layers, torch.nn.Linear(8, 2))
        if plain:
            self.model.register_parameter("offset", torch.nn.Parameter(torch.zeros(2)))
        self.seed, self.seconds_per_sample, self.plain = seed, seconds_per_sample, plain

    def sample(self, index: int) -> np.ndarray:
        time.sleep(self.seconds_per_sample)
        return np.random.default_rng([self.seed, index]).normal(size=5).astype(np.float32)

    def collate(self, samples: list[np.ndarray]) -> dict[str, torch.Tensor]:
        return {"x": torch.from_numpy(np.stack(samples))}

    def losses(self, model: torch.nn.Module, batch: Any) -> Mapping[str, torch.Tensor]:
        x = batch["x"]  # [B, 5]
        noise = 0.0 if self.plain else float(np.random.normal())
        truth = torch.stack([x.sum(1) + noise, x[:, 0] - x[:, 1]], dim=1)  # [B, 2]
        offset = model.get_parameter("offset") if self.plain else 0.0
        error = (model(x) + offset - truth).square().mean()
        return {"total": error, "twice": 2 * error}

    def parameter_groups(self) -> list[dict[str, Any]]:
        first, *rest = self.model.parameters()
        return [{"params": [first], "lr_scale": 0.5, "weight_decay": 0.0}, {"params": rest}]

    def evaluate(self, model: torch.nn.Module) -> dict[str, float]:
        torch.rand(3)  # a validation that draws must not disturb the run
        return {"score": -float(model(torch.ones(1, 5)).square().mean())}

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), folder / "weights.pt")


def tiny_schedule(**changes: Any) -> Schedule:
    """Every moving part on, in few steps."""
    settings: dict[str, Any] = {
        "steps": 60, "batch_size": 4, "lr": 0.02, "warmup_steps": 5, "ema_decay": 0.9, "clip_grad_norm": 1.0,
        "workers": 0, "seed": 7, "checkpoint_steps": 4, "eval_every": 10, "log_every": 5,
    }  # fmt: skip
    return Schedule(**{**settings, **changes})


def final_weights(out: Path) -> dict[str, torch.Tensor]:
    """What a finished run saved."""
    return torch.load(out / "final" / "weights.pt", weights_only=True)


def same_bits(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0, help="time that each sample takes")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--plain", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    task = TinyTask(seconds_per_sample=args.seconds, plain=args.plain)
    fit(task, tiny_schedule(workers=args.workers), args.out, resume=args.resume)


if __name__ == "__main__":
    main()

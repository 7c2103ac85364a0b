from __future__ import annotations

import pytest

from toolkit.errors import InputError
from toolkit.training import Schedule, lr_factor


def schedule(**changes) -> Schedule:
    return Schedule(**{"steps": 105, "batch_size": 1, "lr": 1.0, "warmup_steps": 4, **changes})


def test_warm_up_rises_linearly_to_the_peak() -> None:
    assert [lr_factor(step, schedule()) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_cosine_by_hand() -> None:
    cosine = schedule(final_lr_fraction=0.2)
    # steps 4 … 104 span 100: start, quarter (cos 45°), middle, end
    assert lr_factor(4, cosine) == 1.0
    assert lr_factor(29, cosine) == pytest.approx(0.2 + 0.8 * (1 + 2**-0.5) / 2)
    assert lr_factor(54, cosine) == pytest.approx(0.6)
    assert lr_factor(104, cosine) == pytest.approx(0.2)


def test_step_decay_by_hand() -> None:
    step = schedule(decay="step", milestones=(11, 13), gamma=0.1)
    assert [lr_factor(s, step) for s in (10, 11, 12, 13, 104)] == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])


def test_a_milestone_inside_the_warm_up_counts() -> None:
    assert lr_factor(1, schedule(decay="step", milestones=(1,), gamma=0.5)) == 0.25


def test_constant_stays() -> None:
    assert [lr_factor(s, schedule(decay="constant")) for s in (3, 4, 50, 104)] == [1, 1, 1, 1]


def test_no_warm_up_starts_at_the_peak() -> None:
    assert lr_factor(0, schedule(warmup_steps=0)) == 1.0


def test_a_run_shorter_than_its_warm_up_only_rises() -> None:
    assert [lr_factor(s, schedule(steps=2, warmup_steps=4)) for s in (0, 1)] == [0.25, 0.5]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("decay", "linear"),
        ("optimizer", "lion"),
        ("mixed_precision", "fp8"),
        ("ema_decay", 1.0),
        ("clip_grad_norm", 0.0),
        ("checkpoint_steps", 0),
        ("betas", (0.9, 1.0)),
        ("workers", -1),
    ],
)
def test_a_bad_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"schedule field {field}:"):
        schedule(**{field: value})

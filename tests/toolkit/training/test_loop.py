from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.util import Finalize
from pathlib import Path

import pytest
import torch

from tests.helpers.tiny_training import TinyTask, final_weights, same_bits, tiny_schedule
from toolkit.errors import InputError
from toolkit.training import TrainingInterrupted, checkpoints, fit
from toolkit.training.checkpoints import list_checkpoints
from toolkit.training.stream import batches


class Signalled(TinyTask):
    """Gets a signal in the middle of its 23rd step."""

    number = signal.SIGTERM
    calls = 0

    def losses(self, model, batch):
        self.calls += 1
        if self.calls == 23:
            os.kill(os.getpid(), self.number)
        return super().losses(model, batch)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    summary = fit(TinyTask(), tiny_schedule(), out, resume=False)
    assert summary["finished"]
    assert summary["step"] == 60
    return out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_resuming_ends_with_the_same_bits(
    uninterrupted: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    task = Signalled()
    task.number = number
    with pytest.raises(TrainingInterrupted) as stopped:
        fit(task, tiny_schedule(), tmp_path, resume=False)
    assert stopped.value.code == code
    assert list_checkpoints(tmp_path / "checkpoints")[-1][0] == 23
    assert not (tmp_path / "final").exists()
    # another seed for the first weights: all of the state comes from the checkpoint
    task = TinyTask(seed=1)
    task.seed = 0
    fit(task, tiny_schedule(), tmp_path, resume=True)
    assert same_bits(final_weights(tmp_path), final_weights(uninterrupted))


def test_signal_handlers_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    fit(TinyTask(), tiny_schedule(steps=2), tmp_path, resume=False)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_weights_differ_when_the_random_state_is_lost(uninterrupted: Path, tmp_path: Path) -> None:
    """The comparison above can fail: dropout and the noise do enter the weights."""
    fit(TinyTask(), tiny_schedule(seed=8), tmp_path, resume=False)
    assert not same_bits(final_weights(tmp_path), final_weights(uninterrupted))


def test_a_used_folder_is_refused_without_resume(uninterrupted: Path) -> None:
    with pytest.raises(InputError, match="--resume"):
        fit(TinyTask(), tiny_schedule(), uninterrupted, resume=False)


def test_resuming_a_finished_run_only_saves_again(uninterrupted: Path) -> None:
    before = final_weights(uninterrupted)
    (uninterrupted / "final" / "weights.pt").unlink()
    assert fit(TinyTask(seed=3), tiny_schedule(), uninterrupted, resume=True)["finished"]
    assert same_bits(final_weights(uninterrupted), before)


def test_resume_in_an_empty_folder_starts(tmp_path: Path) -> None:
    assert fit(TinyTask(), tiny_schedule(steps=3), tmp_path / "new", resume=True)["step"] == 3


def test_out_of_time_saves_and_leaves(uninterrupted: Path, tmp_path: Path) -> None:
    summary = fit(TinyTask(), tiny_schedule(), tmp_path, resume=False, max_minutes=1e-9)
    assert (summary["step"], summary["finished"], summary["final"]) == (1, False, None)
    fit(TinyTask(), tiny_schedule(), tmp_path, resume=True)
    assert same_bits(final_weights(tmp_path), final_weights(uninterrupted))


def test_the_last_two_checkpoints_and_the_best_stay(uninterrupted: Path) -> None:
    lines = [json.loads(line) for line in (uninterrupted / "log.jsonl").read_text().splitlines()]
    scores = {line["step"]: line["score"] for line in lines if "score" in line}
    assert list(scores) == [10, 20, 30, 40, 50, 60]
    kept = [step for step, _ in list_checkpoints(uninterrupted / "checkpoints")]
    assert kept == sorted({max(scores, key=lambda step: scores[step]), 56, 60})


def test_the_log_tells_one_story_after_a_kill(tmp_path: Path) -> None:
    fit(TinyTask(), tiny_schedule(steps=12), tmp_path, resume=False)
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"step": 15, "total": 9}\n{"step": 20, "to')  # logged after the checkpoint, then killed
    fit(TinyTask(), tiny_schedule(steps=20), tmp_path, resume=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "total" in line] == [5, 10, 12, 15, 20]
    assert all(line["twice"] == pytest.approx(2 * line["total"]) for line in lines if "total" in line)


def test_rates_in_the_log_follow_the_schedule(uninterrupted: Path) -> None:
    lines = [json.loads(line) for line in (uninterrupted / "log.jsonl").read_text().splitlines()]
    rates = {line["step"]: line["lr"] for line in lines if "lr" in line}
    assert rates[5] == pytest.approx(0.02)  # the last step of the warm-up
    assert rates[60] == pytest.approx(0.02 * 0.01)


def test_two_plain_sgd_steps_by_hand(tmp_path: Path) -> None:
    class OneWeight(TinyTask):
        def __init__(self) -> None:
            super().__init__()
            self.model = torch.nn.Linear(1, 1, bias=False)
            torch.nn.init.constant_(self.model.weight, 1.0)

        def losses(self, model, batch):
            return {"total": 3 * model.weight.sum()}

        def parameter_groups(self):
            return [{"params": list(self.model.parameters()), "lr_scale": 0.5}]

        def evaluate(self, model):
            return {}

    task = OneWeight()
    schedule = tiny_schedule(
        steps=2, optimizer="sgd", momentum=0.0, lr=0.1, weight_decay=0.2, clip_grad_norm=2.0, ema_decay=None,
        decay="constant", warmup_steps=0,
    )  # fmt: skip
    fit(task, schedule, tmp_path, resume=False)
    # gradient 3, clipped to 2; decay adds 0.2 w; rate 0.1 · 0.5:
    # 1 → 1 - 0.05 · 2.2 = 0.89 → 0.89 - 0.05 · 2.178 = 0.7811
    assert task.model.weight.item() == pytest.approx(0.7811, abs=1e-5)
    assert final_weights(tmp_path)["weight"].item() == pytest.approx(0.7811, abs=1e-5)


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    class Diverges(Signalled):
        def losses(self, model, batch):
            self.calls += 1
            scale = float("nan") if self.calls == 7 else 1.0
            return {name: scale * loss for name, loss in TinyTask.losses(self, model, batch).items()}

    with pytest.raises(FloatingPointError, match="step 6"):
        fit(Diverges(), tiny_schedule(), tmp_path, resume=False)
    assert [step for step, _ in list_checkpoints(tmp_path / "checkpoints")] == [4]
    assert not (tmp_path / "final").exists()


def test_a_weight_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    class ZeroRoot(Signalled):
        def losses(self, model, batch):
            self.calls += 1
            total = TinyTask.losses(self, model, batch)["total"]
            if self.calls == 8:  # the loss is 0, its gradient infinity times 0
                total = (0 * total).sqrt()
            return {"total": total}

    with pytest.raises(FloatingPointError, match=r"weight 0\.weight"):
        fit(ZeroRoot(), tiny_schedule(clip_grad_norm=None), tmp_path, resume=False)
    assert [step for step, _ in list_checkpoints(tmp_path / "checkpoints")] == [4]


def test_a_checkpoint_of_another_model_is_refused(uninterrupted: Path) -> None:
    with pytest.raises(InputError, match="another model"):
        fit(TinyTask(plain=True), tiny_schedule(), uninterrupted, resume=True)


def test_initial_weights_are_where_the_run_and_its_average_start(uninterrupted: Path, tmp_path: Path) -> None:
    weights = final_weights(uninterrupted)
    schedule = tiny_schedule(steps=1, lr=1e-12, weight_decay=0.0)
    task = TinyTask(seed=5, plain=False)
    fit(task, schedule, tmp_path, resume=False, init_from=uninterrupted / "final" / "weights.pt")
    assert torch.allclose(task.model[0].weight, weights["0.weight"], atol=1e-9)
    assert torch.allclose(final_weights(tmp_path)["0.weight"], weights["0.weight"], atol=1e-9)


def test_bf16_on_the_cpu_computes_in_bf16_and_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.training.precision.computes_bf16", lambda: True)

    class Watching(TinyTask):
        seen: torch.dtype | None = None

        def losses(self, model, batch):
            Watching.seen = torch.nn.functional.linear(batch["x"], model[0].weight).dtype
            return super().losses(model, batch)

    task = Watching(plain=True)
    fit(task, tiny_schedule(mixed_precision="bf16"), tmp_path, resume=False)
    assert Watching.seen == torch.bfloat16
    assert task.model[0].weight.dtype == torch.float32
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["total"] for line in lines if "total" in line]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has bf16")
def test_bf16_that_would_be_emulated_gives_way_to_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watching(TinyTask):
        seen: torch.dtype | None = None

        def losses(self, model, batch):
            Watching.seen = torch.nn.functional.linear(batch["x"], model[0].weight).dtype
            return super().losses(model, batch)

    monkeypatch.setattr("toolkit.training.precision.computes_bf16", lambda: False)
    fit(Watching(plain=True), tiny_schedule(mixed_precision="bf16", steps=2), tmp_path, resume=False)
    assert Watching.seen == torch.float32


@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 works on a GPU")
def test_fp16_without_a_gpu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mixed_precision"):
        fit(TinyTask(), tiny_schedule(mixed_precision="fp16"), tmp_path, resume=False)


@pytest.mark.gpu
def test_fp16_resumes_its_gradient_scaler(tmp_path: Path) -> None:
    class Steep(Signalled):
        """Its first gradients overflow in half precision, so the scale is halved before the signal."""

        def losses(self, model, batch):
            return {"total": 1e35 * super().losses(model, batch)["total"]}

    schedule = tiny_schedule(mixed_precision="fp16", steps=30)
    task = Steep()
    task.number = signal.SIGWINCH  # one that asks for nothing
    fit(task, schedule, tmp_path / "whole", resume=False)
    with pytest.raises(TrainingInterrupted):
        fit(Steep(), schedule, tmp_path / "parts", resume=False)
    saved = list_checkpoints(tmp_path / "parts" / "checkpoints")[-1][1]
    assert 0 < checkpoints.load_checkpoint(saved)["scaler"]["scale"] < 65536
    task = Steep()
    task.calls = 23
    fit(task, schedule, tmp_path / "parts", resume=True)
    assert same_bits(final_weights(tmp_path / "parts"), final_weights(tmp_path / "whole"))


def test_a_model_with_nothing_to_train_is_refused(tmp_path: Path) -> None:
    task = TinyTask()
    task.model.requires_grad_(False)
    with pytest.raises(InputError, match="no trainable parameter"):
        fit(task, tiny_schedule(), tmp_path, resume=False)


def test_fit_works_outside_the_main_thread(tmp_path: Path) -> None:
    thread = threading.Thread(target=lambda: fit(TinyTask(), tiny_schedule(steps=2), tmp_path, resume=False))
    thread.start()
    thread.join()
    assert (tmp_path / "final" / "weights.pt").is_file()


class Indices:
    """Samples are their own index."""

    model = torch.nn.Identity()

    def sample(self, index: int) -> int:
        return index

    def collate(self, samples: list[int]) -> list[int]:
        return samples


def test_each_process_takes_its_slice_of_each_step() -> None:
    def of_rank(rank: int) -> list:
        return list(
            batches(Indices(), first_step=2, steps=4, batch_size=6, workers=0, rank=rank, processes=3)
        )

    assert [of_rank(rank) for rank in range(3)] == [
        [[12, 13], [18, 19]],
        [[14, 15], [20, 21]],
        [[16, 17], [22, 23]],
    ]


class Broken(Indices):
    def sample(self, index: int) -> int:
        raise InputError(f"photo {index}.jpg: not an image; delete it")


class AbortsAtItsEnd(Indices):
    """Its second worker aborts at its exit, as may those that were just started; the first takes longer."""

    def sample(self, index: int) -> int:
        if torch.utils.data.get_worker_info().id == 1:
            Finalize(None, os.abort, exitpriority=0)
        else:
            Finalize(None, time.sleep, [2], exitpriority=0)
        return index


@pytest.mark.slow
def test_a_worker_that_crashes_when_told_to_stop_does_not_stop_the_training() -> None:
    stream = batches(AbortsAtItsEnd(), first_step=0, steps=9, batch_size=2, workers=2)
    assert [next(stream), next(stream)] == [[0, 1], [2, 3]]
    workers = sorted(multiprocessing.active_children(), key=lambda worker: worker.name)
    stream.close()
    for worker in workers:
        worker.join(30)
    assert workers[1].exitcode == -signal.SIGABRT


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_bad_input_met_by_a_worker_is_one_sentence(workers: int) -> None:
    stream = batches(Broken(), first_step=5, steps=6, batch_size=1, workers=workers)
    with pytest.raises(InputError) as error:
        next(stream)
    assert str(error.value) == "photo 5.jpg: not an image; delete it"
    assert not multiprocessing.active_children()  # though the traceback is still there


def test_checkpoints_by_time(tmp_path: Path) -> None:
    class Slow(TinyTask):
        def losses(self, model, batch):
            time.sleep(0.02)
            return super().losses(model, batch)

        def evaluate(self, model):
            raise FloatingPointError("stopped without a last checkpoint")

    schedule = tiny_schedule(steps=10, checkpoint_steps=None, checkpoint_minutes=0.03 / 60, eval_every=None)
    with pytest.raises(FloatingPointError, match="stopped"):
        fit(Slow(), schedule, tmp_path, resume=False)
    assert len(list_checkpoints(tmp_path / "checkpoints")) == 2

"""The mean of the weights that a training leaves behind."""

import argparse
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from train import trainer

lightning = trainer.lightning  # imported there after what torchvision needs


class Climb(lightning.LightningModule):
    """One weight that grows by one with every step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.drawn: list[int] = []

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        self.drawn.append(int(batch[0]))
        return -self.weight.sum()

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 1.0)


class Interrupted(Climb):
    """Is stopped in its second epoch."""

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == 1:
            raise RuntimeError("stopped")


STEPS = 40


def climb(task: Climb, out: Path, *further: str) -> float:
    """Train in two epochs; the weight that is left."""
    parser = argparse.ArgumentParser()
    trainer.add_arguments(parser, epochs=2, batch=1, rate=1.0)
    options = parser.parse_args(["--data", "none", "--out", str(out), "--devices", "1", *further])
    numbers = TensorDataset(torch.arange(STEPS // 2))
    data = DataLoader(numbers, sampler=RandomSampler(numbers, generator=torch.Generator().manual_seed(options.seed)))
    trainer.fit(task, data, data, options, options.out)
    return float(task.weight.detach().cpu())


def test_a_training_leaves_the_mean_of_the_weights_later_ones_counting_more(tmp_path: Path) -> None:
    # Weighted by the square of the step, the centre of a straight climb lies at three quarters of it.
    assert climb(Climb(), tmp_path) == pytest.approx(0.75 * STEPS, rel=0.05)


def test_a_stopped_training_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    first, again = Interrupted(), Climb()
    with pytest.raises(RuntimeError, match="stopped"):
        climb(first, tmp_path)
    left = climb(again, tmp_path)
    assert left == pytest.approx(0.75 * STEPS, rel=0.05)
    assert sorted(first.drawn) == sorted(again.drawn) and first.drawn != again.drawn
    # Run once more at its end, it trains no further and leaves the same.
    once_more = Climb()
    assert climb(once_more, tmp_path) == left and not once_more.drawn
    assert [file.name for file in tmp_path.glob("*.ckpt")] == ["last.ckpt"]


def test_a_training_does_not_go_on_as_another_one(tmp_path: Path) -> None:
    climb(Climb(), tmp_path)
    begun = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert tmp_path / trainer.SCHEDULE in begun
    for change in (
        *(["--epochs", "3"], ["--rate", "0.5"], ["--batch", "2"], ["--size", "64"], ["--seed", "1"]),
        *(["--init", "another"], ["--data", "other=images"]),
    ):
        with pytest.raises(SystemExit, match=rf"begun with {change[0][2:]} .* another --out"):
            climb(Climb(), tmp_path, *change)
    assert {path: path.read_bytes() for path in begun} == begun
    climb(Climb(), tmp_path, "--workers", "0", "--precision", "32")  # what changes nothing of it may change


def test_what_is_damaged_is_named_and_what_is_finished_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    climb(Climb(), tmp_path)
    assert "nothing is trained" not in capsys.readouterr().out
    climb(Climb(), tmp_path)
    assert "finished before: nothing is trained" in capsys.readouterr().out
    (tmp_path / "schedule.json").write_text("{")
    with pytest.raises(SystemExit, match="schedule.json is damaged. Delete the folder"):
        climb(Climb(), tmp_path)
    (tmp_path / "last.ckpt").write_bytes((tmp_path / "last.ckpt").read_bytes()[:500])
    with pytest.raises(SystemExit, match="last.ckpt is damaged. Delete it"):
        climb(Climb(), tmp_path)


def test_fewer_images_than_a_step_takes_are_said(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    trainer.add_arguments(parser, epochs=2, batch=8, rate=1.0)
    options = parser.parse_args(["--data", "none", "--out", str(tmp_path), "--devices", "1"])
    data = DataLoader(TensorDataset(torch.arange(3)), options.batch, drop_last=True)
    with pytest.raises(SystemExit, match=r"3 images an epoch are fewer than one step's, --batch 8"):
        trainer.fit(Climb(), data, data, options, options.out)


def test_counters_stay_whole_numbers() -> None:
    means = [torch.tensor(10), torch.tensor(3)]
    trainer.later_more(means, [torch.tensor(20), torch.tensor(4)], 2)
    assert all(mean.dtype == torch.int64 for mean in means) and [int(mean) for mean in means] == [20, 4]

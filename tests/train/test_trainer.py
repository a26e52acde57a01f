"""The mean of the weights that a training leaves behind."""

import argparse
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from train import trainer

lightning = trainer.lightning  # imported there after what torchvision needs


class Climb(lightning.LightningModule):
    """One weight that grows by one with every step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        return -self.weight.sum()

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 1.0)


def test_a_training_leaves_the_mean_of_the_weights_later_ones_counting_more(tmp_path: Path) -> None:
    steps = 40
    parser = argparse.ArgumentParser()
    trainer.add_arguments(parser, epochs=2, batch=1, rate=1.0)
    options = parser.parse_args(["--data", "none", "--out", str(tmp_path), "--devices", "1"])
    data = DataLoader(TensorDataset(torch.zeros(steps // 2, 1)))
    task = Climb()
    trainer.fit(task, data, data, options)
    # Weighted by the square of the step, the centre of a straight climb lies at three quarters of it.
    assert float(task.weight.detach().cpu()) == pytest.approx(0.75 * steps, rel=0.05)


def test_counters_stay_whole_numbers() -> None:
    means = [torch.tensor(10), torch.tensor(3)]
    trainer.later_more(means, [torch.tensor(20), torch.tensor(4)], 2)
    assert all(mean.dtype == torch.int64 for mean in means) and [int(mean) for mean in means] == [20, 4]

"""The mean of the weights that a training leaves behind."""

import pytest
import torch

from train import trainer


def test_later_steps_count_more_in_the_mean() -> None:
    steps = 40
    mean = torch.tensor([0.0])
    for step in range(steps):
        mean = trainer.later_more(mean, torch.tensor([float(step)]), step) if step else torch.tensor([0.0])
    # Weights that grow with the square of the step: their centre lies at three quarters of the way.
    assert float(mean) == pytest.approx(0.75 * steps, rel=0.05)


def test_counters_stay_whole_numbers() -> None:
    mean = trainer.later_more(torch.tensor(10), torch.tensor(20), 2)
    assert mean.dtype == torch.int64 and 10 <= int(mean) <= 20

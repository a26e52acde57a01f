"""Weights on the way between two trainings."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from train import between


def test_weights_lie_at_the_share_of_the_way(tmp_path: Path) -> None:
    save_file({"w": torch.tensor([0.0, 4.0]).half(), "steps": torch.tensor(10)}, tmp_path / "a")
    save_file({"w": torch.tensor([8.0, 0.0]).half(), "steps": torch.tensor(30)}, tmp_path / "b")
    arguments = ["--before", str(tmp_path / "a"), "--after", str(tmp_path / "b"), "--share", "0.75"]
    between.main([*arguments, "--out", str(tmp_path / "new" / "c")])
    found = load_file(tmp_path / "new" / "c")
    assert found["w"].tolist() == [6.0, 1.0] and found["w"].dtype == torch.float16
    assert found["steps"].item() == 25


def test_other_networks_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "a")
    save_file({"w": torch.zeros(3)}, tmp_path / "b")
    with pytest.raises(SystemExit, match="2"):
        between.main(["--before", str(tmp_path / "a"), "--after", str(tmp_path / "b"), "--share", "1", "--out", "c"])
    assert "not weights of one network" in capsys.readouterr().err


def test_a_share_beyond_the_way_is_refused() -> None:
    weights = {"w": torch.zeros(2)}
    with pytest.raises(ValueError, match="--share is 75, but must lie between 0 and 1"):
        between.between(weights, weights, 75)

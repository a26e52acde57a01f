"""What a command cannot do is said before it begins."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train import choices, classifier, distill, evaluate, heads, probes, script, segmenter, throughput

DATA = ["--data", "manifests=nowhere", "--out", "nowhere"]


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (evaluate.main, ["--model", "mobilenetv2", "--folder", "."], "--features"),
        (evaluate.main, ["--model", "unet_ct", "--folder", "."], "--data"),
        (segmenter.main, ["--modality", "ct", "--lungs", "net.safetensors", *DATA], "--lungs is for X-rays"),
        (segmenter.main, ["--modality", "xray", "--kinds", *DATA], "--kinds is for CT"),
        (throughput.main, ["--devices", "2"], "--devices 1"),
        (choices.main, ["--devices", "2", *DATA], "--devices 1"),
        (probes.main, ["--model", "ensemble", "--features", ".", *DATA], "of an ensemble there are none"),
        (probes.main, ["--features", ".", *DATA[:2]], "--out is for the readers"),
        (throughput.main, ["--model", "unet_ct"], "invalid choice"),
        (distill.main, ["--modality", "ct", "--batch", "1", *DATA], "--batch must be 2 at least"),
        *(
            (classifier.main, ["--modality", "ct", name, value, *DATA], f"argument {name}: {said}")
            for name, value, said in (
                ("--epochs", "0", "0 is no whole number of at least 1"),
                ("--batch", "-1", "-1 is no whole number of at least 1"),
                ("--size", "20", "20 is no whole number of at least 32"),
                ("--rate", "0", "0 is no number above 0"),
                ("--rate", "nan", "nan is no number above 0"),
                ("--devices", "0", "0 is no whole number of at least 1"),
                ("--devices", "two", "two is no whole number of at least 1"),
            )
        ),
        (distill.main, ["--modality", "ct", "--teacher", "ensemble", *DATA], "invalid choice"),
    ],
)
def test_what_does_not_go_together(
    main: Callable[[Sequence[str]], None], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and said in capsys.readouterr().err
    assert not Path("nowhere").exists()


def test_what_a_unet_learns_from_must_be_marked(tmp_path: Path) -> None:
    for kind in ("COVID", "Normal"):
        for name in range(40):
            file = tmp_path / kind / "images" / f"{kind}-{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((64, 64), 60).save(file)
    given = ["--data", f"radiography_database={tmp_path}", "--init", "random", "--out", str(tmp_path / "out")]
    with pytest.raises(ValueError, match="image of the split train with lungs marked"):
        segmenter.main(["--modality", "xray", *given])


def test_heads_for_both_kinds_of_image_need_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "xray.csv").write_text("image,modality,log_opacity\na.png,xray,0\n")
    np.savez(tmp_path / "xray.npz", **{name: np.zeros((1, 4), np.float16) for name in ("crop", "style", "whole")})
    with pytest.raises(SystemExit):
        heads.main(["--features", str(tmp_path), "--backbones", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "holds no ct images" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("'x' is not a folder."), FileNotFoundError(2, "No such file", "x")])
def test_a_script_ends_with_a_sentence(error: Exception) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit, match=f"error: {re.escape(str(error))}"):
        script.run(main)

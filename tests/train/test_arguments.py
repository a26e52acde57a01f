"""What a command cannot do is said before it begins."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from train import evaluate, segmenter, throughput

DATA = ["--data", "manifests=nowhere", "--out", "nowhere"]


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (evaluate.main, ["--model", "mobilenetv2", "--folder", "."], "--features"),
        (evaluate.main, ["--model", "unet_ct", "--folder", "."], "--data"),
        (segmenter.main, ["--modality", "ct", "--lungs", "net.safetensors", *DATA], "--lungs is for X-rays"),
        (segmenter.main, ["--modality", "xray", "--kinds", *DATA], "--kinds is for CT"),
        (throughput.main, ["--devices", "2"], "--devices 1"),
    ],
)
def test_what_does_not_go_together(
    main: Callable[[Sequence[str]], None], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and said in capsys.readouterr().err
    assert not Path("nowhere").exists()

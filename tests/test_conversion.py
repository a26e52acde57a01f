"""What OpenVINO runs is converted once and kept; a kept one that is damaged is made again, and never believed."""

import os
import stat
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13

from covid_core import engine, registry, weights
from covid_core.weights import WeightsError

SPEC = registry.get("unet_xray")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a converted network, alone in a cache of its own: a small network, for it is the keeping that is tested."""
    given = opset13.parameter([-1, 4], np.float32)
    network = openvino.Model([opset13.multiply(given, opset13.constant(np.arange(4, dtype=np.float32)))], [given])
    monkeypatch.setattr(engine, "_convert", lambda *_: network)
    monkeypatch.setenv("COVID_CORE_CACHE", str(tmp_path))
    return convert().parent


def convert() -> Path:
    return engine.converted(SPEC, "xray", weights.locate_weights(SPEC))


def test_it_is_kept_for_everybody(kept: Path) -> None:
    written = (kept / "model.bin").stat().st_mtime_ns
    assert convert().parent == kept and (kept / "model.bin").stat().st_mtime_ns == written
    assert [folder.name for folder in kept.parent.iterdir()] == [kept.name]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o777 & ~umask  # as any other folder, not for its maker alone


@pytest.mark.parametrize("name", ["model.bin", "model.xml", "sha256"])
@pytest.mark.parametrize("how", ["deleted", "cut short", "changed"])
def test_a_damaged_one_is_made_again(kept: Path, name: str, how: str) -> None:
    whole = (kept / name).read_bytes()
    if how == "deleted":
        (kept / name).unlink()
    else:
        (kept / name).write_bytes(
            whole[: len(whole) // 2] + (b"" if how == "cut short" else b"\xff" * (len(whole) // 2))
        )
    again = openvino.Core().read_model(convert())
    assert openvino.compile_model(again, "CPU")([np.ones((1, 4), np.float32)])[0].tolist() == [[0, 1, 2, 3]]
    assert len(list(kept.parent.iterdir())) == 1


def test_where_nothing_can_be_kept_is_said(kept: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (kept / "model.bin").write_bytes(b"")

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")  # what a full disk gives

    monkeypatch.setattr(openvino, "save_model", full)
    with pytest.raises(WeightsError, match="unet_xray could not be kept in .*COVID_CORE_CACHE"):
        convert()
    assert not list(kept.parent.glob("unfinished*"))
    file = tmp_path / "file"
    file.write_bytes(b"")
    monkeypatch.setenv("COVID_CORE_CACHE", str(file))
    with pytest.raises(WeightsError, match="COVID_CORE_CACHE"):
        convert()

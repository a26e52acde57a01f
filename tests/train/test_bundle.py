"""Finished models on their way into the package."""

from pathlib import Path

import pytest

from covid_core import plain, registry, source, weights
from train import bundle, card


def test_a_model_without_weights_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assets, new = tmp_path / "assets", tmp_path / "new"
    for name in ("unet_xray", "unet_ct"):
        for folder in (assets, new):
            (folder / name).mkdir(parents=True)
            (folder / name / registry.CONFIG).write_text("{}")
        (assets / name / registry.WEIGHTS).write_bytes(b"bundled")
    (new / "unet_xray" / registry.WEIGHTS).write_bytes(b"new")
    (new / "unet_xray" / registry.CONFIG).write_text('{"metrics": {}}')
    monkeypatch.setattr(weights, "ASSETS", assets)
    monkeypatch.setattr(bundle, "PINS", tmp_path / "pins.py")
    with pytest.raises(FileNotFoundError, match="unet_ct holds no model.safetensors"):
        bundle.main(["--folder", str(new)])
    (new / "unet_ct" / registry.WEIGHTS).write_bytes(b"new")
    with pytest.raises(ValueError, match="was not measured yet. Run train.evaluate --model unet_ct first"):
        bundle.main(["--folder", str(new)])
    assert {file.read_bytes() for file in assets.rglob(registry.WEIGHTS)} == {b"bundled"}
    assert not bundle.PINS.exists()
    with pytest.raises(SystemExit):
        bundle.main(["--folder", str(tmp_path / "pins.py")])


def test_the_plain_network_outlives_the_weights_it_lies_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, new = tmp_path / "assets" / "mobilenetv2", tmp_path / "new" / "mobilenetv2"
    for folder in (home, new):
        folder.mkdir(parents=True)
        (folder / registry.CONFIG).write_text('{"metrics": {}}')
        (folder / registry.WEIGHTS).write_text(f"of {folder.parent.name}")
    for file in (plain.FILE, source.FILE):
        (home / file).write_bytes(b"old")
    monkeypatch.setattr(weights, "ASSETS", tmp_path / "assets")
    monkeypatch.setattr(bundle, "PINS", tmp_path / "pins.py")
    monkeypatch.setattr(card, "card", lambda *_: "")
    bundle.main(["--folder", str(tmp_path / "new")])
    assert (home / registry.WEIGHTS).read_text() == "of new"
    assert (home / plain.FILE).exists() and not (home / source.FILE).exists()
    pinned = bundle.PINS.read_text()
    assert plain.FILE in pinned and source.FILE not in pinned


@pytest.mark.parametrize(
    ("new", "behind"),
    [
        (["unet_ct"], ["mobilenetv2", "resnet50", "inception_resnet_v2", "ensemble"]),
        (["mobilenetv2"], ["resnet50", "inception_resnet_v2", "ensemble"]),
        (["resnet50"], ["ensemble"]),
        (["ensemble"], []),
        (list(registry.MODELS), []),
    ],
)
def test_models_that_rest_on_a_new_one_are_named(new: list[str], behind: list[str]) -> None:
    assert bundle.left_behind(new, registry.MODELS) == behind

"""Ground glass and consolidation, from the density that tells them apart to the Dice of both."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.nn.functional import binary_cross_entropy_with_logits

from covid_core import engine, phantom, registry, segment, weights
from train import calibrate, choices, evaluate, kinds, loading, marks, scoreboard, segmenter, tables
from train.datasets.records import Record
from train.loading import CONSOLIDATION, GROUND_GLASS
from train.masks import Outcome


def outcome(density: list[float], kinds: list[int], lesion: list[float]) -> Outcome:
    """One row of pixels."""
    record = Record(Path("0.png"), "ct", "infnet", "s", "g", "test", kinds=Path("k.png"), lesions_known=True)
    marked = np.array([kinds], np.uint8)
    half = [np.array([values], np.float16) for values in ([0.9] * len(kinds), lesion, density)]
    return Outcome(record, half[0], half[1], None, marked > 0, half[2], None, marked)


def test_the_density_that_parts_both_kinds_best_is_chosen() -> None:
    ones = [1.0] * 6
    glass, dense = GROUND_GLASS, CONSOLIDATION
    found = [outcome([0.35, 0.4, 0.45, 0.6, 0.7, 0.9], [glass, glass, glass, dense, dense, 0], ones)]
    assert 0.45 <= calibrate.densest_glass(found) < 0.6
    # Outside the lesions density says nothing: soft tissue is as dense.
    assert 0.45 <= calibrate.densest_glass([*found, outcome([0.99] * 6, [0] * 6, ones)]) < 0.6


def test_dice_of_infnets_slices_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = registry.get("unet_ct")
    run: engine.Run = lambda batch: batch  # noqa: E731  (never called)
    segmenter = segment.Segmenter(spec, run, {"lesion_threshold": 0.05, "densest_glass": 0.5})
    found = outcome([0.4, 0.4, 0.6, 0.6, 0.6], [1, 2, 2, 2, 0], [0.9, 0.9, 0.9, 0.1, 0.9])
    slices = [replace(found.record, group=str(g)) for g in range(3)]
    monkeypatch.setattr(marks, "outcome", lambda record, _: replace(found, record=record))
    other = {"image": "z.png", "dataset": "ct_lesions", "source": "s", "group": "z", "share_inside": 1.0}
    counted = {f"{c}_{n}": 4.0 for c in ("lung", "lesion") for n in ("overlap", "total")}
    table = pd.concat([marks.rows(segmenter, slices), pd.DataFrame([other | counted])])
    figures = evaluate.segmenter_metrics(table)["infnet_test"]
    assert figures["dice_at_own_threshold"]["value"] == pytest.approx(2 * 4 / (5 + 4), abs=1e-4)
    assert figures["dice_at_0.5"]["value"] == pytest.approx(2 * 3 / (4 + 4), abs=1e-4)
    assert figures["ground_glass_dice"]["value"] == pytest.approx(2 * 1 / (2 + 1), abs=1e-4)
    assert figures["consolidation_dice"]["value"] == pytest.approx(2 * 2 / (3 + 3), abs=1e-4)


def test_consolidation_is_known_of_the_lesions_alone(tmp_path: Path) -> None:
    told = np.zeros((64, 64), np.uint8)
    told[16:32], told[32:48, :32] = GROUND_GLASS, CONSOLIDATION
    files = {name: tmp_path / f"{name}.png" for name in ("picture", "lesions", "kinds")}
    Image.fromarray(np.arange(64 * 64).reshape(64, 64).astype(np.uint8)).save(files["picture"])
    Image.fromarray((told > 0).astype(np.uint8) * 255).save(files["lesions"])
    Image.fromarray(told).save(files["kinds"])
    marked = {"lesions": files["lesions"], "kinds": files["kinds"], "lesions_known": True}
    record = Record(files["picture"], "ct", "infnet", "s", "g", "train", **marked)
    _, masks = loading.segmentation_example(record, 64, channels=3)
    assert (masks[0] == loading.UNKNOWN).all() and ((masks[1] == 1) == (told > 0)).all()
    assert (masks[2][told == CONSOLIDATION] == 1).all() and (masks[2][told == GROUND_GLASS] == 0).all()
    assert (masks[2][told == 0] == loading.UNKNOWN).all()
    # Lesions whose kind nobody marked, and what a teacher marks, teach nothing of it.
    untold = loading.segmentation_example(replace(record, kinds=None), 64, channels=3)[1]
    assert (untold[:2] == masks[:2]).all() and (untold[2] == loading.UNKNOWN).all()
    run: engine.Run = lambda batch: np.repeat(batch * 0 + 9, 2, axis=1)  # noqa: E731
    teacher = segment.Segmenter(replace(registry.get("unet_ct"), sizes={"ct": 64}), run, {})
    bare = replace(record, lesions=None, lesions_known=False, kinds=None)
    _, taught = loading.segmentation_example(bare, 64, teacher, channels=3)
    assert (taught[:2] == 1).all() and (taught[2] == loading.UNKNOWN).all()


def test_the_loss_of_kinds_is_added_where_they_are_known() -> None:
    logits, masks = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), loading.UNKNOWN, dtype=torch.uint8)
    masks[:, :2] = 1
    without = segmenter.masked_loss(logits, masks)
    assert without == segmenter.masked_loss(logits[:, :2], masks[:, :2])
    masks[0, 2, 0, :4] = torch.tensor([0, 0, 1, 1])
    assert segmenter.masked_loss(logits, masks) - without == pytest.approx(segmenter.KINDS_WEIGHT * np.log(2), abs=1e-6)
    logits[0, 2, 0, :4] = torch.tensor([-9.0, -9.0, 9.0, 9.0])
    assert segmenter.masked_loss(logits, masks) - without == pytest.approx(0, abs=1e-3)


def test_losses_are_parts_of_their_sum() -> None:
    torch.manual_seed(0)
    logits, masks = torch.randn(2, 2, 8, 8), torch.randint(0, 2, (2, 2, 8, 8))
    both, entropy, dice = (float(segmenter.masked_loss(logits, masks, loss)) for loss in ("both", "entropy", "dice"))
    assert both == pytest.approx(entropy + dice) and min(entropy, dice) > 0
    assert entropy == pytest.approx(float(binary_cross_entropy_with_logits(logits, masks.float())), abs=1e-6)


def test_choices_become_rows_of_the_board() -> None:
    one = {"lesion_overlap": 2.0, "lesion_total": 5.0, "lung_overlap": 4.0, "lung_total": 8.0, "slices": 99}
    table = pd.DataFrame([one | {"group": g, "choice": c} for c in ("imagenet", "dice") for g in "ab"])
    rows = scoreboard.chosen(table)
    assert [(r["protocol"], r["n"], r["groups"], r["slices"]) for r in rows] == [
        ("choices / imagenet", 2, 2, 99),
        ("choices / dice", 2, 2, 99),
    ]
    assert rows[0]["figures"]["lesion_dice"]["value"] == 0.8 and rows[0]["figures"]["lung_dice"]["value"] == 1.0


def test_the_multi_class_variant_is_trained_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = phantom.ct(seed=1, lesions=phantom.Lesions(count=8, size=0.24, density=0.9), size=128)
    for folder in ("ct_lesions", "ct_lesions_infnet"):
        (tmp_path / folder).mkdir()
        for name, values in (("image", found.pixels), ("lesions", found.lesions), ("lungs", found.lungs)):
            turned = np.asarray(values, np.float32).T if folder.endswith("infnet") else np.asarray(values, np.float32)
            Image.fromarray((turned * 255).astype(np.uint8)).save(tmp_path / folder / f"{name}.png")
    Image.fromarray(found.lesions.T.astype(np.uint8) * GROUND_GLASS).save(tmp_path / "ct_lesions_infnet" / "kinds.png")
    volumes = "image,lesions,lungs,volume,group,split\n" + "".join(
        f"image.png,lesions.png,lungs.png,v{n},{n},{split}\n" for n, split in enumerate(("train", "val", "test"))
    )
    (tmp_path / "ct_lesions" / "manifest.csv").write_text(volumes)
    slices = "".join(f"image.png,lesions.png,kinds.png,{split},\n" for split in ("train", "test"))
    header = "image,lesions,classes,split,same_patient_as_test\n"
    (tmp_path / "ct_lesions_infnet" / "manifest.csv").write_text(header + slices)
    data = ["--data", f"manifests={tmp_path}"]
    bundled = str(weights.locate_weights(registry.get("unet_ct"))[0])
    short = ["--epochs", "1", "--batch", "2", "--examples", "4", "--workers", "0", "--size", "96"]
    out = ["--out", str(tmp_path / "net")]
    segmenter.main(["--modality", "ct", "--kinds", "--init", bundled, "--teacher", bundled, *data, *short, *out])
    kinds.main([*data, "--weights", str(tmp_path / "net" / "model.safetensors"), "--results", str(tmp_path)])
    rows = tables.read(tables.file(tmp_path, tables.Kind.KINDS, tables.UNET))
    assert sorted(rows.dataset) == ["ct_lesions", "infnet"]
    (one,) = rows[rows.dataset == "infnet"].to_dict("records")
    assert one["ground_glass_total"] > 0 and 0 <= one["mean_dice"] <= 1
    board = {r["protocol"]: r for r in scoreboard.board(tmp_path) if r["kind"] != "published"}
    assert set(board) == {"unet_ct / test", "unet_ct / infnet_test"}
    assert all(r["kind"] == "trained for it" and r["model"] == scoreboard.MULTI_CLASS for r in board.values())

    tried = {"imagenet": ("mobilenetv2", None, "both"), "dice": ("mobilenetv2", "mobilenetv2", "dice")}
    monkeypatch.setattr(choices, "CHOICES", tried)
    choices.main([*data, *short, "--init", "random", "--out", str(tmp_path / "choices"), "--results", str(tmp_path)])
    measured = tables.read(tables.file(tmp_path, tables.Kind.CHOICES, tables.UNET))
    assert list(measured.choice) == ["imagenet", "dice"] and set(measured.slices) == {4}
    assert (measured.lesion_total > 0).all() and (measured.lung_total > 0).all()

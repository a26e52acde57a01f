"""Ground glass and consolidation, from the density that tells them apart to the Dice of both."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covid_core import engine, registry, segment
from train import calibrate, evaluate, marks
from train.datasets.records import Record
from train.masks import CONSOLIDATION, GROUND_GLASS, Outcome


def outcome(density: list[float], kinds: list[int], lesion: list[float]) -> Outcome:
    """One row of pixels."""
    record = Record(Path("0.png"), "ct", "infnet", "s", "g", "test", kinds=Path("k.png"), lesions_known=True)
    marked = np.array([kinds], np.uint8)
    half = [np.array([values], np.float16) for values in ([0.9] * len(kinds), lesion, density)]
    return Outcome(record, half[0], half[1], None, marked > 0, half[2], marked)


def test_the_density_that_parts_both_kinds_best_is_chosen() -> None:
    ones = [1.0] * 6
    glass, dense = GROUND_GLASS, CONSOLIDATION
    found = [outcome([0.35, 0.4, 0.45, 0.6, 0.7, 0.9], [glass, glass, glass, dense, dense, 0], ones)]
    assert 0.45 <= calibrate.densest_glass(found) < 0.6
    # Outside the lesions density says nothing: soft tissue is as dense.
    assert 0.45 <= calibrate.densest_glass([*found, outcome([0.99] * 6, [0] * 6, ones)]) < 0.6


def test_dice_of_both_kinds_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = registry.get("unet_ct")
    run: engine.Run = lambda batch: batch  # noqa: E731  (never called)
    segmenter = segment.Segmenter(spec, run, {"lesion_threshold": 0.5, "densest_glass": 0.5})
    found = outcome([0.4, 0.4, 0.6, 0.6, 0.6], [1, 2, 2, 2, 0], [0.9, 0.9, 0.9, 0.1, 0.9])
    slices = [replace(found, record=replace(found.record, group=str(g))) for g in range(3)]
    monkeypatch.setattr(marks, "outcomes", lambda *_: slices)
    other = {"image": "z.png", "dataset": "ct_lesions", "source": "s", "group": "z", "share_inside": 1.0}
    counted = {f"{c}_{n}": 4.0 for c in ("lung", "lesion") for n in ("overlap", "total")}
    table = pd.concat([marks.rows(segmenter, [found.record]), pd.DataFrame([other | counted])])
    figures = evaluate.segmenter_metrics(table)["infnet_test"]
    assert figures["ground_glass_dice"]["value"] == pytest.approx(2 * 1 / (2 + 1), abs=1e-4)
    assert figures["consolidation_dice"]["value"] == pytest.approx(2 * 1 / (2 + 3), abs=1e-4)

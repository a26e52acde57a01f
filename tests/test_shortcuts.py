"""Lungs blacked out, border alone, letters burned in: the picture changes as said, and the answers come from it."""

from typing import get_args

import numpy as np
import pytest

from covid_core import classify, images, preprocess, shortcuts, source
from covid_core.diagnose import see
from tests import golden, pictures


@pytest.fixture(scope="module")
def chest() -> shortcuts.Chest:
    return shortcuts.chest(images.decode(golden.png("xray-lesions"), "chest.png"))


def test_without_lungs_nothing_of_them_is_left(chest: shortcuts.Chest) -> None:
    changed = shortcuts.without_lungs(chest)
    assert chest.lungs.any() and not changed.pixels[chest.lungs].any()
    kept = changed.pixels != 0
    assert np.array_equal(changed.pixels[kept], chest.image.pixels[kept]) and kept.mean() > 0.3


def test_only_the_border_of_the_box_is_left(chest: shortcuts.Chest) -> None:
    changed = shortcuts.only_border(chest)
    box = preprocess.around(chest.lungs)
    crop = box.extract(changed.pixels, 100)
    edge = round(100 * shortcuts.BORDER)
    assert crop[:edge].max() > 0 and not crop[edge + 2 : -edge - 2, edge + 2 : -edge - 2].any()
    assert box.extract(chest.image.pixels, 100)[50].any()


def test_letters_stand_where_they_are_put(chest: shortcuts.Chest) -> None:
    changed = shortcuts.with_marker(chest.image, "R", 0.25, 0.75)
    rows, columns = np.nonzero(changed.pixels != chest.image.pixels)
    height, width = chest.image.shape
    assert abs(rows.mean() / height - 0.75) < 0.03 and abs(columns.mean() / width - 0.25) < 0.03
    assert changed.pixels[rows, columns].max() == 1
    assert np.array_equal(shortcuts.with_marker(chest.image, "", 0.5, 0.5).pixels, chest.image.pixels)


def test_the_unchanged_picture_gets_the_apps_own_answer(chest: shortcuts.Chest) -> None:
    first, *others = shortcuts.probes(chest)
    expected = see(chest.image).evidence.answer()
    for evidence in (first.alone, first.whole, shortcuts.in_box(chest, chest.image)):
        assert evidence.answer().probability == pytest.approx(expected.probability, abs=1e-5)
    assert [p.title for p in others] == ["Lungs blacked out", "Only the border"]
    for probe in others:
        assert probe.alone.answer().probability != pytest.approx(expected.probability, abs=1e-3)
        assert probe.whole.answer().decision in ("uncertain", "refused")


def test_the_map_holds_the_answer_for_each_place(chest: shortcuts.Chest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "PLACES", 2)
    there = shortcuts.in_box(chest, shortcuts.with_marker(chest.image, "R", 0.75, 0.25))
    methods = get_args(classify.Method)
    grids = [shortcuts.marker_map(chest, "R", method) for method in methods]
    found = [float(grid[0, 1]) for grid in grids]
    assert all(grid.shape == (2, 2) for grid in grids) and found == pytest.approx(
        [there.answer(method).probability for method in methods], abs=1e-6
    )
    assert len(set(found)) == len(methods)


def test_the_features_name_a_source(chest: shortcuts.Chest) -> None:
    told = source.guess(chest.evidence)
    reader = source.readers("mobilenetv2")["xray"]
    assert set(told) == set(reader.names) and sum(told.values()) == pytest.approx(1, abs=1e-5)
    assert list(told.values()) == sorted(told.values(), reverse=True)
    assert chest.evidence.features is not None
    weighed = chest.evidence.features.pooled[:-1]
    assert told[reader.names[0]] == pytest.approx(float(reader.probabilities(weighed)[0]), abs=1e-6)
    assert source.guess(shortcuts.chest(images.decode(pictures.encode(pictures.GREY), "grey.png")).evidence) == {}


def test_a_picture_without_a_chest_is_refused_before_anything_is_taken_away() -> None:
    blank = images.DecodedImage(np.full((96, 96), 0.5, np.float32), None, 0.0, "PNG", None, "", "blank.png")
    refused = shortcuts.chest(blank)
    assert refused.evidence.refusal and not refused.lungs.any()

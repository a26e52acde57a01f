"""An ensemble against its members, and Grad-CAM on grids of two sizes."""

import numpy as np
import pytest

from covid_core import classify, diagnose, explain, images
from tests import golden


def test_its_samples_are_those_of_its_members() -> None:
    ensemble = diagnose.classifier("ensemble")
    members = [diagnose.classifier(name) for name in ensemble.spec.members]
    picture = images.decode(golden.png("ct-lesions"), "ct")
    found = diagnose.segmenter("ct").segment(picture)
    parts = [member.features(picture, "ct", found) for member in members]
    whole = ensemble.features(picture, "ct", found)
    assert len(whole.pooled) == sum(len(part.pooled) for part in parts)
    for method in classify.METHODS:
        logits = [
            member.sample(part.pooled, "ct", method) / member.config["temperature"]["ct"]  # type: ignore[arg-type]
            for member, part in zip(members, parts, strict=True)
        ]
        together = ensemble.sample(whole.pooled, "ct", method)  # type: ignore[arg-type]
        assert together == pytest.approx(np.concatenate(logits), abs=1e-4)


def test_members_that_contradict_each_other_are_epistemic_uncertainty() -> None:
    from covid_core import uncertainty

    one, two = np.full((5, 2), [0.1, 0.9]), np.full((5, 2), [0.9, 0.1])
    assert uncertainty.summarise(one).epistemic == pytest.approx(0)
    assert uncertainty.summarise(np.concatenate([one, two])).epistemic > 0.5


def test_a_map_on_a_finer_grid_keeps_its_sum_and_place() -> None:
    cells = np.zeros((7, 7))
    cells[0, 6] = 2.0
    finer = explain._on_grid(cells, 8)
    assert finer.shape == (8, 8) and finer.sum() == pytest.approx(2.0)
    assert finer[0, 7] == finer.max() and finer[2:].sum() == 0

"""Layers over a picture: which there are, and what they are painted on."""

from dataclasses import replace

import numpy as np
import pytest

from covid_core import figures, images
from covid_core.diagnose import Diagnosis, diagnose
from tests import golden


@pytest.fixture(scope="module")
def result() -> Diagnosis:
    return diagnose(images.decode(golden.png("ct-lesions")), "ct")


def test_only_lungs_are_painted_where_they_are_implausible(result: Diagnosis) -> None:
    assert figures.available(result) == list(figures.LAYERS)
    found = result.segmentation
    assert found is not None
    assert figures.available(replace(result, segmentation=replace(found, plausible=False))) == ["Lungs"]
    assert figures.available(replace(result, segmentation=None)) == []
    assert "Where it looked (Grad-CAM)" not in figures.available(replace(result, explanation=None))


def test_layers_are_painted_on_other_grey_levels(result: Diagnosis) -> None:
    black = np.zeros_like(result.image.pixels)
    plain, painted = (figures.layers(result, shown, 0.5, black) for shown in ([], ["Consolidation"]))
    found = result.segmentation
    assert found is not None and found.consolidation is not None and found.consolidation.any()
    assert not plain.any()
    np.testing.assert_array_equal(painted.any(axis=2), found.consolidation)


def test_zoom_stays_for_pictures_of_one_size_alone() -> None:
    wide, other, tall = (np.zeros((*shape, 3), np.uint8) for shape in ((20, 30), (20, 30), (30, 20)))
    revisions = [figures.views(picture, picture).layout.uirevision for picture in (wide, other, tall)]
    assert revisions[0] == revisions[1] != revisions[2]


@pytest.mark.parametrize(("model", "who"), [("mobilenetv2", "the heads"), ("ensemble", "the networks and heads")])
def test_the_bar_says_who_disagrees(result: Diagnosis, model: str, who: str) -> None:
    answer = replace(result.classification, model=model)
    drawn = {bar.name.split(":")[0]: bar for bar in figures.uncertainty_bar(answer).data}
    assert drawn["epistemic"].name == f"epistemic: {who} disagree"
    assert drawn["epistemic"].x == (answer.epistemic,) and drawn["aleatoric"].x == (answer.aleatoric,)


def test_a_forest_has_room_for_values_above_one() -> None:
    share = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}
    loss = {"value": 1.2, "low": 1.0, "high": 1.7, "n": 10}
    assert figures.forest({"a": share}, "AUC").layout.xaxis.range == (0, 1.05)
    assert figures.forest({"a": share, "b": loss}, "Loss").layout.xaxis.range[1] > 1.7

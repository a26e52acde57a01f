"""Charts: what is drawn, in which colours, and what stands beside it."""

from dataclasses import replace

import numpy as np
import pytest

from covid_core import curves, figures, images, painting, report
from covid_core.diagnose import Diagnosis, diagnose
from covid_core.preprocess import Frame
from tests import golden


@pytest.fixture(scope="module")
def result() -> Diagnosis:
    return diagnose(images.decode(golden.png("ct-lesions")), "ct")


def test_zoom_stays_for_pictures_of_one_size_alone() -> None:
    wide, other, tall = (np.zeros((*shape, 3), np.uint8) for shape in ((20, 30), (20, 30), (30, 20)))
    revisions = [figures.views(picture, picture).layout.uirevision for picture in (wide, other, tall)]
    assert revisions[0] == revisions[1] != revisions[2]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0.000"),
        (0.0004, "< 0.001"),
        (0.0005, "0.001"),
        (0.9994, "0.999"),
        (0.9996, "> 0.999"),
        (1, "1.000"),
        (1.2, "1.200"),
    ],
)
def test_no_measure_is_rounded_to_none_or_all(value: float, said: str) -> None:
    assert report.index(value) == report.unbroken(said)


@pytest.mark.parametrize(
    ("model", "method", "who"),
    [
        ("mobilenetv2", "ensemble_mc_dropout", "heads, head-only dropout"),
        ("mobilenetv2", "mc_dropout", "head-only dropout"),
        ("ensemble", "ensemble", "networks, heads"),
        ("ensemble", "ensemble_mc_dropout", "networks, heads, head-only dropout"),
    ],
)
def test_the_bar_says_who_disagrees(result: Diagnosis, model: str, method: str, who: str) -> None:
    answer = replace(result.classification, model=model, method=method)
    drawn = {bar.name.split(":")[0]: bar for bar in figures.uncertainty_bar(answer).data}
    assert drawn["epistemic"].name.replace("<br>", " ") == f"epistemic: samples disagree ({who})"
    assert drawn["aleatoric"].name == "aleatoric: shared by all samples"  # no more is known of it
    assert [bar.split(":")[0] for bar in drawn] == ["aleatoric", "epistemic"]
    assert figures.uncertainty_bar(answer).layout.legend.traceorder == "normal"  # as the bars
    assert drawn["epistemic"].marker.pattern.shape != drawn["aleatoric"].marker.pattern.shape
    assert drawn["epistemic"].x == (answer.epistemic,) and drawn["aleatoric"].x == (answer.aleatoric,)


def test_a_forest_has_its_labels_above_the_lines_and_tells_shares_in_per_cent() -> None:
    label = "X-ray, other hospitals, images new to the U-Net too"
    share = {"value": 0.684, "low": 0.58, "high": 0.997, "n": 1129}
    drawn = figures.forest({label: share, "a claim": {"value": 0.997}}, "Share", shares=True)
    first, second = drawn.data[0].y
    assert first.replace("<br>", " ") == f"{label} (n\u00a0=\u00a01,129)" and second == "a claim"
    assert max(map(len, first.split("<br>"))) <= figures.WRAPPED and drawn.layout.yaxis.categoryarray == (first, second)
    texts = [(a.text, a.x, a.y, a.yanchor) for a in drawn.layout.annotations]
    assert [texts[0][0], texts[2][0]] == [report.share(0.684), report.share(0.997)]
    assert [t[1:] for t in texts[:2]] == [(1, first, None), (0, first, "bottom")] and texts[1][0] == first
    told = [text.replace("\u00a0", " ") for text in drawn.data[0].customdata]
    assert told == ["68 %, 95 % interval 58 % to > 99 %", "> 99 %"]
    taller = figures.forest({f"{label}<br>MobileNetV2<br>and more": share, "a claim": {"value": 0.997}}, "Share")
    assert taller.layout.height > drawn.layout.height and taller.layout.annotations[0].text == "0.684"


def test_a_forest_has_room_for_values_above_one() -> None:
    share = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}
    loss = {"value": 1.2, "low": 1.0, "high": 1.7, "n": 10}
    assert figures.forest({"a": share}, "AUC").layout.xaxis.range == (0, 1.05)
    assert figures.forest({"a": share, "b": loss}, "Loss").layout.xaxis.range[1] > 1.7


def test_lines_and_samples_show_on_a_dark_page_too(result: Diagnosis) -> None:
    drawn = figures.probability_bar(result.classification)
    assert {line.line.color for line in drawn.layout.shapes} == {painting.GREY}
    samples = drawn.data[0].marker
    assert (samples.color, samples.opacity) == (figures.SAMPLES, 0.6)
    compared = curves.side_by_side({"one": result.classification})
    assert [line.line.color for line in compared.layout.shapes] == [painting.GREY]


def test_the_bar_shows_where_no_answer_is_given(result: Diagnosis) -> None:
    between = figures.probability_bar(replace(result.classification, bounds=(0.03, 0.95)))
    zones = [shape for shape in between.layout.shapes if shape.type == "rect"]
    told = [label.text.replace("<br>", " ") for label in between.layout.annotations]
    assert [(zone.x0, zone.x1) for zone in zones[:3]] == [(-0.02, 0.03), (0.03, 0.95), (0.95, 1.02)]
    assert told == ["no pattern up to 3\u00a0%", "cannot say", "COVID-19 pattern from 95\u00a0%"]
    anywhere = figures.probability_bar(replace(result.classification, bounds=(0.5, 0.5)))
    assert [shape.type for shape in anywhere.layout.shapes] == ["line"]


def test_differences_are_drawn_as_far_to_both_sides() -> None:
    apart = figures.forest({"a": {"value": -0.02, "low": -0.1, "high": 0.05}, "b": {"value": 0.2}}, "difference")
    assert apart.layout.xaxis.range == pytest.approx((-0.22, 0.22))
    assert figures.forest({"a": {"value": 0.2, "blind": 0.5}}, "AUC").layout.xaxis.range == (0, 1.05)
    marked = figures.forest({"a": {"value": 0.2, "blind": 0.5}, "b": {"value": 0.3}}, "AUC").data
    assert [list(trace.x) for trace in marked] == [[0.2, 0.3], [0.5]]


def test_marks_of_a_reliability_curve_grow_with_their_images() -> None:
    bins = [{"confidence": 0.6, "accuracy": 0.5, "n": 10}, {"confidence": 0.9, "accuracy": 0.8, "n": 1000}]
    _, alone = curves.reliability({"measured": bins}).data
    _, before, after = curves.reliability({"before": bins, "after": bins}).data
    assert alone.marker.size == after.marker.size == (10, 18)
    assert alone.line.color == after.line.color != before.line.color


def test_a_map_lies_over_its_picture_with_the_box_cut_at_the_edge() -> None:
    effect = curves.marker_effect(np.full((5, 5), 0.5, np.float32), 0.4)
    drawn = figures.on_picture(effect, np.zeros((100, 200), np.float32), Frame(-10, 100, 60, 100, 200))
    (below,), (box,) = drawn.layout.images, drawn.layout.shapes
    assert (below.x, below.y, below.sizex, below.sizey, below.layer) == (-0.5, -0.5, 5, 5, "below")
    assert (box.x0, box.x1, box.y0, box.y1) == (2.0, 3.5, -0.5, 2.0)
    assert drawn.layout.yaxis.scaleratio == 0.5 and drawn.data[0].opacity < 1

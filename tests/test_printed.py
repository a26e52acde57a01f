"""The report to print: whole in itself, and it says what the answer says."""

import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from covid_core import images, painting, printed, report
from covid_core.diagnose import Diagnosis, diagnose
from tests import golden


@pytest.fixture(scope="module")
def result() -> Diagnosis:
    return diagnose(images.decode(golden.png("ct-lesions"), "<slice> & co.png"))


def test_it_holds_answer_hashes_and_disclaimer(result: Diagnosis) -> None:
    page, answer = printed.page(result, ["Lungs", "Lesions"], 0.5), result.classification
    assert answer.probability is not None
    for text in (
        "Not a medical device",
        report.DECISIONS[answer.decision],
        report.percent(answer.probability),
        answer.weights_sha256,
        result.image.sha256,
        "&lt;slice&gt; &amp; co.png",
        f"{date.today():%Y-%m-%d}",
    ):
        assert text in page
    assert page.count("<figure>") == 2 and "<slice>" not in page


def test_it_fetches_and_runs_nothing(result: Diagnosis) -> None:
    page = printed.page(result, [], 0.5)
    assert not re.search(r"<script|https?://|javascript:|@import|url\(", page)
    assert page.count("<figure>") == 1


def test_a_key_names_every_pattern_on_the_picture_and_the_axis(result: Diagnosis) -> None:
    page, explanation = printed.page(result, ["Lesions", painting.CAM], 0.5), result.explanation
    assert explanation is not None and explanation.share_in_lungs is not None
    keys = re.findall('<span class="key"><img src="([^"]+)" alt=""> ([^<]+)</span>', page)
    assert [words for _, words in keys] == ["Lesions", f"{painting.CAM}, {painting.grid(explanation)}"]
    assert len({swatch for swatch, _ in keys}) == 2
    assert ">Probability of COVID-19</text>" in page and f"Dots: {result.classification.samples.size} samples" in page
    assert f"{report.share(explanation.share_in_lungs)} of the evidence for COVID-19" in page


def test_a_share_with_a_wide_interval_is_hardly_measurable(result: Diagnosis) -> None:
    found = result.segmentation
    assert found is not None
    for interval, is_wide in (((7.0, 100.0), True), ((7.0, 20.0), False), ((30.0, 80.0), False)):
        assert printed.says_little(interval) is is_wide
        assert ("very uncertain" in printed.marked(replace(found, lesion_interval=interval))) is is_wide
    little = replace(found, lesion_percent_of_lung=0.03, lesion_interval=(0.0, 2.0))
    assert printed.marked(little).startswith("<\u00a00.1\u00a0% of the lung area")  # what is marked is not nothing
    none = replace(found, lesion_percent_of_lung=None, reason="There are no lungs.")
    assert printed.marked(none) == "cannot say. There are no lungs."


def test_a_share_that_is_neither_none_nor_all_never_reads_so(
    result: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = result.segmentation
    assert found is not None
    for percent, said in ((None, ""), (0.3, "< 1"), (37.2, "37"), (99.7, "> 99"), (100.0, "100")):
        monkeypatch.setattr(type(found), "consolidation_percent_of_lesions", percent)
        told = printed.consolidated(found)
        assert told.startswith(said.replace(" ", "\u00a0")) and bool(told) == (percent is not None)


def test_evidence_in_the_lungs_is_told_beside_how_much_of_the_map_they_are(result: Diagnosis) -> None:
    explanation, found = result.explanation, result.segmentation
    assert explanation is not None and found is not None and 0.2 < explanation.lung_share < 0.7
    said = {
        share: printed.inside(replace(result, explanation=replace(explanation, share_in_lungs=share)))
        for share in (0.2, 0.7, None)
    }
    assert said[0.2].startswith("20\u00a0% of the evidence for COVID-19 on the map of 8 x 8 cells")
    assert all(
        f"The lungs cover {report.share(explanation.lung_share)} of the map" in said[share] for share in (0.2, 0.7)
    )
    assert "less than their share" in said[0.2] and "outside the lung mask" not in said[0.7] and said[None] == ""
    assert printed.inside(replace(result, segmentation=replace(found, plausible=False))) == ""


def test_a_refused_picture_has_a_report_too() -> None:
    blank = images.DecodedImage(np.full((96, 96), 0.5, np.float32), None, 0.0, "PNG", None, "0" * 64, "blank.png")
    page = printed.page(diagnose(blank), ["Lungs"], 0.5)
    assert "No answer for this picture" in page and "blank" in page and "<svg" not in page

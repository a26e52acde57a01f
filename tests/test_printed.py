"""The report to print: whole in itself, and it says what the answer says."""

import re
from datetime import date

import numpy as np
import pytest

from covid_core import images, printed, report
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
    assert page.count("data:image/png;base64,") == 2 and "<slice>" not in page


def test_it_fetches_and_runs_nothing(result: Diagnosis) -> None:
    page = printed.page(result, [], 0.5)
    assert not re.search(r"<script|https?://|javascript:|@import|url\(", page)
    assert page.count("data:image/png;base64,") == 1


def test_a_refused_picture_has_a_report_too() -> None:
    blank = images.DecodedImage(np.full((96, 96), 0.5, np.float32), None, 0.0, "PNG", None, "0" * 64, "blank.png")
    page = printed.page(diagnose(blank), ["Lungs"], 0.5)
    assert "No answer for this picture" in page and "blank" in page and "<svg" not in page

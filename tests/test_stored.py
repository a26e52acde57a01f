"""What pages compute from stored answers, against values worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from covid_core import metrics, stored

# Four test X-rays: two right, one wrong and sure, one wrong and unsure.
ROWS = """modality,split,official_split,finding,probability,untempered
xray,test,,covid,0.9,0.8
xray,test,,normal,0.2,0.3
xray,test,,normal,0.95,0.9
xray,test,,covid,0.4,0.45
ct,val,test,covid,0.7,0.6
xray,pediatric,,normal,0.1,0.1
"""


@pytest.fixture
def answers(tmp_path: Path) -> dict[str, stored.Answers]:
    file = tmp_path / "answers.csv"
    file.write_text(ROWS)
    return stored.read(file)


def test_rows_are_taken_by_part(answers: dict[str, stored.Answers]) -> None:
    assert list(answers) == ["xray / test", "ct / covid_ct_official_test"]
    assert answers["xray / test"].covid.tolist() == [1, 0, 0, 1]


def test_errors_among_the_surest(answers: dict[str, stored.Answers]) -> None:
    coverage, risk = answers["xray / test"].risk_coverage()
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    # Surest first: .95 wrong, .9 right, .2 right, .4 wrong.
    assert risk == pytest.approx([1, 1 / 2, 1 / 3, 1 / 2])


def test_worth_of_an_answer_by_bayes_rule(answers: dict[str, stored.Answers]) -> None:
    # Sensitivity and specificity are both one half, so an answer says nothing: PPV is the prevalence.
    positive, negative = answers["xray / test"].worth(0.02)
    assert positive == pytest.approx(0.02) and negative == pytest.approx(0.98)


def test_calibration_before_and_after(answers: dict[str, stored.Answers]) -> None:
    part = answers["xray / test"]
    before, after = part.ece()
    for value, p in ((before, part.untempered), (after, part.probability)):
        assert value == pytest.approx(metrics.ece(np.stack([1 - p, p], axis=1), part.covid))
    assert sum(b["n"] for b in part.reliability()["after"]) == 4

"""The verdict: what is withheld, and why."""

import numpy as np
import pytest

from covid_core import classify, report, segment

SEEN, UNSEEN = float(np.log(0.21)), float(np.log(0.011))


@pytest.mark.parametrize(
    ("chosen", "probability", "distance", "evidence", "decision", "reason"),
    [
        ((1,), 0.9, 0.9, SEEN, "covid", ""),
        ((0,), 0.1, 0.9, UNSEEN, "non_covid", ""),
        ((0,), 0.1, 0.9, SEEN, "non_covid", ""),
        ((1,), 0.9, 0.9, UNSEEN, "uncertain", classify.INVISIBLE),
        ((1,), 0.7, 0.9, SEEN, "uncertain", classify.UNPROVEN.format(firm=80)),
        ((1,), 0.9, 1.1, SEEN, "uncertain", classify.UNLIKE),
        ((0, 1), 0.9, 0.9, SEEN, "uncertain", classify.AMBIGUOUS),
        ((), 0.9, 0.9, SEEN, "uncertain", classify.UNUSUAL),
    ],
)
def test_verdict(chosen, probability, distance, evidence, decision, reason) -> None:
    for modality in ("xray", "ct"):
        assert classify.verdict(chosen, probability, 0.8, distance, evidence, modality) == (decision, reason)


def test_the_reason_names_the_probability_that_is_asked_for() -> None:
    assert "80 %" in classify.verdict((1,), 0.7, 0.8, 0.9, SEEN, "xray")[1]


def test_a_slice_needs_less_opacity_than_an_xray() -> None:
    between = float(np.log(0.05 + 0.01))
    assert segment.mean_probability(UNSEEN) < segment.VISIBLE["ct"] < segment.VISIBLE["xray"] < 0.2
    assert classify.verdict((1,), 0.9, 0.5, 0.9, between, "ct")[0] == "covid"
    assert classify.verdict((1,), 0.9, 0.5, 0.9, between, "xray")[0] == "uncertain"


def test_no_percentage_claims_certainty() -> None:
    shown = [report.percent(p) for p in (0.0, 0.004, 0.37, 0.994, 1.0)]
    assert shown == ["< 1 %", "< 1 %", "37 %", "> 99 %", "> 99 %"]

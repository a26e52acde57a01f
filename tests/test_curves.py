"""Figures of the teaching pages hold the numbers they were given."""

import numpy as np
import pytest

from covid_core import curves, degrade, images, report
from covid_core.diagnose import see
from covid_core.painting import GREY
from tests import golden


@pytest.fixture(scope="module")
def answers() -> dict:
    picture = images.decode(golden.png("ct-lesions"), "ct.png")
    return {s: see(degrade.degrade(picture, "blur", s)).evidence.light().answer() for s in (0.0, 0.4, 1.0)}


def test_curve_over_the_strength(answers: dict) -> None:
    figure = curves.over_strength(answers, 0.4)
    band = next(t for t in figure.data if t.name == "interval")
    known = {s: a for s, a in answers.items() if a.probability is not None}
    assert list(band.x) == [*known, *list(known)[::-1]]
    assert list(band.y[: len(known)]) == [a.interval[1] for a in known.values()]
    marked = {(x, y) for t in figure.data if t.mode == "markers" for x, y in zip(t.x, t.y, strict=True)}
    assert marked == {(s, a.probability or 0) for s, a in answers.items()}
    told = {t.name: t.hovertemplate for t in figure.data if t.mode != "lines"}
    assert answers[1.0].decision == "refused" and "no answer" in told[report.DECISIONS["refused"]]
    assert all("%{y:.0%}" in told[report.DECISIONS[a.decision]] for a in answers.values() if a.probability is not None)
    assert "bit" in told["aleatoric"] and "bit" in told["epistemic"] and "distance %{y:.2f}" in told[None]
    dashes = {t.name: (t.line.dash, t.marker.symbol) for t in figure.data if t.name in ("aleatoric", "epistemic")}
    assert len(set(dashes.values())) == 2


def test_answers_side_by_side(answers: dict) -> None:
    named = {f"model {s}": a for s, a in answers.items() if a.probability is not None}
    figure = curves.side_by_side(named)
    drawn = {y: x for t in figure.data for x, y in zip(t.x, t.y, strict=True)}
    assert drawn == {label: a.probability for label, a in named.items()}
    assert all(t.cliponaxis is False and t.marker.line.color == GREY for t in figure.data)


def test_lines_over_coverage_and_prevalence() -> None:
    coverage, risk = np.arange(1, 1001) / 1000, np.linspace(0, 0.2, 1000)
    (line,) = curves.risk_coverage({"here": (coverage, risk)}, 0.8).data
    assert len(line.x) <= 300 and line.y[-1] == pytest.approx(0.2) and line.x[0] == pytest.approx(curves.SUREST)
    first, second = curves.predictive_values([0.01, 0.1], {"PPV": [0.1, 0.5], "NPV": [0.99, 0.9]}, 0.01).data
    assert list(first.y) == [0.1, 0.5] and list(second.y) == [0.99, 0.9]
    axis = curves.predictive_values([0.01, 0.1], {"PPV": [0.1, 0.5]}, 0.01).layout.xaxis
    assert axis.range[0] <= np.log10(min(axis.tickvals)) and np.log10(max(axis.tickvals)) <= axis.range[1]


def test_marker_effect_keeps_its_scale() -> None:
    (heat,) = curves.marker_effect(np.array([[0.5, 0.52], [0.5, 0.4]]), 0.5).data
    assert (heat.zmin, heat.zmax) == (-50, 50)
    assert np.allclose(heat.z, [[0, 2], [0, -10]])


def test_shares_are_groups_of_bars() -> None:
    figure = curves.shares(["here", "there"], {"as it is": [0.7, 0.3], "without lungs": [0.4, 0.6]})
    assert [list(t.x) for t in figure.data] == [[0.7, 0.3], [0.4, 0.6]]
    assert all(list(t.y) == ["here", "there"] for t in figure.data)

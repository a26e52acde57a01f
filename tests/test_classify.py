"""The verdict: what is withheld, and why."""

from collections.abc import Callable

import numpy as np
import pytest

from covid_core import classify, diagnose, gate, phantom, preprocess, registry, report, segment, verdict

SEEN, UNSEEN = float(np.log(0.21)), float(np.log(0.011))


@pytest.mark.parametrize(
    ("chosen", "probability", "distance", "log_opacity", "lesser_side", "decision", "reason"),
    [
        ((1,), 0.9, 0.9, SEEN, 0.2, "covid", ""),
        ((0,), 0.1, 0.9, UNSEEN, 0.2, "non_covid", ""),
        ((0,), 0.1, 0.9, SEEN, 0.2, "non_covid", ""),
        ((0,), 0.4, 0.9, UNSEEN, 0.2, "uncertain", verdict.UNCLEAR.format(probability=40, clear=30)),
        ((1,), 0.9, 0.9, UNSEEN, 0.2, "uncertain", verdict.INVISIBLE.format(probability=90)),
        ((1,), 0.7, 0.9, SEEN, 0.2, "uncertain", verdict.UNPROVEN.format(probability=70, firm=80)),
        ((1,), 0.9, 1.1, SEEN, 0.2, "uncertain", verdict.UNLIKE),
        ((0, 1), 0.9, 0.9, SEEN, 0.2, "uncertain", verdict.AMBIGUOUS),
        ((), 0.9, 0.9, SEEN, 0.2, "uncertain", verdict.UNUSUAL),
    ],
)
def test_verdict(chosen, probability, distance, log_opacity, lesser_side, decision, reason) -> None:
    for modality in ("xray", "ct"):
        found = verdict.verdict(
            chosen,
            probability,
            (0.3, 0.8),
            distance,
            log_opacity=log_opacity,
            lesser_side=lesser_side,
            plausible=True,
            modality=modality,
        )
        assert found == (decision, reason)


def test_opacity_in_one_lung_alone_is_no_covid_on_an_xray() -> None:
    for chosen, modality, decision in (((1,), "xray", "uncertain"), ((0,), "xray", "non_covid"), ((1,), "ct", "covid")):
        found = verdict.verdict(
            chosen, 0.9, (0.95, 0.8), 0.9, log_opacity=SEEN, lesser_side=0.05, plausible=True, modality=modality
        )
        assert found == (decision, verdict.ONE_SIDED.format(probability=90) if decision == "uncertain" else "")


def test_the_reason_names_the_probability_that_is_asked_for() -> None:
    reason = verdict.verdict(
        (1,), 0.29, (0.1, 0.8), 0.9, log_opacity=SEEN, lesser_side=0.2, plausible=True, modality="xray"
    )[1]
    assert "as high as 29 %" in reason and "needs at least 80 %" in reason
    for said in (verdict.INVISIBLE, verdict.ONE_SIDED, verdict.UNPROVEN):  # the reason first, then what might mislead
        assert said.endswith(verdict.ONLY) and "ruled out" not in said.removesuffix(verdict.ONLY)


@pytest.mark.parametrize("reason", [segment.MISSING, segment.TOO_UNCERTAIN, segment.TOO_LARGE, segment.NOT_TWO])
def test_where_no_lungs_can_be_told_a_slice_is_refused_however_near_it_is(reason: str) -> None:
    near, far = (gate.Glance("ct", {"xray": 2.0, "ct": distance}) for distance in (0.7, 1.1))
    assert bool(diagnose.refusal(near, reason, "ct")) == (reason in (segment.MISSING, segment.TOO_UNCERTAIN))
    assert f"lungs. {reason} Use a whole axial slice" in diagnose.refusal(far, reason, "ct")
    assert not diagnose.refusal(far, "", "ct")
    for glance, modality in ((far, "ct"), (near, "xray")):
        said = diagnose.refusal(glance, reason, modality)
        alone = diagnose.without_advice(said)
        assert "use " in said.lower() and reason in alone and "Use " not in alone


def test_a_slice_without_two_lungs_is_not_judged() -> None:
    for chosen, probability in (((1,), 0.9), ((0,), 0.01)):
        found = verdict.verdict(
            chosen, probability, (0.5, 0.5), 0.9, log_opacity=SEEN, lesser_side=0.2, plausible=False, modality="ct"
        )
        assert found == ("uncertain", verdict.NO_LUNGS)


@pytest.mark.parametrize(
    ("probability", "bound", "shown"),
    [
        (0.29, 0.8, ("29", "80")),
        (0.0312, 0.0284, ("3.1", "2.8")),
        (0.03004, 0.03, ("3.004", "3.000")),
        (0.03, 0.001, ("3.0", "0.1")),
        (0.99, 0.9951, ("99.0", "99.5")),
    ],
)
def test_a_probability_and_its_bound_never_look_the_same(
    probability: float, bound: float, shown: tuple[str, str]
) -> None:
    assert verdict.told_apart(probability, bound) == shown


def test_the_reason_says_both_so_that_they_differ() -> None:
    reason = verdict.verdict(
        (0,), 0.0312, (0.0284, 0.9), 0.5, log_opacity=SEEN, lesser_side=0.2, plausible=True, modality="ct"
    )[1]
    assert "3.1 %" in reason and "2.8 %" in reason


def test_the_style_of_a_box_does_not_depend_on_the_size_at_which_a_model_sees_it() -> None:
    pixels = phantom.xray(3, size=300).pixels
    frame = preprocess.Frame(20, 30, 200, 300, 300)
    own = registry.get(registry.DEFAULT).sizes["xray"]
    crops = [preprocess.stretch(frame.extract(pixels, size), "xray") for size in (own, 128)]
    style = classify.style_of(pixels, frame, "xray")
    assert all(np.array_equal(classify.style_of(pixels, frame, "xray", crop), style) for crop in crops)
    assert not np.allclose(gate.style(preprocess.whole((128, 128)).extract(crops[1], gate.STYLE_SIDE)), style)


def test_a_slice_needs_less_opacity_than_an_xray() -> None:
    between = float(np.log(0.05 + 0.01))
    assert segment.mean_probability(UNSEEN) < segment.VISIBLE["ct"] < segment.VISIBLE["xray"] < 0.2
    assert (
        verdict.verdict(
            (1,), 0.9, (0.5, 0.5), 0.9, log_opacity=between, lesser_side=0.2, plausible=True, modality="ct"
        )[0]
        == "covid"
    )
    assert (
        verdict.verdict(
            (1,), 0.9, (0.5, 0.5), 0.9, log_opacity=between, lesser_side=0.2, plausible=True, modality="xray"
        )[0]
        == "uncertain"
    )


def test_no_percentage_claims_certainty() -> None:
    shown = [report.percent(p) for p in (0.0, 0.004, 0.37, 0.994, 1.0)]
    assert shown == [report.unbroken(p) for p in ("< 1 %", "< 1 %", "37 %", "> 99 %", "> 99 %")]
    assert not any(" " in p for p in shown)  # no line ends between a number and its sign


def test_a_share_rounds_to_none_or_all_only_where_it_is() -> None:
    for digits, shares in (
        (0, {0.0: "0 %", 0.004: "< 1 %", 0.376: "38 %", 0.997: "> 99 %", 1.0: "100 %"}),
        (1, {0.0: "0.0 %", 0.0004: "< 0.1 %", 0.0112: "1.1 %", 0.9994: "> 99.9 %", 1.0: "100.0 %"}),
    ):
        assert all(report.share(value, digits) == report.unbroken(said) for value, said in shares.items())


@pytest.mark.parametrize(("modality", "turned"), [("xray", np.fliplr), ("ct", np.flipud)])
def test_a_second_look_turned_over_is_laid_over_the_first(
    modality: str, turned: Callable[[np.ndarray], np.ndarray]
) -> None:
    crop = np.random.default_rng(0).random((8, 8), np.float32)
    seen = []

    def run(batch: np.ndarray) -> np.ndarray:
        seen.extend(batch[:, 0])
        return batch.reshape(len(batch), 1, 4, 2, 4, 2).mean(axis=(3, 5))

    (cells,) = classify.cells_of(run, crop[None], modality)
    assert np.allclose(cells[0], crop.reshape(4, 2, 4, 2).mean(axis=(1, 3)) * 2 - 1, atol=1e-6)
    assert np.allclose(seen, np.stack([crop, turned(crop)]) * 2 - 1, atol=1e-6)

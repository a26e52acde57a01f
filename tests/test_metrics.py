"""Metrics: hand-computed values, and properties that hold for any input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covid_core import metrics as m

quick = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)
# TP 3, FN 1, FP 2, TN 4.
LABELS = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
PREDICTED = [1, 1, 1, 0, 1, 1, 0, 0, 0, 0]


def two(covid):
    """[N] probability of class 1 -> [N, 2]."""
    covid = np.asarray(covid, float)
    return np.stack([1 - covid, covid], axis=1)


def test_auroc_by_hand():
    # Pairs (positive, negative): .8 beats .4 and .1, .4 ties with .4 and beats .1 -> 3.5 of 4.
    assert m.auroc([0.8, 0.4, 0.4, 0.1], [1, 1, 0, 0]) == pytest.approx(3.5 / 4)


def test_auprc_by_hand():
    # Recall rises by 1/2 at precision 1/1, and by 1/2 at precision 2/3.
    assert m.auprc([0.9, 0.8, 0.7, 0.1], [1, 0, 1, 0]) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_confusion_metrics_by_hand():
    assert m.accuracy(PREDICTED, LABELS) == pytest.approx(0.7)
    assert m.sensitivity(PREDICTED, LABELS) == pytest.approx(3 / 4)
    assert m.specificity(PREDICTED, LABELS) == pytest.approx(4 / 6)
    assert m.f1(PREDICTED, LABELS) == pytest.approx(6 / 9)


def test_predictive_values_by_hand():
    # At the prevalence of the rows themselves they are plain counts.
    assert m.ppv(PREDICTED, LABELS, 0.4) == pytest.approx(3 / 5)
    assert m.npv(PREDICTED, LABELS, 0.4) == pytest.approx(4 / 5)
    assert m.ppv(PREDICTED, LABELS, 0.1) == pytest.approx(0.075 / (0.075 + 0.3))
    assert m.npv(PREDICTED, LABELS, 0.1) == pytest.approx(0.6 / (0.6 + 0.025))
    assert m.ppv(PREDICTED, LABELS, 0) == 0 and m.npv(PREDICTED, LABELS, 0) == 1


def test_nll_and_brier_by_hand():
    p, labels = two([0.8, 0.3]), [1, 0]
    assert m.nll(p, labels) == pytest.approx(-(np.log(0.8) + np.log(0.7)) / 2)
    assert m.brier(p, labels) == pytest.approx((0.2**2 + 0.3**2) / 2)
    assert m.nll(two([0.0]), [1]) == pytest.approx(-np.log(1e-12))
    assert m.brier(two([0.0]), [1]) == 1
    three = np.array([[0.5, 0.25, 0.25]])
    assert m.brier(three, [0]) == pytest.approx((0.25 + 0.0625 + 0.0625) / 2)


def test_reliability_and_ece_by_hand():
    # Predicted class's probabilities .9 .9 (one right), .6 (right), in two bins (0, .5] (.5, 1] or in five.
    p, labels = two([0.9, 0.1, 0.6]), [1, 1, 1]
    assert m.reliability(p, labels, bins=2) == [
        {"low": 0.5, "high": 1.0, "confidence": pytest.approx(0.8), "accuracy": pytest.approx(2 / 3), "n": 3}
    ]
    low, high = m.reliability(p, labels, bins=5)
    assert (low["low"], low["high"], low["n"], low["accuracy"]) == (0.4, 0.6, 1, 1)
    assert (high["low"], high["high"], high["n"], high["accuracy"]) == (0.8, 1.0, 2, 0.5)
    # In fifteen bins .9 .9 are in one; .61 .62 .65 too.
    assert m.ece(p, labels) == pytest.approx(1 / 3 * 0.4 + 2 / 3 * 0.4)
    assert m.ece(two([0.61, 0.62, 0.65]), [1, 1, 0]) == pytest.approx(2 / 3 - 1.88 / 3)
    assert m.ece(two([1.0, 0.0]), [1, 0]) == 0


def test_risk_coverage_by_hand():
    confidence, correct = [0.6, 0.9, 0.8, 0.7], [False, True, False, True]
    coverage, risk = m.risk_coverage(confidence, correct)
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 1 / 2, 1 / 3, 2 / 4])
    assert m.aurc(confidence, correct) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert m.risk_at_coverage(confidence, correct, 0.5) == pytest.approx(1 / 2)
    assert m.risk_at_coverage(confidence, correct, 0.6) == pytest.approx(1 / 3)
    assert m.risk_at_coverage(confidence, correct) == pytest.approx(1 / 2)
    assert m.risk_at_coverage(confidence, correct, 1e-12) == 0


def test_tied_rows_share_their_errors():
    np.testing.assert_allclose(m.risk_coverage([0.9, 0.5, 0.5], [True, False, True])[1], [0, 0.5 / 2, 1 / 3])
    # Bool confidence cannot be negated in numpy.
    np.testing.assert_allclose(m.risk_coverage([True, False], [True, False])[1], [0, 0.5])


def test_floats_do_not_ask_for_one_row_more():
    assert 0.07 * 100 > 7
    correct = np.arange(100) < 7
    assert m.risk_at_coverage(np.arange(100, 0, -1), correct, 0.07) == 0
    assert m.risk_at_coverage(np.arange(100, 0, -1), correct, 0.08) == pytest.approx(1 / 8)


def test_auroc_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    scores, labels = random.integers(0, 20, 300) / 20, random.integers(0, 2, 300)
    assert m.auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_misclassification_auroc_by_hand():
    assert m.misclassification_auroc([0.9, 0.2, 0.5, 0.1], [False, True, True, False]) == pytest.approx(2 / 4)


def test_dice_by_hand():
    a, b = np.array([[1, 1], [1, 0]], bool), np.array([[1, 0], [1, 1]], bool)
    assert m.dice(a, b) == pytest.approx(4 / 6)
    assert m.dice(a, ~a) == 0
    assert m.dice(a, np.zeros_like(a)) == 0
    # Pooled, not averaged: (2 * (2 + 1)) / ((3 + 3) + (1 + 1)).
    assert m.dice(np.stack([a, ~a]), np.stack([b, ~a])) == pytest.approx(6 / 8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_infnet_mean_dice_by_hand(dtype):
    # Scaled to 0, 102/255, 1. Inside: the last. t = 0: Dice 2/(1+3); 1/255..102/255: 2/(1+2); above: 2/(1+1).
    values, mask = np.array([[10, 112, 265]], dtype) / dtype(300), np.array([[False, False, True]])
    expected = (1 * 2 / 4 + 102 * 2 / 3 + 153 * 1) / 256
    assert m.mean_dice_over_thresholds([values], [mask]) == pytest.approx(expected, abs=1e-12)
    # A constant map is all background but at t = 0.
    flat = np.full((1, 3), 0.9)
    assert m.mean_dice_over_thresholds([flat], [mask]) == pytest.approx(2 / 4 / 256)
    assert m.mean_dice_over_thresholds([values, flat], [mask, mask]) == pytest.approx((expected + 2 / 4 / 256) / 2)


def test_dice_at_by_hand():
    maps = [np.array([[0.5, 0.4, 0.9]]), np.array([[0.1, 0.2]])]
    masks = [np.array([[True, True, True]]), np.array([[True, False]])]
    assert m.dice_at(maps, masks) == pytest.approx((4 / 5 + 0) / 2)
    assert m.dice_at(maps, masks, 0.1) == pytest.approx((1 + 2 / 3) / 2)


def mean(x):
    return float(np.mean(x))


def test_bootstrap_of_a_mean_is_the_textbook_interval():
    x = np.random.default_rng(0).normal(5, 2, 400)
    low, high = m.bootstrap(mean, x, n=2000)
    half = 1.96 * x.std() / 20
    assert low == pytest.approx(x.mean() - half, abs=0.03) and high == pytest.approx(x.mean() + half, abs=0.03)
    assert m.bootstrap(mean, x, n=50) == m.bootstrap(mean, x, n=50) != m.bootstrap(mean, x, n=50, seed=1)


def test_bootstrap_draws_whole_groups():
    groups = np.repeat(["a", "b", "c", "d"], [10, 10, 10, 10])
    x = np.repeat([0.0, 0, 1, 1], 10)
    means = []
    m.bootstrap(lambda v, g: means.append(mean(v)) or mean(v), x, groups, groups=groups, n=100)
    assert set(means) <= {0, 0.25, 0.5, 0.75, 1}
    wide, narrow = m.bootstrap(mean, x, groups=groups, n=300), m.bootstrap(mean, x, n=300)
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])
    sizes = set()
    m.bootstrap(lambda v: sizes.add(len(v)) or 0.0, np.arange(5), groups=[7, 3, 7, 7, 7], n=50)
    assert sizes == {2, 5, 8}


def test_bootstrap_keeps_rows_together_and_draws_undefined_resamples_again():
    labels, scores = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.3, 0.9])
    assert m.bootstrap(m.auroc, scores, labels, n=200) == (1, 1)
    calls = []

    def statistic(y):
        calls.append(y)
        return 1.0 if 0 in y else float("nan")

    assert m.bootstrap(statistic, labels[1:], n=100) == (1, 1)
    assert len(calls) > 100 and 2 in {int(y.sum()) for y in calls}


def test_bootstrap_gives_up():
    with pytest.raises(ValueError, match="only one is present"):
        m.bootstrap(m.auroc, [0.1, 0.2], [1, 1], n=5)
    with pytest.raises(ValueError, match="undefined in all but 0 of 55"):
        m.bootstrap(lambda x: float("nan"), [0.1, 0.2], n=5)


@quick
@given(seeds, st.integers(10, 40))
def test_order_of_rows_has_no_say(seed, n):
    random = np.random.default_rng(seed)
    covid, labels = random.random(n).round(1), np.arange(n) % 2
    called, order = (covid > 0.5).astype(int), random.permutation(n)
    p, right = two(covid), called == labels
    for function, arrays in [
        (m.auroc, (covid, labels)),
        (m.auprc, (covid, labels)),
        (m.accuracy, (called, labels)),
        (m.nll, (p, labels)),
        (m.brier, (p, labels)),
        (m.ece, (p, labels)),
        (m.aurc, (p.max(axis=1), right)),
        (m.risk_at_coverage, (p.max(axis=1), right)),
    ]:
        value = function(*arrays)
        assert function(*(a[order] for a in arrays)) == pytest.approx(value)
        assert 0 <= value <= (28 if function is m.nll else 1 + 1e-9)


@quick
@given(seeds)
def test_mask_identities(seed):
    random = np.random.default_rng(seed)
    a, b = random.random((2, 6, 6)) > 0.4
    j = (a & b).sum() / (a | b).sum()
    assert m.dice(a, b) == pytest.approx(2 * j / (1 + j)) == m.dice(b, a)
    values = random.random((6, 6)) + 0.1 * a
    # The measure's thresholds are relative to the map's own range, so it cannot tell a scaled map from the map.
    assert m.mean_dice_over_thresholds([values], [a]) == pytest.approx(
        m.mean_dice_over_thresholds([0.5 * values + 0.2], [a]), abs=1e-3
    )


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (m.auroc, ([0.1, 0.2], [1, 1])),
        (m.auroc, ([], [])),
        (m.auroc, ([0.1, np.nan], [0, 1])),
        (m.auroc, ([0.1, 0.2], [0, 2])),
        (m.auroc, ([[0.1, 0.2]], [[0, 1]])),
        (m.auprc, ([0.1, 0.2], [0, 0])),
        (m.auprc, ([0.1, 0.2], [0, 1, 1])),
        (m.accuracy, ([], [])),
        (m.accuracy, ([0.3, 0.7], [0, 1])),
        (m.sensitivity, ([0, 1], [0, 0])),
        (m.specificity, ([0, 1], [1, 1])),
        (m.ppv, ([0, 0], [0, 1], 0.1)),
        (m.ppv, ([0, 1], [0, 1], 1.1)),
        (m.npv, ([1, 1], [0, 1], 0.1)),
        (m.f1, ([0, 0], [0, 0])),
        (m.nll, (np.zeros((0, 2)), [])),
        (m.nll, (np.array([0.2, 0.8]), [0, 1])),
        (m.brier, (np.ones((2, 2)), [0, 1])),
        (m.brier, (two([0.2, 0.8]), [0, 2])),
        (m.ece, (two([0.2, 0.8]), [0])),
        (m.reliability, (two([0.2, 0.8]), [0, 1], 0)),
        (m.risk_coverage, ([], [])),
        (m.aurc, ([0.1], [True, False])),
        (m.risk_at_coverage, ([0.1], [True], 0.0)),
        (m.misclassification_auroc, ([0.1, 0.2], [True, True])),
        (m.dice, (np.zeros((2, 2)), np.zeros((2, 2)))),
        (m.dice, (np.ones((2, 2)), np.ones(4))),
        (m.mean_dice_over_thresholds, ([], [])),
        (m.mean_dice_over_thresholds, ([np.ones((2, 2))], [np.zeros((2, 2))])),
        (m.dice_at, ([np.ones((2, 2))], [np.ones((2, 3))])),
        (m.dice_at, ([np.ones((2, 2))], [])),
        (m.dice_at, ([np.full((2, 2), np.nan)], [np.ones((2, 2))])),
        (m.bootstrap, (mean,)),
        (m.bootstrap, (mean, [])),
        (m.bootstrap, (mean, [1.0])),
        (m.bootstrap, (mean, 1.0)),
        (m.bootstrap, (mean, [1.0, 2.0], [1.0])),
    ],
)
def test_bad_input_is_refused(function, arguments):
    with pytest.raises(ValueError):
        function(*arguments)


@pytest.mark.parametrize("options", [{"n": 0}, {"groups": [0]}, {"groups": [0, 0]}])
def test_bootstrap_refuses_bad_options(options):
    with pytest.raises(ValueError):
        m.bootstrap(mean, [1.0, 2.0], **options)


def test_balanced_accuracy_by_hand():
    assert m.balanced_accuracy(PREDICTED, LABELS) == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert m.balanced_accuracy(np.array(["a", "b", "a"]), np.array(["a", "a", "c"])) == pytest.approx((1 / 2 + 0) / 2)

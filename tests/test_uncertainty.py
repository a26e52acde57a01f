"""Uncertainty: hand-computed values, and properties that hold for any input."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from covid_core import uncertainty as u

quick = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def two(covid):
    """[...] probability of class 1 -> [..., 2]."""
    covid = np.asarray(covid, float)
    return np.stack([1 - covid, covid], axis=-1)


def test_entropy_by_hand():
    p = np.array([[0.5, 0.5], [1, 0], [0.25, 0.75]])
    np.testing.assert_allclose(u.entropy(p), [1, 0, 0.25 * 2 + 0.75 * np.log2(4 / 3)])
    assert not np.signbit(u.entropy(p[1]))
    np.testing.assert_allclose(u.entropy(np.full(8, 1 / 8)), 3)
    assert u.entropy(np.full((4, 5, 2), 0.5)).shape == (4, 5)


def test_summary_of_samples_that_disagree_is_all_epistemic():
    s = u.summarise(two([0, 1, 0, 1]))
    np.testing.assert_allclose(s.mean, [0.5, 0.5])
    assert (s.total, s.aleatoric, s.epistemic) == (1, 0, 1)
    assert s.interval == (0, 1)


def test_summary_of_samples_that_agree_is_all_aleatoric():
    s = u.summarise(two([0.5, 0.5]))
    assert (s.total, s.aleatoric, s.epistemic) == (1, 1, 0)
    assert s.samples.dtype == np.float32 and s.samples.tolist() == [0.5, 0.5]


def test_interval_is_central():
    s = u.summarise(two(np.linspace(0, 1, 101)), level=0.8)
    np.testing.assert_allclose(s.interval, (0.1, 0.9))


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), seeds)
def test_summary_properties(covid, seed):
    s = u.summarise(two(covid))
    assert 0 <= s.aleatoric <= 1 + 1e-9 and 0 <= s.total <= 1 + 1e-9
    assert 0 <= s.epistemic <= 1 + 1e-9
    assert s.total == pytest.approx(s.aleatoric + s.epistemic, abs=1e-9)
    assert min(covid) - 1e-9 <= s.interval[0] <= s.interval[1] <= max(covid) + 1e-9
    shuffled = u.summarise(two(np.random.default_rng(seed).permutation(covid)))
    np.testing.assert_allclose(shuffled.mean, s.mean)
    assert shuffled.interval == s.interval
    assert shuffled.epistemic == pytest.approx(s.epistemic, abs=1e-9)


@pytest.mark.parametrize("samples", [np.zeros((0, 2)), np.zeros(2), np.ones((3, 1)), np.ones((3, 2)), two([np.nan])])
def test_summary_refuses_what_are_no_probabilities(samples):
    with pytest.raises(ValueError):
        u.summarise(samples)


@pytest.mark.parametrize("level", [0, 1, 90])
def test_summary_refuses_a_level_outside_0_to_1(level):
    with pytest.raises(ValueError, match="level"):
        u.summarise(two([0.5]), level)


def rows_calibrated_at(t):
    """Rows whose labels occur exactly as often as softmax(logits / t) says, so t is the optimum without any noise."""
    hits = np.repeat(np.arange(1, 20), 20)
    labels = (np.tile(np.arange(20), 19) < hits).astype(int)
    p = hits / 20
    return np.stack([np.zeros_like(p), t * np.log(p / (1 - p))], axis=1), labels


@quick
@given(st.floats(0.1, 10))
def test_temperature_is_recovered(t):
    assert u.temperature(*rows_calibrated_at(t)) == pytest.approx(t, rel=0.01)


@pytest.mark.parametrize("t", [0.5, 1.0, 3.0])
def test_temperature_is_recovered_from_drawn_labels(t):
    random = np.random.default_rng(0)
    logits = random.normal(0, 2 * t, (20000, 2))
    labels = random.random(20000) < softmax(logits / t, axis=-1)[:, 1]
    assert u.temperature(logits, labels) == pytest.approx(t, rel=0.05)


@pytest.mark.parametrize("t", [0.5, 3.0])
def test_temperature_is_recovered_from_samples(t):
    random = np.random.default_rng(1)
    logits = t * (random.normal(0, 3, (20000, 1, 2)) + random.normal(0, 0.7, (20000, 7, 2)))
    labels = random.random(20000) < softmax(logits / t, axis=-1).mean(axis=1)[:, 1]
    assert u.temperature(logits, labels) == pytest.approx(t, rel=0.05)


def test_temperature_of_equal_samples_is_that_of_one():
    logits, labels = rows_calibrated_at(2.0)
    assert u.temperature(np.repeat(logits[:, None], 3, axis=1), labels) == pytest.approx(2.0, rel=1e-3)


def test_temperature_ends_at_its_bounds():
    logits = np.array([[0.0, 5.0], [5.0, 0.0]])
    assert u.temperature(logits, [1, 0]) == pytest.approx(0.05, rel=0.2)
    assert u.temperature(logits, [0, 1]) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((0, 2)), []),
        (np.zeros((2, 2)), [0]),
        (np.zeros((2, 2)), [0, 2]),
        (np.zeros((2, 2)), [0, 0.5]),
        (np.zeros(2), [0, 1]),
        (np.full((2, 2), np.inf), [0, 1]),
    ],
)
def test_temperature_refuses_bad_input(logits, labels):
    with pytest.raises(ValueError):
        u.temperature(logits, labels)


def test_conformal_scores_by_hand():
    scores = u.conformal_scores(two([0.1, 0.4, 0.7, 0.9, 0.2]), [0, 0, 1, 1, 0])
    assert {c: s.tolist() for c, s in scores.items()} == {0: [0.1, 0.2, 0.4], 1: [0.1, 0.3]}


def test_prediction_set_by_hand():
    scores = {0: [0.1, 0.2, 0.4, 0.6], 1: [0.1, 0.3, 0.5, 0.7]}
    # p = .55: class 1 scores .45, two as bad, (1 + 2) / 5 = .6; class 0 scores .55, one as bad, (1 + 1) / 5 = .4
    p = two(0.55)
    assert u.prediction_set(p, scores, 0.5) == (1,)
    assert u.prediction_set(p, scores, 0.7) == (0, 1)
    assert u.prediction_set(p, scores, 0.3) == ()
    assert u.prediction_set(two(0.05), scores, 0.5) == (0,)


def test_p_value_must_exceed_one_minus_level_whatever_floats_say():
    scores = {c: np.linspace(0.0, 0.4, 9) for c in (0, 1)}  # nine rows: the worst p-value is exactly .1
    assert 1 - 0.9 < 0.1
    assert u.prediction_set(two(0.5), scores, 0.9) == ()
    assert u.prediction_set(two(0.5), scores, 0.91) == (0, 1)


def test_ties_enlarge_the_set_also_after_json():
    p = two([1 / 3, 2 / 3, 1 / 7])
    scores = u.conformal_scores(p, [0, 1, 1])
    stored = {int(c): s for c, s in json.loads(json.dumps({c: s.tolist() for c, s in scores.items()})).items()}
    # The row of class 0 itself: its score ties with the only one, (1 + 1) / 2 = 1; a hair worse gives 1 / 2.
    assert 0 in u.prediction_set(p[0], stored, 0.1)
    assert 0 not in u.prediction_set(two(1 / 3 + 1e-5), stored, 0.1)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_conformal_coverage_holds_for_each_class(level):
    random = np.random.default_rng(3)

    def draw(n):
        labels = (random.random(n) < 0.2).astype(int)
        # Different spreads, and far from calibrated: coverage needs neither.
        return two(1 / (1 + np.exp(-random.normal(2 * labels - 1, 1 + labels)))), labels

    scores = u.conformal_scores(*draw(8000))
    p, labels = draw(8000)
    found = np.array([[c in s for c in (0, 1)] for s in (u.prediction_set(row, scores, level) for row in p)])
    for c in (0, 1):
        assert found[labels == c, c].mean() == pytest.approx(level, abs=0.03)


def test_conformal_coverage_of_few_rows_is_not_below_the_level():
    random = np.random.default_rng(4)
    hits = []
    for _ in range(1500):
        p = two(random.random(11).round(1))  # many ties
        scores = u.conformal_scores(p[:10], np.repeat([0, 1], 5))
        hits.append(1 in u.prediction_set(p[10], scores, 0.7))
    assert np.mean(hits) >= 0.7 - 0.02


@quick
@given(seeds, st.floats(0.01, 0.99), st.floats(0.05, 0.9), st.floats(0.01, 0.09))
def test_sets_ignore_order_and_grow_with_the_level(seed, covid, level, more):
    random = np.random.default_rng(seed)
    p, labels = two(random.random(30)), np.repeat([0, 1], 15)
    order = random.permutation(30)
    scores, shuffled = u.conformal_scores(p, labels), u.conformal_scores(p[order], labels[order])
    small = u.prediction_set(two(covid), scores, level)
    assert small == u.prediction_set(two(covid), shuffled, level)
    assert set(small) <= set(u.prediction_set(two(covid), scores, level + more))


def test_conformal_refuses_bad_input():
    with pytest.raises(ValueError, match="no calibration rows"):
        u.conformal_scores(two([0.2, 0.3]), [0, 0])
    with pytest.raises(ValueError):
        u.conformal_scores(two([0.2, 0.3]), [0])
    with pytest.raises(ValueError):
        u.conformal_scores(np.array([0.2, 0.3]), [0, 1])
    with pytest.raises(ValueError, match="class 1"):
        u.prediction_set(two(0.5), {0: [0.1]}, 0.9)
    with pytest.raises(ValueError, match="level"):
        u.prediction_set(two(0.5), {0: [0.1], 1: [0.1]}, 1.0)
    with pytest.raises(ValueError, match="sum to 1"):
        u.prediction_set(np.array([2.0, 3.0]), {0: [0.1], 1: [0.1]}, 0.9)


def test_dropout_masks():
    masks = u.dropout_masks(200, 500, 0.2, seed=7)
    assert masks.shape == (200, 500) and masks.dtype == np.float32
    assert np.unique(masks).tolist() == [0, 1.25]
    assert masks.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(masks, u.dropout_masks(200, 500, 0.2, seed=7))
    assert (masks != u.dropout_masks(200, 500, 0.2, seed=8)).any()
    assert (u.dropout_masks(3, 4, 0, seed=0) == 1).all()


@pytest.mark.parametrize("arguments", [(0, 4, 0.5), (4, 0, 0.5), (4, 4, 1.0), (4, 4, -0.1)])
def test_dropout_masks_refuse_bad_numbers(arguments):
    with pytest.raises(ValueError):
        u.dropout_masks(*arguments, seed=0)

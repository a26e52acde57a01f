"""From samples of class probabilities to a mean, bars, two kinds of uncertainty and a prediction set.

Classes are 0 `non_covid` and 1 `covid`. Entropies are in bits, so two classes span 0 to 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covid_core.preprocess import quantiles

Array = NDArray[Any]
TEMPERATURES = (0.05, 20.0)
DOUBT = 0.5  # bits of total entropy above which an answer counts as uncertain in USen, USpe, UPre and UAcc
DIGITS = 6  # conformal scores are kept and compared on this grid, so a tie stays a tie after a trip through a JSON file


@dataclass(frozen=True)
class Summary:
    """What the samples of one image say together.

    Attributes:
        mean: [C] float64, mean probability of each class.
        interval: (low, high), the central part of the samples' COVID-19 probability.
        total: entropy of the mean, bits.
        aleatoric: mean entropy of the samples, bits: what every sample finds ambiguous.
        epistemic: mutual information, total - aleatoric, bits: what the samples disagree about.
        samples: [S] float32, COVID-19 probability of each sample.
    """

    mean: NDArray[np.float64]
    interval: tuple[float, float]
    total: float
    aleatoric: float
    epistemic: float
    samples: NDArray[np.float32]


def entropy(p: Array) -> NDArray[np.float64]:
    """Shannon entropy in bits, with 0 log 0 = 0.

    Args:
        p: [..., C] float in 0..1, sums to 1 over the last axis.

    Returns:
        [...] float64 in 0..log2(C).
    """
    p = np.asarray(p, np.float64)
    bits = -(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=-1)
    # Also turns the -0.0 of a certain answer into 0.
    return np.asarray(np.maximum(bits, 0.0))


def summarise(samples: Array, level: float = 0.90) -> Summary:
    """Mean, central interval and the split of the entropy.

    The split is that of Depeweg 2018, "Decomposition of uncertainty in Bayesian deep learning",
    https://proceedings.mlr.press/v80/depeweg18a.html.

    Args:
        samples: [S, C] float, probabilities, sum to 1 over the last axis.
        level: share of the samples inside the interval, 0 to 1 exclusive.

    Raises:
        ValueError: not such an array, or such a level.
    """
    _check_level(level)
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 2 or samples.shape[0] < 1 or samples.shape[1] < 2:
        raise ValueError(f"Samples must be [S, C] with S >= 1 and C >= 2, not {list(samples.shape)}.")
    check_probabilities(samples)
    mean = samples.mean(axis=0)
    low, high = quantiles(samples[:, 1], [(1 - level) / 2, (1 + level) / 2])
    total, aleatoric = float(entropy(mean)), float(entropy(samples).mean())
    return Summary(
        mean=mean,
        interval=(float(low), float(high)),
        total=total,
        aleatoric=aleatoric,
        # Entropy is concave, so only rounding can make this negative.
        epistemic=max(0.0, total - aleatoric),
        samples=samples[:, 1].astype(np.float32),
    )


def temperature(logits: Array, labels: ArrayLike) -> float:
    """Fit the temperature that makes the labels most likely.

    Minimises the mean of -ln p(label), p = mean over samples of softmax(logits / T), over T in 0.05..20. Where no
    minimum lies inside, as on rows that are all right, the answer is near a bound. Guo 2017, "On calibration of modern
    neural networks", https://arxiv.org/abs/1706.04599; tempering each sample before the mean is Rahaman 2021,
    "Uncertainty quantification and deep ensembles", https://arxiv.org/abs/2007.08792.

    Args:
        logits: [N, C] float, or [N, S, C] for S samples a row.
        labels: [N] int in 0..C-1.

    Raises:
        ValueError: shapes or labels that do not fit, or logits that are not finite.
    """
    logits = np.asarray(logits, np.float64)
    if logits.ndim == 2:
        logits = logits[:, None, :]
    if logits.ndim != 3 or logits.shape[1] < 1 or logits.shape[2] < 2:
        raise ValueError(f"Logits must be [N, C] or [N, S, C] with C >= 2, not {list(np.shape(logits))}.")
    known = check_labels(labels, logits.shape[0], logits.shape[2])
    if not np.isfinite(logits).all():
        raise ValueError("Some logits are not finite.")
    from scipy.optimize import minimize_scalar

    # Only differences to the true class matter: ln p(label) = -ln sum_c exp((z_c - z_label) / T).
    gaps = logits - np.take_along_axis(logits, known[:, None, None], axis=2)

    def loss(log_t: float) -> float:
        each = -np.logaddexp.reduce(gaps / np.exp(log_t), axis=2)
        together = np.logaddexp.reduce(each, axis=1) - np.log(each.shape[1])
        return -float(together.mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def conformal_scores(probabilities: Array, labels: ArrayLike) -> dict[int, NDArray[np.float64]]:
    """How badly each calibration row fits its own class: 1 - p(true class).

    Args:
        probabilities: [N, C] float, sum to 1 over the last axis.
        labels: [N] int in 0..C-1.

    Returns:
        For each class [n_c] float64, ascending, rounded to six digits.

    Raises:
        ValueError: shapes or labels that do not fit, or a class without rows.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(f"Probabilities must be [N, C] with C >= 2, not {list(probabilities.shape)}.")
    known = check_labels(labels, *probabilities.shape)
    check_probabilities(probabilities)
    scores = {c: _nonconformity(np.sort(1 - probabilities[known == c, c])) for c in range(probabilities.shape[1])}
    for c, values in scores.items():
        if not len(values):
            raise ValueError(f"Class {c} has no calibration rows; without any it could never be ruled out.")
    return scores


def prediction_set(probability: Array, scores: Mapping[int, ArrayLike], level: float) -> tuple[int, ...]:
    """Name the classes that cannot be ruled out at this level.

    Class c is in the set when its p-value exceeds 1 - level:

        (1 + #{calibration rows of c whose score >= 1 - p_c}) / (n_c + 1) > 1 - level

    For rows exchangeable with the calibration rows of their class, the true class is then in the set with probability
    `level` or more, for each class on its own. Rows that stand in the calibration several times, to count more, make that
    approximate: the new row counts once. A calibration row with the very same score counts as one that fits as
    badly or worse, which can only enlarge the set. An empty set means the probability is atypical of every class.
    Vovk 2012, "Conditional validity of inductive conformal predictors",
    https://proceedings.mlr.press/v25/vovk12.html.

    Args:
        probability: [C] float, sums to 1.
        scores: from `conformal_scores`.
        level: 0 to 1 exclusive.

    Raises:
        ValueError: no such level, not such an array, or a class without scores.
    """
    _check_level(level)
    probability = np.asarray(probability, np.float64)
    if probability.ndim != 1 or len(probability) < 2:
        raise ValueError(f"The probability must be [C] with C >= 2, not {list(probability.shape)}.")
    check_probabilities(probability)
    chosen = []
    for c, score in enumerate(_nonconformity(1 - probability)):
        calibration = np.asarray(scores.get(c, ()), np.float64)
        if not len(calibration):
            raise ValueError(f"There are no calibration scores of class {c}.")
        as_bad = 1 + np.count_nonzero(calibration >= score)
        # The margin is for 1 - level, which in floats may fall just short: 1 - 0.9 < 0.1.
        if as_bad > (1 - level) * (len(calibration) + 1) + 1e-9:
            chosen.append(c)
    return tuple(chosen)


def dropout_masks(samples: int, features: int, rate: float, seed: int) -> NDArray[np.float32]:
    """Masks to multiply features with: 0 where dropped, 1 / (1 - rate) where kept, so that the mean stays.

    Args:
        samples: T, number of masks, at least 1.
        features: F, length of a mask, at least 1.
        rate: chance of being dropped, 0 (included) to 1 (excluded).
        seed: the same seed gives the same masks.

    Returns:
        [T, F] float32.

    Raises:
        ValueError: a number outside its range.
    """
    if samples < 1 or features < 1:
        raise ValueError(f"Masks need at least one sample and one feature, not {samples} and {features}.")
    if not 0 <= rate < 1:
        raise ValueError(f"The dropout rate must be at least 0 and below 1, not {rate}.")
    kept = np.random.default_rng(seed).random((samples, features)) >= rate
    return (kept / (1 - rate)).astype(np.float32)


def _nonconformity(values: NDArray[np.float64]) -> NDArray[np.float64]:
    rounded: NDArray[np.float64] = np.round(values, DIGITS)
    return rounded


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"The level must lie between 0 and 1, for example 0.9, not {level}.")


def check_probabilities(p: NDArray[np.float64]) -> None:
    """Raise ValueError unless [..., C] float is not negative and sums to 1 over the last axis."""
    # Written so that NaN fails; float16 heads are allowed their rounding.
    if not ((p >= -1e-6).all() and (np.abs(p.sum(axis=-1) - 1) < 1e-3).all()):
        raise ValueError("Probabilities must not be negative and must sum to 1; pass logits through a softmax first.")


def check_labels(labels: ArrayLike, rows: int, classes: int) -> NDArray[np.int64]:
    """Return the labels as [rows] int64; ValueError unless they fit and lie in 0..classes-1."""
    known = np.asarray(labels)
    if known.shape != (rows,) or rows == 0:
        raise ValueError(f"There must be one label a row and at least one row, not {list(known.shape)} for {rows}.")
    if not np.isin(known, np.arange(classes)).all():
        raise ValueError(f"Labels must be whole numbers from 0 to {classes - 1}.")
    return known.astype(np.int64)

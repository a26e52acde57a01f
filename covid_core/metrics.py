"""How good answers, their uncertainty and their masks are.

Classes are 0 `non_covid` and 1 `covid`, the positive one. A metric that its input leaves undefined raises ValueError,
so no table holds a number that means nothing; `bootstrap` draws such resamples again.
`doi:X` is at https://doi.org/X.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covid_core.uncertainty import check_labels, check_probabilities

Array = NDArray[Any]
Floats = NDArray[np.float64]
LEVEL = 0.95  # of the intervals of `bootstrap`


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive row scores above a negative one, ties counting half.

    Args: scores [N] float, higher is more positive; labels [N] 0 or 1, both present.
    Hanley 1982, doi:10.1148/radiology.143.1.7063747.
    """
    values, known = _scores(scores, labels)
    from scipy.stats import rankdata

    # By ranks: a bootstrap calls it a thousand times, and scikit-learn's takes several times as long.
    positives, negatives = int(known.sum()), int((~known).sum())
    above = rankdata(values)[known].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def auprc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Average precision: sum over thresholds of (recall_n - recall_(n-1)) * precision_n, without interpolation.

    Args: scores [N] float, higher is more positive; labels [N] 0 or 1, both present.
    Davis 2006, doi:10.1145/1143844.1143874; scikit-learn's `average_precision_score`.
    """
    values, known = _scores(scores, labels)
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(known, values))


def accuracy(predicted: ArrayLike, labels: ArrayLike) -> float:
    """(TP + TN) / N.

    Args: predicted [N] and labels [N], 0 or 1. Fawcett 2006, doi:10.1016/j.patrec.2005.10.010.
    """
    tp, _, _, tn = _confusion(predicted, labels)
    return (tp + tn) / np.size(labels)


def balanced_accuracy(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Share of each class that is named rightly, mean over the classes there are.

    Args:
        predicted: [N] of any kind.
        labels: [N] of the same, at least one.
    """
    named, own = np.asarray(predicted), np.asarray(labels)
    if not own.size:
        raise ValueError("Balanced accuracy is not defined without images.")
    return float(np.mean([np.mean(named[own == label] == label) for label in np.unique(own)]))


def sensitivity(predicted: ArrayLike, labels: ArrayLike) -> float:
    """TP / (TP + FN), the share of COVID-19 found.

    Args: predicted [N] and labels [N], 0 or 1; at least one label 1. Altman 1994, doi:10.1136/bmj.308.6943.1552.
    """
    tp, _, fn, _ = _confusion(predicted, labels)
    return _ratio(tp, tp + fn, "sensitivity", "no row is labelled covid")


def specificity(predicted: ArrayLike, labels: ArrayLike) -> float:
    """TN / (TN + FP), the share of the others left alone.

    Args: predicted [N] and labels [N], 0 or 1; at least one label 0. Altman 1994, doi:10.1136/bmj.308.6943.1552.
    """
    _, fp, _, tn = _confusion(predicted, labels)
    return _ratio(tn, tn + fp, "specificity", "no row is labelled non_covid")


def ppv(predicted: ArrayLike, labels: ArrayLike, prevalence: float) -> float:
    """Positive predictive value where a share q has COVID-19: sens q / (sens q + (1 - spec) (1 - q)).

    Args: predicted [N] and labels [N], 0 or 1, both labels present; prevalence q, 0 to 1.
    Altman 1994, doi:10.1136/bmj.309.6947.102.
    """
    right, wrong = sensitivity(predicted, labels), 1 - specificity(predicted, labels)
    return predictive_value(right, wrong, prevalence)


def npv(predicted: ArrayLike, labels: ArrayLike, prevalence: float) -> float:
    """Negative predictive value where a share q has COVID-19: spec (1 - q) / (spec (1 - q) + (1 - sens) q).

    Args: predicted [N] and labels [N], 0 or 1, both labels present; prevalence q, 0 to 1.
    Altman 1994, doi:10.1136/bmj.309.6947.102.
    """
    right, wrong = specificity(predicted, labels), 1 - sensitivity(predicted, labels)
    return predictive_value(right, wrong, 1 - prevalence)


def predictive_value(right: float, wrong: float, prevalence: float) -> float:
    """By Bayes' rule the share of answers that are right, where a share q of the people are those they hold for.

    Args: right, share of these people who get the answer; wrong, share of the others who do; prevalence q, 0 to 1.
    """
    if not 0 <= prevalence <= 1:
        raise ValueError("The prevalence must lie in 0..1.")
    given = right * prevalence + wrong * (1 - prevalence)
    return _ratio(right * prevalence, given, "predictive value", "nobody gets the answer")


def f1(predicted: ArrayLike, labels: ArrayLike) -> float:
    """2 TP / (2 TP + FP + FN), for the class covid.

    Args: predicted [N] and labels [N], 0 or 1; at least one label 1.
    van Rijsbergen 1979, "Information retrieval", chapter 7.
    """
    tp, fp, fn, _ = _confusion(predicted, labels)
    if not tp + fn:
        raise ValueError("F1 says nothing about the model where no row is labelled covid.")
    return 2 * tp / (2 * tp + fp + fn)


def nll(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Negative log likelihood, the mean of -ln p(label), p kept above 1e-12.

    Args: probabilities [N, C], rows sum to 1; labels [N] in 0..C-1. Good 1952, doi:10.1111/j.2517-6161.1952.tb00104.x.
    """
    p, known = _probabilities(probabilities, labels)
    return -float(np.log(np.maximum(p[np.arange(len(p)), known], 1e-12)).mean())


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Half of Brier's score, mean of sum_c (p_c - [label = c])^2 / 2: for two classes (p_1 - label)^2, in 0..1.

    Args: probabilities [N, C], rows sum to 1; labels [N] in 0..C-1.
    Brier 1950, doi:10.1175/1520-0493(1950)078%3C0001:VOFEIT%3E2.0.CO;2.
    """
    p, known = _probabilities(probabilities, labels)
    return float(((p - np.eye(p.shape[1])[known]) ** 2).sum(axis=1).mean() / 2)


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> list[dict[str, float]]:
    """Confidence against accuracy in bins of equal width (low, high] of the predicted class's probability.

    Args: probabilities [N, C], rows sum to 1; labels [N] in 0..C-1; bins, at least 1.
    Returns: low, high, mean confidence, accuracy and n of each bin that has rows, ascending.
    Niculescu-Mizil 2005, doi:10.1145/1102351.1102430.
    """
    p, known = _probabilities(probabilities, labels)
    if bins < 1:
        raise ValueError(f"There must be at least one bin, not {bins}.")
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == known
    edges = np.arange(bins + 1) / bins
    which = np.digitize(confidence, edges[1:-1], right=True)
    rows: list[dict[str, float]] = []
    for b in np.unique(which):
        sure, right = float(confidence[which == b].mean()), float(correct[which == b].mean())
        low, high, n = float(edges[b]), float(edges[b + 1]), int((which == b).sum())
        rows.append({"low": low, "high": high, "confidence": sure, "accuracy": right, "n": n})
    return rows


def ece(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """ECE, expected calibration error: sum over the bins of `reliability` of n_b / N * |accuracy_b - confidence_b|.

    Args: probabilities [N, C], rows sum to 1; labels [N] in 0..C-1.
    Naeini 2015, doi:10.1609/aaai.v29i1.9602; Guo 2017, arXiv:1706.04599.
    """
    rows = reliability(probabilities, labels)
    return sum(r["n"] * abs(r["accuracy"] - r["confidence"]) for r in rows) / sum(r["n"] for r in rows)


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    """Error rate among the k most confident rows, for k = 1..N; rows of equal confidence share their errors evenly.

    Args: confidence [N] float, higher is surer; correct [N] bool.
    Returns: coverage [N] = k / N and risk [N] = errors among those k / k.
    El-Yaniv 2010, https://jmlr.org/papers/v11/el-yaniv10a.html.
    """
    sure, right = _columns(confidence, correct)
    # Descending, and the mean over all orders of tied rows, so the order of the rows has no say.
    _, group, size = np.unique(-sure.astype(np.float64), return_inverse=True, return_counts=True)
    errors = np.repeat(np.bincount(group, weights=~_truths(right)) / size, size)
    k = np.arange(1, len(sure) + 1)
    return k / len(sure), np.cumsum(errors) / k


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk-coverage curve: mean of the risk over coverages 1/N..1.

    Args: confidence [N] float, higher is surer; correct [N] bool. Geifman 2019, arXiv:1805.08206.
    """
    return float(risk_coverage(confidence, correct)[1].mean())


def risk_at_coverage(confidence: ArrayLike, correct: ArrayLike, coverage: float = 0.8) -> float:
    """Error rate among the ceil(coverage * N) most confident rows.

    Args: confidence [N] float, higher is surer; correct [N] bool; coverage in (0, 1]. Geifman 2017, arXiv:1705.08500.
    """
    _, risk = risk_coverage(confidence, correct)
    if not 0 < coverage <= 1:
        raise ValueError(f"The coverage must be above 0 and at most 1, not {coverage}.")
    return float(risk[answered(coverage, len(risk)) - 1])


def answered(coverage: float, rows: int) -> int:
    """How many of so many rows are answered at a coverage in (0, 1]: ceil(coverage * rows)."""
    # The margin keeps 0.07 * 100 = 7.000000000000001 from asking for 8 rows.
    return max(int(np.ceil(coverage * rows - 1e-9)), 1)


def misclassification_auroc(uncertainty: ArrayLike, correct: ArrayLike) -> float:
    """AUROC of the uncertainty as a detector of wrong answers.

    Args: uncertainty [N] float, higher is less sure; correct [N] bool, both present. Hendrycks 2017, arXiv:1610.02136.
    """
    values, right = _columns(uncertainty, correct)
    return auroc(values, ~_truths(right))


def dice(a: ArrayLike, b: ArrayLike) -> float:
    """2 |A and B| / (|A| + |B|), pooled: stack slices to score them as one body.

    Args: a and b, bool of the same shape, not both empty. Dice 1945, doi:10.2307/1932409.
    """
    both, size_a, size_b = _overlap(a, b)
    return _ratio(2 * both, size_a + size_b, "Dice", "both masks are empty")


def mean_dice_over_thresholds(maps: Sequence[Array], masks: Sequence[Array]) -> float:
    """Inf-Net's mean Dice: scale each map to 0..1, Dice of (map >= t), mean over t = 255/255..0/255, then slices.

    A constant map is scaled to zeros. The scaling is for comparing with that paper only: it flatters weak maps.

    Args: maps, [H, W] float each; masks, [H, W] bool each, none empty.
    Fan 2020, doi:10.1109/TMI.2020.2996645; github.com/DengPingFan/Inf-Net, EvaluationTool/main.m.
    """
    thresholds = np.arange(256) / 255
    scores = []
    for values, mask in _slices(maps, masks):
        scaled = (values - values.min()) / (np.ptp(values) or 1.0)
        # Grey levels fall on the thresholds; the margin keeps each on the inside whatever the map's dtype rounds to.
        sizes, hits = (len(v) - np.searchsorted(np.sort(v), thresholds - 1e-6) for v in (scaled.ravel(), scaled[mask]))
        scores.append(float((2 * hits / (sizes + mask.sum())).mean()))
    return float(np.mean(scores))


def dice_at(maps: Sequence[Array], masks: Sequence[Array], threshold: float = 0.5) -> float:
    """Mean over slices of the Dice of (map >= threshold), maps as they are.

    Args: maps, [H, W] float each; masks, [H, W] bool each, none empty. Fan 2020, doi:10.1109/TMI.2020.2996645.
    """
    return float(np.mean([dice(values >= threshold, mask) for values, mask in _slices(maps, masks)]))


def bootstrap(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    groups: ArrayLike | None = None,
    n: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of statistic(*arrays), at `LEVEL`.

    Rows are drawn with replacement, the same ones from each array; with `groups` (a patient, a source) whole groups,
    because rows of one patient are no independent evidence. Resamples where the statistic raises ValueError or is nan
    are drawn again, 10 n times at most.

    Args: arrays, each [N, ...]; groups [N]; n resamples.
    Returns: (low, high), the (1 - LEVEL) / 2 and (1 + LEVEL) / 2 quantiles.
    Efron 1979, doi:10.1214/aos/1176344552; Field 2007, doi:10.1111/j.1467-9868.2007.00593.x.
    """
    columns = [np.asarray(a) for a in arrays]
    sizes = {np.shape(c)[:1] for c in (*columns, *(() if groups is None else (groups,)))}
    if len(sizes) != 1 or () in sizes:
        raise ValueError("Bootstrap needs at least one array, and all arrays and groups with the same number of rows.")
    if n < 1:
        raise ValueError(f"Bootstrap needs n >= 1, not {n}.")
    names, which = np.unique(np.arange(len(columns[0])) if groups is None else groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError("Bootstrap needs at least two rows, or two groups; one alone says nothing about the spread.")
    # Rows in order of their group, and where each group's begin.
    order, sizes_of = np.argsort(which, kind="stable"), np.bincount(which)
    begins = np.cumsum(sizes_of) - sizes_of
    random = np.random.default_rng(seed)
    values: list[float] = []
    for _ in range(11 * n):
        rows = random.integers(len(names), size=len(names))
        if groups is not None:
            lengths = sizes_of[rows]
            within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            rows = order[np.repeat(begins[rows], lengths) + within]
        with contextlib.suppress(ValueError):
            value = float(statistic(*(c[rows] for c in columns)))
            if not np.isnan(value):
                values.append(value)
        if len(values) == n:
            break
    else:
        statistic(*columns)  # where the whole data fails as well, its own message tells most
        raise ValueError(f"The statistic is undefined in all but {len(values)} of {11 * n} resamples.")
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _columns(first: ArrayLike, second: ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(first), np.asarray(second)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise ValueError(f"Two [N] arrays of one length are needed, N >= 1, not {list(a.shape)} and {list(b.shape)}.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("Some values are not finite.")
    return a, b


def _truths(values: Array) -> NDArray[np.bool_]:
    if not np.isin(values, (0, 1)).all():
        raise ValueError("Values must be 0 or 1, or bool.")
    return values.astype(bool)


def _scores(scores: ArrayLike, labels: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    values, known = _columns(scores, labels)
    truth = _truths(known)
    if truth.all() or not truth.any():
        raise ValueError("Both classes are needed to rank one above the other; only one is present.")
    return values, truth


def _confusion(predicted: ArrayLike, labels: ArrayLike) -> tuple[int, int, int, int]:
    """TP, FP, FN, TN."""
    p, y = map(_truths, _columns(predicted, labels))
    return int((p & y).sum()), int((p & ~y).sum()), int((~p & y).sum()), int((~p & ~y).sum())


def _ratio(part: float, whole: float, name: str, why: str) -> float:
    if not whole:
        raise ValueError(f"The {name} is undefined: {why}.")
    return float(part / whole)


def _probabilities(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or p.shape[1] < 2:
        raise ValueError(f"Probabilities must be [N, C] with C >= 2, not {list(p.shape)}.")
    known = check_labels(labels, *p.shape)
    check_probabilities(p)
    return p, known


def _overlap(a: ArrayLike, b: ArrayLike) -> tuple[int, int, int]:
    first, second = np.asarray(a), np.asarray(b)
    if first.shape != second.shape:
        raise ValueError(f"Masks must have one shape, not {list(first.shape)} and {list(second.shape)}.")
    x, y = _truths(first), _truths(second)
    return int((x & y).sum()), int(x.sum()), int(y.sum())


def _slices(maps: Sequence[Array], masks: Sequence[Array]) -> list[tuple[Floats, NDArray[np.bool_]]]:
    if len(maps) != len(masks) or not len(maps):
        raise ValueError(f"There must be one mask a map and at least one map, not {len(masks)} for {len(maps)}.")
    pairs = []
    for number, (m, mask) in enumerate(zip(maps, masks, strict=True)):
        values, truth = np.asarray(m, np.float64), _truths(np.asarray(mask))
        if values.shape != truth.shape or not np.isfinite(values).all():
            raise ValueError(f"Map {number} is not finite, or its shape {list(values.shape)} is not its mask's.")
        if not truth.any():
            raise ValueError(f"Mask {number} is empty, where Dice says nothing; leave such slices out and count them.")
        pairs.append((values, truth))
    return pairs

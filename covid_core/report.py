"""Results as JSON, as the command line and the page's downloads give them, and masks as PNG."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from covid_core import encode, segment
from covid_core.classify import Classification, Method
from covid_core.diagnose import Diagnosis
from covid_core.segment import Segmentation
from covid_core.verdict import BASELESS

# Ways of sampling in words, by `classify.METHODS`.
METHOD_TITLES: dict[Method, str] = {
    "ensemble_mc_dropout": "Heads + head-only dropout",
    "ensemble": "Heads alone",
    "mc_dropout": "Head-only dropout alone",
}
# In words, by `Classification.decision`.
DECISIONS = {
    "covid": "COVID-19 pattern",
    "non_covid": "No COVID-19 pattern",
    "uncertain": "Cannot say",
    "refused": "No answer for this picture",
}
# Grey values of a mask file.
LUNG, LESION = 128, 255


def classification_row(file: str, diagnosis: Diagnosis) -> dict[str, Any]:
    """The keys of `classify --json`, in order."""
    answer = diagnosis.classification
    return {
        "file": file,
        "modality": answer.modality or None,  # of a picture refused at first sight nobody has said
        "decision": answer.decision,
        "covid_probability": _rounded(answer.probability),
        "covid_interval": None if answer.interval is None else [_rounded(v) for v in answer.interval],
        "aleatoric": _rounded(answer.aleatoric),
        "epistemic": _rounded(answer.epistemic),
        "prediction_set": list(answer.prediction_set),
        "gate": {
            "accepted": answer.decision != "refused",
            "reason": answer.reason,  # of whatever withholds the answer, the gate or the calibration
            "ood_score": _rounded(answer.distance) if np.isfinite(answer.distance) else None,
        },
        "model": answer.model,
        "weights_sha256": answer.weights_sha256,
        "seconds": round(diagnosis.seconds, 3),
    }


def is_baseless(row: dict[str, Any]) -> bool:
    """`Classification.is_baseless` of a `classification_row`; of a row of an unusable file, False."""
    return row.get("gate", {}).get("reason") in BASELESS


def segmentation_row(
    file: str, modality: str, found: Segmentation, mask_file: str | None, uncertainty_file: str | None, seconds: float
) -> dict[str, Any]:
    """The keys of `segment --json`, in order."""
    return {
        "file": file,
        "modality": modality,
        "lung_percent": _rounded(found.lung_percent, 3),
        "lesion_percent_of_lung": _rounded(found.lesion_percent_of_lung, 3),
        "lesion_interval": None if found.lesion_interval is None else [_rounded(v, 3) for v in found.lesion_interval],
        "mask_file": mask_file,
        "uncertainty_file": uncertainty_file,
        "model": found.model,
        "weights_sha256": found.weights_sha256,
        "seconds": round(seconds, 3),
        "consolidation_percent_of_lesions": _rounded(found.consolidation_percent_of_lesions, 3),
    }


def counted(figure: dict[str, Any]) -> str:
    """What a figure of a model's metrics rests on: "n = 1,789", and of how many groups where images share them."""
    said, groups = unbroken(f"n = {figure['n']:,}"), figure.get("groups", figure["n"])
    return said if groups == figure["n"] else f"{said} {unbroken(f'in {groups:,} groups')}"


def percent(value: float) -> str:
    """A probability for reading: "37 %", and never a claim of certainty, so "< 1 %" and "> 99 %"; no line breaks in it."""
    return unbroken("< 1 %" if value < 0.01 else "> 99 %" if value > 0.99 else f"{100 * value:.0f} %")


def interval(low: float, high: float) -> str:
    """An interval of probabilities, for reading: "12 % to 40 %"; where both ends read alike, that alone."""
    ends = percent(low), percent(high)
    return " to ".join(dict.fromkeys(ends))


def with_interval(value: float, ends: Sequence[float], words: str = "interval ") -> str:
    """A probability and its interval, for reading: "37 %, interval 12 % to 40 %"; "> 99 %" where the interval reads alike."""
    said, around = percent(value), interval(*ends)
    return said if around == said else f"{said}, {words}{around}"


def share(value: float, digits: int = 0) -> str:
    """What was measured or marked, for reading: "1.1 %"; what is neither none nor all never rounds to it: "< 0.1 %", "> 99.9 %"."""
    least = 10.0**-digits
    if 0 < 100 * value < least:
        return unbroken(f"< {least:.{digits}f} %")
    return unbroken(
        f"> {100 - least:.{digits}f} %" if 100 - least < 100 * value < 100 else f"{100 * value:.{digits}f} %"
    )


def index(value: float) -> str:
    """A measure between 0 and 1, for reading: "0.978"; what is neither never rounds to it: "< 0.001", "> 0.999"."""
    return unbroken("< 0.001" if 0 < value < 0.0005 else "> 0.999" if 0.9995 <= value < 1 else f"{value:.3f}")


def unbroken(text: str) -> str:
    """A text in which no line breaks."""
    return text.replace(" ", "\u00a0")


def caution(answer: Classification) -> str:
    """What an answer does not mean; "" where none is given."""
    if answer.decision == "covid":
        return "Other pneumonias can look the same."
    if answer.decision != "non_covid":
        return ""
    said = "This excludes no disease, not even COVID-19."
    features = answer.features
    if features is not None and segment.mean_probability(features.log_opacity) >= segment.VISIBLE[answer.modality]:
        said += " Opacity is marked in the lungs: it can be COVID-19 or another disease."
    return said


def held(prediction_set: tuple[str, ...]) -> str:
    """The classes that cannot be ruled out, in words."""
    names = {"covid": "COVID-19", "non_covid": "no COVID-19"}
    return " and ".join(names[c] for c in prediction_set) or "neither class"


def mask_png(found: Segmentation) -> bytes:
    """One grey PNG of the picture's size: 0 outside, 128 lung, 255 lesion."""
    values = np.where(found.lesions, LESION, np.where(found.lungs, LUNG, 0)).astype(np.uint8)
    return encode.png(values)


def uncertainty_png(found: Segmentation) -> bytes:
    """One grey PNG of the picture's size: 0 = certain, 255 = one bit of entropy."""
    return encode.png(encode.grey8(found.uncertainty))


def _rounded(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(float(value), digits)

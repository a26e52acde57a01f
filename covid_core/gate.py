"""Is it a chest X-ray, a chest CT slice or neither, and is it like what the model has seen? numpy only.

Three questions with three kinds of evidence: colour and blankness of the picture itself, the distance of its features
from those of the training images, and the shape of the lungs found in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

MODALITIES = ("xray", "ct")
# Mean difference between the colour channels, 0..1. Grey pictures have 0, scans with a tint or a coloured caption
# about .02, photographs that are not of grey things more than .06.
MOST_COLOUR = 0.05
# Standard deviation of grey levels below which there is nothing to see.
LEAST_CONTRAST = 0.02


@dataclass(frozen=True)
class GateDecision:
    """Whether an answer is given.

    Attributes:
        accepted: False: no answer.
        reason: one sentence for the visitor, "" when accepted and like the training images.
        ood_score: distance from the training features in units of the threshold: above 1 an image is unlike them.
        atypical: accepted, but unlike the training images.
    """

    accepted: bool
    reason: str
    ood_score: float
    atypical: bool = False


@dataclass(frozen=True)
class Glance:
    """What one look at the whole picture says.

    Attributes:
        modality: "xray" or "ct".
        modality_probability: of that modality, 0.5..1.
        distance: to the training images of each modality, in units of the threshold.
    """

    modality: str
    modality_probability: float
    distance: Mapping[str, float]


@dataclass(frozen=True)
class Gate:
    """Statistics of the training images' features, made by `train.heads`.

    Attributes:
        weight: [C] float32, of the modality head: logit of CT.
        bias: of the same.
        mean: modality -> [C] float32, mean feature vector.
        basis: modality -> [C, k] float32; its product with a centred feature vector is whitened.
        thresholds: modality -> distance that all but few of the val images stay below.
    """

    weight: Array
    bias: float
    mean: Mapping[str, Array]
    basis: Mapping[str, Array]
    thresholds: Mapping[str, float]

    @classmethod
    def load(cls, tensors: Mapping[str, Array], config: Mapping[str, Any]) -> "Gate":
        """From a model's tensors ("gate.*") and the "gate" part of its config."""
        return cls(
            weight=np.asarray(tensors["gate.weight"], np.float32),
            bias=float(config["bias"]),
            mean={m: np.asarray(tensors[f"gate.{m}.mean"], np.float32) for m in MODALITIES},
            basis={m: np.asarray(tensors[f"gate.{m}.basis"], np.float32) for m in MODALITIES},
            thresholds={m: float(config["thresholds"][m]) for m in MODALITIES},
        )

    def look(self, pooled: Array) -> Glance:
        """Modality and distances of one picture's pooled features.

        Args:
            pooled: [C] float.
        """
        logit = float(pooled @ self.weight + self.bias)
        probability_ct = 1 / (1 + np.exp(-np.clip(logit, -50, 50)))
        modality = "ct" if probability_ct > 0.5 else "xray"
        distance = {m: mahalanobis(pooled, self.mean[m], self.basis[m]) / self.thresholds[m] for m in MODALITIES}
        return Glance(modality, float(max(probability_ct, 1 - probability_ct)), distance)


def mahalanobis(pooled: Array, mean: Array, basis: Array) -> float:
    """Distance of a feature vector from a cloud of them.

    Args:
        pooled: [C].
        mean: [C] of the cloud.
        basis: [C, k], whitening directions: on the cloud each coordinate has variance 1.

    Returns:
        root mean square of the k coordinates, about 1 for a member of the cloud.
    """
    coordinates = (pooled - mean) @ basis
    return float(np.sqrt((coordinates**2).mean()))


def look_at_pixels(pixels: Array, chroma: float) -> str:
    """The reason to refuse a picture before any network runs, or "".

    Args:
        pixels: [H, W] float in 0..1.
        chroma: mean difference between the colour channels, 0..1.
    """
    if chroma > MOST_COLOUR:
        return "This is a colour picture. Upload a grey chest X-ray or CT slice."
    if float(pixels.std()) < LEAST_CONTRAST:
        return "The picture is blank. Upload a chest X-ray or CT slice."
    return ""

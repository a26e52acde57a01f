"""Is it a chest X-ray, a chest CT slice or neither, and is it like what the model has seen? numpy only.

Three questions with three kinds of evidence: colour and blankness of the picture itself, the distance of its features
from those of the training images, and the shape of the lungs found in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covid_core import registry, weights
from covid_core.preprocess import quantiles

Array = NDArray[np.float32]

MODALITIES = ("xray", "ct")
CLOUDS = (*MODALITIES, *(f"{m}.style" for m in MODALITIES))
STYLE_SIDE = 96  # pixels; every source has at least this much detail, so that storage size alone is no style
RINGS = 16
GREYS = (0.05, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.95)
# Mean difference between the colour channels, 0..1. Grey pictures have 0, scans with a tint or a coloured caption
# about .02, photographs that are not of grey things more than .06.
MOST_COLOUR = 0.05
LEAST_CONTRAST = 0.02  # standard deviation of grey levels below which there is nothing to see
ADVICE = "Upload a grey chest X-ray or CT slice."


@dataclass(frozen=True)
class Glance:
    """What one look at the whole picture says.

    Attributes:
        modality: "xray" or "ct".
        distance: to the training images of each modality, in units of the threshold.
    """

    modality: str
    distance: Mapping[str, float]


@dataclass(frozen=True)
class Gate:
    """Statistics of the training images' features, made by `train.heads`.

    A cloud is kept of the backbone's features of whole pictures, and of the style of the boxes around the lungs. The
    backbone is trained not to heed style, so its features hardly tell one hospital's pictures from another's; style does.

    Attributes:
        weight: [C] float32, of the modality head: logit of CT.
        bias: of the same.
        mean: cloud ("xray", "ct", "xray.style", "ct.style") -> [C] float32, mean feature vector.
        basis: cloud -> [C, k] float32; its product with a centred feature vector is whitened.
        thresholds: cloud -> distance that all but few of the val images stay below.
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
            mean={c: np.asarray(tensors[f"gate.{c}.mean"], np.float32) for c in CLOUDS},
            basis={c: np.asarray(tensors[f"gate.{c}.basis"], np.float32) for c in CLOUDS},
            thresholds={c: float(config["thresholds"][c]) for c in CLOUDS},
        )

    @classmethod
    def of_default(cls) -> "Gate":
        """That of the default model, whose X-ray backbone takes the first look at every picture, whatever model answers.

        Raises:
            WeightsError: its files are nowhere, or damaged.
        """
        spec = registry.get(registry.DEFAULT)
        tensors = weights.read(weights.locate_weights(spec), "gate.")
        return cls.load(tensors, weights.load_config(spec)["gate"])

    def look(self, pooled: Array) -> Glance:
        """Modality and distances of one picture's pooled features.

        Args:
            pooled: [C] float.
        """
        modality = "ct" if float(pooled @ self.weight + self.bias) > 0 else "xray"
        return Glance(modality, {m: self._distance(pooled, m) for m in MODALITIES})

    def style_distance(self, style: Array, modality: str) -> float:
        """Distance of the box around the lungs, by its `style`, in units of the threshold."""
        return self._distance(style, f"{modality}.style")

    def _distance(self, pooled: Array, cloud: str) -> float:
        return mahalanobis(pooled, self.mean[cloud], self.basis[cloud]) / self.thresholds[cloud]


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


def style(crop: Array) -> Array:
    """How the box around the lungs was exposed, processed and compressed: its grain and its grey levels.

    Args:
        crop: [STYLE_SIDE, STYLE_SIDE] float in 0..1.

    Returns:
        [RINGS + len(GREYS)] float32: logarithm of the mean spectral power in rings of rising frequency, and quantiles.
    """
    window, ring, counts = _rings()
    power = np.abs(np.fft.rfft2((crop - crop.mean()) * window)) ** 2
    sums = np.bincount(ring, power.ravel())
    spectrum = np.log(sums[1 : RINGS + 1] / counts[1 : RINGS + 1] + 1e-6)
    return np.concatenate([spectrum, quantiles(crop, GREYS)]).astype(np.float32)


@lru_cache(maxsize=1)
def _rings() -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """Window against the picture's edges [S, S]; ring of every frequency of rfft2, flat; frequencies in each ring."""
    rows, columns = np.fft.fftfreq(STYLE_SIDE, 1 / STYLE_SIDE), np.fft.rfftfreq(STYLE_SIDE, 1 / STYLE_SIDE)
    distance = np.hypot(rows[:, None], columns[None])
    ring = np.digitize(distance, np.geomspace(2, STYLE_SIDE // 2, RINGS + 1)).ravel()
    window = np.hanning(STYLE_SIDE).astype(np.float32)
    return np.outer(window, window), ring, np.bincount(ring)


def refusable(chroma: float, contrast: float) -> str:
    """The reason to refuse a picture before any network runs, or "".

    Args:
        chroma: mean difference between the colour channels, 0..1.
        contrast: standard deviation of the grey levels, which lie in 0..1.
    """
    if chroma > MOST_COLOUR:
        return f"This is a colour picture. {ADVICE}"
    if contrast < LEAST_CONTRAST:
        return f"The picture is blank. {ADVICE}"
    return ""

"""Mark lungs and lesions with the U-Net of the image's modality, with uncertainty for every pixel.

The network sees the picture and its mirror image; the two answers, laid over each other, are averaged, and where they or
the average are undecided the pixel is uncertain.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covid_core import engine, preprocess, uncertainty, weights
from covid_core.images import DecodedImage
from covid_core.registry import WEIGHTS, ModelSpec

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
# A component smaller than this share of the larger lung is a speck, not the second lung.
SPECK = 0.08


@dataclass(frozen=True)
class LungShape:
    """What the lung mask looks like; `Segmenter` compares it with the masks of real chest images.

    Attributes:
        area: share of the picture, 0..1.
        certainty: mean lung probability inside the mask, 0.5..1; 0 without a mask.
        balance: area of the second-largest component over the largest, 0..1; 0 with one component.
    """

    area: float
    certainty: float
    balance: float


@dataclass(frozen=True)
class Segmentation:
    """Masks in the picture's own pixels.

    Attributes:
        lungs: [H, W] bool.
        lesions: [H, W] bool, inside the lungs.
        lesion_probability: [H, W] float32, 0..1.
        uncertainty: [H, W] float32, entropy of the lesion probability in bits, 0..1.
        shape: what the lung mask looks like.
        plausible: whether the lung mask looks like that of a chest image.
        reason: why not, "" when plausible.
        lung_percent: lungs in per cent of the picture.
        lesion_percent_of_lung: None when the lung mask is implausible.
        lesion_interval: (low, high) of that share at the level in the model's config, in per cent, or None.
        model: name.
        weights_sha256: of the weights.
    """

    lungs: Mask
    lesions: Mask
    lesion_probability: Array = field(repr=False)
    uncertainty: Array = field(repr=False)
    shape: LungShape
    plausible: bool
    reason: str
    lung_percent: float
    lesion_percent_of_lung: float | None
    lesion_interval: tuple[float, float] | None
    model: str
    weights_sha256: str


class Segmenter:
    """A U-Net ready to use; shared by all callers and never changed after loading."""

    def __init__(self, spec: ModelSpec, run: engine.Run, config: dict[str, Any]) -> None:
        self.spec, self.run, self.config = spec, run, config

    @classmethod
    def load(cls, spec: ModelSpec, kind: engine.Kind = "auto", folder: Path | None = None) -> "Segmenter":
        """The model's network and config.

        Raises:
            WeightsError: the files are nowhere, or damaged.
        """
        return cls(spec, engine.start(spec, kind, folder), weights.load_config(spec, folder))

    @property
    def modality(self) -> str:
        """Which it reads, "xray" or "ct"."""
        return self.spec.modalities[0]

    def prepare(self, pixels: Array) -> tuple[Array, preprocess.Frame]:
        """Input batch [2, 1, S, S] (picture and mirror image) and the window it shows."""
        frame = preprocess.whole((pixels.shape[0], pixels.shape[1]))
        square = frame.extract(preprocess.stretch(pixels, self.modality), self.spec.size)
        return preprocess.to_input(np.stack([square, square[:, ::-1]])[:, None]), frame

    def probabilities(self, pixels: Array) -> tuple[Array, preprocess.Frame]:
        """Mean probability of lung and lesion over the picture and its mirror image, [2, S, S], and the window."""
        batch, frame = self.prepare(pixels)
        logits = self.run(batch)
        logits[1] = logits[1, :, :, ::-1]
        probability = 1 / (1 + np.exp(-logits))
        return np.asarray(probability.mean(axis=0), np.float32), frame

    def segment(self, image: DecodedImage) -> Segmentation:
        """Masks, uncertainty and the share of the lungs that is lesion.

        Args:
            image: a decoded picture.
        """
        probability, frame = self.probabilities(image.pixels)
        lung, lesion = (frame.restore(p) for p in probability)
        lungs = lungs_from(lung)
        shape = lung_shape(lungs, lung)
        reason = implausible(shape, self.config["lung_limits"])
        threshold = float(self.config["lesion_threshold"])
        lesions = (lesion > threshold) & lungs
        percent, interval = (None, None) if reason else self._share(lungs, lesions, lesion)
        return Segmentation(
            lungs=lungs,
            lesions=lesions,
            lesion_probability=lesion,
            uncertainty=uncertainty.entropy(np.stack([1 - lesion, lesion], axis=-1)).astype(np.float32),
            shape=shape,
            plausible=not reason,
            reason=reason,
            lung_percent=100 * shape.area,
            lesion_percent_of_lung=percent,
            lesion_interval=interval,
            model=self.spec.name,
            weights_sha256=self.spec.files[WEIGHTS],
        )

    def _share(self, lungs: Mask, lesions: Mask, probability: Array) -> tuple[float, tuple[float, float]]:
        """Lesion share in per cent with its interval: the share's own doubt, scaled so that it held on val."""
        share = lesion_share(lungs, lesions)
        half = float(self.config["lesion_interval"]["scale"]) * lesion_doubt(lungs, probability)
        return 100 * share, (100 * max(share - half, 0.0), 100 * min(share + half, 1.0))


def lungs_from(probability: Array) -> Mask:
    """The lung mask: probability above one half, the two largest components, specks dropped.

    Args:
        probability: [H, W] in 0..1.
    """
    from scipy import ndimage

    mask = probability > 0.5
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    order = np.argsort(sizes)[::-1][:2]
    kept = [label for label in order if sizes[label] > SPECK * sizes[order[0]]]
    result: Mask = np.isin(labels, kept)
    return result


def lung_shape(lungs: Mask, probability: Array) -> LungShape:
    """Area, certainty and balance of a lung mask [H, W] with its probability [H, W]."""
    from scipy import ndimage

    if not lungs.any():
        return LungShape(0.0, 0.0, 0.0)
    sizes = np.sort(np.bincount(ndimage.label(lungs)[0].ravel())[1:])[::-1]
    balance = float(sizes[1] / sizes[0]) if len(sizes) > 1 else 0.0
    return LungShape(float(lungs.mean()), float(probability[lungs].mean()), balance)


def lesion_share(lungs: Mask, lesions: Mask) -> float:
    """Lesion pixels over lung pixels, 0..1."""
    return float((lesions & lungs).sum() / max(int(lungs.sum()), 1))


def lesion_doubt(lungs: Mask, probability: Array) -> float:
    """The unit the interval is measured in: mean of p (1 - p) over the lungs, with a floor of half a per cent.

    A lesion whose border is blurred has many undecided pixels, so its share may be off by more.
    """
    inside = probability[lungs]
    return 0.005 + float((inside * (1 - inside)).mean()) if inside.size else 0.005


def implausible(shape: LungShape, limits: dict[str, Any]) -> str:
    """Why this cannot be the lung mask of a chest image, or "".

    Args:
        shape: of the mask.
        limits: the model's "lung_limits": {"area": [low, high], "certainty": low, "balance": low}, from val images.
    """
    if shape.area < limits["area"][0]:
        return "No lungs were found."
    if shape.area > limits["area"][1]:
        return "The lungs found are larger than in any chest image of this kind."
    if shape.certainty < limits["certainty"]:
        return "The outline of the lungs is too uncertain."
    if shape.balance < limits["balance"]:
        return "Only one lung was found, as in a lateral view or another part of the body."
    return ""

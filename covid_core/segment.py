"""Mark lungs and lesions with the U-Net of the image's modality, with uncertainty for every pixel.

The network sees the picture and its mirror image (`preprocess.FLIPPED`); the two answers, laid over each other, are averaged, and
where they or the average are undecided the pixel is uncertain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covid_core import engine, preprocess, uncertainty, weights
from covid_core.registry import ModelSpec, weights_sha256

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Mean lesion probability in the lungs from which on there plainly is something to see. Lesions in one CT slice cover less of
# the lungs than their shadows in an X-ray, and have sharper borders.
VISIBLE = {"xray": 0.08, "ct": 0.02}
# Mean lesion probability in the lung that has less of it, from which on opacity plainly is in both. In X-rays nine of ten
# COVID-19 answers on restyled val pictures reach it, and less than half of the pictures without COVID-19 that look like it. A
# CT slice shows too little of the lungs to ask that of it.
BOTH_LUNGS = {"xray": 0.15, "ct": 0.0}
# Side of the square whose mean grey level tells consolidation from ground glass, as a share of the network's input: a single
# pixel of CT is noise. A U-Net that learned to tell them apart in a third channel told them no better, and found lesions less
# well (`train.kinds`).
GRAIN = 0.02
# A component smaller than this share of the larger lung is a speck, not the second lung.
SPECK = 0.08
FLOOR = 0.01  # added to the mean lesion probability, so that 0 has a logarithm too


# Why lungs are not plausible.
MISSING = "No lungs were found."
TOO_LARGE = (
    "The lungs fill more of the picture than in nearly all chest images of this kind. If it is cropped closely, use the whole "
    "picture."
)
TOO_UNCERTAIN = "The outline of the lungs is too uncertain."
NOT_TWO = (
    "Two lungs side by side were not found: it may be a lateral view, another part of the body, or one opaque lung."
)


@dataclass(frozen=True)
class LungShape:
    """What the lung mask looks like; `Segmenter` compares it with the masks of real chest images.

    Attributes:
        area: share of the picture, 0..1.
        certainty: mean lung probability inside the mask, 0.5..1; 0 without a mask.
        middle: how far the least covered column in the middle of the lungs' box is covered by them, 0..1: about 0 for two
            lungs with the heart between them, much more for one lung over the other, as from the side.
    """

    area: float
    certainty: float
    middle: float


@dataclass(frozen=True)
class Segmentation:
    """Masks in the picture's own pixels.

    Attributes:
        lungs: [H, W] bool.
        lesions: [H, W] bool, inside the lungs.
        lesion_probability: [H, W] float32, 0..1.
        plausible: whether the lung mask looks like that of a chest image.
        reason: why not, "" when plausible.
        lung_percent: lungs in per cent of the picture.
        lesion_percent_of_lung: None when the lung mask is implausible.
        lesion_interval: (low, high) of that share in per cent, or None.
        level: of that interval, 0..1.
        model: name.
        weights_sha256: of the weights.
        network_lesion: [S, S] float32, lesion probability at the network's resolution.
        network_view: [S, S] float32 in 0..1, the picture as the network saw it.
        densest_glass: `density` up to which a lesion is ground glass and above which consolidation; None where the model does
            not tell them apart.
        frame: the window of the picture that the network's pixels cover.
    """

    lungs: Mask
    lesions: Mask
    lesion_probability: Array = field(repr=False)
    plausible: bool
    reason: str
    lung_percent: float
    lesion_percent_of_lung: float | None
    lesion_interval: tuple[float, float] | None
    level: float
    model: str
    weights_sha256: str
    network_lesion: Array = field(repr=False)
    network_view: Array = field(repr=False)
    densest_glass: float | None
    frame: preprocess.Frame = field(repr=False)

    @cached_property
    def uncertainty(self) -> Array:
        """[H, W] float32, entropy of the lesion probability in bits, 0..1; computed when it is first looked at."""
        pair = np.stack([1 - self.network_lesion, self.network_lesion], axis=-1)
        return self.frame.restore(uncertainty.entropy(pair).astype(np.float32))

    @cached_property
    def consolidation(self) -> Mask | None:
        """[H, W] bool, the lesions too dense for ground glass; None where they are not told apart."""
        if self.densest_glass is None:
            return None
        return self.lesions & (self.frame.restore(density(self.network_view)) > self.densest_glass)

    @property
    def consolidation_percent_of_lesions(self) -> float | None:
        """0..100; None without lesions, or where they are not told apart."""
        if self.consolidation is None or self.lesion_percent_of_lung is None or not self.lesions.any():
            return None
        return 100 * float(self.consolidation.sum() / self.lesions.sum())


class Segmenter:
    """A U-Net ready to use; shared by all callers and never changed after loading."""

    def __init__(self, spec: ModelSpec, run: engine.Run, config: dict[str, Any]) -> None:
        self.spec, self.run, self.config = spec, run, config

    @classmethod
    def load(cls, spec: ModelSpec) -> "Segmenter":
        """The model's network and config.

        Raises:
            WeightsError: the files are nowhere, or damaged.
        """
        return cls(spec, engine.start(spec, spec.modalities[0]), weights.load_config(spec))

    @classmethod
    def of_files(cls, spec: ModelSpec, files: Sequence[Path], config: dict[str, Any] | None = None) -> "Segmenter":
        """The network in these files; without a config it finds lungs and probabilities, but has no thresholds to `segment` by.

        Raises:
            ValueError: there are no files, or they hold another network.
        """
        if not files or not all(file.is_file() for file in files):
            raise ValueError(
                f"There are no weights of {spec.title}{f' at {files[0]}' if files else ' in this folder'}."
            )
        try:
            return cls(spec, engine.of_files(spec, spec.modalities[0], files), config or {})
        except RuntimeError as error:
            if "state_dict" not in str(error):  # a full memory, say
                raise
            raise ValueError(f"{files[0]} holds another network than {spec.title}.") from error

    @property
    def modality(self) -> str:
        """Which it reads, "xray" or "ct"."""
        return self.spec.modalities[0]

    def view(self, pixels: Array) -> tuple[Array, preprocess.Frame]:
        """A picture [H, W] as the network sees it, [S, S] float32 in 0..1, and the window that shows."""
        return preprocess.whole_square(pixels, self.modality, self.spec.sizes[self.modality])

    def probabilities(self, view: Array) -> Array:
        """[channels, S, S] float32 in 0..1, mean over a `view` and its mirror image."""
        seen, flipped = preprocess.to_input(view), preprocess.FLIPPED[self.modality]
        picture, mirrored = _sigmoid(self.run(np.stack([seen, np.flip(seen, flipped)])[:, None]))
        mean: Array = (picture + np.flip(mirrored, flipped)) / 2
        return mean

    def find(self, pixels: Array) -> tuple[Mask, Array, Array]:
        """Of a picture [H, W] the lung mask, and the probability of lung and of lesion, each [H, W]."""
        view, frame = self.view(pixels)
        lung, lesion = (frame.restore(p) for p in self.probabilities(view)[:2])
        return lungs_from(lung), lung, lesion

    def segment(self, pixels: Array) -> Segmentation:
        """Masks, uncertainty and the share of the lungs that is lesion.

        Args:
            pixels: [H, W] float32 in 0..1, of a picture.
        """
        view, frame = self.view(pixels)
        probability = self.probabilities(view)
        lung, lesion = (frame.restore(p) for p in probability)
        lungs = lungs_from(lung)
        shape = lung_shape(lungs, lung)
        reason = implausible(shape, self.config["lung_limits"])
        threshold = float(self.config["lesion_threshold"])
        lesions = (lesion > threshold) & lungs
        share = lesion_share(lungs, lesions)
        low, high = share_interval(share, float(self.config["lesion_interval"]["spread"]))
        return Segmentation(
            lungs=lungs,
            lesions=lesions,
            lesion_probability=lesion,
            plausible=not reason,
            reason=reason,
            lung_percent=100 * shape.area,
            lesion_percent_of_lung=None if reason else 100 * share,
            lesion_interval=None if reason else (100 * low, 100 * high),
            level=float(self.config["lesion_interval"]["level"]),
            model=self.spec.name,
            weights_sha256=weights_sha256(self.spec),
            network_lesion=probability[1],
            network_view=view,
            densest_glass=self.config.get("densest_glass"),
            frame=frame,
        )


def _sigmoid(logits: Array) -> Array:
    """1 / (1 + exp(-logits)) in one piece of memory: fresh pages for every step would take longer than the steps."""
    result: Array = np.negative(logits)
    np.exp(result, out=result)
    result += 1
    np.reciprocal(result, out=result)
    return result


def density(square: Array) -> Array:
    """Mean grey level around every pixel of the network's view, [S, S] in 0..1; argument likewise."""
    from scipy import ndimage

    mean: Array = ndimage.uniform_filter(square, round(len(square) * GRAIN))
    return mean


def lungs_from(probability: Array) -> Mask:
    """The lung mask: probability above one half, the two largest components, specks dropped.

    Args:
        probability: [H, W] in 0..1.
    """
    from scipy import ndimage

    mask: Mask = probability > 0.5
    if not mask.any():
        return mask
    inside = mask[preprocess.bounding_box(mask)]  # labelling takes time by the pixel
    labels, count = ndimage.label(inside)
    if count > 1:
        parts = list(enumerate(ndimage.find_objects(labels), start=1))
        sizes = {label: int(np.count_nonzero(labels[part] == label)) for label, part in parts}
        largest = sorted(sizes, key=sizes.__getitem__)[-2:]
        kept = [label for label in largest if sizes[label] > SPECK * sizes[largest[-1]]]
        for label, part in parts:
            if label not in kept:
                inside[part][labels[part] == label] = False
    return mask


def lung_shape(lungs: Mask, probability: Array) -> LungShape:
    """Area, certainty and middle of a lung mask [H, W] with its probability [H, W]."""
    if not lungs.any():
        return LungShape(0.0, 0.0, 0.0)
    box = lungs[preprocess.bounding_box(lungs)]
    width = box.shape[1]
    middle = box[:, int(width * 0.42) : max(int(np.ceil(width * 0.58)), 1)].mean(axis=0).min()
    return LungShape(int(np.count_nonzero(lungs)) / lungs.size, _mean(probability, lungs), float(middle))


def _mean(values: Array, mask: Mask) -> float:
    """Mean of the values in a mask with at least one pixel: ten times as fast as by picking them out."""
    return float(values.ravel() @ mask.ravel().astype(np.float32)) / int(np.count_nonzero(mask))


def lesion_share(lungs: Mask, lesions: Mask) -> float:
    """Lesion pixels over lung pixels, 0..1."""
    return int(np.count_nonzero(lesions & lungs)) / max(int(np.count_nonzero(lungs)), 1)


def log_opacity(lungs: Mask, probability: Array) -> float:
    """How much opacity there is to see: logarithm of the mean lesion probability in the lungs (`FLOOR` added).

    Args:
        lungs: [H, W] bool.
        probability: [H, W] float in 0..1.

    Returns:
        about -4.6 (nothing) to 0 (everywhere); without a lung mask that of nothing.
    """
    return float(np.log(FLOOR + (_mean(probability, lungs) if lungs.any() else 0.0)))


def mean_probability(log_opacity: float) -> float:
    """The mean lesion probability in the lungs behind this `log_opacity`, 0..1."""
    return float(np.exp(log_opacity)) - FLOOR


def lesser_side(lungs: Mask, probability: Array) -> float:
    """Mean lesion probability in the lung that has less of it, 0..1; 0 without a lung mask.

    Left and right are the halves of the box around the lungs, so that two lungs that touch are still two.

    Args:
        lungs: [H, W] bool.
        probability: [H, W] float in 0..1.
    """
    if not lungs.any():
        return 0.0
    box = preprocess.bounding_box(lungs)
    middle = (box[1].start + box[1].stop) // 2
    halves = [(box[0], slice(box[1].start, middle)), (box[0], slice(middle, box[1].stop))]
    return min(_mean(probability[half], lungs[half]) if lungs[half].any() else 0.0 for half in halves)


def share_interval(share: float, spread: float) -> tuple[float, float]:
    """The interval of a lesion share: as wide in square roots wherever it lies, for a larger share errs by more.

    Args:
        share: 0..1.
        spread: the error in square roots that was seldom exceeded on val images.

    Returns:
        (low, high), 0..1.
    """
    root = share**0.5
    return max(root - spread, 0.0) ** 2, min(root + spread, 1.0) ** 2


def implausible(shape: LungShape, limits: dict[str, Any]) -> str:
    """Why this cannot be the lung mask of a chest image, or "".

    Args:
        shape: of the mask.
        limits: the model's "lung_limits": {"area": [low, high], "certainty": low, "middle": high}, from val images.
    """
    if shape.area < limits["area"][0]:
        return MISSING
    if shape.area > limits["area"][1]:
        return TOO_LARGE
    if shape.certainty < limits["certainty"]:
        return TOO_UNCERTAIN
    if shape.middle > limits["middle"]:
        return NOT_TWO
    return ""

"""COVID-19 against everything else, with uncertainty.

One pass over the whole picture tells the modality and whether it is like the training images (a glance), one pass of the
modality's backbone over the box around the lungs gives the features. Everything after is algebra on one vector: those
features and, beside them, how much opacity the U-Net sees in the lungs. K linear heads, each trained on its own
bootstrap, times T dropout masks, are one product of matrices.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from covid_core import engine, gate, preprocess, registry, segment, uncertainty, weights
from covid_core.gate import Gate, Glance
from covid_core.picture import DecodedImage
from covid_core.registry import ModelSpec, weights_sha256
from covid_core.verdict import BASELESS, verdict

Array = NDArray[np.float32]
Method = Literal["mc_dropout", "ensemble", "ensemble_mc_dropout"]
METHODS: tuple[str, ...] = get_args(Method)
CLASSES = ("non_covid", "covid")
LEVEL = 0.90


@dataclass(frozen=True)
class Features:
    """What the backbones made of the box around the lungs; all answers are computed from it.

    Attributes:
        cells: of each backbone [C, s, s] float32, its feature map; most models have one.
        frame: the window of the picture it was computed from.
        log_opacity: opacity to see in the lungs, by `segment.log_opacity`.
        lesser_side: opacity in the lung that has less of it, by `segment.lesser_side`.
        plausible: whether the lung mask looks like that of a chest image.
        style: of the box, by `gate.style`.
    """

    cells: tuple[Array, ...]
    frame: preprocess.Frame
    log_opacity: float
    lesser_side: float
    plausible: bool
    style: Array

    @cached_property
    def pooled(self) -> Array:
        """[C + 1] float32, what the heads weigh: the mean over the cells and, last, `log_opacity`; so for each backbone."""
        log_opacity = np.float32(self.log_opacity)
        return np.concatenate([np.append(c.mean(axis=(1, 2)), log_opacity) for c in self.cells]).astype(np.float32)


@dataclass(frozen=True)
class Classification:
    """The answer for one image.

    Attributes:
        modality: "xray" or "ct", as used; "" when refused before anybody or anything had said which.
        decision: "covid", "non_covid", "uncertain" or "refused".
        reason: why the decision is "uncertain" or "refused", one sentence; else "".
        probability: mean COVID-19 probability, 0..1; None when refused.
        interval: (low, high), the central part of the samples at `level`; None when refused.
        samples: [S] float32, COVID-19 probability of each sample; empty when refused.
        aleatoric: mean entropy of the samples in bits; None when refused.
        epistemic: mutual information in bits; None when refused.
        prediction_set: class names, those the calibration cannot rule out at `level`.
        bounds: up to which probability "non_covid" can be answered and from which "covid", see `verdict`; when refused (0, 1).
        distance: from the features of the training images, in units of the threshold: above 1 a picture is unlike them;
            infinite when refused before any network ran.
        method: how the samples were drawn; "" when refused.
        level: of the interval and of the prediction set.
        model: name.
        weights_sha256: of the weights.
        features: for Grad-CAM and for another method; None when refused.
    """

    modality: str
    decision: str
    reason: str
    probability: float | None
    interval: tuple[float, float] | None
    samples: Array = field(repr=False)
    aleatoric: float | None
    epistemic: float | None
    prediction_set: tuple[str, ...]
    bounds: tuple[float, float]
    distance: float
    method: Method | Literal[""]
    level: float
    model: str
    weights_sha256: str
    features: Features | None = field(repr=False, default=None)

    @property
    def is_baseless(self) -> bool:
        """Whether the probability means nothing, so that no page shows it as an answer."""
        return self.reason in BASELESS


class Model(ABC):
    """What answers; shared by all callers, never changed after loading."""

    def __init__(self, spec: ModelSpec, config: dict[str, Any], gate: Gate) -> None:
        self.spec, self.config, self.gate = spec, config, gate
        self.conformal = {
            m: {method: {int(c): np.asarray(s) for c, s in scores.items()} for method, scores in methods.items()}
            for m, methods in config["conformal"].items()
        }

    @abstractmethod
    def features(self, image: DecodedImage, modality: str, found: segment.Segmentation) -> Features:
        """The backbones' pass over the box around the lungs (the whole picture when none were found)."""

    @abstractmethod
    def sample(self, pooled: Array, modality: str, method: Method = "ensemble_mc_dropout") -> Array:
        """COVID-19 logits before temperature.

        Args:
            pooled: [C + 1] or [N, C + 1], as in `Features`.
            modality: "xray" or "ct".
            method: "mc_dropout" (one head, T masks), "ensemble" (K heads) or "ensemble_mc_dropout" (K x T).

        Returns:
            [S] or [N, S] float32, S = T, K or K * T for each backbone.
        """

    @abstractmethod
    def mean_heads(self, modality: str) -> list[tuple[Array, float]]:
        """Of each backbone the mean of its heads, weight [C + 1] and bias, whose mean gives the mean tempered logit."""

    def bounds(self, modality: str) -> tuple[float, float]:
        """The probabilities up to which "non_covid" and from which "covid" are answered; see `verdict`."""
        return float(self.config["clear"][modality]), float(self.config["firm"][modality])

    def probabilities(self, pooled: Array, modality: str, method: Method = "ensemble_mc_dropout") -> Array:
        """Samples of the class probabilities after temperature, [..., S, 2] float32."""
        logit = self.sample(pooled, modality, method) / float(self.config["temperature"][modality])
        covid = 1 / (1 + np.exp(-np.clip(logit, -60, 60)))
        return np.stack([1 - covid, covid], axis=-1).astype(np.float32)

    def answer(
        self,
        features: Features,
        glance: Glance,
        modality: str,
        method: Method = "ensemble_mc_dropout",
        level: float = LEVEL,
    ) -> Classification:
        """The answer from cached features, with another method or level than before if wanted.

        Args:
            features: of the box around the lungs.
            glance: of the whole picture.
            modality: "xray" or "ct".
            method: how samples are drawn.
            level: of interval and prediction set, 0.5 to 0.99.
        """
        samples = self.probabilities(features.pooled, modality, method)
        distance = max(glance.distance[modality], self.gate.style_distance(features.style, modality))
        summary, chosen, decision, reason = self.decide(
            samples,
            distance,
            modality,
            method,
            level,
            log_opacity=features.log_opacity,
            lesser_side=features.lesser_side,
            plausible=features.plausible,
        )
        return Classification(
            modality=modality,
            decision=decision,
            reason=reason,
            probability=float(summary.mean[1]),
            interval=summary.interval,
            samples=summary.samples,
            aleatoric=summary.aleatoric,
            epistemic=summary.epistemic,
            prediction_set=tuple(CLASSES[c] for c in chosen),
            bounds=self.bounds(modality),
            distance=distance,
            method=method,
            level=level,
            model=self.spec.name,
            weights_sha256=weights_sha256(self.spec),
            features=features,
        )

    def decide(
        self,
        samples: Array,
        distance: float,
        modality: str,
        method: Method = "ensemble_mc_dropout",
        level: float = LEVEL,
        *,
        log_opacity: float,
        lesser_side: float,
        plausible: bool,
    ) -> tuple[uncertainty.Summary, tuple[int, ...], str, str]:
        """What samples come to: their summary, the prediction set, the decision and why it is "uncertain".

        Args:
            samples: [S, 2] float in 0..1, by `probabilities`.
            distance: as in `verdict`.
            modality: "xray" or "ct".
            method: by which they were drawn.
            level: of interval and prediction set.
            log_opacity: as in `verdict`, so are the following.
            lesser_side: `segment.lesser_side`.
            plausible: whether the lung mask looks like that of a chest image.
        """
        summary = uncertainty.summarise(samples, level)
        chosen = uncertainty.prediction_set(summary.mean, self.conformal[modality][method], level)
        probability, bounds = float(summary.mean[1]), self.bounds(modality)
        decision, reason = verdict(
            chosen,
            probability,
            bounds,
            distance,
            log_opacity=log_opacity,
            lesser_side=lesser_side,
            plausible=plausible,
            modality=modality,
        )
        return summary, chosen, decision, reason

    def refuse(self, glance: Glance | None, modality: str, reason: str, level: float = LEVEL) -> Classification:
        """The answer to a picture that is none of ours."""
        return Classification(
            modality=modality,
            decision="refused",
            reason=reason,
            probability=None,
            interval=None,
            samples=np.zeros(0, np.float32),
            aleatoric=None,
            epistemic=None,
            prediction_set=(),
            bounds=(0.0, 1.0),
            distance=glance.distance[modality] if glance else float("inf"),
            method="",
            level=level,
            model=self.spec.name,
            weights_sha256=weights_sha256(self.spec),
        )


class Classifier(Model):
    """A backbone for each modality, or one for all, with the heads."""

    def __init__(
        self,
        spec: ModelSpec,
        runs: Mapping[str, engine.Run],
        tensors: dict[str, Array],
        config: dict[str, Any],
        gate: Gate,
    ) -> None:
        super().__init__(spec, config, gate)
        self.runs = runs
        self.heads = {
            m: (
                np.asarray(tensors[f"heads.{m}.weight"], np.float32),
                np.asarray(tensors[f"heads.{m}.bias"], np.float32),
            )
            for m in spec.modalities
        }
        settings = config["heads"]
        channels = self.heads[spec.modalities[0]][0].shape[1]
        masks = uncertainty.dropout_masks(settings["masks"], channels, settings["dropout"], settings["seed"])
        masks[:, -1] = 1  # opacity is one number: dropping it would be no small disturbance
        # (x * mask) @ w = x @ (mask * w): one product for all heads and masks, [K, T, C + 1].
        self.masked = {m: weight[:, None, :] * masks for m, (weight, _) in self.heads.items()}

    @classmethod
    def load(cls, spec: ModelSpec) -> "Classifier":
        """The model's network, heads and config.

        Raises:
            WeightsError: the files are nowhere, or damaged.
        """
        files = weights.locate_weights(spec)
        # Modalities with one backbone and one size share a run.
        own = {m: (weights.prefix(files, m), spec.sizes[m]) for m in spec.modalities}
        runs = {which: engine.start(spec, m) for which, m in {which: m for m, which in own.items()}.items()}
        heads, config = weights.read(files, "heads."), weights.load_config(spec)
        return cls(spec, {m: runs[which] for m, which in own.items()}, heads, config, Gate.of_default())

    def cells(
        self, image: DecodedImage, modality: str, found: segment.Segmentation
    ) -> tuple[Array, Array, preprocess.Frame]:
        """The feature map [C, s, s] of the box around the lungs, the box [S, S] in 0..1 as it was seen, and where it lies."""
        crop, frame = preprocess.lung_crop(image.pixels, found.lungs, modality, self.spec.sizes[modality])
        return cells_of(self.runs[modality], crop[None], modality)[0], crop, frame

    def features(self, image: DecodedImage, modality: str, found: segment.Segmentation) -> Features:
        cells, crop, frame = self.cells(image, modality, found)
        lungs, lesion = found.lungs, found.lesion_probability
        log_opacity, lesser_side = segment.log_opacity(lungs, lesion), segment.lesser_side(lungs, lesion)
        style = style_of(image.pixels, frame, modality, crop)
        return Features((cells,), frame, log_opacity, lesser_side, found.plausible, style)

    def sample(self, pooled: Array, modality: str, method: Method = "ensemble_mc_dropout") -> Array:
        weight, bias = self.heads[modality]
        if method == "ensemble":
            logits: Array = pooled @ weight.T + bias
            return logits
        if method not in METHODS:
            raise ValueError(f"There is no method '{method}'. Choose one of: {', '.join(METHODS)}.")
        masked = self.masked[modality]
        if method == "mc_dropout":
            masked, bias = masked[:1], bias[:1]
        product: Array = pooled @ masked.reshape(-1, masked.shape[2]).T + np.repeat(bias, masked.shape[1])
        return product

    def mean_heads(self, modality: str) -> list[tuple[Array, float]]:
        weight, bias = self.heads[modality]
        temperature = float(self.config["temperature"][modality])
        return [(weight.mean(axis=0) / temperature, float(bias.mean()) / temperature)]


def style_of(pixels: Array, frame: preprocess.Frame, modality: str, crop: Array | None = None) -> Array:
    """`gate.style` of the box around the lungs, whatever the size at which a model sees it.

    Args:
        pixels: [H, W] float in 0..1, the picture.
        frame: the box.
        modality: "xray" or "ct".
        crop: [S, S] in 0..1, the box as a model sees it; saves the way where that is as the default model does.
    """
    size = registry.get(registry.DEFAULT).sizes[modality]  # the gate was fitted on crops of this size
    if crop is None or len(crop) != size:
        crop = preprocess.stretch(frame.extract(pixels, size), modality)
    return gate.style(preprocess.whole((size, size)).extract(crop, gate.STYLE_SIDE))


def glance_features(run: engine.Run, pixels: Array, size: int) -> Array:
    """Pooled features of the whole picture, for the gate.

    Args:
        run: the backbone.
        pixels: [H, W] float in 0..1.
        size: the backbone's input side.

    Returns:
        [C] float32.
    """
    square = preprocess.whole((pixels.shape[0], pixels.shape[1])).extract(pixels, size)
    # The modality is not known yet, so both are stretched alike here.
    pooled: Array = run(preprocess.to_input(preprocess.stretch(square, "xray"))[None, None])[0].mean(axis=(1, 2))
    return pooled


def cells_of(run: engine.Run, crops: Array, modality: str) -> Array:
    """[N, C, s, s] float32, the backbone's feature maps of crops [N, S, S] in 0..1.

    The map of a crop turned over (`preprocess.FLIPPED`) is laid over that of the crop as it is, and both are averaged. With the
    same heads that ordered the val rows better than one look: on CT those of both sets, on X-rays those with transplanted
    lesions and the web images against healthy lungs, the others being as before.
    """
    flipped, seen = preprocess.FLIPPED[modality], preprocess.to_input(crops)
    cells = run(np.concatenate([seen, np.flip(seen, flipped)])[:, None])
    result: Array = (cells[: len(crops)] + np.flip(cells[len(crops) :], flipped)) * np.float32(0.5)
    return result

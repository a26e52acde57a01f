"""The whole way from a picture to an answer: glance, segment, classify, explain."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from covid_core import registry, weights
from covid_core.classify import LEVEL, Classification, Classifier, Features, Method, Model, glance_features
from covid_core.ensemble import Ensemble
from covid_core.explain import Explanation, explain
from covid_core.gate import Glance, look_at_pixels
from covid_core.images import DecodedImage, enough_memory
from covid_core.segment import MISSING, TOO_LARGE, TOO_UNCERTAIN, Segmentation, Segmenter


@dataclass(frozen=True)
class Evidence:
    """What every answer to a picture is computed from; with `light` features small enough to keep hundreds of.

    Attributes:
        model: name of the classifier.
        modality: "xray" or "ct", as used; "" when refused before anybody or anything had said which.
        glance: modality and distance; None when refused before any network ran.
        features: of the box around the lungs; None when refused.
        refusal: why there is no answer, or "".
    """

    model: str
    modality: str
    glance: Glance | None
    features: Features | None
    refusal: str

    def answer(self, method: Method = "ensemble_mc_dropout", level: float = LEVEL) -> Classification:
        """The answer by this method and at this level; no network runs."""
        chosen = classifier(self.model)
        if self.features is None or self.glance is None:
            return chosen.refuse(self.glance, self.modality, self.refusal, level)
        return chosen.answer(self.features, self.glance, self.modality, method, level)

    def light(self) -> "Evidence":
        """The same without the map of where the features lie, which only Grad-CAM needs."""
        if self.features is None:
            return self
        cells = tuple(c.mean(axis=(1, 2), keepdims=True) for c in self.features.cells)
        return replace(self, features=replace(self.features, cells=cells))


@dataclass(frozen=True)
class Seen:
    """What the networks make of one picture.

    Attributes:
        image: the picture.
        evidence: for the answers.
        segmentation: masks; None when the picture was refused before any network ran.
        explanation: Grad-CAM; None when refused.
        seconds: wall time.
    """

    image: DecodedImage
    evidence: Evidence
    segmentation: Segmentation | None
    explanation: Explanation | None
    seconds: float


@dataclass(frozen=True)
class Diagnosis:
    """Everything about one image.

    Attributes:
        image: the picture.
        classification: decision, probability, uncertainty.
        segmentation: masks; None when the picture was refused before any network ran.
        explanation: Grad-CAM; None when refused.
        seconds: wall time.
    """

    image: DecodedImage
    classification: Classification
    segmentation: Segmentation | None
    explanation: Explanation | None
    seconds: float


Loaded = TypeVar("Loaded")
_loaded: dict[str, Any] = {}
_loading: dict[str, threading.Lock] = {}


def _once(spec: registry.ModelSpec, load: Callable[[registry.ModelSpec], Loaded]) -> Loaded:
    """A model, loaded by the first who asks for it. Others who ask for it wait; who asks for another does not."""
    if spec.name not in _loaded:
        with _loading.setdefault(spec.name, threading.Lock()):  # setdefault is atomic
            if spec.name not in _loaded:
                _loaded[spec.name] = load(spec)
    found: Loaded = _loaded[spec.name]
    return found


def _member(name: str) -> Classifier:
    return _once(registry.get(name), Classifier.load)


def _ensemble(spec: registry.ModelSpec) -> Ensemble:
    return Ensemble(spec, [_member(name) for name in spec.members], weights.load_config(spec))


def classifier(name: str = registry.DEFAULT) -> Model:
    """The classifier of this name; its networks are loaded once per process and shared."""
    spec = registry.get(name)
    if spec.task != "classify":
        raise ValueError(f"'{name}' marks lungs and lesions, it does not classify.")
    return _once(spec, _ensemble) if spec.members else _member(name)


def segmenter(modality: str) -> Segmenter:
    """The U-Net of a modality, loaded once per process and shared."""
    return _once(registry.segmenter_for(modality), Segmenter.load)


def look(image: DecodedImage) -> Glance:
    """One look at the whole picture: which modality, and how far from the training images; by the default classifier."""
    first = _member(registry.DEFAULT)
    return first.gate.look(glance_features(first.runs["xray"], image.pixels, first.spec.sizes["xray"]))


@enough_memory()
def find(
    image: DecodedImage, modality: str = "auto", progress: Callable[[str], None] = lambda step: None
) -> tuple[str, Glance | None, Segmentation | None, str]:
    """All that comes before a classifier; arguments and errors as in `see`.

    Returns:
        "xray" or "ct", as used, "" when refused before anybody or anything had said which; the first look and the masks,
        None when refused before any network ran; the reason to refuse the picture, or "".
    """
    if modality not in ("auto", "xray", "ct"):
        raise ValueError(f"There is no modality '{modality}'. Choose one of: auto, xray, ct.")
    if reason := look_at_pixels(image.pixels, image.chroma):
        return image.modality_hint or "" if modality == "auto" else modality, None, None, reason
    progress("Looking at the whole picture")
    glance = look(image)
    used = (image.modality_hint or glance.modality) if modality == "auto" else modality
    progress("Marking lungs and lesions")
    found = segmenter(used).segment(image)
    return used, glance, found, refusal(glance, found.reason, used)


@enough_memory()
def see(
    image: DecodedImage,
    modality: str = "auto",
    model: str = registry.DEFAULT,
    progress: Callable[[str], None] = lambda step: None,
) -> Seen:
    """Run the networks on a picture; all samples are drawn from what they leave.

    Args:
        image: decoded picture.
        modality: "xray", "ct", or "auto": what the file says, else what the network sees.
        model: name of a classifier.
        progress: called with a short sentence before each step.

    Raises:
        ImageError: the picture is too large for this machine's memory.
        WeightsError: a model's files are nowhere, or damaged, or cannot be converted.
    """
    started = time.perf_counter()
    chosen = classifier(model)
    used, glance, found, reason = find(image, modality, progress)
    if reason or found is None:
        return Seen(image, Evidence(model, used, glance, None, reason), found, None, time.perf_counter() - started)
    progress("Classifying")
    features = chosen.features(image, used, found)
    explanation = explain(chosen, features, used, found.lungs)
    return Seen(image, Evidence(model, used, glance, features, ""), found, explanation, time.perf_counter() - started)


def diagnose(
    image: DecodedImage,
    modality: str = "auto",
    model: str = registry.DEFAULT,
    method: Method = "ensemble_mc_dropout",
    level: float = LEVEL,
    progress: Callable[[str], None] = lambda step: None,
) -> Diagnosis:
    """From a picture to an answer: `see`, then `conclude`; the arguments are theirs."""
    return conclude(see(image, modality, model, progress), method, level)


def conclude(seen: Seen, method: Method = "ensemble_mc_dropout", level: float = LEVEL) -> Diagnosis:
    """The answer to a picture the networks have seen, by this method and at this level."""
    started = time.perf_counter()
    answer = seen.evidence.answer(method, level)
    seconds = seen.seconds + time.perf_counter() - started
    return Diagnosis(seen.image, answer, seen.segmentation, seen.explanation, seconds)


def refusal(glance: Glance, implausible: str, modality: str) -> str:
    """The reason to refuse a picture by what the networks found in it, or "".

    A frontal X-ray always shows two lungs. In a CT slice they may touch, or fill a picture that is cropped closely; so, where
    there are lungs, the distance of the features must agree.

    Args:
        glance: of the whole picture.
        implausible: why its lung mask is not that of a chest image, or "".
        modality: "xray" or "ct".
    """
    if not implausible:
        return ""
    if modality == "xray" and implausible == TOO_LARGE:  # which a frontal chest X-ray can be
        return implausible
    if modality == "xray":
        return f"This does not look like a frontal chest X-ray. {implausible}"
    if implausible in (MISSING, TOO_UNCERTAIN) or glance.distance[modality] > 1:
        return f"This does not look like a chest CT slice through the lungs. {implausible}"
    return ""

"""The whole way from a picture to an answer: glance, segment, classify, explain."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from covid_core import gate, registry, weights
from covid_core.classify import LEVEL, Classification, Classifier, Features, Method, Model, glance_features
from covid_core.ensemble import Ensemble
from covid_core.explain import Explanation, explain
from covid_core.gate import Glance, refusable
from covid_core.picture import DecodedImage, enough_memory
from covid_core.segment import MISSING, TOO_LARGE, TOO_UNCERTAIN, Segmentation, Segmenter

# What can be answered, by modality. A picture that is turned or inverted may be taken for one of the other kind.
ADVICE = {
    "xray": "Use a frontal X-ray of the whole chest, upright, with dark lungs and bright bones.",
    "ct": "Use a whole axial slice through the middle of the lungs; if it is an X-ray, turn it upright or say that it is one.",
}


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
class Found:
    """All that comes before a classifier.

    Attributes:
        image: the picture.
        modality: "xray" or "ct", as used; "" when refused before anybody or anything had said which.
        glance: the first look; None when refused before any network ran.
        segmentation: masks; None when refused before any network ran.
        refusal: why there is no answer, or "".
        seconds: wall time.
    """

    image: DecodedImage
    modality: str
    glance: Glance | None
    segmentation: Segmentation | None
    refusal: str
    seconds: float


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
class Diagnosis(Seen):
    """Everything about one image: what the networks make of it, and the answer drawn from that.

    Attributes:
        classification: decision, probability, uncertainty.
    """

    classification: Classification


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
def find(image: DecodedImage, modality: str = "auto", progress: Callable[[str], None] = lambda step: None) -> Found:
    """Look at the whole picture, mark lungs and lesions; arguments and errors as in `see`."""
    started = time.perf_counter()
    if modality not in ("auto", "xray", "ct"):
        raise ValueError(f"There is no modality '{modality}'. Choose one of: auto, xray, ct.")
    given = image.modality_hint if modality == "auto" else modality
    if reason := refusable(image.chroma, float(image.pixels.std())):
        return Found(image, given or "", None, None, reason, time.perf_counter() - started)
    progress("Looking at the whole picture")
    glance = look(image)
    used = given or glance.modality
    progress("Marking lungs and lesions")
    masks = segmenter(used).segment(image.pixels)
    return Found(image, used, glance, masks, refusal(glance, masks.reason, used), time.perf_counter() - started)


@enough_memory()
def read(found: Found, model: str = registry.DEFAULT, progress: Callable[[str], None] = lambda step: None) -> Seen:
    """Run a classifier on what was found; arguments and errors as in `see`."""
    started = time.perf_counter()
    chosen = classifier(model)
    evidence = Evidence(model, found.modality, found.glance, None, found.refusal)
    if found.refusal or found.segmentation is None:
        return Seen(found.image, evidence, found.segmentation, None, found.seconds)
    progress("Classifying")
    features = chosen.features(found.image, found.modality, found.segmentation)
    explanation = explain(chosen, features, found.modality, found.segmentation.lungs)
    seconds = found.seconds + time.perf_counter() - started
    return Seen(found.image, replace(evidence, features=features), found.segmentation, explanation, seconds)


def see(
    image: DecodedImage,
    modality: str = "auto",
    model: str = registry.DEFAULT,
    progress: Callable[[str], None] = lambda step: None,
) -> Seen:
    """Run the networks on a picture, `find` and `read`; all samples are drawn from what they leave.

    Args:
        image: decoded picture.
        modality: "xray", "ct", or "auto": what the file says, else what the network sees.
        model: name of a classifier.
        progress: called with a short sentence before each step.

    Raises:
        ImageError: the picture is too large for this machine's memory.
        WeightsError: a model's files are nowhere, or damaged, or cannot be converted.
    """
    classifier(model)  # whose files may be missing: said before anything is computed
    return read(find(image, modality, progress), model, progress)


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
    return Diagnosis(**{**vars(seen), "seconds": seconds}, classification=answer)


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
        return f"This does not look like a frontal chest X-ray. {implausible} {ADVICE[modality]}"
    if implausible in (MISSING, TOO_UNCERTAIN) or glance.distance[modality] > 1:
        return f"This does not look like a chest CT slice through the lungs. {implausible} {ADVICE[modality]}"
    return ""


def without_advice(reason: str) -> str:
    """Why a picture is refused, without what to do about it: of one that was changed on purpose nobody is to upload another."""
    for advice in (gate.ADVICE, *ADVICE.values()):
        reason = reason.removesuffix(advice)
    return reason.rstrip()

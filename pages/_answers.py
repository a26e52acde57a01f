"""What the networks make of the visitor's picture, computed once and shared by all pages."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from covid_core import degrade, images, painting, plain, shortcuts, trial
from covid_core.classify import Method
from covid_core.diagnose import Diagnosis, Evidence, Found, Seen, classifier, conclude, find, read, see
from covid_core.explain import Explanation
from covid_core.weights import WeightsError
from pages._pictures import Upload
from pages._ui import Settings

T = TypeVar("T")


class RefusedError(Exception):
    """Takes what was found in a refused picture past a cache, which keeps what is returned but not what is raised."""

    def __init__(self, found: Any, pixels: int) -> None:
        super().__init__()
        self.found, self.pixels = found, pixels


def _but_refused(what: Callable[..., T], picture: Upload, modality: str, *more: Any) -> T:
    """What a cached function finds in a picture; where it raises RefusedError, this visitor's session alone keeps it.

    So the memory that visitors share holds no picture that is none of a chest, and the next click need not look again, unless the
    picture is so large that it would fill the memory with those of a few dozen visitors.
    """
    asked, place = (picture.sha256, picture.name, modality), f"refused by {what.__name__}"
    known, found = st.session_state.get(place, (None, None))
    if known != asked:
        try:
            return what(picture.data, picture.sha256, picture.name, modality, *more)
        except RefusedError as refused:
            found = refused.found
            st.session_state[place] = (asked, found) if refused.pixels <= painting.LARGEST**2 else (None, None)
    result: T = found
    return result


def answer(picture: Upload, settings: Settings, progress: Callable[[str], None] = lambda step: None) -> Diagnosis:
    """The whole answer; the networks run once for the same picture, kind and model.

    Raises:
        ImageError: the picture cannot be read.
        WeightsError: a model's files are nowhere, or damaged.
    """
    return conclude(_seen(picture, settings, progress), settings.method, settings.level)


def by_method(picture: Upload, settings: Settings, methods: Iterable[Method]) -> dict[Method, Diagnosis]:
    """`answer` by each of these ways of sampling; what is large in them is shared."""
    seen = _seen(picture, settings, lambda step: None)
    return {method: conclude(seen, method, settings.level) for method in methods}


def answer_with_status(place: DeltaGenerator, picture: Upload, settings: Settings) -> Diagnosis:
    """`answer`; in an empty place its steps are shown while it is computed, and that the picture could not be read.

    The status is made before the answer is asked for: what a cached function draws is drawn again with every cached answer, but
    not how it went on. An answer that is there already has none, or what stands below would jump.
    """
    about, status = (picture.sha256, settings.modality, settings.model), None
    if st.session_state.get("computed") != about:
        status = place.status("Reading the picture", expanded=False)
    try:
        result = answer(picture, settings, lambda step: status.update(label=step) if status else None)
    except (images.ImageError, WeightsError) as error:
        place.status("Not read" if isinstance(error, images.ImageError) else "No answer", state="error")
        raise
    st.session_state["computed"] = about
    place.empty()
    return result


def _seen(picture: Upload, settings: Settings, progress: Callable[[str], None]) -> Seen:
    """What is found in a picture is large and the same for every model; what a model makes of it is small."""
    classifier(settings.model)  # whose files may be missing: said before anything is computed
    found = _but_refused(_found, picture, settings.modality, progress)
    evidence, explanation, seconds = _read(found, picture.sha256, settings.modality, settings.model, progress)
    return Seen(found.image, evidence, found.segmentation, explanation, seconds)


@st.cache_data(max_entries=16, max_size="1GiB", show_spinner=False)
def _found(_data: bytes, sha: str, name: str, modality: str, _progress: Callable[[str], None]) -> Found:
    """Bounded, and keyed by content. A pixel takes some ten bytes: the largest pictures fill the place of many."""
    found = find(images.decode(_data, name), modality, _progress)
    if found.refusal:
        raise RefusedError(found, found.image.pixels.size)
    return found


@st.cache_data(max_entries=64, show_spinner=False)
def _read(
    _found: Found, sha: str, modality: str, model: str, _progress: Callable[[str], None]
) -> tuple[Evidence, Explanation | None, float]:
    seen = read(_found, model, _progress)
    return seen.evidence, seen.explanation, seen.seconds


@st.cache_data(max_entries=16, show_spinner=False)
def _small(_data: bytes, sha: str, name: str, modality: str) -> images.DecodedImage:
    image = degrade.reduced(images.decode(_data, name))
    if find(image, modality).refusal:
        raise RefusedError(image, image.pixels.size)
    return image


def small(picture: Upload, settings: Settings) -> images.DecodedImage:
    """The picture as the teaching pages change it, `degrade.SIDE` pixels a side.

    Raises:
        ImageError: it cannot be read.
        WeightsError: the files of a U-Net, or of the first look, are nowhere, or damaged.
    """
    return _but_refused(_small, picture, settings.modality)


@st.cache_data(max_entries=2000, show_spinner=False)
def spoilt(_image: images.DecodedImage, sha: str, modality: str, model: str, kind: str, strength: float) -> Evidence:
    """What the networks make of a picture spoilt like this."""
    return see(degrade.degrade(_image, kind, strength), modality, model).evidence.light()


# A picture's lungs are those of its file, as read by a model as one kind of image.
BY_CHEST: dict[str | type, Callable[[Any], Any]] = {
    shortcuts.Chest: lambda chest: (chest.image.sha256, chest.evidence.modality, chest.evidence.model)
}


@st.cache_data(max_entries=100, show_spinner=False, hash_funcs=BY_CHEST)
def blurred(chest: shortcuts.Chest, strength: float) -> Evidence:
    """What the classifier alone makes of a picture blurred like this."""
    return shortcuts.in_box(chest, degrade.degrade(chest.image, "blur", strength))


@st.cache_data(max_entries=8, show_spinner=False)
def _chest(_data: bytes, sha: str, name: str, modality: str, model: str) -> shortcuts.Chest:
    found = shortcuts.chest(images.decode(_data, name), modality, model)
    if found.evidence.refusal:
        raise RefusedError(found, found.image.pixels.size)
    return found


def chest(picture: Upload, settings: Settings) -> shortcuts.Chest:
    """The picture with its lungs.

    Raises:
        ImageError: it cannot be read.
    """
    return _but_refused(_chest, picture, settings.modality, settings.model)


@st.cache_data(max_entries=8, show_spinner=False, hash_funcs=BY_CHEST)
def probes(chest: shortcuts.Chest) -> list[shortcuts.Probe]:
    """The picture with parts taken away, and what is said of it."""
    return shortcuts.probes(chest)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=BY_CHEST)
def plain_network(chest: shortcuts.Chest, what: str, _images: list[images.DecodedImage]) -> list[plain.Answer]:
    """What the plain network makes of an X-ray changed like this; nothing of a CT slice, or where there is no such network.

    Args:
        chest: the X-ray as it is.
        what: was changed in it.
        _images: changed so.

    Raises:
        WeightsError: its file is nowhere, or damaged.
    """
    asked = _images if chest.evidence.modality == plain.MODALITY else []
    return [answer for image in asked if (answer := plain.ask(image, chest.lungs))]


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=BY_CHEST)
def marked(chest: shortcuts.Chest, text: str, across: float, down: float) -> Evidence:
    """What the classifier makes of the picture with letters burned in."""
    return shortcuts.in_box(chest, shortcuts.with_marker(chest.image, text, across, down))


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=BY_CHEST)
def marker_map(chest: shortcuts.Chest, text: str, method: Method) -> painting.Places:
    """`shortcuts.marker_map`."""
    return shortcuts.marker_map(chest, text, method)


@st.cache_data(max_entries=32, show_spinner=False)
def lesion_trial(count: int, size: float, density: float) -> trial.Trial:
    """A phantom with these lesions, as true and as marked."""
    return trial.lesions(count, size, density)

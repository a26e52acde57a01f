"""The only home of caches, session keys, links and the upload widget."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.mutable_status_container import StatusContainer
from streamlit.navigation.page import StreamlitPage

from covid_core import degrade, gallery, images, phantom, registry, scan, shortcuts, stored, trial, volume, weights
from covid_core.burden import Burden
from covid_core.burden import burden as measure_burden
from covid_core.classify import LEVEL, Method
from covid_core.diagnose import Diagnosis, Evidence, Seen, conclude, see
from pages import _words

TRAIN = Path(__file__).parents[1] / "train"  # its results only: no page imports it
SCOREBOARD, SOURCES = TRAIN / "results" / "scoreboard.json", TRAIN / "datasets" / "sources.json"
TYPES = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "dcm", "dicom"]
MODALITIES = {"auto": "Find out", "xray": "X-ray", "ct": "CT"}
METHOD_TITLES = {
    "ensemble_mc_dropout": "Five heads and head-only dropout (250 samples a network)",
    "ensemble": "Five heads (5 samples a network)",
    "mc_dropout": "Head-only dropout (50 samples a network)",
}
# By the name used in a link: title, modality, whether there are lesions.
PHANTOMS = {
    "xray-healthy": ("Phantom X-ray, healthy", "xray", False),
    "xray-lesions": ("Phantom X-ray, with lesions", "xray", True),
    "ct-healthy": ("Phantom CT slice, healthy", "ct", False),
    "ct-lesions": ("Phantom CT slice, with lesions", "ct", True),
}
LEVELS = (0.80, 0.99)


@dataclass(frozen=True)
class Upload:
    """A picture the visitor chose.

    Attributes:
        name: shown above the result.
        data: the file.
        credit: source and licence in Markdown, "" for the visitor's own.
        sample: its name in a link, "" for the visitor's own.
    """

    name: str
    data: bytes
    credit: str = ""
    sample: str = ""

    @property
    def is_phantom(self) -> bool:
        """Whether it was computed, so that its lesions are known."""
        return self.sample in PHANTOMS

    @cached_property
    def sha256(self) -> str:
        """Of the file, by which answers are cached."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Settings:
    """How a picture is to be answered; the names are those of `diagnose`."""

    modality: str = "auto"
    model: str = registry.DEFAULT
    method: Method = "ensemble_mc_dropout"
    level: float = LEVEL


def navigation() -> StreamlitPage:
    """Title of the window and the one list of pages; returns the page asked for."""
    # Before the list, or the browser fetches the page's icon from the web for its tab.
    st.set_page_config(page_title="Covid Core", page_icon="🫁", layout="wide")
    return st.navigation(
        [
            st.Page("pages/diagnose.py", title="Diagnose", icon=":material/pulmonology:", default=True),
            st.Page("pages/batch.py", title="Batch", icon=":material/grid_view:"),
            st.Page("pages/ct_volume.py", title="CT volume", icon=":material/layers:"),
            st.Page("pages/compare.py", title="Compare", icon=":material/compare:"),
            st.Page("pages/uncertainty_lab.py", title="Uncertainty lab", icon=":material/science:"),
            st.Page("pages/shortcut_lab.py", title="Shortcut lab", icon=":material/visibility_off:"),
            st.Page("pages/scoreboard.py", title="Scoreboard", icon=":material/leaderboard:"),
            st.Page("pages/models.py", title="Models", icon=":material/deployed_code:"),
            st.Page("pages/learn.py", title="Learn", icon=":material/school:"),
            st.Page("pages/about.py", title="About", icon=":material/info:"),
        ],
        position="top",
    )


def begin() -> None:
    """First call of app.py, on every run: style and disclaimer."""
    st.session_state["through_app"] = True
    disclaimer()
    follow_link()


def only_through_app() -> None:
    """First call of every page.

    When the first visitor of a fresh server asks for a page's own address, Streamlit does not know yet that app.py
    navigates and runs the page alone, without disclaimer. Navigating once tells it; then app.py runs first.
    """
    if "through_app" not in st.session_state:
        navigation()
        st.rerun()


# The disclaimer stays at the lower edge of the window however far one scrolls; pills wrap instead of hiding.
STYLE = """
<style>
.st-key-disclaimer { position: fixed; inset: auto 0 0 0; z-index: 100; padding: 0.5rem 1rem 0.75rem; text-align: center;
  background: #7c2d12; }
.st-key-disclaimer * { color: #ffffff; }
.st-key-disclaimer p, .st-key-disclaimer [data-testid="stMarkdownContainer"] { margin: 0; text-align: center; }
[data-testid="stMainBlockContainer"] { padding-top: 3.5rem; padding-bottom: 4.5rem; }
[data-testid="stPills"] > div, [data-testid="stButtonGroup"] > div { flex-wrap: wrap; overflow: visible; }
h1 { font-size: 2rem !important; }
h2 { font-size: 1.5rem !important; }
[data-testid="stMetricValue"] { font-size: 1.35rem; }
[data-testid="stMetricValue"] * { white-space: normal; }
</style>
"""


def disclaimer() -> None:
    """Always in view, on every page."""
    st.html(STYLE)
    with st.container(key="disclaimer"):
        st.markdown(
            ":material/warning: **Not a medical device.** For teaching and research only: "
            "never decide about a patient with it."
        )


@st.cache_data(max_entries=8, show_spinner=False)
def phantom_of(sample: str) -> phantom.Phantom:
    """The phantom behind a sample, with its true masks."""
    _, modality, ill = PHANTOMS[sample]
    make = phantom.xray if modality == "xray" else phantom.ct
    return make(seed=1, lesions=phantom.Lesions(count=8, size=0.24, density=0.9) if ill else None)


@st.cache_data(max_entries=16, show_spinner="Fetching the picture from the web")
def _case(file: str) -> bytes:
    return gallery.fetch(next(c for c in gallery.cases() if c.file == file))


def sample(name: str) -> Upload:
    """The sample of this name.

    Raises:
        ImageError: there is none, or it cannot be fetched.
    """
    if name in PHANTOMS:
        return Upload(PHANTOMS[name][0], phantom.png_bytes(phantom_of(name)), sample=name)
    for case in gallery.cases():
        if case.file == name:
            return Upload(name, _case(name), case.credit, sample=name)
    raise images.ImageError(f"There is no sample '{name}'. Choose one from the list.")


def follow_link() -> None:
    """Take settings and sample from the address, once a visit: `?model=mobilenetv2&sample=ct-lesions`."""
    if "settings" in st.session_state:
        return
    usual, given = Settings(), st.query_params
    choices = {"modality": MODALITIES, "model": classifiers(), "method": METHOD_TITLES}
    wanted: dict[str, Any] = {k: given[k] for k, allowed in choices.items() if given.get(k) in allowed}
    with contextlib.suppress(ValueError):
        level = round(float(given.get("level", usual.level)), 2)
        if LEVELS[0] <= level <= LEVELS[1]:
            wanted["level"] = level
    st.session_state["settings"] = replace(usual, **wanted)
    if "sample" in given:
        try:
            st.session_state["picture"] = sample(given["sample"])
        except images.ImageError as error:
            st.error(str(error), icon=":material/error:")


def show_link(settings: Settings, picture: Upload | None) -> None:
    """Write settings and sample into the address, so that it can be shared; what is as always is left out."""
    usual = Settings()
    chosen = {
        name: str(getattr(settings, name))
        for name in ("modality", "model", "method", "level")
        if getattr(settings, name) != getattr(usual, name)
    }
    if picture is not None and picture.sample:
        chosen["sample"] = picture.sample
    st.query_params.from_dict(chosen)


def choose_picture() -> Upload | None:
    """Upload widget and samples; None until there is a picture. The last choice stays when the page changes."""
    file = st.file_uploader(
        "Chest X-ray or CT slice",
        type=TYPES,
        help="PNG, JPEG, WebP, TIFF, BMP or DICOM, up to 64 MB. Nothing is stored.",
    )
    with st.expander("No picture at hand? Pick a sample", expanded=True, icon=":material/image_search:"):
        st.caption("Phantoms are computed, their lesions known.")
        for name, (title, _, _) in PHANTOMS.items():
            if st.button(title, width="stretch"):
                st.session_state["picture"] = sample(name)
        st.caption("These cases are of real patients, openly licensed, fetched from the web on a click.")
        case = st.selectbox(
            "Real case from the web",
            gallery.cases(),
            format_func=lambda c: f"{c.finding} ({c.view}, {c.licence})",
            index=None,
            placeholder="Choose a case",
        )
        if case is not None and st.button("Fetch this case"):
            try:
                st.session_state["picture"] = sample(case.file)
            except images.ImageError as error:
                st.error(str(error))
    if file is not None and file.file_id != st.session_state.get("uploaded"):
        st.session_state["uploaded"] = file.file_id
        st.session_state["picture"] = Upload(file.name, file.getvalue())
    picture: Upload | None = st.session_state.get("picture")
    return picture


def choose_settings(wanted: Sequence[str] = ("modality", "model", "method", "level")) -> Settings:
    """Widgets for how to answer; what was chosen holds on all pages.

    Args:
        wanted: which of the settings the page heeds; the others have no widget, and stay as they are.
    """
    settings: Settings = st.session_state["settings"]
    if not wanted:
        return settings
    with st.expander("Settings", icon=":material/tune:"):
        if "modality" in wanted:
            modality = st.segmented_control(
                "Kind of image",
                list(MODALITIES),
                format_func=MODALITIES.get,
                default=settings.modality,
                required=True,
                key="modality",
            )
            settings = replace(settings, modality=modality)
        if "model" in wanted:
            settings = replace(settings, model=choose_model())
        if "method" in wanted:
            index = list(METHOD_TITLES).index(settings.method)
            method = st.selectbox(
                "Uncertainty from", list(METHOD_TITLES), index, format_func=METHOD_TITLES.get, key="method"
            )
            settings = replace(settings, method=method)
        if "level" in wanted:
            level = st.slider(
                "Confidence level",
                *LEVELS,
                settings.level,
                0.01,
                key="level",
                help="Of the interval and of what cannot be ruled out.",
            )
            settings = replace(settings, level=level)
    st.session_state["settings"] = settings
    return settings


def choose_model() -> str:
    """Selectbox of the classifiers; one choice for all pages."""
    titles, settings = classifiers(), st.session_state["settings"]
    index = list(titles).index(settings.model)
    chosen: str = st.selectbox("Model", list(titles), index, format_func=titles.get, key="model")
    st.session_state["settings"] = replace(settings, model=chosen)
    return chosen


def beside_picture(
    wanted: Sequence[str] = ("modality", "model", "method", "level"),
) -> tuple[Upload | None, Settings, DeltaGenerator]:
    """The frame of a page about a picture: on the left picture and settings, which also go into the address.

    Args:
        wanted: of the settings, as in `choose_settings`.

    Returns:
        picture, settings, and the column on the right.
    """
    side, main = st.columns([1, 3], gap="large")
    with side:
        picture = choose_picture()
        settings = choose_settings(wanted)
    show_link(settings, picture)
    return picture, settings, main


def room(about: tuple[str, ...]) -> DeltaGenerator:
    """Where an answer's container goes; make it only when the answer is there, or clearing is not sent.

    While a run lasts, Streamlit leaves in place, dimmed, what the run before drew and this one has not come to. That is fine
    when only a setting changes; the answer to another question must not stand under this one's name, so it is cleared.

    Args:
        about: what the answer is to.
    """
    outer = st.container()
    is_same = st.session_state.get("answered") == about
    st.session_state["answered"] = about
    return outer if is_same else outer.empty()


def answer(picture: Upload, settings: Settings, progress: Callable[[str], None] = lambda step: None) -> Diagnosis:
    """The whole answer; the networks run once for the same picture, kind and model.

    Raises:
        ImageError: the picture cannot be read.
        WeightsError: a model's files are nowhere, or damaged.
    """
    seen = _seen(picture.data, picture.sha256, picture.name, settings.modality, settings.model, progress)
    return conclude(seen, settings.method, settings.level)


def answer_with_status(status: StatusContainer, picture: Upload, settings: Settings) -> Diagnosis:
    """`answer`; its steps are shown in the status while it is computed."""
    with status:
        result = answer(picture, settings, lambda step: status.update(label=step))
        status.update(label=f"Done in {result.seconds:.2f} s", state="complete")
    return result


@st.cache_data(max_entries=16, show_spinner=False)
def _seen(_data: bytes, sha: str, name: str, modality: str, model: str, _progress: Callable[[str], None]) -> Seen:
    """Bounded, and keyed by content."""
    return see(images.decode(_data, name), modality, model, progress=_progress)


@st.cache_data(max_entries=16, show_spinner=False)
def small(_data: bytes, sha: str, name: str) -> images.DecodedImage:
    """The picture as the teaching pages change it, `degrade.SIDE` pixels a side.

    Raises:
        ImageError: it cannot be read.
    """
    return degrade.reduced(images.decode(_data, name))


@st.cache_data(max_entries=2000, show_spinner=False)
def spoilt(_image: images.DecodedImage, sha: str, modality: str, model: str, kind: str, strength: float) -> Evidence:
    """What the networks make of a picture spoilt like this."""
    return see(degrade.degrade(_image, kind, strength), modality, model).evidence.light()


@st.cache_data(max_entries=8, show_spinner=False)
def _chest(_data: bytes, sha: str, name: str, modality: str, model: str) -> shortcuts.Chest:
    return shortcuts.chest(images.decode(_data, name), modality, model)


def chest(picture: Upload, settings: Settings) -> shortcuts.Chest:
    """The picture with its lungs.

    Raises:
        ImageError: it cannot be read.
    """
    return _chest(picture.data, picture.sha256, picture.name, settings.modality, settings.model)


@st.cache_data(max_entries=8, show_spinner=False)
def probes(_chest: shortcuts.Chest, sha: str, modality: str, model: str) -> list[shortcuts.Probe]:
    """The picture with parts taken away, and what is said of it."""
    return shortcuts.probes(_chest)


@st.cache_data(max_entries=500, show_spinner=False)
def marked(
    _chest: shortcuts.Chest, sha: str, modality: str, model: str, text: str, across: float, down: float
) -> Evidence:
    """What the classifier makes of the picture with letters burned in."""
    return shortcuts.in_box(_chest, shortcuts.with_marker(_chest.image, text, across, down))


@st.cache_data(max_entries=50, show_spinner=False)
def marker_map(_chest: shortcuts.Chest, sha: str, modality: str, model: str, text: str) -> Any:
    """`shortcuts.marker_map`, [places, places]."""
    return shortcuts.marker_map(_chest, text)


@st.cache_data(max_entries=32, show_spinner=False)
def lesion_trial(count: int, size: float, density: float) -> trial.Trial:
    """A phantom with these lesions, as true and as marked."""
    return trial.lesions(count, size, density)


def choose_volume() -> volume.Volume | None:
    """Upload widget for a whole CT, and a phantom of one; the last one stays when the page changes.

    Raises:
        ImageError: the files are no CT that can be read.
    """
    files = st.file_uploader(
        "A whole CT",
        type=["nii", "gz", "zip", "dcm", "dicom"],
        accept_multiple_files=True,
        max_upload_size=scan.MAX_BYTES // 2**20,
        help="A NIfTI file (.nii, .nii.gz), all DICOM files of one series, or a zip of either. Nothing is stored.",
    )
    if st.button("Phantom of a whole CT", width="stretch"):
        st.session_state["volume"] = _phantom_volume()
    names = [file.file_id for file in files]
    if files and names != st.session_state.get("uploaded_volume"):
        st.session_state["uploaded_volume"] = names
        st.session_state["volume"] = None  # of a file that cannot be read, the former one must not stay
        with st.spinner("Reading the slices"):
            st.session_state["volume"] = volume.read_volume([(file.name, file.getvalue()) for file in files])
    chosen: volume.Volume | None = st.session_state.get("volume")
    return chosen


@st.cache_data(max_entries=1, show_spinner="Computing a chest, slice by slice")
def _phantom_volume() -> volume.Volume:
    return volume.of_phantom()


def burden(of: volume.Volume, progress: Callable[[int, int], None]) -> Burden:
    """Lesions over the slices of the visitor's CT.

    Kept with the visitor: a cached function must not draw on a progress bar that was made outside of it.
    """
    kept = st.session_state.get("burden")
    if kept is None or kept[0] != of.sha256:
        kept = st.session_state["burden"] = (of.sha256, measure_burden(of, progress))
    found: Burden = kept[1]
    return found


def diagnose_slice(of: volume.Volume, index: int) -> None:
    """Show a slice on the page Diagnose."""
    show_picture(Upload(f"{of.name}, slice {of.numbers[index]}", volume.slice_png(of, index)))


def show_picture(picture: Upload) -> None:
    """Make it the picture of all pages, and go to Diagnose."""
    st.session_state["picture"] = picture
    st.switch_page("pages/diagnose.py")


@st.cache_data(max_entries=4)
def stored_answers(model: str) -> dict[str, stored.Answers]:
    """A model's answers to the reported images, by part, as `train.evaluate` left them."""
    return stored.read(SCOREBOARD.with_name(f"answers-{model}.csv"))


@st.cache_data(max_entries=1)
def scoreboard() -> list[dict[str, Any]]:
    """Rows of the scoreboard, as `train.scoreboard` left them."""
    rows: list[dict[str, Any]] = json.loads(SCOREBOARD.read_text(encoding="utf-8"))
    return rows


def harder_questions(measure: str) -> dict[str, dict[str, Any]]:
    """Figures of one measure for X-rays, from the easiest question to the hardest, for `figures.forest`."""
    rows = {r["protocol"]: r for r in scoreboard() if r["model"] == registry.DEFAULT}
    return {
        _words.part_name(name): {**rows[name]["figures"][measure], "kind": rows[name]["kind"]}
        for name in _words.HARDER
        if measure in rows[name]["figures"]
    }


@st.cache_data(max_entries=1)
def tested_on() -> list[dict[str, Any]]:
    """Protocol, "n", "n_covid" and "groups" of every part the default model was measured on."""
    metrics = weights.load_config(registry.get(registry.DEFAULT))["metrics"]
    return [
        {"protocol": f"{modality} / {name}", "n": part["n"], "n_covid": part["n_covid"], "groups": part["groups"]}
        for modality in ("xray", "ct")
        for name, part in metrics[modality].items()
    ]


@st.cache_data(max_entries=1)
def sources() -> list[dict[str, str]]:
    """Title, citation, licence, address and a note on every data set behind the weights and the figures."""
    rows: dict[str, dict[str, str]] = json.loads(SOURCES.read_text(encoding="utf-8"))
    return list(rows.values())


def go_to_step(number: int) -> None:
    """Show another step of the lesson."""
    st.session_state["step"] = number


def classifiers() -> dict[str, str]:
    """Name -> title of the models that classify."""
    return {s.name: s.title for s in registry.MODELS.values() if s.task == "classify"}

"""The only home of caches, session keys and the upload widget."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.mutable_status_container import StatusContainer
from streamlit.navigation.page import StreamlitPage

from covid_core import gallery, images, phantom, registry
from covid_core.diagnose import Diagnosis, diagnose

SCOREBOARD = Path(__file__).parents[1] / "train" / "results" / "scoreboard.json"
TYPES = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "dcm", "dicom"]
MODALITIES = {"auto": "Find out", "xray": "X-ray", "ct": "CT"}
METHODS = {
    "ensemble_mc_dropout": "Five heads and head-only dropout (250 samples a network)",
    "ensemble": "Five heads (5 samples a network)",
    "mc_dropout": "Head-only dropout (50 samples a network)",
}
PHANTOMS = {
    "Phantom X-ray, healthy": ("xray", False),
    "Phantom X-ray, with lesions": ("xray", True),
    "Phantom CT slice, healthy": ("ct", False),
    "Phantom CT slice, with lesions": ("ct", True),
}

# What the names of the parts in config.json stand for; a part without a line here keeps its name.
PARTS = {
    "xray / test": "X-ray, sources of training",
    "xray / external": "X-ray, other hospitals, all",
    "xray / external_ieee8023": "X-ray, web collection ieee8023",
    "xray / external_shenzhen": "X-ray, Shenzhen (nobody with COVID-19)",
    "xray / external_covid_normal": "X-ray, other hospitals, against healthy",
    "xray / external_covid_pneumonia": "X-ray, other hospitals, against pneumonia",
    "xray / external_covid_tuberculosis": "X-ray, other hospitals, against tuberculosis",
    "xray / pediatric": "X-ray, children (nobody with COVID-19)",
    "xray / transplanted": "X-ray, lesions moved between sources",
    "ct / covid_ct_official_test": "CT, COVID-CT, official test",
    "ct / sars_cov_2_grouped_test": "CT, São Paulo, test by groups",
    "ct / test": "CT, both sets, test",
    "gate": "Gate",
    "test": "Test",
    "infnet_test": "Inf-Net's 48 slices",
    "unet_ct / test": "CT volumes, test",
    "unet_ct / infnet_test": "Inf-Net's 48 slices",
    "unet_xray / test": "X-rays, test",
    "xray_random": "X-ray, Radiography Database, random split",
    "sars_random": "CT, São Paulo, random split",
    "sars_grouped": "CT, São Paulo, five folds by groups",
    "covid_ct_to_sars": "CT, trained on COVID-CT, tested on São Paulo",
    "sars_to_covid_ct": "CT, trained on São Paulo, tested on COVID-CT",
}

# In words, in the order in which pages offer them.
MEASURES = {
    "accuracy": "Accuracy of the more probable class",
    "auc": "AUC: chance that a COVID-19 image gets the higher probability (0.5 = guessing)",
    "sensitivity": "Sensitivity: share of the COVID-19 images recognised",
    "specificity": "Specificity: share of the other images recognised",
    "f1": "F1",
    "auprc": "Area under the precision-recall curve",
    "ece": "Calibration error (ECE, smaller is better)",
    "brier": "Brier score (smaller is better)",
    "nll": "Negative log-likelihood (smaller is better)",
    "risk_coverage_area": "Area under the risk-coverage curve (smaller is better)",
    "risk_at_80_percent": "Share wrong among the 80 % it is surest of (smaller is better)",
    "misclassification_auroc": "How well doubt tells wrong answers from right ones (AUROC)",
    "accuracy_of_decided": "Accuracy of the answers it decides",
    "decided": "Share of images it decides",
    "called_covid": "Share called COVID-19",
    "coverage_covid": "Prediction sets that hold the truth, COVID-19 images (promised: 0.90)",
    "coverage_non_covid": "Prediction sets that hold the truth, other images (promised: 0.90)",
    "opacity_covid": "COVID-19 images on which the U-Net marks visible opacity",
    "opacity_non_covid": "Other images on which it does",
    "ood_auroc": "How well the distance tells these images from the test images (AUROC)",
    "lesion_dice": "Lesion Dice",
    "lung_dice": "Lung Dice",
    "mean_dice_over_thresholds": "Mean Dice over all thresholds (Inf-Net's measure)",
    "dice_at_0.5": "Dice at 0.5, mean over slices",
    "interval_coverage": "Lesion shares inside their interval (promised: 0.90)",
}


@dataclass(frozen=True)
class Upload:
    """A picture the visitor chose.

    Attributes:
        name: shown above the result.
        data: the file.
        credit: source and licence in Markdown, "" for the visitor's own.
        synthetic: whether it is a phantom.
    """

    name: str
    data: bytes
    credit: str = ""
    synthetic: bool = False


def measures(parts: Iterable[dict[str, Any]]) -> list[str]:
    """Those of `MEASURES` that any of the parts has."""
    held = {name for part in parts for name in part}
    return [name for name in MEASURES if name in held]


def part_name(path: str) -> str:
    """What a part of a model's figures was measured on, in words."""
    return PARTS.get(path, path)


def navigation() -> StreamlitPage:
    """The one list of pages; returns the page asked for."""
    return st.navigation(
        [
            st.Page("pages/diagnose.py", title="Diagnose", icon=":material/pulmonology:", default=True),
            st.Page("pages/scoreboard.py", title="Scoreboard", icon=":material/leaderboard:"),
            st.Page("pages/models.py", title="Models", icon=":material/deployed_code:"),
        ],
        position="top",
    )


def begin() -> None:
    """First call of app.py, on every run: window title, style, disclaimer."""
    st.session_state["through_app"] = True
    st.set_page_config(page_title="Covid Core", page_icon="🫁", layout="wide")
    disclaimer()


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
def _phantom(name: str) -> bytes:
    modality, ill = PHANTOMS[name]
    make = phantom.xray if modality == "xray" else phantom.ct
    return phantom.png_bytes(make(seed=1, lesions=phantom.Lesions(count=8, size=0.24, density=0.9) if ill else None))


@st.cache_data(max_entries=16, show_spinner="Fetching the picture from the web")
def _case(file: str) -> bytes:
    return gallery.fetch(next(c for c in gallery.cases() if c.file == file))


def choose_picture() -> Upload | None:
    """Upload widget and samples; None until there is a picture. The last choice stays when the page changes."""
    file = st.file_uploader(
        "Chest X-ray or CT slice",
        type=TYPES,
        help="PNG, JPEG, WebP, TIFF, BMP or DICOM, up to 64 MB. Nothing is stored.",
    )
    with st.expander("No picture at hand? Pick a sample", expanded=True, icon=":material/image_search:"):
        st.caption("Phantoms are computed, their lesions known.")
        for name in PHANTOMS:
            if st.button(name, width="stretch"):
                st.session_state["picture"] = Upload(name, _phantom(name), synthetic=True)
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
                st.session_state["picture"] = Upload(case.file, _case(case.file), case.credit)
            except images.ImageError as error:
                st.error(str(error))
    if file is not None and file.file_id != st.session_state.get("uploaded"):
        st.session_state["uploaded"] = file.file_id
        st.session_state["picture"] = Upload(file.name, file.getvalue())
    picture: Upload | None = st.session_state.get("picture")
    return picture


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


def answer(
    status: StatusContainer, data: bytes, sha: str, name: str, modality: str, model: str, method: str, level: float
) -> Diagnosis:
    """The whole answer; its steps are shown in the status while it is computed."""
    with status:
        result = _answer(data, sha, name, modality, model, method, level, lambda step: status.update(label=step))
        status.update(label=f"Done in {result.seconds:.2f} s", state="complete")
    return result


@st.cache_data(max_entries=16, show_spinner=False)
def _answer(
    _data: bytes,
    sha: str,
    name: str,
    modality: str,
    model: str,
    method: str,
    level: float,
    _progress: Callable[[str], None],
) -> Diagnosis:
    """Computed once for the same picture and settings; bounded, and keyed by content."""
    image = images.decode(_data, name)
    return diagnose(image, modality, model, method, level, progress=_progress)  # type: ignore[arg-type]


@st.cache_data(max_entries=1)
def scoreboard() -> list[dict[str, Any]]:
    """Rows of the scoreboard, as `train.scoreboard` left them."""
    rows: list[dict[str, Any]] = json.loads(SCOREBOARD.read_text(encoding="utf-8"))
    return rows


def classifiers() -> dict[str, str]:
    """Name -> title of the models that classify."""
    return {s.name: s.title for s in registry.MODELS.values() if s.task == "classify"}

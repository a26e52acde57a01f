"""The frame of every page: navigation, disclaimer, settings and links."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from covid_core import images, painting, registry, report
from covid_core.classify import LEVEL, Method
from pages import _board
from pages._choice import choose_picture
from pages._pictures import STAND_IN, Upload, sample

LOGO = Path(__file__).with_name("logo.svg")
MODALITIES = {"auto": "Detect", "xray": "X-ray", "ct": "CT"}
LEVELS = (0.80, 0.99)


@dataclass(frozen=True)
class Settings:
    """How a picture is to be answered; the names are those of `diagnose`."""

    modality: str = "auto"
    model: str = registry.DEFAULT
    method: Method = "ensemble_mc_dropout"
    level: float = LEVEL


def plain(name: str) -> str:
    """A file's name as it is: without this `a*b*.png` would be set in italics, `$1$` as a formula."""
    return re.sub(r"([\\`*_$:\[\]~#<>])", r"\\\1", name)


def navigation() -> StreamlitPage:
    """Title of the window and the one list of pages; returns the page asked for."""
    # Before the list, or the browser fetches the page's icon from the web for its tab.
    st.set_page_config(page_title="Covid Core", page_icon="🫁", layout="wide")
    st.logo(LOGO, size="large", icon_image=LOGO)
    return st.navigation(
        [
            st.Page("pages/diagnose.py", title="Diagnose", icon=":material/pulmonology:", default=True),
            st.Page("pages/learn.py", title="Learn", icon=":material/school:"),
            st.Page("pages/compare.py", title="Compare", icon=":material/compare:"),
            st.Page("pages/uncertainty_lab.py", title="Uncertainty lab", icon=":material/science:"),
            st.Page("pages/shortcut_lab.py", title="Shortcut lab", icon=":material/visibility_off:"),
            st.Page("pages/scoreboard.py", title="Scoreboard", icon=":material/leaderboard:"),
            st.Page("pages/batch.py", title="Batch", icon=":material/grid_view:"),
            st.Page("pages/models.py", title="Models", icon=":material/deployed_code:"),
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
/* Streamlit's own darker ground leaves too little contrast to the letters. */
button[data-variant][data-selected="true"][data-hovered="true"] {
  background: color-mix(in srgb, currentColor 10%, transparent) !important; }
h1 { font-size: 2rem !important; }
h2 { font-size: 1.5rem !important; }
h3 { font-size: 1.25rem !important; }
h4 { font-size: 1.1rem !important; }
/* Else what is moved to by keys hides behind navigation or disclaimer. */
[data-testid="stMain"] { scroll-padding: 4rem 0 5rem; }
[data-testid="stTopNavLink"]:focus-visible { box-shadow: 0 0 0 3px light-dark(#0072B2, #56B4E9) !important; }
.js-plotly-plot :is([class$="tick"], [class^="g-"], .annotation) text { fill: light-dark(#475569, #e2e8f0) !important; }
[data-testid="stGraphVizChart"] .edge text { fill: light-dark(#475569, #e2e8f0); }
/* Else a script that runs once moves what stands below it. */
[data-testid="stElementContainer"]:has(> [data-testid="stHtml"] > script) { display: none; }
[data-testid="stCaptionContainer"] code { color: inherit !important; background: none !important; }
.key { white-space: nowrap; margin-right: 0.8rem; }
.key img { width: 1.5rem; height: 1rem; vertical-align: middle; }
[data-testid="stAlert"] h3 { padding: 0 0 0.5rem !important; }
[data-testid="stMetricValue"] { font-size: 1.35rem; }
.st-key-summary { display: grid; grid-template-columns: 1fr 1fr; gap: 0.75rem; }
.st-key-summary > * { width: auto; }
.st-key-phantoms { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 0.75rem; }
.st-key-phantoms > * { width: auto; }
[data-testid="stBaseButton-primary"]:enabled, [data-testid="stBaseButton-primary"]:enabled * {
  color: light-dark(#ffffff, #0f172a) !important; }
:is([data-testid="stMetricValue"], [data-testid="stMetricDelta"]),
:is([data-testid="stMetricValue"], [data-testid="stMetricDelta"]) * {
  white-space: normal !important; overflow: visible !important; }
</style>
"""


def disclaimer() -> None:
    """Always in view, on every page."""
    st.html(STYLE)
    with st.container(key="disclaimer"):
        st.markdown(
            ":material/warning: **Not a medical device.** For teaching and research only: "
            "never use it to decide about a patient."
        )


def follow_link() -> None:
    """Take settings and sample from the address, once a visit: `?model=mobilenetv2&sample=ct-lesions`.

    The settings come last: they say that the link was followed, and a click can end this run while a sample is made.
    """
    if "settings" in st.session_state:
        return
    usual, given = Settings(), st.query_params
    choices = {"modality": list(MODALITIES), "model": list(classifiers()), "method": list[str](report.METHOD_TITLES)}
    wanted: dict[str, Any] = {k: given[k] for k, allowed in choices.items() if given.get(k) in allowed}
    with contextlib.suppress(ValueError):
        level = round(float(given.get("level", usual.level)), 2)
        if LEVELS[0] <= level <= LEVELS[1]:
            wanted["level"] = level
    if "sample" in given:
        try:
            st.session_state["picture"] = sample(given["sample"])
        except images.ImageError as error:
            st.error(str(error), icon=":material/error:")
    st.session_state["settings"] = replace(usual, **wanted)


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
                format_func=MODALITIES.__getitem__,
                default=settings.modality,
                required=True,
                key="modality",
            )
            settings = replace(settings, modality=modality)
        if "model" in wanted:
            settings = replace(settings, model=choose_model())
        if "method" in wanted:
            index = list(report.METHOD_TITLES).index(settings.method)
            method: Method = st.selectbox(
                "Sampling",
                list(report.METHOD_TITLES),
                index,
                format_func=report.METHOD_TITLES.__getitem__,
                key="method",
                help="Samples per network: 250 (five heads, 50 dropout masks each), 5 (heads alone) or 50 (dropout alone).",
            )
            settings = replace(settings, method=method)
        if "level" in wanted:
            level = st.slider(
                "Level",
                *LEVELS,
                settings.level,
                0.01,
                format="percent",
                key="level",
                help="Sets the width of the interval and what is not ruled out.",
            )
            settings = replace(settings, level=level)
    st.session_state["settings"] = settings
    return settings


def choose_layers(available: list[str]) -> list[str]:
    """Pills of the layers there are; what was chosen before stays chosen while a picture has no such layer."""
    wanted: list[str] = st.session_state.get("layers", list(painting.LAYERS)[:2])
    held = [name for name in available if name in wanted]
    # Other layers are another widget, which starts with what is wanted.
    shown = st.pills("Layers", available, selection_mode="multi", default=held, key=f"layers {available}")
    st.session_state["layers"] = [*shown, *(name for name in wanted if name not in available)]
    return list(shown)


def choose_model() -> str:
    """Selectbox of the classifiers; one choice for all pages."""
    titles, settings = classifiers(), st.session_state["settings"]
    index = list(titles).index(settings.model)
    chosen: str = st.selectbox(
        "Model", list(titles), index, format_func=titles.__getitem__, key="model", help=_board.known_aucs(titles)
    )
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
    if picture is not None and picture.volume and settings.modality == "auto":
        settings = replace(settings, modality="ct")  # its file said so, the slice's own cannot
    return picture, settings, main


def or_phantom(chosen: Upload | None) -> Upload:
    """The picture chosen, under its name; as long as there is none, a phantom, so that no page is empty."""
    picture = chosen or sample(STAND_IN)
    st.header(plain(picture.name))
    if chosen is None:
        st.caption("A phantom stands in until you choose a picture.")
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


def classifiers() -> dict[str, str]:
    """Name -> title of the models that classify."""
    return {s.name: s.title for s in registry.MODELS.values() if s.task == "classify"}

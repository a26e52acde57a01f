"""Diagnose: a picture in, an honest answer out."""

import hashlib
import json

import streamlit as st

from covid_core import figures, images, report
from covid_core.diagnose import Diagnosis
from covid_core.weights import WeightsError
from pages import _ui

WORDS = {
    "covid": ("COVID-19 pattern", "error"),
    "non_covid": ("No COVID-19 pattern", "success"),
    "uncertain": ("Cannot say", "warning"),
    "refused": ("No answer for this picture", "warning"),
}


def verdict(result: Diagnosis) -> None:
    """The answer in words."""
    answer = result.classification
    title, kind = WORDS[answer.decision]
    kinds = {"xray": "chest X-ray", "ct": "chest CT slice"}
    lines = [f"**{title}.**"]
    if answer.probability is not None and answer.interval is not None:
        low, high = answer.interval
        lines.append(
            f"Seen as a {kinds[answer.modality]}. Probability of COVID-19 **{answer.probability:.0%}**, "
            f"{answer.level:.0%} interval {low:.0%} to {high:.0%}."
        )
    if answer.reason:
        lines.append(answer.reason)
    getattr(st, kind)(" ".join(lines))


def numbers(result: Diagnosis) -> None:
    """Bars, prediction set and what they mean."""
    answer = result.classification
    if answer.probability is None:
        return
    st.plotly_chart(figures.probability_bar(answer), key="probability", config={"displayModeBar": False})
    st.plotly_chart(figures.uncertainty_bar(answer), key="uncertainty", config={"displayModeBar": False})
    names = {"covid": "COVID-19", "non_covid": "not COVID-19"}
    chosen = " or ".join(names[c] for c in answer.prediction_set) or "neither (unusual for both)"
    st.markdown(f"**Prediction set at {answer.level:.0%}:** {chosen}")
    score = answer.gate.ood_score
    st.markdown(f"**Distance from the training images:** {score:.2f} (above 1: unlike them)")
    with st.expander("What do these mean?"):
        st.markdown(
            "- **Interval:** where the middle part of the samples lies. Each sample asks one of five heads with part of "
            "its inputs dropped; only the last layer is sampled.\n"
            "- **Aleatoric** uncertainty is doubt every sample shares, **epistemic** is disagreement between them.\n"
            "- **Prediction set:** the classes that calibration images of known answer cannot rule out. Both classes, or "
            "none, means *cannot say*.\n"
            "- All of this holds for images like those it was calibrated on. A confident answer on a picture from "
            "another hospital can still be wrong: see the external rows on the Models page."
        )


def lesions(result: Diagnosis) -> None:
    """Share of the lungs that is lesion."""
    found = result.segmentation
    if found is None:
        return
    if found.lesion_percent_of_lung is None or found.lesion_interval is None:
        st.markdown(f"**Lesions:** cannot say. {found.reason}")
    else:
        low, high = found.lesion_interval
        st.markdown(
            f"**Marked as lesion:** {found.lesion_percent_of_lung:.1f} % of the lungs "
            f"(90 % interval {low:.1f} to {high:.1f} %)"
        )
    share = result.explanation.share_in_lungs if result.explanation else None
    if share is not None:
        st.markdown(f"**Evidence for COVID-19 inside the lungs (Grad-CAM):** {share:.0%}")


def picture(result: Diagnosis) -> None:
    """The picture with layers that can be switched."""
    available = list(figures.LAYERS) if result.explanation else list(figures.LAYERS)[:3]
    if result.segmentation is None:
        available = []
    shown = (
        st.pills("Layers", available, selection_mode="multi", default=available[:2], key="layers") if available else []
    )
    opacity = st.slider("Opacity", 0.0, 1.0, 0.5, 0.05, key="opacity") if available else 0.0
    alt = f"{result.image.name} with layers: {', '.join(shown) or 'none'}"
    st.image(figures.layers(result, list(shown), opacity), caption=alt, width="stretch")
    st.markdown(
        " ".join(
            f"<span style='color:{figures.LAYERS[n]}'>&#9632;</span> {n}&nbsp;&nbsp;" for n in available if n in shown
        ),
        unsafe_allow_html=True,
    )


def downloads(result: Diagnosis) -> None:
    """JSON of the whole answer, and the mask."""
    rows = {"classification": report.classification_row(result.image.name, result)}
    found = result.segmentation
    if found is not None:
        rows["segmentation"] = report.segmentation_row(
            result.image.name, result.classification.modality, found, None, None, result.seconds
        )
    left, right = st.columns(2)
    left.download_button(
        "Answer as JSON", json.dumps(rows, indent=1), "answer.json", "application/json", width="stretch"
    )
    if found is not None:
        right.download_button("Mask as PNG", report.mask_png(found), "mask.png", "image/png", width="stretch")


st.title("Is it COVID-19, and how sure can one be?")
side, main = st.columns([1, 2], gap="large")
with side:
    chosen = _ui.choose_picture()
    with st.expander("Settings"):
        modality = st.segmented_control(
            "Kind of image", list(_ui.MODALITIES), format_func=_ui.MODALITIES.get, default="auto", key="modality"
        )
        models = _ui.classifiers()
        model = st.selectbox("Model", list(models), format_func=models.get, key="model")
        method = st.selectbox("Uncertainty from", list(_ui.METHODS), format_func=_ui.METHODS.get, key="method")
        level = st.slider("Confidence level", 0.80, 0.99, 0.90, 0.01, key="level")
with main:
    if chosen is None:
        st.info(
            "Upload a chest X-ray or CT slice, or pick a sample. The answer comes with bars that say how sure it is."
        )
    else:
        st.subheader(chosen.name)
        if chosen.credit:
            st.caption(f"Credit: {chosen.credit}")
        if chosen.synthetic:
            st.caption("A computed phantom, not a patient: the model may well find it unlike its training images.")
        try:
            sha = hashlib.sha256(chosen.data).hexdigest()
            result = _ui.answer(chosen.data, sha, chosen.name, modality or "auto", model, method, level)
        except (images.ImageError, WeightsError) as error:
            st.error(str(error))
        else:
            verdict(result)
            left, right = st.columns(2)
            with left:
                picture(result)
            with right:
                numbers(result)
                lesions(result)
                downloads(result)
                st.caption(
                    f"{result.classification.model}, weights {result.classification.weights_sha256[:12]}, "
                    f"{result.seconds:.2f} s"
                )

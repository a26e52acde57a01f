"""Scoreboard: what is left of a published figure when copies, patients and hospitals are kept apart."""

from typing import Any

import streamlit as st

from covid_core import figures, registry, terms
from pages import _board, _plain, _ui

GROUPS = {"xray": "X-ray", "ct": "CT", "lesions": "Lesions and lungs", "starts": "Without a pretrained start"}
# From the easiest question to the hardest.
ORDER = ("xray_random", "sars_random", "sars_grouped", *terms.PARTS)
INTRODUCTION = """
A report says **99.7 %**. Of what? Its images were split at random: copies of an image, and perhaps images of the same patient,
lie on both sides of the split, and nearly every COVID-19 image comes from different hospitals than the healthy ones. Read the
rows from top to bottom: first the question that report asked, then the same sources with copies kept apart (who the patients are
is mostly not known), then collections kept out of the classifier's training. (The X-ray U-Net did learn lung masks from their
pictures, and exchanged grain and grey levels with them; see the model cards.) On X-rays two models answer: a *plain network*, and
the app's model, which sees only the box around the lungs. On CT one pair of rows asks a plain network about São Paulo at random
and by groups; its five folds by groups also had fewer slices to learn from.
"""
BARS = (
    "Bars are 95 % bootstrap intervals over groups (of shares of 0 or 1, Clopper and Pearson's): patients where these are known, "
    "else runs or copies of images that belong together. Where nobody knows the patients, as in most X-rays of the training "
    "sources, bars may be too narrow, as they are from fewer than ten groups. They say what other images might give, not how "
    "another training would have come out, and of a hundred of them about five miss. Two overlapping bars of models asked about "
    "the same images can still differ clearly."
)


def label(row: dict[str, Any]) -> str:
    """What stands beside a line of the plot, without the kind of image, which is chosen above it."""
    part = terms.part_name(row["protocol"])
    if row["modality"] in ("xray", "ct"):
        part = part.removeprefix("X-ray, ").removeprefix("CT, ")
    return f"{part[0].upper()}{part[1:]}<br>{title(row['model'])}"


def title(model: str) -> str:
    """A model's name in words; what is none of the app's says its own."""
    return registry.MODELS[model].title if model in registry.MODELS else model[0].upper() + model[1:]


def place(row: dict[str, Any]) -> tuple[int, bool]:
    """Where a row stands: on the same images the plain network first."""
    ours = terms.same_images(row["protocol"])
    return ORDER.index(ours) if ours in ORDER else len(ORDER), ours == row["protocol"]


def plot(rows: list[dict[str, Any]], measure: str, axis: str) -> None:
    """Forest plot of one measure."""
    shown = {
        label(row): {**row["figures"][measure], "kind": row["kind"], "blind": _board.blind(row, measure)}
        for row in rows
        if row["figures"].get(measure, {}).get("value") is not None
    }
    if shown:
        st.plotly_chart(
            figures.forest(shown, axis),
            key="forest",
            config={"displayModeBar": False},
            alt=f"{axis} of every row, with intervals",
        )


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All figures, one line each."""
    return [
        {
            "protocol": terms.part_name(row["protocol"]),
            "model": row["model"],
            "kind": row["kind"],
            "measure": terms.measure_name(measure),
            "value": figure["value"],
            "95 % low": figure.get("low"),
            "95 % high": figure.get("high"),
            "n": figure.get("n"),
            "groups": figure.get("groups"),
            "source": row.get("source", "this project"),
        }
        for row in rows
        for measure, figure in row["figures"].items()
        if figure["value"] is not None
    ]


_ui.only_through_app()
st.title("What remains of 99.7\u00a0%?")
st.markdown(INTRODUCTION)
held = {r["modality"] for r in _board.scoreboard().values()}
groups = [name for name in GROUPS if name in held]
group = st.segmented_control(
    "Images", groups, format_func=GROUPS.__getitem__, default="xray", required=True, key="board"
)
rows = sorted((r for r in _board.scoreboard().values() if r["modality"] == group), key=place)
if group in _plain.BARS:
    _plain.show(group)
known = terms.measures(row["figures"] for row in rows)
# An accuracy follows the mix of a set: where most are of one class, who always names it has a fair one.
first = known.index("auc") if "auc" in known else 0
measure: str = st.selectbox("Measure", known, first, format_func=terms.MEASURES.__getitem__, key=f"measure-{group}")
ours = list(dict.fromkeys(row["model"] for row in rows if row["kind"] != "published"))
asked = st.pills(
    "Models",
    ours,
    selection_mode="multi",
    default=[registry.DEFAULT] if registry.DEFAULT in ours else ours,
    format_func=title,
    key=f"models-{group}",
    persist_state="session",
)
shown = [row for row in rows if row["kind"] == "published" or row["model"] in asked]
if not any(row["figures"].get(measure, {}).get("value") is not None for row in shown):
    st.info("No chosen model has this measure. Choose another one above.")
plot(shown, measure, terms.measure_name(measure))
if terms.measure_name(measure) != terms.MEASURES[measure]:  # which a phone's list cuts off
    st.caption(terms.MEASURES[measure])
if group == "xray" and (said := _board.confounded()):
    st.caption(said)
if group in ("xray", "ct"):
    st.caption(
        "*As it is*, *lungs blacked out* and *only the border of the box* are the test images of the training sources with parts "
        "taken away, as in the Shortcut lab; answers that stay right come from outside the lung mask. Accuracy depends on how "
        "many images show COVID-19, and so do F1, the area under the precision-recall curve, the losses, the calibration error, "
        "the shares of answers that are right and of those that are wrong; AUC does not. Grey lines show what is reached without "
        "looking at the images, as by always giving the more common answer. All images count, also those the app would refuse or "
        "withhold its answer to, except where a measure says otherwise."
        + (f" {terms.MOVED}" if group == "xray" else "")
    )
if group == "starts":
    st.caption(
        "What a teacher is worth when no ImageNet weights are available: a network started from random weights, after "
        f"{rows[0]['pictures']:,} pictures, taught by their labels alone or also by the features and answers of a finished model."
    )
st.caption(
    f"{BARS} These networks were trained for this comparison alone."
    if group == "starts"
    else f"{BARS} *Bundled* models are those of this app; a network *trained for "
    "it* saw only the training part of that split and was trained in the plain way of many reports; *published* figures are of "
    "others' models, and are shown only beside ours on the same test images or the same collection; what trained them differs."
    + (
        " The app's models learned from a second CT set and from lesion masks besides, which those published on COVID-CT did not. "
        "For InceptionResNetV2 there were no ImageNet weights: it began with weights that X-rays alone had taught, with "
        "MobileNetV2 as teacher."
        if group == "ct"
        else ""
    )
)
if group == "lesions":
    st.caption(
        "*CT volumes* are those of COVID-19-CT-Seg, gathered from two archives of teaching cases, Coronacases and Radiopaedia. "
        "*Inf-Net's 48 slices* are single CT slices on which Inf-Net (Fan 2020) and others were measured; of those the maps are "
        "public, so that their figures are computed here like ours."
    )
    st.caption(
        "The *U-Net with a channel for consolidation* is an exception: it is the bundled one, trained further with a third "
        "channel for the kinds of lesion. It found lesions less well in validation, so the app keeps the other, which tells them "
        "by density. The five folds are exceptions too: each is the bundled U-Net for X-rays, which has seen no CT, trained "
        "further. What others published on Inf-Net's slices learned from Inf-Net's own training slices, some of which are of "
        "patients of the test; ours left those out, but learned from the volumes besides. What was published on the volumes was "
        "measured on whole ones; for some of ours there are only slices with lesions. Earlier figures on Inf-Net's slices were "
        "known when our U-Net was trained further."
    )
    if slices := next((row["slices"] for row in rows if "slices" in row), None):
        st.caption(
            f"*CT validation* compares ways to train: one U-Net for each, trained on {slices:,} slices and measured on the images "
            "by which choices are made, at its best threshold. The app's U-Net learned from far more, with both losses."
        )
with st.expander("All figures", icon=":material/table:"):
    st.dataframe(table(shown), width="stretch", hide_index=True, alt="All figures of these rows")
with st.expander("Check it yourself", icon=":material/fact_check:"):
    st.markdown(
        "Every figure of ours was computed from one stored row per image, without the image: `train/results/*.csv`. "
        "`python -m train.scoreboard` computes them again, without a GPU and without the data."
    )
    st.download_button(
        "Scoreboard as JSON",
        _board.SCOREBOARD.read_bytes(),
        "scoreboard.json",
        "application/json",
        on_click="ignore",
        icon=":material/download:",
    )

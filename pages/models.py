"""Models: every model's card, figures with intervals, reliability, weights."""

from typing import Any

import streamlit as st

from covid_core import curves, figures, registry, terms, weights
from pages import _ui

KINDS = {"xray": "X-rays", "ct": "CT slices"}
COLUMNS = {
    "value": "value",
    "low": "95 % low",
    "high": "95 % high",
    "n": "n",
    "groups": "groups",
}


def table(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """All figures of the metrics that have a value, one row each."""
    found = []
    for path, name, value in terms.figures(metrics):
        is_count = isinstance(value, list)  # which has no interval
        figure = {"value": value[0] / value[1] if value[1] else None, "n": value[1]} if is_count else value
        if figure["value"] is not None:
            named = {"protocol": terms.part_name(" / ".join(path)), "measure": terms.measure_name(name)}
            found.append(named | {column: figure[key] for key, column in COLUMNS.items() if key in figure})
    return found


def protocols(metrics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Protocol name -> its figures, of all modalities."""
    return {
        terms.part_name(f"{modality} / {name}"): part
        for modality, parts in metrics.items()
        for name, part in parts.items()
        if isinstance(part, dict) and "value" not in part
    }


def measured(spec: registry.ModelSpec, metrics: dict[str, Any]) -> None:
    """Forest plot of one measure over all protocols, and reliability."""
    parts = protocols(metrics)
    if not parts:
        return
    left, right = st.columns(2, gap="large")
    with left:
        known = terms.measures(parts.values())
        measure: str = st.selectbox(
            "Measure", known, format_func=terms.MEASURES.__getitem__, key=f"measure-{spec.name}"
        )
        shown = {n: p[measure] for n, p in parts.items() if measure in p and p[measure]["value"] is not None}
        st.plotly_chart(
            figures.forest(shown, terms.measure_name(measure)),
            key=f"forest-{spec.name}",
            config={"displayModeBar": False},
            alt=f"{spec.title}: {terms.measure_name(measure)} with intervals, a line for each set of images",
        )
    with right:
        binned = {name: part["reliability"] for name, part in parts.items() if "reliability" in part}
        chosen = st.selectbox("Reliability on", list(binned), key=f"reliability-{spec.name}")
        st.plotly_chart(
            curves.reliability({"measured": binned[chosen]}),
            key=f"diagram-{spec.name}",
            config={"displayModeBar": False},
            alt=f"{spec.title}: share right over confidence, {chosen}",
        )


def segmented(spec: registry.ModelSpec, metrics: dict[str, Any]) -> None:
    """Forest plot of all figures of a U-Net."""
    shown = {f"{r['protocol']}: {r['measure']}": r for r in table(metrics)}
    renamed = {label: {key: r[column] for key, column in COLUMNS.items() if column in r} for label, r in shown.items()}
    st.plotly_chart(
        figures.forest(renamed, "Dice, or share"),
        key=f"forest-{spec.name}",
        config={"displayModeBar": False},
        alt=f"{spec.title}: Dice of lungs and lesions with intervals",
    )


_ui.only_through_app()
st.title("Models")
st.markdown(
    "Every figure was computed by `train/evaluate.py`, once with every finished model, on images kept out of its training (the "
    "cards name the exceptions), with a 95 % bootstrap interval over groups: patients where known, or images that belong "
    "together. It comes out too narrow from fewer than ten groups, and where nobody knows the patients. Compare *training "
    "sources* (copies kept apart) with *other hospitals*. That more people without COVID-19 have another disease there explains "
    "only a part of the gap: against healthy lungs alone the AUC falls, too. The likeliest other cause is that the networks "
    "learned the sources; picture quality and the choice of cases may add to it."
)
st.markdown(terms.MOVED)
for tab, spec in zip(st.tabs([s.title for s in registry.MODELS.values()]), registry.MODELS.values(), strict=True):
    with tab:
        st.header(spec.title)
        read = "Reads " + " and ".join(f"{KINDS[m]} at {side} px" for m, side in spec.sizes.items())
        if spec.members:
            read = "Each network reads X-rays and CT slices at its own size"
        backbone = f"Backbone{'s' * bool(spec.members)}: {spec.architecture}"
        try:
            st.caption(f"Command line: `{spec.name}`. {backbone}. {read}. Weights: {weights.status(spec)}.")
            config = weights.load_config(spec)
            card = weights.ASSETS / spec.name / "README.md"
            files = [] if spec.members else weights.locate_weights(spec)
        except weights.WeightsError as error:
            st.error(str(error), icon=":material/error:")
            continue
        (measured if spec.task == "classify" else segmented)(spec, config["metrics"])
        with st.expander("All figures", icon=":material/table:"):
            st.dataframe(table(config["metrics"]), width="stretch", hide_index=True, alt=f"All figures of {spec.title}")
        with st.expander("Model card and training data", icon=":material/description:"):
            text = card.read_text(encoding="utf-8").split("---", 2)[-1]
            st.markdown(text.lstrip().partition("\n")[2])  # its title stands above already
        if not files:
            st.caption("It has no weights of its own, but joins those of its members.")
        for number, file in enumerate(files, 1):
            part = "" if len(files) == 1 else f", part {number} of {len(files)}"
            st.download_button(
                f"Weights{part} ({file.stat().st_size / 2**20:.1f} MB)",
                file.read_bytes,  # read on a click, not on every run of the page
                file.name.replace("model", spec.name),
                key=f"weights-{spec.name}-{number}",
                on_click="ignore",
                icon=":material/download:",
            )

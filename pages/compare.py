"""Compare: one picture, every model and every way of sampling, side by side."""

from collections import Counter
from dataclasses import replace

import streamlit as st

from covid_core import classify, curves, images, painting, registry, report
from covid_core.diagnose import Diagnosis
from covid_core.weights import WeightsError
from pages import _answers, _ui

SHORT: dict[classify.Method, str] = {
    "ensemble_mc_dropout": "heads and head-only dropout",
    "ensemble": "heads alone",
    "mc_dropout": "head-only dropout",
}


def agreement(answers: dict[str, classify.Classification]) -> None:
    """Whether the answers agree, in one sentence, and how far apart they lie."""
    known = {label: a.probability for label, a in answers.items() if a.probability is not None}
    (most, count), *others = Counter(report.DECISIONS[a.decision] for a in answers.values()).most_common()
    said = f"{f'{count} of' if others else 'All'} {len(answers)} answers: *{most}*"
    said += "".join(f", {n} *{other}*" for other, n in others) + "."
    reasons = {a.reason for a in answers.values()}
    if len(known) > 1 and not any(a.is_baseless for a in answers.values()):
        low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
        said += f" The probabilities run from {report.percent(known[low])} ({low}) to {report.percent(known[high])} ({high})."
    if len(reasons) == 1:
        said += f" {reasons.pop()}"
    elif any(reasons):
        said += " The table *All numbers* at the end says why an answer is withheld."
    st.markdown(said)


def table(answers: dict[str, classify.Classification]) -> list[dict[str, object]]:
    """One line an answer."""
    return [
        {
            "answered by": label,
            "decision": report.DECISIONS[a.decision],
            "probability": a.probability,
            "low": a.interval and a.interval[0],
            "high": a.interval and a.interval[1],
            "aleatoric, bits": a.aleatoric,
            "epistemic, bits": a.epistemic,
            "not ruled out": report.held(a.prediction_set),
            "samples": a.samples.size,
            "why there is none": a.reason,
        }
        for label, a in answers.items()
    ]


def show(results: dict[str, dict[classify.Method, Diagnosis]]) -> None:
    """All answers to one picture: by model title, then by method."""
    answers = {
        f"{title}, {SHORT[method]}": result.classification
        for title, methods in results.items()
        for method, result in methods.items()
    }
    reasons = {a.reason for a in answers.values() if a.decision == "refused"}
    if reasons:  # the gate and the U-Net are the same for every model
        st.warning(f"No answer from any of them. {' '.join(reasons)}", icon=":material/block:")
        return
    agreement(answers)
    st.plotly_chart(
        curves.side_by_side({label.replace(", ", "<br>"): a for label, a in answers.items()}),
        key="side-by-side",
        config={"displayModeBar": False},
        alt="Probability of COVID-19 with its interval, a line for each model and way of sampling",
    )
    if any(a.is_baseless for a in answers.values()):
        st.caption("The bars show what was computed, which means nothing for such a picture.")
    st.caption(
        "All ways of sampling use the same features: where they differ, the last layer is unsure. Each model has its own backbone: "
        "where *the models* differ, what they learned depends on how they were made, which no single model can show. Agreement "
        "proves less than it seems: MobileNetV2 taught both others, and all share the gate and the U-Nets."
    )
    for column, (title, methods) in zip(st.columns(max(len(results), 2)), results.items(), strict=False):
        first = next(iter(methods.values()))
        if first.explanation is None:
            continue
        with column:
            st.image(
                painting.layers(first, [painting.CAM], 0.7),
                caption=f"{title}: evidence for COVID-19, {painting.grid(first.explanation)}",
                alt=f"The picture with Grad-CAM of {title}",
                width="stretch",
            )
    with st.expander("All numbers", icon=":material/table:"):
        st.dataframe(table(answers), width="stretch", hide_index=True, alt="All numbers of every answer")


_ui.only_through_app()
st.title("One picture, several opinions")
chosen, settings, main = _ui.beside_picture(("modality", "level"))
with main:
    st.markdown("Every model answers the picture by every way of sampling, and you see where they differ.")
    picture = _ui.or_phantom(chosen)
    place = _ui.room((picture.volume or picture.sha256, settings.modality, "compare"))
    try:
        with st.spinner("Asking every model"):
            results = {
                registry.MODELS[model].title: _answers.by_method(picture, replace(settings, model=model), SHORT)
                for model in _ui.classifiers()
            }
    except (images.ImageError, WeightsError) as error:
        place.error(str(error), icon=":material/error:")
    else:
        with place.container():
            show(results)

"""A plain network, trained as many reports train theirs: what becomes of its figures on harder questions."""

from typing import Any

import streamlit as st

from covid_core import curves, registry, report
from pages import _board

# Its rows on the scoreboard, from the report's question to the hardest.
BARS = {
    "xray": {
        "xray_random": "Split at random",
        "xray_grouped / test": "Copies kept apart",
        "xray_grouped / external": "Other hospitals",
        "xray_grouped / pediatric": "Children",
    },
    "ct": {
        "sars_random": "São Paulo, at random",
        "sars_grouped": "Groups kept apart",
        "sars_to_covid_ct": "Another collection",
    },
}
CT_FALLS = (
    "On CT, keeping groups apart costs much: neighbouring slices look alike, and a random split puts them on both sides. (Each "
    "bar is a training of its own; each of the five folds had fewer slices.) On another collection, COVID-CT, the plain "
    "network does little better than guessing; about half of the slices of each show COVID-19."
)


def show(modality: str) -> None:
    """What it is right about, from the report's question to the hardest; nothing where a figure of it is missing."""
    model = registry.get(registry.DEFAULT)
    shares = {words: _board.figure_of(path, model.name, "accuracy") for path, words in BARS[modality].items()}
    if not all(shares.values()):
        return
    what = "X-rays" if modality == "xray" else "CT slices"
    st.markdown(f"**{model.title} trained the plain way of many reports: share of the {what} it is right about**")
    usual = [_board.blind(_board.scoreboard()[path, model.name], "accuracy") for path in BARS[modality]]
    st.plotly_chart(
        curves.falling(shares, usual),
        key=f"falling-{modality}",
        config={"displayModeBar": False},
        alt="; ".join(map(_in_words, shares, shares.values(), usual)),
    )
    if said := CT_FALLS if modality == "ct" else x_rays_fall():
        st.markdown(said)


def _in_words(what: str, figure: dict[str, Any], usual: float | None) -> str:
    """A bar, for those who do not see it."""
    low, high = (report.share(figure[end]) for end in ("low", "high"))
    said = f"{what}: {report.share(figure['value'], 1)} of {figure['n']:,} images, 95 % interval {low} to {high}"
    return said if usual is None else f"{said}; always the more common answer: {report.share(usual)}"


class NotMeasuredError(Exception):
    """A figure that a sentence needs is missing."""


def x_rays_fall() -> str:
    """Why it falls on X-rays, and what the app's model does otherwise; "" where a figure is missing."""
    try:
        return "\n\n".join((_elsewhere(), _without_lungs(), _beside_ours()))
    except NotMeasuredError:
        return ""


def _figure(part: str, measure: str, protocol: str) -> dict[str, Any]:
    figure = _board.figure_of(f"{protocol} / {part}", registry.DEFAULT, measure)
    if figure.get("value") is None:
        raise NotMeasuredError(f"{protocol} / {part} has no {measure}.")
    return figure


def _share(part: str, measure: str, protocol: str = "xray_grouped", of_others: bool = False, digits: int = 0) -> str:
    """A share of the images, or of all others, in per cent."""
    value = _figure(part, measure, protocol)["value"]
    return report.share(1 - value if of_others else value, digits)


def _auc(part: str, protocol: str = "xray_grouped") -> str:
    return report.index(_figure(part, "auc", protocol)["value"])


def _elsewhere() -> str:
    everyone = _figure("external", "accuracy", "xray_grouped")["n"]
    without = _figure("external", "specificity", "xray_grouped")["n"]
    return (
        "The first bar is a network of its own, which also learned from healthy children; the other three are one network that "
        "saw no child. With copies kept apart it does as well as on a random split, so copies alone do not make the figure. In "
        f"other hospitals a model that always says no would be right about {report.share(without / everyone)}. Not only the "
        "hospitals differ there: many patients have tuberculosis or pneumonia. Against healthy people alone it is right about "
        f"{_share('external_covid_normal', 'accuracy')}."
    )


def _without_lungs() -> str:
    return (
        "With the lungs blacked out it still ranks the X-rays with copies kept apart well: AUC "
        f"{_auc('lungs_blacked_out')}, with lungs {_auc('test')}. So the label can be read from outside the lung mask: from the "
        "look of a source's pictures, the outline of the lungs, or what the mask misses. Its probabilities do fall: at a cut of "
        f"50 % it recognises {_share('lungs_blacked_out', 'sensitivity')} of the COVID-19 images. "
        "Where patients' lesions are put into healthy lungs of another source, and healthy lungs in place of a patient's lesions, "
        f"its AUC is {_auc('transplanted')}: it goes by the source and hardly heeds the lesions. The app's model has "
        f"{_auc('transplanted', 'xray')} there, but also learned from pictures made in this way."
    )


def _beside_ours() -> str:
    answered = _figure("pediatric", "accuracy_of_decided", "xray")
    wrong = round((1 - answered["value"]) * answered["n"])
    return (
        "The app's model sees only the box around the lungs, and the app gives no COVID-19 answer where no opacity is visible. "
        f"Its AUC is {_auc('as_it_is', 'xray')}, without lungs {_auc('lungs_blacked_out', 'xray')}, of the border of the box alone "
        f"{_auc('only_border', 'xray')}. In other hospitals both rank about alike ({_auc('external', 'xray')}, the plain one "
        f"{_auc('external')}): the app's better against tuberculosis, the plain one against healthy people. At a cut of 50 % the "
        f"app's is right about {_share('external', 'accuracy', 'xray', digits=1)} there, and calls "
        f"{_share('pediatric', 'accuracy', 'xray', of_others=True)} of the children COVID-19, none of whom has it, the plain one "
        f"{_share('pediatric', 'accuracy', of_others=True)}. But the app's abstains: it answers "
        f"{_share('external', 'decided', 'xray')} of the X-rays from other hospitals, "
        f"{_share('external', 'accuracy_of_decided', 'xray')} of them rightly, and {answered['n']} of the children, {wrong} of "
        "them wrongly."
    )

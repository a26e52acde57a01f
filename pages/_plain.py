"""A plain network, trained as most reports train theirs: what becomes of its figures on harder questions."""

import streamlit as st

from covid_core import registry, report
from pages import _board

# Its rows on the scoreboard, from the report's question to the hardest.
HARDER = {
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
    "On CT, keeping groups apart costs much: neighbouring slices look alike, and a random split puts them on both sides. (Each of "
    "the five folds also trained on fewer slices.) On another collection, COVID-CT, the plain network does little better than "
    "guessing; about half of the slices of each show COVID-19."
)


def show(modality: str) -> None:
    """What it is right about, from the report's question to the hardest; nothing where a figure of it is missing."""
    model = registry.get(registry.DEFAULT)
    rows = {r["protocol"]: r["figures"].get("accuracy") for r in _board.scoreboard() if r["model"] == model.name}
    asked = HARDER[modality]
    if not all(rows.get(protocol) for protocol in asked):
        return
    what = "X-rays" if modality == "xray" else "CT slices"
    st.markdown(f"**{model.title} trained the plain way of most reports: share of the {what} it is right about**")
    for column, (protocol, words) in zip(st.columns(len(asked)), asked.items(), strict=True):
        figure = rows[protocol]
        with column.container(border=True, height="stretch"):
            st.metric(words, report.share(figure["value"], 1))
            st.caption(f"{report.share(figure['low'])} to {report.share(figure['high'])}, {figure['n']:,} images")
    if said := CT_FALLS if modality == "ct" else x_rays_fall():
        st.markdown(said)


def x_rays_fall() -> str:
    """Why it falls on X-rays, and what the app's model does otherwise; "" where a figure is missing."""
    try:
        return "\n\n".join((_elsewhere(), _without_lungs(), _beside_ours()))
    except LookupError:
        return ""


def _value(part: str, measure: str, protocol: str = "xray_grouped") -> float:
    found = _board.value_of(f"{protocol} / {part}", registry.DEFAULT, measure)
    if found is None:
        raise LookupError(f"{protocol} / {part} has no {measure}.")
    return found


def _share(part: str, measure: str, protocol: str = "xray_grouped", of_others: bool = False) -> str:
    """A share of the images, or of all others, in per cent."""
    value = _value(part, measure, protocol)
    return report.share(1 - value if of_others else value)


def _auc(part: str, protocol: str = "xray_grouped") -> str:
    value = _value(part, "auc", protocol)
    return "above 0.999" if 0.9995 <= value < 1 else f"{value:.3f}"


def _elsewhere() -> str:
    outside = [r for r in _board.scoreboard() if r["protocol"] == "xray_grouped / external"]
    if not outside:
        raise LookupError("Nobody measured it.")
    has_covid = outside[0]["n_covid"] / outside[0]["n"]
    return (
        "With copies kept apart it does as well as on a random split. In other hospitals a model that always says no would be "
        f"right about {report.share(1 - has_covid)}. Not only the hospitals differ there: many patients have "
        "tuberculosis or another pneumonia. Against healthy people alone it is right about "
        f"{_share('external_covid_normal', 'accuracy')}."
    )


def _without_lungs() -> str:
    return (
        f"With the lungs blacked out it still ranks the second set well: AUC {_auc('lungs_blacked_out')}, with lungs "
        f"{_auc('test')}. So the label can be read from outside the lung mask: from the look of a source's pictures, the outline "
        "of the lungs, or what the mask misses. Its probabilities do fall: at a cut of 50 % it recognises "
        f"{_share('lungs_blacked_out', 'sensitivity')} of the COVID-19 images."
    )


def _beside_ours() -> str:
    return (
        "The app's model sees only the box around the lungs, and was taught not to call lungs without visible opacity COVID-19. "
        f"Without lungs its AUC is {_auc('lungs_blacked_out', 'xray')}, with them {_auc('as_it_is', 'xray')}. In other hospitals "
        f"both rank about alike ({_auc('external', 'xray')}, the plain one {_auc('external')}): the app's better against "
        f"tuberculosis, the plain one against healthy people. The app's model answers {_share('external', 'decided', 'xray')} of "
        f"these X-rays, {_share('external', 'accuracy_of_decided', 'xray')} of them rightly. No child here has COVID-19: at a cut "
        f"of 50 % the plain network calls {_share('pediatric', 'accuracy', of_others=True)} of them COVID-19, the app's "
        f"{_share('pediatric', 'accuracy', 'xray', of_others=True)}. With abstention the app's answers "
        f"{_share('pediatric', 'decided', 'xray')}, {_share('pediatric', 'accuracy_of_decided', 'xray', of_others=True)} of them "
        "wrongly."
    )

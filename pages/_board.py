"""The stored results, as pages show them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from covid_core import curves, metrics, registry, report, stored, terms, weights
from covid_core.classify import LEVEL

TRAIN = Path(__file__).parents[1] / "train"  # its results only: no page imports it
SCOREBOARD, SOURCES = TRAIN / "results" / "scoreboard.json", TRAIN / "datasets" / "sources.json"
# The protocol that says most of what a model is worth to a stranger, by modality.
ELSEWHERE = {"xray": "xray / external", "ct": "ct / covid_ct_official_test"}
# Where the promise of the prediction sets is put to the test, by modality.
PROMISED = {
    "xray": {
        "xray / test": "on other X-rays from the training sources",
        "xray / external": "on X-rays from other hospitals",
    },
    "ct": {
        "ct / covid_ct_official_test": "on other slices from COVID-CT, one of the training sets,",
        "ct / sars_cov_2_grouped_test": "on slices from São Paulo (SARS-CoV-2 CT-scan), the other training set,",
    },
}


@st.cache_data(max_entries=4)
def stored_answers(model: str) -> dict[str, stored.Answers]:
    """A model's answers to the reported images, by part, as `train.evaluate` left them."""
    return stored.read(SCOREBOARD.with_name(f"answers-{model}.csv"))


@st.cache_resource(max_entries=1, show_spinner=False)  # shared, not copied at every look: nobody changes it
def scoreboard() -> dict[tuple[str, str], dict[str, Any]]:
    """Rows of the scoreboard by protocol and model, as `train.scoreboard` left them; not to be changed."""
    rows: list[dict[str, Any]] = json.loads(SCOREBOARD.read_text(encoding="utf-8"))
    return {(row["protocol"], row["model"]): row for row in rows}


def harder_questions(measure: str) -> dict[str, dict[str, Any]]:
    """Figures of one measure for X-rays, from the easiest question to the hardest, for `figures.forest`."""
    rows = {name: row for name in terms.HARDER if (row := scoreboard().get((name, registry.DEFAULT)))}
    return {
        terms.part_name(name): {**row["figures"][measure], "kind": row["kind"]}
        for name, row in rows.items()
        if measure in row["figures"]
    }


@st.cache_data(max_entries=1)
def tested_on() -> list[dict[str, Any]]:
    """Protocol, "n", "n_covid" and "groups" of every part the default model was measured on."""
    measured = weights.load_config(registry.get(registry.DEFAULT))["metrics"]
    return [
        {"protocol": f"{modality} / {name}", "n": part["n"], "n_covid": part["n_covid"], "groups": part["groups"]}
        for modality in ("xray", "ct")
        for name, part in measured[modality].items()
    ]


@st.cache_data(max_entries=1)
def sources() -> list[dict[str, Any]]:
    """Title, citation, licence, address and a note on every data set behind the weights and the figures."""
    rows: dict[str, dict[str, Any]] = json.loads(SOURCES.read_text(encoding="utf-8"))
    return list(rows.values())


def board_figures(protocol: str, model: str) -> dict[str, dict[str, Any]]:
    """Our figures under a protocol: the model's, else the default one's, else of the one that was asked; empty without any."""
    asked = {
        name: row["figures"]
        for (of, name), row in scoreboard().items()
        if of == protocol and row["kind"] != "published"
    }
    found: dict[str, dict[str, Any]] = asked.get(model) or asked.get(registry.DEFAULT) or next(iter(asked.values()), {})
    return found


def figure_of(protocol: str, model: str, measure: str) -> dict[str, Any]:
    """A figure of a model's own under a protocol; empty where it was not measured."""
    row = scoreboard().get((protocol, model))
    found: dict[str, Any] = row["figures"].get(measure, {}) if row else {}
    return found


def value_of(protocol: str, model: str, measure: str) -> float | None:
    """Its value; None where it was not measured, or is not defined."""
    value: float | None = figure_of(protocol, model, measure).get("value")
    return value


def blind(row: dict[str, Any], measure: str) -> float | None:
    """What is reached in a measure without looking at the images; None where that says nothing."""
    if "n_covid" not in row:
        return None
    ill = row["n_covid"] / row["n"]
    known = {"accuracy": max(ill, 1 - ill)}  # by the more common answer
    if 0 < ill < 1:
        always = {"f1": 2 * ill / (1 + ill), "auprc": ill}  # by saying COVID-19 of all
        known |= always | {"auc": 0.5, "ppv_at_2%": 0.02, "npv_at_2%": 0.98}
    return known.get(measure)


def promise(modality: str, model: str) -> str:
    """What the prediction sets' promise rests on, and how far it was kept elsewhere."""
    said = (
        "The level is what calibration aimed at, on average over pictures like its own; images of one patient are not "
        "independent, so even there it is approximate."
    )
    kept = []
    for protocol, where in PROMISED[modality].items():
        measured = [figure_of(protocol, model, f"coverage_{name}") for name in ("covid", "non_covid")]
        if all(figure.get("value") is not None for figure in measured):
            covid, other = (f"{report.percent(f['value'])} ({report.interval(f['low'], f['high'])})" for f in measured)
            kept.append(f"{where} for {covid} of the images with COVID-19 and for {other} of those without")
    return f"{said} Sets at {report.percent(LEVEL)} contained the true class {'; '.join(kept)}." if kept else said


def rarely(part: dict[str, Any], prevalence: float = 0.02) -> str:
    """How often a COVID-19 answer would be right where few have the disease, from a part of the metrics."""
    caught, wrong = (part.get(f"called_covid_{name}", {}).get("value") for name in ("covid", "non_covid"))
    if not caught or wrong is None:  # a share of nobody
        return ""
    right = metrics.predictive_value(caught, wrong, prevalence)
    # The worst and the best that both shares' intervals allow.
    ends = [
        report.percent(
            metrics.predictive_value(part["called_covid_covid"][a], part["called_covid_non_covid"][b], prevalence)
        )
        for a, b in (("low", "high"), ("high", "low"))
    ]
    return (
        "How often an answer is right also depends on how common the disease is. In the X-rays from other hospitals "
        f"{report.percent(part['n_covid'] / part['n'])} have COVID-19; where {report.percent(prevalence)} of the people have it, "
        f"{report.percent(right)} ({ends[0]} to {ends[1]}) of the COVID-19 answers on such pictures would be right, if all others "
        "were like those here, many of whom have tuberculosis."
    )


def confounded() -> str:
    """Why the X-rays from other hospitals are not the last word either, with figures of the default model; "" without any."""
    names = [f"xray / external{part}" for part in ("", "_ieee8023", "_unseen", "_shenzhen")]
    whole, within, new = (value_of(name, registry.DEFAULT, "auc") for name in names[:3])
    rows = [scoreboard().get((name, registry.DEFAULT)) for name in names]
    if whole is None or within is None or new is None or None in rows:
        return ""
    outside, _, unseen, clinic = (row for row in rows if row)
    plain = value_of("xray_grouped / external_ieee8023", registry.DEFAULT, "auc")
    its = f", that of the plain network {report.index(plain)}" if plain else ""
    return (
        f"The X-rays from other hospitals are confounded, too: all {outside['n_covid']:,} with COVID-19 come from one archive "
        f"(ieee8023), {clinic['n']:,} of the {outside['n'] - outside['n_covid']:,} without it from another (Shenzhen). Inside "
        f"ieee8023 alone the AUC of {registry.get(registry.DEFAULT).title} is {report.index(within)} instead of "
        f"{report.index(whole)}{its}; and even there the other pneumonias mostly come from other web sites than COVID-19. Nor are "
        f"they untouched: the U-Net learned lung masks from {outside['n'] - unseen['n']:,} of them or of their look-alikes (AUC "
        f"on the other {unseen['n']:,}: {report.index(new)}; but these hold all of ieee8023's images without COVID-19, so it is "
        "the harder mix that shows), the training set holds COVID-19 X-rays from the same web sites (COVID-CXNet), so that some "
        "patients may be in both, and earlier results on them were known when the training was changed."
    )


def known_aucs(models: Mapping[str, str]) -> str:
    """What is known of each of these models, name -> title, a line each in Markdown."""
    lines = []
    for name, title in models.items():
        aucs = [value_of(protocol, name, "auc") for protocol in ELSEWHERE.values()]
        lines.append(f"- {title}: {' and '.join('not measured' if auc is None else report.index(auc) for auc in aucs)}")
    xray, ct = (terms.part_name(protocol) for protocol in ELSEWHERE.values())
    return f"AUC (0.5 = guessing) on *{xray}* and on *{ct}*:\n\n" + "\n".join(lines)


def show_reliability(part: str, answers: stored.Answers, key: str) -> None:
    """How right the answers to a part are over how sure, before and after the temperature."""
    st.plotly_chart(
        curves.reliability(answers.reliability()),
        key=key,
        config={"displayModeBar": False},
        alt="Share right over confidence, before and after the temperature",
    )
    st.caption(
        f"{terms.part_name(part)}: {len(answers.covid):,} images. The larger a mark, the more of them it stands for."
    )


def probe_figures(modality: str, model: str) -> dict[str, dict[str, Any]]:
    """AUC of a model with parts of the pictures taken away, and of thumbnails, for `figures.forest`; see `board_figures`."""
    names = [f"{modality} / {probe}" for probe in ("as_it_is", "lungs_blacked_out", "only_border", "thumbnail")]
    measured = {name: figures["auc"] for name in names if "auc" in (figures := board_figures(name, model))}
    return {terms.part_name(name).partition(", ")[2]: figure for name, figure in measured.items()}

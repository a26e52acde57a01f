"""The stored results, as pages show them."""

import json
from pathlib import Path
from typing import Any

import streamlit as st

from covid_core import registry, stored, weights
from pages import _words

TRAIN = Path(__file__).parents[1] / "train"  # its results only: no page imports it
SCOREBOARD, SOURCES = TRAIN / "results" / "scoreboard.json", TRAIN / "datasets" / "sources.json"


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
def sources() -> list[dict[str, Any]]:
    """Title, citation, licence, address and a note on every data set behind the weights and the figures."""
    rows: dict[str, dict[str, Any]] = json.loads(SOURCES.read_text(encoding="utf-8"))
    return list(rows.values())


def board_figures(protocol: str, model: str) -> dict[str, dict[str, Any]]:
    """Our figures under a protocol of the scoreboard: the model's, else the default one's, else of the one that was asked."""
    ours = {r["model"]: r["figures"] for r in scoreboard() if r["protocol"] == protocol and r["kind"] != "published"}
    found: dict[str, dict[str, Any]] = ours.get(model) or ours.get(registry.DEFAULT) or next(iter(ours.values()))
    return found


def probe_figures(modality: str, model: str) -> dict[str, dict[str, Any]]:
    """AUC of a model with parts of the pictures taken away, and of thumbnails, for `figures.forest`; see `board_figures`."""
    names = [f"{modality} / {probe}" for probe in ("as_it_is", "lungs_blacked_out", "only_border", "thumbnail")]
    return {_words.part_name(name).partition(", ")[2]: board_figures(name, model)["auc"] for name in names}

"""Figures from stored rows, by hand and as published."""

import json
from pathlib import Path

import pandas as pd
import pytest

from train import scoreboard


def table(folder: Path, name: str) -> None:
    rows = [("a", "covid", 0.9), ("b", "covid", 0.4), ("c", "normal", 0.2), ("d", "normal", 0.6), ("e", "normal", 0.1)]
    frame = pd.DataFrame(rows, columns=["group", "finding", "covid_probability"])
    pd.concat([frame] * 2).to_csv(folder / name, index=False)


def test_figures_by_hand(tmp_path: Path) -> None:
    table(tmp_path, "sars_random-mobilenetv2.csv")
    table(tmp_path, "something-else.csv")  # no protocol of ours
    scoreboard.main(["--results", str(tmp_path)])
    found = json.loads((tmp_path / scoreboard.BOARD).read_text())
    assert list(found) == ["sars_random"]
    figures = found["sars_random"]["models"]["mobilenetv2"]
    assert (figures["n"], figures["n_covid"], figures["groups"]) == (10, 4, 5)
    assert figures["accuracy"]["value"] == 0.6
    assert figures["sensitivity"]["value"] == 0.5
    assert figures["specificity"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["auc"]["value"] == pytest.approx(5 / 6, abs=1e-4)
    assert figures["accuracy"]["low"] <= 0.6 <= figures["accuracy"]["high"]


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        scoreboard.main(["--results", str(tmp_path)])
    assert stop.value.code == 2


def test_what_is_published_is_what_the_rows_say() -> None:
    published = json.loads((scoreboard.RESULTS / scoreboard.BOARD).read_text())
    assert published == scoreboard.board(scoreboard.RESULTS)

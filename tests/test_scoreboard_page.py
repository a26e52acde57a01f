"""The Scoreboard page, and what pages say of the plain network, through app.py."""

import json

import numpy as np
import pandas as pd
import pytest

from covid_core import registry, report, terms
from pages import _board, _plain
from tests.test_pages import ROOT, open_app


def test_what_is_said_of_the_plain_network_its_figures_say_too() -> None:
    rows = {r["protocol"]: r for r in _board.scoreboard().values() if r["model"] == registry.DEFAULT}

    def value(path: str, measure: str) -> float:
        return rows[path]["figures"][measure]["value"]

    random, apart, elsewhere, children = (value(path, "accuracy") for path in _plain.BARS["xray"])
    assert abs(random - apart) < 0.02 and children < elsewhere < 0.6
    # "many patients have tuberculosis or pneumonia"
    assert rows["xray_grouped / external_covid_normal"]["n"] < 0.7 * rows["xray_grouped / external"]["n"]
    # "it still ranks the X-rays with copies kept apart well", "Its probabilities do fall"
    assert value("xray_grouped / lungs_blacked_out", "auc") > 0.95
    assert value("xray_grouped / lungs_blacked_out", "sensitivity") < 0.5 < value("xray_grouped / test", "sensitivity")
    # "both rank about alike: the app's better against tuberculosis, the plain one against healthy people"
    better = {
        part: value(f"xray / external{part}", "auc") - value(f"xray_grouped / external{part}", "auc")
        for part in ("", "_covid_tuberculosis", "_covid_normal")
    }
    assert abs(better[""]) < 0.03 and better["_covid_tuberculosis"] > 0.03 and better["_covid_normal"] < -0.03
    # `_plain.CT_FALLS`
    random, apart, elsewhere = (value(path, "accuracy") for path in _plain.BARS["ct"])
    assert random - apart > 0.05 and 0.5 < elsewhere < 0.65
    assert all(abs(rows[path]["n_covid"] / rows[path]["n"] - 0.5) < 0.05 for path in _plain.BARS["ct"])


def test_each_figure_of_the_plain_network_stands_where_it_belongs() -> None:
    own = {r["protocol"]: r for r in _board.scoreboard().values() if r["model"] == registry.DEFAULT}
    rows = {protocol: row["figures"] for protocol, row in own.items()}
    said, plain, ours = _plain.x_rays_fall(), "xray_grouped / ", "xray / "
    outside = own[plain + "external"]
    assert f"always says no would be right about {report.share(1 - outside['n_covid'] / outside['n'])}." in said
    for clause, path, measure in (
        ("Against healthy people alone it is right about {}.", plain + "external_covid_normal", "accuracy"),
        ("it recognises {} of the COVID-19 images", plain + "lungs_blacked_out", "sensitivity"),
        ("it answers {} of the X-rays from other hospitals", ours + "external", "decided"),
        ("hospitals, {} of them rightly", ours + "external", "accuracy_of_decided"),
    ):
        assert clause.format(report.share(rows[path][measure]["value"])) in said, clause
    for clause, path in (
        ("the plain one {}. But", plain + "pediatric"),
        ("calls {} of the children COVID-19", ours + "pediatric"),
    ):
        assert clause.format(report.share(1 - rows[path]["accuracy"]["value"])) in said, clause
    for clause, path in (
        ("copies kept apart well: AUC {}", plain + "lungs_blacked_out"),
        ("Its AUC is {}", ours + "as_it_is"),
        ("without lungs {}", ours + "lungs_blacked_out"),
        ("of the border of the box alone {}.", ours + "only_border"),
        ("both rank about alike ({}", ours + "external"),
        ("the plain one {})", plain + "external"),
    ):
        assert clause.format(f"{rows[path]['auc']['value']:.3f}") in said, clause
    assert f"is right about {100 * rows[ours + 'external']['accuracy']['value']:.1f}\u00a0% there" in said
    assert rows[plain + "test"]["auc"]["value"] > 0.9995 and "with lungs >\u00a00.999" in said
    answers = pd.read_csv(_board.SCOREBOARD.with_name(f"answers-{registry.DEFAULT}.csv"))
    decisions = answers[answers.split == "pediatric"].decision.value_counts()
    told = f"and {decisions['covid'] + decisions['non_covid']} of the children, {decisions['covid']} of them wrongly"
    assert told in said


def test_scoreboard_shows_published_figures_beside_ours_of_the_same_protocol() -> None:
    app = open_app().run()
    app.switch_page("pages/scoreboard.py").run()
    assert not app.exception
    rows = json.loads((ROOT / "train" / "results" / "scoreboard.json").read_text())
    models = {r["model"] for r in rows if r["kind"] != "published" and r["modality"] == "xray"}
    assert app.pills(key="models-xray").value == [registry.DEFAULT]  # else the plot is too long to begin with
    app.pills(key="models-xray").set_value(sorted(models)).run()
    falling, chart = app.get("plotly_chart")
    assert app.selectbox(key="measure-xray").value == "auc"
    app.selectbox(key="measure-xray").select("accuracy").run()
    falling, chart = app.get("plotly_chart")
    drawn = {trace["name"]: trace["x"] for trace in json.loads(chart.proto.spec)["data"]}
    blind = drawn.pop("without looking at the images")
    for kind, values in drawn.items():
        mine = [r["figures"] for r in rows if r["kind"] == kind and r["modality"] == "xray"]
        expected = [f["accuracy"]["value"] for f in mine if "accuracy" in f]
        assert sorted(values) == sorted(expected)
    common = [
        max(r["n_covid"], r["n"] - r["n_covid"]) / r["n"] for r in rows if r["modality"] == "xray" and "n_covid" in r
    ]
    assert len(blind) > 20 and np.isclose(np.subtract.outer(blind, common), 0).any(axis=1).all()
    assert any("from top to bottom: first the question" in m.value for m in app.markdown)
    assert any(m.value == _plain.x_rays_fall() for m in app.markdown)
    plain = {r["protocol"]: r["figures"] for r in rows if r["model"] == registry.DEFAULT}
    bars, lines = json.loads(falling.proto.spec)["data"]
    assert bars["y"] == [plain[path]["accuracy"]["value"] for path in _plain.BARS["xray"]]
    ill = [
        row["n_covid"] / row["n"]
        for path in _plain.BARS["xray"]
        for row in rows
        if (row["protocol"], row["model"]) == (path, registry.DEFAULT)
    ]
    assert lines["y"] == pytest.approx([max(share, 1 - share) for share in ill])
    assert _board.confounded() in [c.value for c in app.caption]
    ours = {row["protocol"] for row in rows if row["kind"] != "published"}
    assert {row["protocol"] for row in rows if row["kind"] == "published"} <= ours
    order = list(dict.fromkeys(app.dataframe[0].value["protocol"]))
    plain, ours, next_one = (
        order.index(terms.part_name(path))
        for path in ("xray_grouped / external", "xray / external", "xray_grouped / pediatric")
    )
    assert plain + 1 == ours < next_one
    app.selectbox(key="measure-xray").select("auc").run()
    app.pills(key="models-xray").set_value(["resnet50"]).run()
    kept = [r for r in rows if r["modality"] == "xray" and (r["kind"] == "published" or r["model"] == "resnet50")]
    _, chart = app.get("plotly_chart")
    traces = json.loads(chart.proto.spec)["data"]
    drawn = [x for trace in traces if trace["name"] != "without looking at the images" for x in trace["x"]]
    aucs = [r["figures"]["auc"]["value"] for r in kept if "auc" in r["figures"]]
    assert sorted(drawn) == sorted(auc for auc in aucs if auc is not None)  # the children have none: one class
    assert any(terms.MEASURES["auc"] == c.value for c in app.caption)  # whole, where a phone's list cuts it off
    app.pills(key="models-xray").set_value([]).run()
    assert not app.exception and "No chosen model has this measure" in app.info[0].value
    app.selectbox(key="measure-xray").select("accuracy").run()
    assert not app.exception and not app.info  # the claim has one
    for group in ("starts", "ct", "lesions"):
        app.segmented_control(key="board").set_value(group).run()
        assert not app.exception and len(app.get("plotly_chart")) == (2 if group == "ct" else 1)
    assert app.dataframe[0].value["model"].iloc[0] == "unet_ct"  # before its variants
    assert any("bootstrap" in c.value for c in app.caption)

"""Every page through app.py: refusals first, then the happy path, and results that survive a change of page."""

import csv
import io
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.runtime.caching import get_data_cache_stats_provider
from streamlit.testing.v1 import AppTest

from covid_core import (
    batch,
    classify,
    images,
    painting,
    phantom,
    printed,
    registry,
    report,
    scan,
    segment,
    terms,
    verdict,
    weights,
)
from covid_core.diagnose import diagnose, find
from pages import _answers, _board, _plain
from pages._pictures import PHANTOMS, Upload
from pages._ui import Settings
from tests import golden, pictures

ROOT = Path(__file__).parents[1]


def open_app() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


def colour_picture() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("name", pictures.unusable())
def test_an_unusable_file_gets_one_sentence(name: str) -> None:
    data, word = pictures.unusable()[name]
    app = open_app()
    app.session_state["picture"] = Upload(name, data)
    app.run()
    assert not app.exception
    (message,) = [*app.error, *app.warning]
    assert word in message.value and message.value.endswith(".") and "Traceback" not in message.value
    if app.error:
        for _ in range(2):  # of a picture seen before, too
            assert [(status.label, status.state) for status in app.status] == [("Not read", "error")]
            app.run()


@pytest.mark.parametrize("name", ["photo.png", "grey.png", "ct.png"])
def test_visitors_share_nothing_of_a_refused_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).normal(128, 30, (512, 512)).clip(0, 255).astype(np.uint8)
    data = {
        "photo.png": colour_picture(),
        "grey.png": pictures.encode(Image.fromarray(noise)),
        "ct.png": golden.png("ct-lesions"),
    }
    asked: list[str] = []
    monkeypatch.setattr(_answers, "find", lambda image, *more: asked.append(image.name) or find(image, *more))
    st.cache_data.clear()
    for page in ("diagnose.py", "compare.py", "uncertainty_lab.py", "shortcut_lab.py"):
        app = open_app().run()
        app.session_state["picture"] = Upload(name, data[name])
        app.switch_page(f"pages/{page}").run()
        before = len(asked)
        app.run()
        assert not app.exception and len(asked) == before  # nothing is looked at again
        app.session_state["picture"] = Upload(f"renamed {name}", data[name])
        assert not app.run().exception and (page != "diagnose.py" or f"renamed {name}" in app.header[0].value)
    stats = get_data_cache_stats_provider().get_stats()
    sizes = {s.cache_name: s.byte_length for kinds in stats.values() for s in kinds if "_answers" in s.cache_name}
    assert (max(sizes.values(), default=0) < 50_000) == (name != "ct.png"), sizes


def test_what_is_refused_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(_answers, "find", lambda image, *more: asked.append(image.name) or find(image, *more))
    for side, times in ((painting.LARGEST, 1), (painting.LARGEST + 1, 2)):
        asked.clear()
        app = open_app()
        app.session_state["picture"] = Upload("blank.png", pictures.encode(Image.new("L", (side, side), 128)))
        assert not app.run().exception and not app.run().exception
        assert len(asked) == times


def test_a_photograph_is_refused() -> None:
    app = open_app()
    app.session_state["picture"] = Upload("photo.png", colour_picture())
    app.run()
    assert not app.exception
    assert any("colour picture" in w.value for w in app.warning)
    assert (
        app.get("image")[0].proto.imgs[0].caption == "photo.png" and not app.toggle
    )  # no word of layers, nothing to zoom
    assert not any("Marked as lesion" in m.value for m in app.markdown)


@pytest.mark.parametrize(("distance", "reason"), [(1.3, verdict.UNLIKE), (0.9, verdict.NO_LUNGS), (0.9, "")])
def test_a_probability_that_means_nothing_is_withheld(
    monkeypatch: pytest.MonkeyPatch, distance: float, reason: str
) -> None:
    def unlike(self: classify.Model, *of: Any) -> classify.Classification:
        return replace(given, decision="uncertain" if reason else given.decision, reason=reason, distance=distance)

    given = diagnose(images.decode(golden.png("ct-lesions"), "x"), "ct").classification
    assert given.probability is not None
    monkeypatch.setattr(classify.Model, "answer", unlike)
    app = open_app()
    app.session_state["picture"] = Upload("cat.png", golden.png("ct-lesions"))
    app.run()
    assert not app.exception
    card = next(m for m in app.metric if m.label == "COVID-19 probability")
    said = report.percent(given.probability)
    (verdict,) = app.warning if reason else app.error
    assert card.value == ("withheld" if reason else said) and (said in verdict.value) != bool(reason)
    assert (f"Computed was {said}, which means nothing" in card.help) == bool(reason)
    assert any("which means nothing" in c.value for c in app.caption) == bool(reason)
    page = printed.page(diagnose(images.decode(golden.png("ct-lesions"), "x"), "ct"), [], 0)
    assert ("it means nothing" in page) == bool(reason) and (f"<td>{said}, interval" in page) != bool(reason)
    assert ("<svg" in page) != bool(reason)


@pytest.mark.parametrize(
    ("percent", "interval", "value", "delta"),
    [
        (0.4, (0.0, 43.0), "< 1 %", "0 to 43 %"),
        (0.0, (0.0, 3.0), "0 %", "0 to 3 %"),
        (40.0, (7.0, 100.0), "40 %", "7 to 100 %, very uncertain"),
    ],
)
def test_the_card_of_lesions_says_how_sure_it_is(
    monkeypatch: pytest.MonkeyPatch, percent: float, interval: tuple[float, float], value: str, delta: str
) -> None:
    marked = segment.Segmenter.segment
    monkeypatch.setattr(
        segment.Segmenter,
        "segment",
        lambda *of: replace(marked(*of), lesion_percent_of_lung=percent, lesion_interval=interval),
    )
    app = open_app()
    app.session_state["picture"] = Upload(f"{percent}.png", golden.png("ct-healthy"))
    app.session_state["settings"] = Settings(modality="ct")
    app.run()
    card = next(m for m in app.metric if m.label == "Lesions in the lungs")
    assert (card.value, card.delta) == (report.unbroken(value), delta)


def test_patterns_tell_the_layers_apart() -> None:
    app = open_app()
    app.session_state["picture"] = Upload("ct.png", golden.png("ct-lesions"))
    app.run()
    plain = next(m.value for m in app.markdown if 'class="key"' in m.value)
    app.toggle(key="hatched").set_value(True).run()
    assert not app.exception
    hatched = next(m.value for m in app.markdown if 'class="key"' in m.value)
    assert plain != hatched and plain.count("<img") == hatched.count("<img") == 2


def test_disclaimer_and_invitation_without_a_picture() -> None:
    app = open_app().run()
    assert not app.exception
    assert any("Not a medical device" in m.value for m in app.markdown)
    assert any("Upload a **chest X-ray**" in m.value for m in app.markdown)
    (chart,) = app.get("plotly_chart")
    lines = json.loads(chart.proto.spec)["data"][0]
    outside = weights.load_config(registry.get(registry.DEFAULT))["metrics"]["xray"]["external"]
    right = [outside[f"right_when_{decision}"] for decision in ("covid", "non_covid")]
    assert lines["x"][2:4] == [figure["value"] for figure in right]
    for label, decision, figure in zip(lines["y"][2:4], ("covid", "non_covid"), right, strict=True):
        said = f"{outside['n']:,} images {report.DECISIONS[decision]} ({report.counted(figure)})"
        assert label.replace("<br>", " ").endswith(said)
    assert f"{_board.rarely(outside)}\n\n{_board.confounded()}" in {m.value for m in app.markdown}
    for name, (title, _) in PHANTOMS.items():  # as pictures, and a click away
        assert app.button(key=f"phantom-{name}").label.lower() in title.lower()
    app.button(key="phantom-ct-lesions").click().run()
    assert not app.exception and [s.value for s in app.header] == [PHANTOMS["ct-lesions"][0]]
    app = open_app().run()
    inside = weights.load_config(registry.get(registry.DEFAULT))["metrics"]["xray"]["test"]
    shares = [report.percent(part["decided"]["value"]) for part in (inside, outside)]
    told = f"{shares[0]} of the X-rays from the hospitals it learned from got one, {shares[1]} of those from other hospitals"
    assert any(told in m.value for m in app.markdown)


def test_what_pages_say_in_words_the_figures_say_too() -> None:
    measured = weights.load_config(registry.get(registry.DEFAULT))["metrics"]["xray"]

    def value(part: str, name: str) -> float:
        return measured[part][name]["value"]

    # "Below 1 proves little: most X-rays from other hospitals lie there, too"
    assert value("external", "unlike_training") + value("external", "refused") < 0.5
    # "it tells COVID-19 poorly from other pneumonias"
    assert value("external_covid_pneumonia", "auc") < 0.7 < value("external", "auc")
    # "it looks excellent; on those of other hospitals the same model errs far more often"
    assert value("test", "accuracy_of_decided") > 0.95 > value("external", "accuracy_of_decided") + 0.1


def test_how_often_an_answer_is_right_where_few_are_ill() -> None:
    part = {
        f"called_covid_{name}": {"value": share, "low": share - 0.1, "high": share + 0.1}
        for name, share in (("covid", 0.5), ("non_covid", 0.1))
    }
    said = _board.rarely(part | {"n": 10, "n_covid": 4}).replace("\u00a0", " ")
    # Of 1,000 people 20 are ill, of whom 10 are found, and 98 others are called ill.
    assert "40 % have COVID-19; where 2 % of the people have it, 9 % (4 % to > 99 %) of the COVID-19 answers" in said
    assert _board.rarely({}) == _board.rarely({"called_covid_covid": {"value": 0.5}, "n": 4, "n_covid": 4}) == ""


def test_the_first_page_does_without_figures_nobody_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = weights.load_config

    def other(spec: registry.ModelSpec) -> dict[str, Any]:
        config = whole(spec)
        return config | {"metrics": {"xray": {}, "ct": {"test": {}}}} if spec.task == "classify" else config

    monkeypatch.setattr(weights, "load_config", other)
    app = open_app().run()
    assert not app.exception and not app.get("plotly_chart")


def test_an_answer_survives_a_change_of_page() -> None:
    app = open_app()
    app.session_state["picture"] = Upload("ct.png", golden.png("ct-lesions"))
    app.run()
    assert not app.exception
    assert any("Marked as lesion" in m.value or "cannot say" in m.value for m in app.markdown)
    app.switch_page("pages/models.py").run()
    assert not app.exception
    assert [h.value for h in app.header] == [spec.title for spec in registry.MODELS.values()]
    app.switch_page("pages/diagnose.py").run()
    assert not app.exception
    assert any(s.value == "ct.png" for s in app.header)
    assert not app.status  # it went with the answer


@pytest.mark.parametrize(
    ("case", "protocols"),
    [
        ("xray-lesions", ["xray / external"]),
        ("ct-lesions", ["ct / covid_ct_official_test", "ct / sars_cov_2_grouped_test"]),
    ],
)
def test_the_prediction_set_says_where_its_promise_holds_and_how_it_was_kept(case: str, protocols: list[str]) -> None:
    app = open_app()
    app.session_state["picture"] = Upload(f"{case}.png", golden.png(case))
    app.run()
    app.selectbox(key="model").set_value("resnet50").run()
    assert not app.exception
    (said,) = (m.help for m in app.metric if m.label.startswith("Not ruled out"))
    assert "what calibration aimed at, on average over pictures like its own" in said
    for protocol in protocols:
        (row,) = (r for r in _board.scoreboard().values() if (r["protocol"], r["model"]) == (protocol, "resnet50"))
        kept = [row["figures"][f"coverage_{c}"] for c in ("covid", "non_covid")]
        covid, other = (f"{report.percent(f['value'])} ({report.interval(f['low'], f['high'])})" for f in kept)
        assert f"for {covid} of the images with COVID-19 and for {other} of those without" in said


def test_as_many_bytes_reach_the_server_as_the_widgets_promise() -> None:
    served = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["server"]["maxUploadSize"]
    assert served * 2**20 >= max(scan.MAX_BYTES, batch.MAX_BYTES, images.MAX_BYTES)


def test_an_answer_says_what_it_does_not_mean() -> None:
    picture = images.decode(golden.png("ct-lesions"), "x")
    answer = replace(diagnose(picture).classification, decision="non_covid")
    assert answer.features is not None
    clear = replace(answer, features=replace(answer.features, log_opacity=-4.6))
    excludes_nothing = "This excludes no disease, not even COVID-19."
    opacity = "Opacity is marked in the lungs: it can be COVID-19 or another disease."
    assert report.caution(answer) == f"{excludes_nothing} {opacity}"
    assert report.caution(clear) == excludes_nothing
    assert "Other pneumonias" in report.caution(replace(answer, decision="covid"))
    assert report.caution(replace(answer, decision="uncertain")) == ""


def test_every_model_is_offered_with_what_is_known_of_it() -> None:
    app = open_app().run()
    known = app.selectbox(key="model").help
    aucs = {(r["protocol"], r["model"]): r["figures"].get("auc") for r in _board.scoreboard().values()}
    for spec in registry.MODELS.values():
        if spec.task == "classify":
            xray, ct = (aucs[p, spec.name]["value"] for p in ("xray / external", "ct / covid_ct_official_test"))
            assert f"- {spec.title}: {xray:.3f} and {ct:.3f}" in known


def test_the_external_set_is_as_confounded_as_the_words_say() -> None:
    rows = {r["protocol"]: r for r in _board.scoreboard().values() if r["model"] == registry.DEFAULT}
    outside, archive, clinic = (rows[f"xray / external{part}"] for part in ("", "_ieee8023", "_shenzhen"))
    assert archive["n_covid"] == outside["n_covid"] and clinic["n_covid"] == 0  # all of it from one archive
    assert 2 * clinic["n"] > outside["n"] - outside["n_covid"]
    # "these hold all of ieee8023's images without COVID-19"
    unseen = rows["xray / external_unseen"]
    table = csv.DictReader((ROOT / "train" / "results" / f"answers-{registry.DEFAULT}.csv").open(encoding="utf-8"))
    others = [
        r["masked"] for r in table if (r["split"], r["source"]) == ("external", "ieee8023") and r["finding"] != "covid"
    ]
    assert len(others) == archive["n"] - archive["n_covid"] and set(others) == {"False"} and unseen["n"] < outside["n"]
    assert f"{archive['figures']['auc']['value']:.3f} instead of {outside['figures']['auc']['value']:.3f}" in (
        _board.confounded()
    )


def test_layers_stay_as_chosen_while_a_picture_has_none() -> None:
    app = open_app()
    app.session_state["picture"] = Upload("ct.png", golden.png("ct-lesions"))
    app.run()
    app.pills[0].set_value(["Lesions", "Evidence for COVID-19 (Grad-CAM)"]).run()
    assert any("8 x 8 cells" in m.value for m in app.markdown)  # the legend says how coarse it is
    app.session_state["picture"] = Upload("photo.png", colour_picture())
    assert not app.run().pills
    app.session_state["picture"] = Upload("other.png", golden.png("ct-healthy"))
    app.run()
    assert not app.exception and app.pills[0].value == ["Lesions", "Evidence for COVID-19 (Grad-CAM)"]


def test_a_sample_or_an_upload_of_another_page_can_be_removed() -> None:
    app = open_app()
    assert not any(b.label == "Remove this picture" for b in app.run().button)
    next(b for b in app.button if b.label == "Phantom CT slice, with lesions").click().run()
    assert app.header[0].value and app.query_params["sample"]
    next(b for b in app.button if b.label == "Remove this picture").click().run()
    assert not app.exception and not app.header and "sample" not in app.query_params
    assert any("You get:" in m.value for m in app.markdown)


def test_without_its_upload_the_page_is_as_before() -> None:
    app = open_app().run()
    said = app.file_uploader[0].help
    assert f"{images.MAX_BYTES // 2**20} MB" in said and f"{scan.MAX_BYTES // 2**20} MB" in said
    app.file_uploader[0].upload("mine.png", golden.png("ct-lesions")).run()
    assert any(s.value == "mine.png" for s in app.header)
    app.file_uploader[0].clear().run()
    assert not app.exception and not app.header
    assert any("Upload a **chest X-ray**" in m.value for m in app.markdown)
    title = PHANTOMS["ct-healthy"][0]
    next(b for b in app.button if b.label == title).click().run()
    app.file_uploader[0].upload("mine.png", golden.png("ct-lesions")).run()
    app.file_uploader[0].clear().run()
    assert [s.value for s in app.header] == [title]


def test_a_picture_from_elsewhere_comes_back_when_the_upload_over_it_goes() -> None:
    app = open_app()
    app.session_state["picture"] = Upload("row of a batch.png", golden.png("ct-healthy"))
    app.run()
    app.file_uploader[0].upload("mine.png", golden.png("ct-lesions")).run()
    assert [s.value for s in app.header] == ["mine.png"]
    app.file_uploader[0].clear().run()
    assert [s.value for s in app.header] == ["row of a batch.png"]


def test_pages_do_without_rows_that_somebody_did_not_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    Board = dict[tuple[str, str], dict[str, Any]]

    def without_auc(rows: Board) -> Board:
        return {name: {**r, "figures": {**r["figures"], "auc": {"value": None, "n": 1}}} for name, r in rows.items()}

    def fewer() -> Board:
        lost = ("xray / external", "xray / test")
        rows = {n: r for n, r in whole.items() if r["protocol"] not in lost and r["model"] != "ensemble"}
        return rows | without_auc({n: r for n, r in rows.items() if r["model"] == "resnet50"})

    whole = _board.scoreboard()
    monkeypatch.setattr(_board, "scoreboard", fewer)
    assert _board.confounded() == ""
    assert _plain.x_rays_fall() == ""
    app = open_app().run()
    app.switch_page("pages/scoreboard.py").run()
    assert not app.exception and "falling-xray" in "".join(chart.proto.id for chart in app.get("plotly_chart"))
    asked = {terms.part_name(name) for name in terms.HARDER}
    assert asked - set(_board.harder_questions("auc")) == {
        terms.part_name(name) for name in ("xray / external", "xray / test")
    }
    assert "contained the true class" not in _board.promise("xray", "mobilenetv2") and "contained" in _board.promise(
        "ct", "mobilenetv2"
    )
    monkeypatch.setattr(_board, "scoreboard", lambda: without_auc(whole))
    assert _board.confounded() == ""
    row = next(iter(whole.values()))
    strange = {("of ones own", "mobilenetv2"): {**row, "protocol": "of ones own", "model": "mobilenetv2"}}
    monkeypatch.setattr(_board, "scoreboard", lambda: strange)
    for page in ("scoreboard", "shortcut_lab", "learn"):
        app = open_app().run()
        app.session_state["step"] = 4
        app.session_state["picture"] = Upload("mine.png", golden.png("xray-lesions"))
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, page
    monkeypatch.setattr(_board, "scoreboard", fewer)
    said = _board.known_aucs({"mobilenetv2": "M", "resnet50": "R", "ensemble": "E"})
    assert "- M: not measured and 0." in said and said.count("not measured and not measured") == 2


def test_no_two_cases_have_the_same_name() -> None:
    app = open_app().run()
    (names,) = (s.options for s in app.selectbox if s.label == "Real case from the web")
    assert len(set(names)) == len(names) > 1


def test_data_without_photographs_have_a_card_and_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = weights.load_config

    def other(spec: registry.ModelSpec) -> dict[str, Any]:
        config = whole(spec)
        return config | {
            "metrics": config["metrics"] | {"gate": {"photographs_refused": [0, 0], "lateral_refused": [1, 2]}}
        }

    monkeypatch.setattr(weights, "load_config", other)
    app = open_app().run()
    app.switch_page("pages/models.py").run()
    assert not app.exception
    gate = app.dataframe[0].value.query("protocol == 'Gate'")
    assert list(gate["value"]) == [0.5]


def test_models_page_shows_every_figure_with_its_n() -> None:
    app = open_app().run()
    app.switch_page("pages/models.py").run()
    assert not app.exception
    for table in app.dataframe:
        assert {"protocol", "measure", "value", "n"} <= set(table.value.columns)
        assert (table.value["n"] > 0).all()
    assert any("not a test on unseen images" in m.value for m in app.markdown)


def test_a_dicom_slice_is_seen_in_other_windows_and_answered_in_the_lung_window() -> None:
    hounsfield = phantom.ct(seed=1).hounsfield
    assert hounsfield is not None
    stored = np.clip(hounsfield + 1024, 0, 4095).astype(np.uint16)
    data = pictures.dicom(stored, RescaleSlope=1, RescaleIntercept=-1024)
    app = open_app()
    app.session_state["picture"] = Upload("slice.dcm", data)
    app.run()
    (answered,) = [m.value for m in app.metric if m.label == "COVID-19 probability"]
    app.segmented_control(key="window").set_value("mediastinum").run()
    assert not app.exception
    assert "mediastinum window (40/400 HU)" in app.get("image")[0].proto.imgs[0].caption
    assert answered in [m.value for m in app.metric if m.label == "COVID-19 probability"]
    app.session_state["picture"] = Upload("slice.png", golden.png("ct-healthy"))
    app.run()
    assert not any(c.key == "window" for c in app.segmented_control)

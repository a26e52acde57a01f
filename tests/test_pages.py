"""Every page through app.py: refusals first, then the happy path, and results that survive a change of page."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from covid_core import phantom, registry, weights
from pages._pictures import Upload
from tests import golden, pictures

ROOT = Path(__file__).parents[1]


def open_app() -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


def colour_picture() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("empty.png", b"", "empty"),
        ("text.png", b"no picture at all, just words", "picture"),
        ("cut.png", golden.png("xray-healthy")[:2000], ""),
    ],
)
def test_an_unusable_file_gets_one_sentence(name: str, data: bytes, sentence: str) -> None:
    app = open_app()
    app.session_state["picture"] = Upload(name, data)
    app.run()
    assert not app.exception
    (message,) = app.error
    assert sentence.lower() in message.value.lower()
    assert "Traceback" not in message.value


def test_a_photograph_is_refused() -> None:
    app = open_app()
    app.session_state["picture"] = Upload("photo.png", colour_picture())
    app.run()
    assert not app.exception
    assert any("colour picture" in w.value for w in app.warning)


def test_disclaimer_and_invitation_without_a_picture() -> None:
    app = open_app().run()
    assert not app.exception
    assert any("Not a medical device" in m.value for m in app.markdown)
    assert any("Upload a **chest X-ray**" in m.value for m in app.markdown)
    (chart,) = app.get("plotly_chart")
    drawn = json.loads(chart.proto.spec)["data"][0]["x"]
    metrics = weights.load_config(registry.get(registry.DEFAULT))["metrics"]
    assert drawn[:2] == [metrics["xray"][part]["accuracy_of_decided"]["value"] for part in ("test", "external")]


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
    assert any(s.value == "ct.png" for s in app.subheader)
    (status,) = app.status  # of an answer from the cache
    assert status.state == "complete" and status.label.startswith("Done in")


def test_models_page_shows_every_figure_with_its_n() -> None:
    app = open_app().run()
    app.switch_page("pages/models.py").run()
    assert not app.exception
    for table in app.dataframe:
        assert {"protocol", "measure", "value", "n"} <= set(table.value.columns)
        assert (table.value["n"] > 0).all()


def test_scoreboard_shows_published_figures_beside_ours_of_the_same_protocol() -> None:
    app = open_app().run()
    app.switch_page("pages/scoreboard.py").run()
    assert not app.exception
    rows = json.loads((ROOT / "train" / "results" / "scoreboard.json").read_text())
    (chart,) = app.get("plotly_chart")
    drawn = {trace["name"]: trace["x"] for trace in json.loads(chart.proto.spec)["data"]}
    for kind, values in drawn.items():
        mine = [r["figures"] for r in rows if r["kind"] == kind and r["modality"] == "xray"]
        expected = [f["accuracy"]["value"] for f in mine if "accuracy" in f]
        assert sorted(values) == sorted(expected)
    ours = {row["protocol"] for row in rows if row["kind"] != "published"}
    assert {row["protocol"] for row in rows if row["kind"] == "published"} <= ours
    app.selectbox(key="measure-xray").select("auc").run()
    for group in ("ct", "lesions"):
        app.segmented_control(key="board").set_value(group).run()
        assert not app.exception and len(app.get("plotly_chart")) == 1
    assert any("bootstrap" in c.value for c in app.caption)


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

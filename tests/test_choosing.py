"""Pictures, CTs, samples and batches through app.py: chosen, uploaded, made, removed, and not lost to a click."""

import json

import numpy as np
import pytest
from streamlit.runtime.scriptrunner import StopException

from covid_core import batch, phantom, report, verdict, volume
from pages import _choice, _job, _ui
from pages._pictures import PHANTOMS
from tests import golden
from tests.test_pages import open_app
from tests.test_teaching_pages import captions, charts, on_page, press, words
from tests.volumes import nifti, slices


def planes(count: int, size: int = 128) -> np.ndarray:
    """HU of a phantom with lesions, [count, size, size]."""
    lesions = phantom.Lesions(count=8, size=0.2, density=0.7, level=0.65)
    return np.stack([phantom.ct(1, lesions, size, level).hounsfield for level in np.linspace(0.3, 0.8, count)])


def test_a_whole_ct_is_uploaded_looked_through_in_windows_and_measured() -> None:
    app = on_page("diagnose.py")
    app.file_uploader[0].upload("chest.nii", nifti(planes(5))).run()
    assert not app.exception and any(s.value == "chest.nii, slice 3" for s in app.header)
    assert app.select_slider[0].format_func(2) == "3 of 5"
    app.select_slider[0].set_value(0).run()
    assert not app.exception and any(s.value == "chest.nii, slice 1" for s in app.header)
    answered = app.session_state["picture"].sha256
    app.segmented_control(key="window").set_value("bone").run()
    assert "bone window (400/1800 HU)" in app.get("image")[0].proto.imgs[0].caption
    assert app.session_state["picture"].sha256 == answered  # another view, the same question
    app.toggle(key="measure").set_value(True).run()
    assert not app.exception and "Largest lesion area: slice **" in words(app)
    drawn = next(d for d in charts(app).values() if any(t.get("name") == "lesions" for t in d))
    assert next(t["x"] for t in drawn if t["name"] == "lesions") == [1, 2, 3, 4, 5]
    press(app, "Show it")
    most = app.session_state["picture"].index
    assert most > 0 and f"Largest lesion area: slice **{most + 1}**" in words(app)
    assert not any(b.label == "Show it" for b in app.button)


def test_a_whole_ct_comes_back_whole() -> None:
    app = on_page("diagnose.py")
    app.file_uploader[0].upload("chest.nii", nifti(planes(5))).run()
    app.switch_page("pages/compare.py").run()
    app.file_uploader[0].upload("mine.png", golden.png("ct-lesions")).run()
    assert not app.select_slider
    app.file_uploader[0].clear().run()
    assert not app.exception and app.select_slider[0].format_func(2) == "3 of 5"
    app.select_slider[0].set_value(4).run()
    assert app.session_state["picture"].index == 4


def test_loose_files_of_a_series_are_one_ct_and_of_other_pictures_the_last_is_shown() -> None:
    app = on_page("diagnose.py")
    for name, data in slices(planes(4, 64)):
        app.file_uploader[0].upload(name, data)
    app.run()
    assert not app.exception and not app.error and app.session_state["picture"].volume
    assert app.select_slider[0].format_func(0) == "1 of 4"
    for name in ("xray-healthy", "ct-lesions"):
        app.file_uploader[0].upload(f"{name}.png", golden.png(name))
    app.run()
    assert not app.exception and app.session_state["picture"].name == "ct-lesions.png"
    assert "**Batch** answers all" in app.info[0].value and not app.select_slider
    app.file_uploader[0].upload("mask.nii", b"no volume").run()
    (message,) = app.error
    assert "named as NIfTI but is none" in message.value and not app.header
    press(app, PHANTOMS["ct-healthy"][0])
    assert not app.error and not app.select_slider


def test_slices_uploaded_one_by_one_stay_single_pictures_when_one_is_removed() -> None:
    app = on_page("diagnose.py")
    files = [(str(number), *file, "application/dicom") for number, file in enumerate(slices(planes(4, 64)))]
    for listed in (files[:1], files[:2], files[:3], files[1:3], files[1:2]):
        app.file_uploader[0]._files = listed  # under the same ids, as a browser lists them
        app.run()
        assert not app.exception and not app.error and app.session_state["picture"].name == listed[-1][1]
    app.file_uploader[0]._files = [files[1], *files[2:], *files[:1]]  # three at once are a CT
    app.run()
    assert not app.error and app.session_state["picture"].volume
    app.file_uploader[0]._files = [files[1], *files[2:]]  # and two of them too few for one
    app.run()
    assert "slices" in app.error[0].value and not app.header


def test_a_click_while_something_is_read_or_made_loses_nothing() -> None:
    app = on_page("diagnose.py")

    def clicked(of: object) -> None:
        raise StopException

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(volume, "read_volume", clicked)
        app.file_uploader[0].upload("chest.nii", nifti(planes(5))).run()
    app.run()
    assert any(s.value == "chest.nii, slice 3" for s in app.header)
    linked = open_app()
    linked.query_params["sample"] = "ct-healthy"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_ui, "sample", clicked)
        linked.run()
    assert not linked.run().exception
    assert any(s.value == PHANTOMS["ct-healthy"][0] for s in linked.header)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_choice, "sample", clicked)
        press(linked, PHANTOMS["xray-healthy"][0])
    linked.run()
    assert any(s.value == PHANTOMS["xray-healthy"][0] for s in linked.header)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_choice, "sample", clicked)
        press(linked, PHANTOMS["ct-healthy"][0])
    linked.file_uploader[0].upload("mine.png", golden.png("ct-lesions")).run()
    assert [s.value for s in linked.header] == ["mine.png"]  # the last wish counts
    # The callback of a removal only notes it.
    removed = on_page("diagnose.py")
    listed = [(str(number), *file, "application/dicom") for number, file in enumerate(slices(planes(5, 64)))]
    for shown in (listed, listed[:4]):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(volume, "read_volume", clicked)
            removed.file_uploader[0]._files = shown
            removed.run()
        removed.run()
        assert removed.session_state["picture"].volume
        assert removed.select_slider[0].format_func(0) == f"1 of {len(shown)}"
    many = on_page("batch.py")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batch, "of_uploads", clicked)
        press(many, "Try it with phantoms")
    assert "batch" not in many.session_state
    many.run()
    assert len(many.session_state["batch"].rows) == 13
    many.session_state["wanted_batch"] = "files"  # of an uploader that is empty after another page
    many.run()
    assert len(many.session_state["batch"].rows) == 13


def test_a_whole_phantom_is_shared_by_its_link() -> None:
    app = open_app()
    app.query_params["sample"] = "ct-whole"
    app.run()
    assert not app.exception and app.select_slider[0].format_func(29) == "30 of 30"
    assert any("phantom, not a patient" in c.value for c in app.caption)
    app.switch_page("pages/compare.py").run()
    assert not app.exception and app.select_slider


def test_a_phantom_is_made_by_sliders_and_shared_by_its_link() -> None:
    app = open_app().run()
    press(app, "Make your own phantom")
    app.slider(key="phantom_count").set_value(9)
    press(app, "Show this phantom")
    assert not app.exception and "True share (the phantom is synthetic)" in words(app)
    shared = app.session_state["picture"].sample
    press(app, "Make your own phantom")
    assert app.slider(key="phantom_count").value == 9  # of the one that is shown
    linked = open_app()
    linked.query_params["sample"] = shared
    linked.run()
    assert linked.session_state["picture"] == app.session_state["picture"]
    rare = open_app()
    rare.query_params["sample"] = "phantom-ct-900-8-20-70-50-10"
    press(rare.run(), "Make your own phantom")
    assert rare.slider(key="phantom_seed").value == 50  # the sliders go no further
    wrong = open_app()
    wrong.query_params["sample"] = "phantom-ct-1-99-20-70-50-10"
    (message,) = wrong.run().error
    assert "no such phantom" in message.value


def test_the_sliders_reach_every_phantom_that_is_offered() -> None:
    for title, made in PHANTOMS.values():
        for name, (_, least, most, *_) in _choice.SLIDERS.items():
            assert least <= getattr(made, name) <= most, (title, name)


def test_a_batch_is_answered_filtered_and_a_row_diagnosed() -> None:
    app = on_page("batch.py")
    next(b for b in app.button if b.label == "Try it with phantoms").click().run()
    assert not app.exception
    table = app.dataframe[0].value
    assert len(table) == 13 and (table["answer"] == "Could not be read").sum() == 1
    job = app.session_state["batch"]
    assert [words.split(", ")[0] for words in table["interval"]][1:] == [
        "" if row["gate"]["reason"] in verdict.BASELESS else report.percent(row["covid_probability"])
        for row in job.rows[1:]
    ]
    assert "" in list(table["interval"])[1:]  # one of the phantoms is unlike the training images
    assert table["picture"].str.startswith("data:image/").sum() == 12 and "text file" in table["remark"][0]
    bars = next(d for d in charts(app).values() if d[0]["type"] == "bar")
    assert sum(bars[0]["x"]) == 13
    app.pills(key="outcomes").set_value(["error"]).run()
    assert list(app.dataframe[0].value["file"]) == ["notes.png"] and "1 of 13 rows" in words(app)
    next(b for b in app.button if b.label == "Try it with phantoms").click().run()
    assert not app.exception and len(app.dataframe[0].value) == 13 and "13 of 13 rows" in words(app)
    assert app.session_state["batch"].is_computed
    app.switch_page("pages/about.py").run()
    app.switch_page("pages/batch.py").run()
    assert not app.exception and len(app.dataframe[0].value) in (1, 13)


def test_a_run_that_a_click_ended_adds_no_row_twice() -> None:
    job = _job.Job([], "mobilenetv2")
    for place, name in ((0, "a"), (0, "a"), (1, "b")):
        job.keep(place, {"file": name}, None, 1.0)
    assert [row["file"] for row in job.rows] == ["a", "b"] and (len(job.thumbnails), job.seconds) == (2, 2.0)


def test_a_stopped_batch_goes_on_where_it_stopped() -> None:
    app = on_page("batch.py")
    next(b for b in app.button if b.label == "Try it with phantoms").click().run()
    job = app.session_state["batch"]
    first = [row["seconds"] for row in job.rows if "seconds" in row]
    del job.rows[5:], job.thumbnails[5:]
    app.run()
    assert len(app.dataframe[0].value) == 5
    next(b for b in app.button if b.label == "Continue with the remaining 8 of 13").click().run()
    assert not app.exception and len(app.dataframe[0].value) == 13
    assert [row["seconds"] for row in job.rows if "seconds" in row][:4] == first[:4]


@pytest.mark.parametrize("page", ["compare.py", "uncertainty_lab.py", "shortcut_lab.py", "learn.py"])
def test_a_phantom_stands_in_as_long_as_no_picture_is_chosen(page: str) -> None:
    def shown() -> str:
        return words(app) + json.dumps([chart.proto.spec for chart in app.get("plotly_chart")])

    app = on_page(page)
    before = shown()
    assert (
        not app.exception and not app.error and (charts(app) or app.get("image")) and "picture" not in app.session_state
    )
    assert page == "learn.py" or "A phantom stands in until you choose a picture." in [c.value for c in app.caption]
    press(app, PHANTOMS["ct-lesions"][0])
    assert not app.exception and "stands in" not in words(app) and shown() != before
    assert (
        PHANTOMS["ct-lesions"][0] in words(app) or page == "learn.py" and PHANTOMS["ct-lesions"][0] in captions(app)[0]
    )

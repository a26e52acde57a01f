"""Compare, both labs, Learn and About through app.py: refusals, happy paths, links, and two visitors who never mix."""

import ast
import json
import math
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from covid_core import (
    classify,
    degrade,
    images,
    plain,
    registry,
    report,
    shortcuts,
    source,
    terms,
    trial,
    verdict,
    weights,
)
from pages import _board, _plain, _ui
from pages._pictures import PHANTOMS, STAND_IN, Upload
from tests import golden
from tests.test_pages import ROOT, colour_picture, open_app

PAGES = sorted(file.name for file in (ROOT / "pages").glob("[a-z]*.py"))
WITH_PICTURE = ["compare.py", "shortcut_lab.py", "uncertainty_lab.py"]


def on_page(page: str, picture: Upload | None = None) -> AppTest:
    app = open_app().run()
    if picture is not None:
        app.session_state["picture"] = picture
    app.switch_page(f"pages/{page}").run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.subheader, app.header, app.title)
    kinds += (app.error, app.warning, app.info, app.success)
    return "\n".join(element.value for kind in kinds for element in kind)


def press(app: AppTest, label: str) -> None:
    next(b for b in app.button if b.label == label).click().run()
    assert not app.exception


def charts(app: AppTest) -> dict[str, list[dict]]:
    return {c.proto.id: json.loads(c.proto.spec)["data"] for c in app.get("plotly_chart")}


def captions(app: AppTest) -> list[str]:
    return [image.caption for images in app.get("image") for image in images.proto.imgs]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_without_a_picture(page: str) -> None:
    app = on_page(page)
    assert len(app.title) == 1 and not app.error


@pytest.mark.parametrize("page", WITH_PICTURE)
def test_bad_pictures_get_a_sentence(page: str) -> None:
    (message,) = on_page(page, Upload("text.png", b"only words")).error
    assert message.value.endswith(".") and "Traceback" not in message.value
    assert "colour picture" in words(on_page(page, Upload("photo.png", colour_picture())))


def test_compare_asks_every_way_of_sampling() -> None:
    app = on_page("compare.py", Upload("ct.png", golden.png("ct-lesions")))
    (drawn,) = charts(app).values()
    labels = [label for trace in drawn for label in trace["y"]]
    assert len(labels) % 3 == 0 and {"MobileNetV2<br>heads alone", "MobileNetV2<br>head-only dropout"} < set(labels)
    table = app.dataframe[0].value
    assert sorted(table["probability"]) == sorted(x for trace in drawn for x in trace["x"])
    assert "MobileNetV2 taught both others" in words(app)  # so that they agree proves little
    assert any("evidence for COVID-19, " in c and c.endswith(" cells") for c in captions(app))
    counts = [len(trace["y"]) for trace in drawn]
    assert (
        f"All {len(labels)} answers: *" if len(counts) == 1 else f"{max(counts)} of {len(labels)} answers: *"
    ) in words(app)


def test_compare_gives_a_reason_and_no_range_where_probabilities_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify.Gate, "style_distance", lambda *of: 1.5)
    app = on_page("compare.py", Upload("ct.png", golden.png("ct-lesions")))
    assert f"*Cannot say*. {verdict.UNLIKE}" in words(app) and "probabilities run" not in words(app)
    assert set(app.dataframe[0].value["why there is none"]) == {verdict.UNLIKE}


def test_the_curve_fills_and_follows_kind_and_level() -> None:
    app = on_page("uncertainty_lab.py", Upload("ct.png", golden.png("ct-lesions")))
    (drawn,) = charts(app).values()
    marked = [x for trace in drawn if trace["mode"] == "markers" for x in trace["x"]]
    assert sorted(marked) == [step / 10 for step in range(11)]
    before = words(app)
    app.slider(key="strength").set_value(0.9).run()
    assert not app.exception and words(app) != before
    app.slider(key="level").set_value(0.99).run()
    assert f"Not ruled out at {report.percent(0.99)}" in words(app) or "No answer" in words(app)
    for kind in degrade.KINDS:
        app.pills(key="spoil").set_value(kind).run()
        assert not app.exception


def test_a_picture_refused_at_every_strength_gets_the_reason_in_place_of_empty_curves() -> None:
    app = on_page("uncertainty_lab.py", Upload("photo.png", colour_picture()))
    assert not charts(app) and "No answer at any strength. This is a colour picture." in app.warning[0].value


def test_the_other_experiments_compute_from_the_stored_rows() -> None:
    app = on_page("uncertainty_lab.py")
    for section in ("Abstain", "Calibration", "Prevalence"):
        app.segmented_control(key="experiment").set_value(section).run()
        assert not app.exception and len(app.get("plotly_chart")) == 1 and len(app.metric) >= 2
        if section == "Abstain":
            answers = next(iter(_board.stored_answers(registry.DEFAULT).values()))
            kept = math.ceil(0.8 * len(answers.covid))
            assert app.metric[0].delta == f"of {kept:,} answers"
            surest = np.argsort(-np.abs(answers.probability - 0.5), kind="stable")
            wrong = (answers.called != answers.covid)[surest]
            assert f"least sure of removes {report.share(wrong[kept:].sum() / wrong.sum())} of them" in words(app)
            app.slider(key="share").set_value(100).run()
            assert "All images are answered" in words(app) and "removes" not in words(app)
    worth = app.metric[0].value
    assert f"{len(answers.covid):,} images, {answers.covid.sum():,} of them with COVID-19" in words(app)
    app.select_slider(key="prevalence").set_value(0.5).run()
    assert app.metric[0].value != worth


def test_names_of_files_are_shown_as_they_are() -> None:
    assert _ui.plain("a*b_1$x$.png") == r"a\*b\_1\$x\$.png"
    app = on_page("shortcut_lab.py", Upload("a*b*.png", golden.png("xray-lesions")))
    assert app.header[0].value == r"a\*b\*.png"


def test_reliability_says_of_which_images_and_its_marks_of_how_many() -> None:
    app = on_page("uncertainty_lab.py")
    app.segmented_control(key="experiment").set_value("Calibration").run()
    answers = _board.stored_answers(registry.DEFAULT)
    app.selectbox(key="calibration").select("xray / external").run()
    known = f"{terms.part_name('xray / external')}: {len(answers['xray / external'].covid):,} images"
    assert not app.exception and known in words(app)
    (drawn,) = charts(app).values()
    for trace in drawn[1:]:
        sizes = [size for _, size in sorted(zip(trace["customdata"], trace["marker"]["size"], strict=True))]
        assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


def test_the_shortcut_lab_takes_lungs_away_and_burns_letters_in() -> None:
    app = on_page("shortcut_lab.py", Upload("chest.png", golden.png("xray-lesions")))
    said = words(app)
    assert all(title in said for title in ("As it is", "Lungs blacked out", "Only the border"))
    chest = shortcuts.chest(images.decode(golden.png("xray-lesions")))
    for probe in shortcuts.probes(chest):
        other = plain.ask(probe.image, chest.lungs)
        assert other and f"A plain network: **{report.percent(other.probability)}**" in said
    assert "never abstains" in said and "tuberculosis" in _plain.x_rays_fall() and _plain.x_rays_fall() in said
    before, after = (
        plain.ask(image, chest.lungs) for image in (chest.image, shortcuts.with_marker(chest.image, "R", 0.3, 0.5))
    )
    assert before and after
    told = [report.percent(answer.probability) for answer in (before, after)]
    assert f"{told[0]} without letters, {told[1]} with them" in said
    named = next(iter(source.guess(shortcuts.chest(images.decode(golden.png("xray-lesions"))).evidence)))
    assert f"As it is: **{terms.SOURCES[named]}**" in said
    chance = _board.board_figures("xray / source_from_features", registry.DEFAULT)["balanced_accuracy_by_chance"]
    assert f"always naming the same one would get {report.share(chance['value'])}" in said
    known = len(source.readers(registry.DEFAULT)["xray"].names)
    assert f"They come from {round(1 / chance['value'])} of the {known} sources it can name" in said
    assert "not a test on unseen images" in said and _board.confounded() in said and "no lesion at all" not in said
    app.slider(key="across").set_value(0.8).run()
    assert not app.exception
    moved = {m.label: m.value for m in app.metric}["Moved by"]
    assert moved.endswith("point" if moved[1:].startswith("1 ") else "points")
    next(b for b in app.button if b.label == "Try 25 places").click().run()
    assert not app.exception
    heat = next(d[0] for d in charts(app).values() if d[0]["type"] == "heatmap")
    assert len(heat["text"]) == 5 and "The dashed box is what the classifier sees" in words(app)
    before = {m.label: m.value for m in app.metric}["Without letters"]
    assert ("at the end of the scale" in words(app)) == (before in (report.percent(0), report.percent(1)))


def test_the_shortcut_lab_shows_figures_of_the_chosen_network() -> None:
    app = on_page("shortcut_lab.py")
    spec = registry.get("resnet50")
    app.selectbox(key="model").set_value(spec.name).run()
    assert not app.exception and f"{spec.title} on all test images" in words(app)
    rows = {
        (r["protocol"], r["model"]): r["figures"]["auc"] for r in _board.scoreboard().values() if "auc" in r["figures"]
    }
    (drawn,) = (traces for key, traces in charts(app).items() if "probes-xray" in key)
    shown = np.concatenate([np.asarray(trace["x"], float) for trace in drawn])
    expected = [
        rows[f"xray / {probe}", spec.name]["value"] for probe in ("as_it_is", "lungs_blacked_out", "only_border")
    ]
    assert set(expected) <= set(shown.round(4))


def learn_choices() -> dict[str, tuple[str, str]]:
    """Question -> right choice and explanation, read from the page's source: importing it would run it."""
    tree = ast.parse((ROOT / "pages" / "learn.py").read_text())
    steps = [call for call in ast.walk(tree) if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Step"]
    told = [[ast.literal_eval(argument) for argument in step.args[3:]] for step in steps]
    return {question.replace("*", ""): (choices[0], answer) for question, choices, answer in told}


def test_learn_shows_ten_steps_each_with_a_question_and_an_answer() -> None:
    app = on_page("learn.py")
    seen = set()
    own_words = {
        3: "does not prove that no network could do better",
        4: f"{terms.part_name('xray / test')}: ",
        5: "what calibration aimed at, on average over pictures like its own",
        9: "an accuracy also depends on how many images",
    }
    for number in range(10):
        seen.add(app.header[0].value)
        assert own_words.get(number, "") in words(app)
        (quiz,) = app.radio
        right = learn_choices()[quiz.label.split("**", 1)[1].replace("*", "")]
        assert right[0] in quiz.options and right[1] not in words(app) and quiz.value is None
        for choice in sorted(quiz.options, key=right[0].__eq__):
            app.radio[0].set_value(choice).run()
            assert right[1] in words(app) and ("**Right.**" in words(app)) == (choice == right[0])
        if number < 9:
            app.button[-1].click().run()
            assert not app.exception
    assert len(seen) == 10
    assert "tuberculosis" in _plain.x_rays_fall() and _plain.x_rays_fall() in words(app)
    (drawn,) = (traces for key, traces in charts(app).items() if "learn-paper" in key)
    rows = {r["protocol"]: r["figures"] for r in _board.scoreboard().values() if r["model"] == registry.DEFAULT}
    asked = sorted(x for trace in drawn for x in trace["x"])
    assert asked == sorted(rows[name]["auc"]["value"] for name in terms.HARDER) and terms.HARDER[0] == "xray_random"
    app.button[-1].click().run()
    assert app.header[0].value.startswith("9.")


def test_the_set_of_the_lessons_phantom_grows_with_the_level() -> None:
    app = on_page("learn.py")
    app.pills(key="step").set_value(5).run()
    held = []
    for level in (0.9, 0.99):
        app.slider(key="learn-level").set_value(level).run()
        held += [m.value for m in app.metric if m.label == "Not ruled out"]
    assert held == [report.held(("non_covid",)), report.held(("non_covid", "covid"))]
    app.pills(key="step").set_value(1).run()
    opinions = next(m.value for m in app.markdown if m.value.startswith("5 heads")).rpartition(": ")[2]
    assert len(set(opinions.split(", "))) > 1  # "Why do the heads differ"


def test_faint_lesions_are_marked_as_the_lesson_says() -> None:
    faint, dense = (trial.lesions(6, 0.4, density) for density in (0.0, 1.0))
    assert faint.marked_percent < faint.true_percent / 4 and dense.marked_percent > 0.9 * dense.true_percent
    small = trial.lesions(6, 0.1, 0.0)  # with normal lung around them
    assert small.dice is not None and small.dice > 0.8


@pytest.mark.parametrize(
    ("picture", "reason"),
    [(Upload("photo.png", colour_picture()), "colour picture"), (Upload("text.png", b"only words"), "text file")],
)
@pytest.mark.parametrize("modality", ["auto", "xray"])
def test_learn_goes_on_with_a_phantom_where_there_is_no_answer(picture: Upload, reason: str, modality: str) -> None:
    app = open_app()
    app.query_params["modality"] = modality  # which the phantom is not asked by
    app.run()
    app.session_state["picture"] = picture
    app.switch_page("pages/learn.py").run()
    assert captions(app)[0] == f"What you see: {PHANTOMS[STAND_IN][0]}"
    for number in range(10):
        if number == 1:  # this step has a phantom of its own
            assert PHANTOMS["ct-healthy"][0] in words(app)
        if app.file_uploader:
            (message,) = app.warning
            assert reason in message.value and message.value.endswith("A phantom takes its place here.")
        else:
            assert not app.warning and number + 1 in (5, 7, 9, 10)  # about no picture
        assert not app.exception and not app.error and not app.info
        if number < 9:
            app.button[-1].click().run()


def test_learn_goes_to_the_beginning_of_a_step_once(caplog: pytest.LogCaptureFixture) -> None:
    def scripts() -> list[str]:
        return [e.proto.body for e in app.get("html") if e.proto.unsafe_allow_javascript]

    app = on_page("learn.py")
    assert not scripts()
    app.button[-1].click().run()
    (first,) = scripts()
    app.run()
    assert not scripts()
    app.button[-1].click().run()
    (second,) = scripts()
    assert first != second  # the browser runs the same text only once
    assert not any("step" in record.message for record in caplog.records)


def test_about_counts_what_was_measured() -> None:
    app = on_page("about.py")
    counted = app.dataframe[1].value
    metrics = json.loads((ROOT / "covid_core/assets/mobilenetv2/config.json").read_text())["metrics"]
    assert counted["COVID-19"].tolist()[0] == metrics["xray"]["test"]["n_covid"]
    assert len(app.dataframe[2].value) == len(json.loads((ROOT / "train/datasets/sources.json").read_text()))


@pytest.mark.parametrize("sample", PHANTOMS)
def test_a_link_opens_a_sample_with_its_settings(sample: str) -> None:
    app = open_app()
    app.query_params["sample"] = sample
    app.query_params["method"] = "ensemble"
    app.query_params["level"] = "0.95"
    app.query_params["modality"] = sample.split("-")[0]
    app.run()
    assert not app.exception
    assert any(s.value == PHANTOMS[sample][0] for s in app.header)
    assert app.selectbox(key="method").value == "ensemble" and app.slider(key="level").value == 0.95
    address = {name: str(value).strip("[]'") for name, value in app.query_params.items()}
    assert address == {"sample": sample, "method": "ensemble", "level": "0.95", "modality": sample.split("-")[0]}


@pytest.mark.parametrize(
    "address",
    ["sample=nobody", "model=gpt", "level=high", "level=7", "level=nan", "method=guess&modality=mri", "sample=../../x"],
)
def test_a_wrong_link_does_no_harm(address: str) -> None:
    app = open_app()
    for name, value in urllib.parse.parse_qsl(address):
        app.query_params[name] = value
    app.run()
    assert not app.exception and app.selectbox(key="model").value == "mobilenetv2"
    assert app.slider(key="level").value == 0.9
    assert [e.value.startswith("There is no such sample") for e in app.error] == [True] * ("sample" in address)


def test_settings_and_picture_survive_a_walk_through_the_pages() -> None:
    app = open_app()
    app.query_params["sample"] = "ct-healthy"
    app.run()
    app.selectbox(key="method").select("mc_dropout").run()
    for page in PAGES:
        app.switch_page(f"pages/{page}").run()
        assert not app.exception
    app.switch_page("pages/diagnose.py").run()
    assert app.selectbox(key="method").value == "mc_dropout"
    assert any(s.value == "Phantom CT slice, healthy" for s in app.header)


def test_two_visitors_never_see_each_others_pictures(tmp_path: Path) -> None:
    first, second = open_app(), open_app()
    first.session_state["picture"] = Upload("mine.png", golden.png("ct-lesions"))
    second.session_state["picture"] = Upload("yours.png", golden.png("ct-healthy"))
    for app, name, other in ((first, "mine.png", "yours.png"), (second, "yours.png", "mine.png")) * 2:
        app.run()
        assert not app.exception
        assert any(s.value == name for s in app.header) and other not in words(app)
    probability = [next(m.value for m in app.metric if "probability" in m.label) for app in (first, second)]
    assert probability[0] != probability[1]


def test_the_plain_network_is_not_asked_about_ct_and_takes_nothing_along_when_it_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "A plain network:" not in words(on_page("shortcut_lab.py", Upload("ct.png", golden.png("ct-lesions"))))

    def lost(*_: object) -> None:
        raise weights.WeightsError("The file plain.safetensors is damaged.")

    monkeypatch.setattr(plain, "ask", lost)
    app = on_page("shortcut_lab.py", Upload("other.png", golden.png("xray-healthy")))
    assert "The plain network is not asked. The file plain.safetensors is damaged." in words(app)
    assert "Lungs blacked out" in words(app) and "Without letters" in {m.label for m in app.metric}

"""Learn: ten short steps from pixels to a paper's 99.7 %, each live, each with a question."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import NamedTuple

import streamlit as st

from covid_core import curves, degrade, figures, images, painting, printed, registry, report, terms
from covid_core.diagnose import Diagnosis, without_advice
from covid_core.weights import WeightsError
from pages import _answers, _board, _lesson, _pictures, _plain, _ui

QUIET = {"displayModeBar": False}


class Step(NamedTuple):
    """One step of the lesson.

    Attributes:
        title: of the step.
        text: what it is about.
        live: what there is to try, called with the picture, its settings and its answer, or, where `has_picture` is not, with the
            settings alone.
        question: to think about.
        choices: answers to it, the right one first.
        answer: why.
        phantom: that stands in where no picture is chosen.
        has_picture: whether it is about the visitor's picture.
    """

    title: str
    text: str
    live: Callable[..., None]
    question: str
    choices: tuple[str, ...]
    answer: str
    phantom: str = _pictures.STAND_IN
    has_picture: bool = True


def cam_only(picture: _pictures.Upload, settings: _ui.Settings, result: Diagnosis) -> None:
    """The picture, and the cells that the answer came from."""
    left, right = st.columns(2)
    left.image(
        result.image.pixels, width="stretch", caption=f"What you see: {_ui.plain(picture.name)}", alt=picture.name
    )
    if result.explanation is not None:  # there is one, as what is refused is not shown here
        right.image(
            painting.layers(result, [painting.CAM], 0.8),
            width="stretch",
            caption=f"How much each of {painting.grid(result.explanation)} spoke for COVID-19",
            alt="The picture with Grad-CAM",
        )
        st.caption(printed.summed(result.explanation))


def heads(picture: _pictures.Upload, settings: _ui.Settings, result: Diagnosis) -> None:
    """The heads, one by one."""
    answer = _answers.answer(picture, replace(settings, method="ensemble")).classification
    networks = registry.get(settings.model).members
    st.markdown(
        f"{answer.samples.size} heads{f' of {len(networks)} networks' if networks else ''}, as many opinions on the features of "
        f"**{_ui.plain(picture.name)}**: " + ", ".join(f"**{report.percent(float(p))}**" for p in answer.samples) + "."
    )
    if answer.probability is not None:
        st.plotly_chart(
            figures.probability_bar(answer), key="learn-heads", config=QUIET, alt="The heads' probabilities"
        )


def overconfident(picture: _pictures.Upload, settings: _ui.Settings, result: Diagnosis) -> None:
    """A spoilt picture and how sure the model still is."""
    strength = st.slider("Blur", 0.0, 1.0, 0.6, 0.1, key="learn-blur", persist_state="session")
    chest = _answers.chest(picture, settings)
    if chest.evidence.refusal:
        st.info(chest.evidence.refusal)
        return
    evidence = _answers.blurred(chest, strength)
    answer = evidence.answer(settings.method, settings.level)
    left, right = st.columns(2)
    left.image(
        degrade.degrade(chest.image, "blur", strength).pixels,
        width="stretch",
        alt=f"{picture.name}, blurred by {strength:.1f}",
    )
    right.metric("COVID-19: the classifier alone", report.percent(answer.probability or 0), border=True)
    right.metric("Distance from the training images", f"{answer.distance:.1f}", border=True)
    whole = _answers.spoilt(chest.image, picture.sha256, settings.modality, settings.model, "blur", strength)
    said = whole.answer(settings.method, settings.level)
    right.markdown(f"The app says: *{report.DECISIONS[said.decision]}*. {without_advice(said.reason)}")


def two_kinds(picture: _pictures.Upload, settings: _ui.Settings, result: Diagnosis) -> None:
    """All samples, and the doubt split in two."""
    st.plotly_chart(figures.probability_bar(result.classification), key="learn-bar", config=QUIET, alt="All samples")
    st.plotly_chart(
        figures.uncertainty_bar(result.classification),
        key="learn-bits",
        config=QUIET,
        alt="Aleatoric and epistemic bits",
    )


def calibrated(settings: _ui.Settings) -> None:
    """Reliability on the training sources."""
    part = "xray / test"
    answers = _board.stored_answers(settings.model)[part]
    _board.show_reliability(part, answers, key="learn-pair")
    before, after = answers.ece()
    chance = _board.board_figures(part, settings.model).get("ece_by_chance", {}).get("value")
    said = f"Confidence and accuracy differed by **{before:.3f}** on average before (ECE), by **{after:.3f}** after"
    if chance is not None:
        said += f"; by chance alone they would differ by about {chance:.3f} in so many images of a perfectly calibrated model"
    st.markdown(f"{said}. {terms.AT_THE_END}")


def sets(picture: _pictures.Upload, settings: _ui.Settings, result: Diagnosis) -> None:
    """The prediction set at a level one moves, and what the promise is worth."""
    st.caption(_board.promise(result.classification.modality, settings.model))
    level = st.slider("Level", *_ui.LEVELS, 0.9, 0.01, format="percent", key="learn-level", persist_state="session")
    answer = _answers.answer(picture, replace(settings, level=level)).classification
    left, right = st.columns(2)
    left.metric("Not ruled out", report.held(answer.prediction_set), border=True)
    right.metric("The app says", report.DECISIONS[answer.decision], border=True, help=answer.reason or None)


def silent(settings: _ui.Settings) -> None:
    """Risk over coverage, inside and outside."""
    share = st.slider(
        "Answer only the surest", 5, 100, 80, 5, format="%d %%", key="learn-share", persist_state="session"
    )
    lines = {
        terms.part_name(name): answers.risk_coverage()
        for name, answers in _board.stored_answers(settings.model).items()
        if name.startswith("xray")
    }
    st.plotly_chart(
        curves.risk_coverage(lines, share / 100), key="learn-risk", config=QUIET, alt="Share wrong over share answered"
    )


def without(picture: _pictures.Upload, settings: _ui.Settings, result: Diagnosis) -> None:
    """The picture without lungs."""
    chest = _answers.chest(picture, settings)
    if chest.evidence.refusal:
        st.info(chest.evidence.refusal)
        return
    found = _answers.probes(chest)[:2]
    for column, probe in zip(st.columns(2), found, strict=True):
        answer = probe.alone.answer(settings.method, settings.level)
        column.image(probe.image.pixels, width="stretch", alt=f"{picture.name}, {probe.title.lower()}")
        column.metric(f"{probe.title}: the classifier alone", report.percent(answer.probability or 0), border=True)


def truth(settings: _ui.Settings) -> None:
    """A phantom with lesions of the visitor's choice, the truth and what was marked."""
    first, second, third = st.columns(3)
    count = first.slider("Lesions", 0, 12, 6, key="learn-count", persist_state="session")
    size = second.slider("Size", 0.05, 0.4, 0.2, 0.05, key="learn-size", persist_state="session")
    density = third.slider("Density", 0.0, 1.0, 0.6, 0.1, key="learn-density", persist_state="session")
    made = _answers.lesion_trial(count, size, density)
    left, right = st.columns(2)
    left.image(made.picture, width="stretch", caption="The phantom", alt="The phantom")
    right.image(
        made.compared, width="stretch", caption="What the U-Net made of its lesions", alt="Lesions found and missed"
    )
    right.markdown(printed.legend(painting.COMPARED), unsafe_allow_html=True)
    st.markdown(
        f"True share of the lungs: **{made.true_percent:.1f} %**, marked: **{made.marked_percent:.1f} %**. "
        + (
            "Dice: none, for there is no lesion."
            if made.dice is None
            else f"Dice: **{made.dice:.2f}** (1 = the same outline)."
        )
    )


def paper(settings: _ui.Settings) -> None:
    """The same disease, asked harder and harder."""
    _plain.show("xray")
    st.plotly_chart(
        figures.forest(_board.harder_questions("auc"), "AUC (0.5 = guessing)"),
        key="learn-paper",
        config=QUIET,
        alt="AUC on a random split, with copies kept apart, in other hospitals and with lesions moved between sources",
    )
    st.caption(
        f"Squares: the plain network. Diamonds: the app's {registry.get(registry.DEFAULT).title}. The rows show the AUC, "
        "because an accuracy also depends on how many images of a set show COVID-19. All COVID-19 X-rays from other hospitals come "
        "from one archive of the web; both models trained on X-rays from the same web sites, so that some patients may be in both. "
        f"{terms.MOVED}"
    )


STEPS = (
    Step(
        "What a network sees",
        "A convolutional network slides small filters over the picture, then filters over what those found, until a coarse grid of "
        "cells is left. Each cell holds a thousand or more numbers on its place and much around it. The mean over the cells goes "
        "to the last layer, so the contribution of each cell to the answer can be computed (Grad-CAM).",
        cam_only,
        "Can you read from the coloured cells *why* it answers as it does?",
        ("No, only roughly where its answer came from", "Yes, it saw COVID-19 there"),
        "No. They tell roughly where the answer came from, not what was seen there. A cell over a rib may speak of the lung behind "
        "it, of the rib, or of how the picture was exposed.",
    ),
    Step(
        "Transfer learning",
        "The filters of MobileNetV2 were first learned on photographs (ImageNet), then on chest images, because a few thousand of "
        "those are too few to start from nothing; so were most of ResNet50's. InceptionResNetV2 had no such start: it learned from "
        "MobileNetV2's answers. Then five small heads were trained on the features, each on another draw of the patients, or, "
        "where nobody knows those, of groups of look-alikes.",
        heads,
        "Why do the heads differ, though they see the same features?",
        (
            "Each learned from another draw of the images",
            "Each looks at another part of the picture",
            "They are of different size",
        ),
        "Each learned from a different draw (a bootstrap). They part where it matters which images were drawn, mostly near 50 %. "
        "On a picture unlike all training images they need not part: all five then extrapolate alike. The distance is there for "
        "that.",
        phantom="ct-healthy",  # about which its heads and samples differ
    ),
    Step(
        "Overconfidence",
        "A probability is a number between 0 and 1, not a promise. The network alone gives one for every picture, even for one it "
        "cannot know anything about.",
        overconfident,
        "Blur the picture until you recognise nothing. Is the probability near one half?",
        ("Often not", "Yes, it knows that it cannot know"),
        "Often not: far from its training images, a network still extrapolates in some direction. That is why the app measures "
        "the distance as well as the probability, and withholds the answer when the distance exceeds 1.",
    ),
    Step(
        "Two kinds of doubt",
        "Every sample is the answer of one head with part of its inputs left out. Doubt that all samples share is called "
        "*aleatoric*. Doubt from their disagreement is *epistemic*: more images like this one would help. Heads disagree, and "
        "so do the samples of one head. Only the last layer is sampled, so a large aleatoric part does not prove that no network "
        "could do better.",
        two_kinds,
        "If all samples lie close together, is the answer right?",
        ("Not necessarily", "Yes, they agree"),
        "Not necessarily. The samples share one backbone. None of them can be unsure about what it never looked at.",
        phantom="ct-healthy",  # about which its heads and samples differ
    ),
    Step(
        "Calibration",
        "Of all answers given with 80 % confidence, eight in ten should be right. Dividing the logits by one number, the "
        "temperature, fitted on images kept apart for it, usually brings confidence and accuracy closer together.",
        calibrated,
        "Does calibration make a model better at telling the classes apart?",
        ("No", "Yes"),
        "No. The ranking of the pictures hardly changes. Only the stated confidence does, and it holds only for pictures "
        "like those it was fitted on.",
        has_picture=False,
    ),
    Step(
        "Prediction sets",
        "Instead of one answer, the set holds every answer that cannot be ruled out. Images with known labels show how "
        "improbable the true class can be. At a level of 90 % the set should contain the true class for nine in ten images of "
        "each class.",
        sets,
        "Move the level up to its end. Why does the set grow?",
        ("To be right more often, it rules out less", "It has seen more images"),
        "To contain the truth more often, it must rule out less. With both classes in it, or none, the honest answer is *cannot "
        "say*.",
        phantom="ct-healthy",  # whose set grows
    ),
    Step(
        "Abstention",
        "A model that may abstain can be right more often. The curve gives its errors among the surest images, for the sources "
        "it learned from and for other hospitals.",
        silent,
        "Why does abstaining help less in other hospitals?",
        ("There it is wrong and sure", "There it is unsure of everything"),
        "There the model is wrong for a reason other than ambiguity: what it learned to look at means something else there, so it "
        "is wrong and sure.",
        has_picture=False,
    ),
    Step(
        "Shortcuts",
        "In the public X-ray sets nearly all COVID-19 images come from other hospitals than the healthy ones. Recognising the "
        "hospital gives the label. So take away the lungs, and see what is left of the answer.",
        without,
        "If the probability hardly falls without lungs, what did the network read?",
        ("Something else in the picture", "The disease, even without lungs"),
        "Something else in the picture: how it was exposed, framed or compressed, or the patient's shape. High figures on images "
        "from the same sources cannot tell the difference.",
    ),
    Step(
        "Segmentation",
        "A U-Net says for every pixel whether it is lung or lesion. On a phantom the truth is known, so one can see where it errs.",
        truth,
        "Make the lesions as large and as faint as you can. How much of them is marked?",
        ("A small part", "About half", "Nearly all"),
        "A small part. Faint patches are found while normal lung lies around them; where they fill nearly the whole lung they are "
        "overlooked, and the share comes out far too small. A Dice over many images hardly shows this if such lungs are rare.",
        has_picture=False,
    ),
    Step(
        "How to read 99.7 %",
        "A report gives 99.7 % accuracy. Ask: what was the test? Were patients, copies and hospitals kept apart? How common is the "
        "disease there? How wide is the interval?",
        paper,
        "Which of these figures would you quote to a hospital?",
        ("None that was measured on the sources it learned from", "The one on which it is best", "The mean of all"),
        "None that was measured on pictures of the sources it learned from, copies kept apart or not. The two rows against "
        "pneumonia come nearest: there both kinds of image come from one collection. They, too, are one measurement each, with an "
        "interval.",
        has_picture=False,
    ),
)


def with_answer(
    picture: _pictures.Upload, settings: _ui.Settings, phantom: str
) -> tuple[_pictures.Upload, _ui.Settings, Diagnosis]:
    """The picture and its answer; where there is none, those of this phantom."""
    try:
        result = _answers.answer(picture, settings)
        reason = result.classification.reason if result.classification.decision == "refused" else ""
    except images.ImageError as error:
        reason = str(error)
    if reason:
        st.warning(f"{reason} A phantom takes its place here.", icon=":material/block:")
        picture, settings = _pictures.sample(phantom), replace(settings, modality="auto")
        result = _answers.answer(picture, settings)
    return picture, settings, result


def quiz(number: int, step: Step) -> None:
    """The question, and the answer once one has chosen."""
    shown = Random(number).sample(step.choices, len(step.choices))  # in an order that is always the same
    with st.container(border=True):
        chosen = st.radio(
            f":material/quiz: **{step.question}**", shown, index=None, key=f"guess-{number}", persist_state="session"
        )
        if chosen is not None:
            is_right = chosen == step.choices[0]
            box, word = (st.success, "Right.") if is_right else (st.info, f"Not quite: *{step.choices[0]}*.")
            box(f"**{word}** {step.answer}")


def show(number: int, step: Step, about: tuple[_pictures.Upload, _ui.Settings] | None) -> None:
    """A step, its question, and the way to the next."""
    st.header(f"{number + 1}. {step.title}")
    st.markdown(step.text)
    try:
        step.live(*(with_answer(*about, step.phantom) if about else (_ui.choose_settings(()),)))
    except WeightsError as error:
        st.error(str(error), icon=":material/error:")
    quiz(number, step)
    back, forward = st.columns(2)
    if number > 0:
        back.button("Back", icon=":material/arrow_back:", on_click=_lesson.go_to, args=(number - 1,), width="stretch")
    if number + 1 < len(STEPS):
        forward.button(
            STEPS[number + 1].title,
            icon=":material/arrow_forward:",
            on_click=_lesson.go_to,
            args=(number + 1,),
            width="stretch",
            type="primary",
        )
    else:
        forward.page_link(
            "pages/diagnose.py", label="Ask it about a picture: **Diagnose**", icon=":material/pulmonology:"
        )
        forward.page_link(
            "pages/shortcut_lab.py", label="Take lungs away: **Shortcut lab**", icon=":material/visibility_off:"
        )
        forward.page_link("pages/scoreboard.py", label="All figures: **Scoreboard**", icon=":material/leaderboard:")


_ui.only_through_app()
st.title("From pixels to 99.7\u00a0%")
number = _lesson.choose([f"{number}. {step.title}" for number, step in enumerate(STEPS, 1)])
if STEPS[number].has_picture:
    picked, settings, main = _ui.beside_picture(())
    with main:
        show(number, STEPS[number], (picked or _pictures.sample(STEPS[number].phantom), settings))
else:
    show(number, STEPS[number], None)

"""Uncertainty lab: degrade a picture and watch the uncertainty; abstain, calibrate and change how common the disease is."""

import time

import streamlit as st

from covid_core import classify, curves, degrade, images, metrics, report, stored, terms
from covid_core.diagnose import without_advice
from covid_core.weights import WeightsError
from pages import _answers, _board, _pictures, _ui

STRENGTHS = [step / 10 for step in range(11)]
SECTIONS = ("Degrade the picture", "Abstain", "Calibration", "Prevalence")
QUIET = {"displayModeBar": False}
REDRAWN = 0.25  # seconds from one drawing of a curve that fills to the next


@st.fragment
def spoil(picture: _pictures.Upload, settings: _ui.Settings) -> None:
    """The curves over the strength, filled point by point, the one looked at first."""
    try:
        image = _answers.small(picture, settings)
    except (images.ImageError, WeightsError) as error:
        st.error(str(error), icon=":material/error:")
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        kind = st.pills(
            "Degrade by",
            list(degrade.KINDS),
            format_func=lambda k: degrade.KINDS[k].title,
            default="blur",
            required=True,
            key="spoil",
            persist_state="session",
        )
        strength = st.slider(
            "Strength",
            0.0,
            1.0,
            0.3,
            0.1,
            key="strength",
            help=f"1 is: {degrade.KINDS[kind].most}.",
            persist_state="session",
        )
        words = st.empty()
        st.image(
            degrade.degrade(image, kind, strength).pixels,
            width="stretch",
            alt=f"{picture.name}, {degrade.KINDS[kind].title.lower()} at strength {strength:.1f}",
        )
    chart = right.empty()
    answers: dict[float, classify.Classification] = {}
    drawn = time.monotonic()
    for step in [strength, *(s for s in STRENGTHS if s != strength)]:
        evidence = _answers.spoilt(image, picture.sha256, settings.modality, settings.model, kind, step)
        answers[step] = evidence.answer(settings.method, settings.level)
        if step == strength:
            words.markdown(in_words(answers[step]))
        is_known = any(answer.probability is not None for answer in answers.values())
        # Drawn while it fills; where all points were there already, once.
        if is_known and (len(answers) == len(STRENGTHS) or time.monotonic() - drawn > REDRAWN):
            drawn = time.monotonic()
            chart.plotly_chart(
                curves.over_strength(answers, strength),
                key=f"spoil-{len(answers)}",
                config=QUIET,
                alt=f"Probability, uncertainty and distance over the strength of {degrade.KINDS[kind].title.lower()}",
            )
    if not is_known:
        chart.warning(f"No answer at any strength. {without_advice(answers[strength].reason)}", icon=":material/block:")
        return
    right.caption(
        "What to look for: does the uncertainty grow before the answer turns wrong? Does the distance pass 1, so that the app "
        "withholds its answer? The probability drawn there means nothing. Often the probability wanders off while the heads "
        "agree: their uncertainty is that of the last layer alone, and the distance has to catch what it misses."
    )


def in_words(answer: classify.Classification) -> str:
    """Decision, probability, what cannot be ruled out and distance, in two lines."""
    decision = report.DECISIONS[answer.decision]
    if answer.probability is None or answer.interval is None:
        return f"**{decision}.** {without_advice(answer.reason)}"
    if answer.is_baseless:
        return f"**{decision}.** {answer.reason} Distance {answer.distance:.2f}"
    return (
        f"**{decision}**: {report.with_interval(answer.probability, answer.interval)}. {answer.reason}  \n"
        f"Not ruled out at {report.percent(answer.level)}: {report.held(answer.prediction_set)}. "
        f"Distance {answer.distance:.2f}"
    )


@st.fragment
def abstain(answers: dict[str, stored.Answers]) -> None:
    """Risk against coverage on the stored answers."""
    st.markdown(
        "A model that may say *I do not know* can be right more often. Here its answers to images it never learned from are "
        "ordered by how far the probability is from one half, and only the surest are given."
    )
    share = (
        st.slider(
            "Answer only the surest",
            round(100 * curves.SUREST),
            100,
            80,
            5,
            format="%d %%",
            key="share",
            persist_state="session",
        )
        / 100
    )
    lines = {terms.part_name(name): answers[name].risk_coverage() for name in answers if name != "ct / test"}
    columns = st.columns(len(lines))
    removed = []
    for column, (label, (coverage, risk)) in zip(columns, lines.items(), strict=True):
        at = metrics.answered(share, len(risk)) - 1
        if errors := round(risk[-1] * len(risk)):
            removed.append(f"{report.share(1 - round(risk[at] * (at + 1)) / errors)} of them ({label})")
        column.metric(
            label,
            f"{report.share(risk[at], 1)} wrong",
            f"of {at + 1:,} answers",
            delta_color="off",
            delta_arrow="off",
            border=True,
            help=f"{at + 1:,} of {len(coverage):,} images answered.",
        )
    st.plotly_chart(
        curves.risk_coverage(lines, share),
        key="risk",
        config=QUIET,
        alt="Share of wrong answers over the share of images answered, a line for each set of images",
    )
    if not removed or share == 1:
        st.caption("All images are answered, or none wrongly: move the slider to leave some out.")
        return
    st.caption(
        f"Leaving out {report.share(1 - share)} of the pictures at random would remove as many of the errors. Leaving out those it "
        f"is least sure of removes {'; '.join(removed)}. Where that is hardly more than by chance, the model is often wrong and "
        "sure: abstaining helps against ambiguous pictures, less against having learned the wrong thing."
    )


@st.fragment
def temperature(answers: dict[str, stored.Answers]) -> None:
    """Reliability before and after the temperature."""
    st.markdown(
        "Networks are often overconfident or underconfident. One number, the temperature, fitted on images kept apart, divides the "
        "logits before they become probabilities. It changes hardly any decision at 50 %, only how sure the model claims to be."
    )
    part = st.selectbox(
        "Images", list(answers), format_func=terms.part_name, key="calibration", persist_state="session"
    )
    before, after = answers[part].ece()
    first, second = st.columns(2)
    first.metric("Calibration error before", f"{before:.3f}", border=True)
    second.metric("Calibration error after", f"{after:.3f}", border=True, help="ECE in 15 bins; smaller is better.")
    _board.show_reliability(part, answers[part], key="pair")
    st.caption(
        f"{terms.AT_THE_END} "
        "Points below the dotted line are overconfident. The temperature was fitted for the training sources; look "
        "at the other hospitals, where it does not hold."
    )


@st.fragment
def prevalence(answers: dict[str, stored.Answers]) -> None:
    """PPV and NPV over the prevalence."""
    st.markdown(
        "A fifth to a half of most test sets are images of COVID-19 patients. Among the people who come to a clinic it may be "
        "one in fifty. The same sensitivity and specificity then mean something else."
    )
    left, right = st.columns(2)
    part = left.selectbox("Images", list(answers), format_func=terms.part_name, key="worth", persist_state="session")
    common = right.select_slider(
        "Share of the people examined who have COVID-19",
        [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5],
        value=0.02,
        format_func=lambda v: f"{100 * v:g} %",
        key="prevalence",
        persist_state="session",
    )
    positive, negative = answers[part].worth(common)
    first, second = st.columns(2)
    first.metric(
        "A COVID-19 answer is right", report.share(positive), border=True, help="Positive predictive value (PPV)."
    )
    second.metric(
        "A negative answer is right", report.share(negative, 1), border=True, help="Negative predictive value (NPV)."
    )
    grid = [10 ** (step / 20 - 3) for step in range(55)]
    worth = [answers[part].worth(share) for share in grid]
    st.plotly_chart(
        curves.predictive_values(
            grid, {"COVID-19 answers": [w[0] for w in worth], "negative answers": [w[1] for w in worth]}, common
        ),
        key="values",
        config=QUIET,
        alt="Share of COVID-19 answers and of negative answers that are right, over how common the disease is",
    )
    st.caption(
        f"Computed from the answers of the more probable class to {len(answers[part].covid):,} images, "
        f"{answers[part].covid.sum():,} of them with COVID-19, without abstention. The **Scoreboard** has such figures with their "
        "intervals."
    )


_ui.only_through_app()
st.title("Uncertainty lab")
section = st.segmented_control(
    "Experiment", SECTIONS, default=SECTIONS[0], required=True, key="experiment", persist_state="session"
)
if section == SECTIONS[0]:
    chosen, settings, main = _ui.beside_picture()
    with main:
        st.markdown(
            "Degrade a picture by noise, blur or rotation, and watch probability, uncertainty and distance follow. Sampling and "
            "level are under *Settings*."
        )
        try:
            spoil(_ui.or_phantom(chosen), settings)
        except WeightsError as error:
            st.error(str(error), icon=":material/error:")
else:
    kept = _board.stored_answers(_ui.choose_model())
    {SECTIONS[1]: abstain, SECTIONS[2]: temperature, SECTIONS[3]: prevalence}[section](kept)

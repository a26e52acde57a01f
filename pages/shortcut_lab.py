"""Shortcut lab: take away what should matter, change what should not, and ask again."""

from contextlib import suppress
from itertools import zip_longest

import streamlit as st

from covid_core import classify, curves, figures, images, painting, registry, report, shortcuts, source, terms
from covid_core.diagnose import without_advice
from covid_core.explain import Explanation
from covid_core.weights import WeightsError
from pages import _answers, _board, _letters, _pictures, _plain, _ui

LITERATURE = """
- **Lungs blacked out, still "COVID-19".** Networks told the COVID-19 sets from the others with the lungs hidden behind a black
  box: the sets differ in everything else, too. (Maguolo and Nanni 2021, *Inf. Fusion* 76.)
- **Letters and edges.** Networks for COVID-19 looked at side markers, image corners and the patients' position, and lost much of
  their performance at another hospital. (DeGrave, Janizek and Lee 2021, *Nat. Mach. Intell.* 3.)
- **Children against adults.** A popular mix of sets has its pneumonia cases from children of one to five years: what looks like a
  diagnosis is an estimate of age. (Roberts et al. 2021, *Nat. Mach. Intell.* 3, who screened 2,212 papers, kept 62, and found none
  fit for clinical use.)
- **An unseen source.** On sources left out of training the AUC fell from 1.00 to as little as 0.38, in the worst case.
  (Ahmed et al. 2021, *IEEE Access* 9.)
"""

FIRST = (0.3, 0.5)  # place of the letters across and down: in a lung, where they mostly move something


def line(answer: classify.Classification) -> str:
    """Probability in words, without the gate."""
    assert answer.probability is not None and answer.interval is not None  # never refused here
    return f"**{report.with_interval(answer.probability, answer.interval, '')}**"


def verdict(answer: classify.Classification) -> str:
    """What the app says to a visitor who uploads such a picture."""
    reason = without_advice(answer.reason)
    return f"The app: *{report.DECISIONS[answer.decision]}*" + (f". {reason}" if reason else "")


def taken_away(picture: _pictures.Upload, settings: _ui.Settings, chest: shortcuts.Chest) -> None:
    """The picture, without its lungs, and its border alone."""
    st.markdown(
        "The app's classifier is asked three times, always in the box around the lungs of the unchanged picture. Without lungs it "
        "sees their outline, but nothing in them: whatever it still answers comes from outside the lung mask."
    )
    found = _answers.probes(chest)
    try:
        others = _answers.plain_network(chest, "probes", [probe.image for probe in found])
    except WeightsError as error:
        st.error(f"The plain network is not asked. {error}", icon=":material/error:")
        others = []
    for column, probe, other in zip_longest(st.columns(len(found)), found, others):
        alone, whole = (e.answer(settings.method, settings.level) for e in (probe.alone, probe.whole))
        with column.container(border=True, height="stretch"):
            st.image(probe.image.pixels, width="stretch", alt=f"{picture.name}, {probe.title.lower()}")
            said = [f"**{probe.title}**", f"The classifier alone: {line(alone)}"]
            if other:
                said.append(f"A plain network: **{report.percent(other.probability)}**")
            st.markdown("  \n".join([*said, verdict(whole)]))
    if others:
        what_it_reads(picture.name, chest, others[0].explanation)
    looks_like(found)
    st.caption(
        "The app crops to the lungs before it classifies, so text, edges and shoulders outside that box never reach the "
        "classifier, and its gate compares what is in the box with the training images. Blacked-out lungs can pass it, "
        "and an answer to them means nothing."
    )


def what_it_reads(name: str, chest: shortcuts.Chest, seen: Explanation) -> None:
    """Where the plain network looked."""
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="center")
    left.image(
        painting.grad_cam(chest.image.pixels, seen, 0.8),
        width="stretch",
        caption=f"Plain network: evidence for COVID-19, {painting.grid(seen)}",
        alt=f"{name} with the Grad-CAM of a plain network",
    )
    where = (
        "Nothing in the picture speaks for COVID-19 to it."
        if seen.share_in_lungs is None
        else f"Of what speaks for COVID-19 to it, {report.share(seen.share_in_lungs)} lies in the lungs, which are "
        f"{report.share(seen.lung_share)} of its map."
    )
    right.markdown(
        "**A plain network** learned from X-rays of the app's sources the way many reports train theirs: whole pictures, labels as "
        f"they are. It has no gate, is not calibrated, and never abstains. {where} A fall without lungs does not show that it "
        "read them: black lungs are new to it. Its figures on many pictures, which stand below, say more."
    )


def looks_like(found: list[shortcuts.Probe]) -> None:
    """The source that the classifier's features name, of the picture as it is and without its lungs."""
    guesses = {probe.title: source.guess(probe.alone) for probe in found}
    known = next(iter(guesses.values()))
    if not known:
        return
    st.markdown("### Which source does it look like?")
    modality = found[0].alone.modality
    names = [terms.SOURCES.get(name, name) for name in known]
    likeliest = ", ".join(
        f"{title}: **{terms.SOURCES.get(name := next(iter(told)), name)}**" for title, told in guesses.items()
    )
    st.markdown(f"A linear model guesses the source from the features that the classifier uses. {likeliest}.")
    st.plotly_chart(
        curves.shares(names, {title: [p[name] for name in known] for title, p in guesses.items()}),
        key="source",
        config={"displayModeBar": False},
        alt="Probability of each source of the training images, for the picture as it is and with parts taken away",
    )
    measured = _board.board_figures(f"{modality} / source_from_features", found[0].alone.model)
    if not measured:
        return
    right, chance = measured["balanced_accuracy"], measured["balanced_accuracy_by_chance"]
    st.caption(
        f"On {right['n']:,} test images it names {report.share(right['value'])} of each source's images correctly, on average. "
        f"They come from {round(1 / chance['value'])} of the {len(known)} sources it can name, so always naming the same one would "
        f"get {report.share(chance['value'])}. What it can read, a classifier can exploit where the source gives the label away. A "
        "picture from elsewhere is assigned to whichever known source it resembles."
    )


@st.fragment
def letters(picture: _pictures.Upload, settings: _ui.Settings, chest: shortcuts.Chest) -> None:
    """Letters burned in, dragged about on the picture or moved by two sliders."""
    left, right = st.columns([2, 3], gap="medium")
    with right:
        text = st.text_input("Letters", "R", max_chars=10, key="letters", persist_state="session") or "R"
        across, down = (
            st.slider(name.capitalize(), 0.0, 1.0, at, _letters.STEP, key=name, persist_state="session")
            for name, at in zip(_letters.SLIDERS, FIRST, strict=True)
        )
        without, changed = (
            e.answer(settings.method, settings.level)
            for e in (chest.evidence, _answers.marked(chest, text, across, down))
        )
        assert without.probability is not None and changed.probability is not None
        # Of the rounded ones, so that the three numbers agree.
        moved = round(100 * changed.probability) - round(100 * without.probability)
        first, second, third = st.columns(3)
        first.metric("Without letters", report.percent(without.probability), border=True)
        second.metric("With letters", report.percent(changed.probability), border=True)
        third.metric("Moved by", f"{moved:+d} point{'s' * (abs(moved) != 1)}" if moved else "0 points", border=True)
        with suppress(WeightsError):  # said above
            pictures = [chest.image, shortcuts.with_marker(chest.image, text, across, down)]
            if told := _answers.plain_network(chest, f"{text} {across} {down}", pictures):
                before, after = (report.percent(answer.probability) for answer in told)
                st.caption(
                    f"A plain network, which sees the whole picture: {before} without letters, {after} with them."
                )
        if st.button("Try 25 places", icon=":material/grid_on:", help="Takes some seconds."):
            with st.spinner("Asking 25 times"):
                grid = _answers.marker_map(chest, text, settings.method)
            places(grid, without.probability, chest)
    with left:
        words = f"{picture.name} with the letters {text}"
        _letters.draggable(chest.image, text, (across, down), words)
        st.caption("Drag the letters about.")


def places(grid: painting.Places, without: float, chest: shortcuts.Chest) -> None:
    """What the letters do at each place of the picture, and where the classifier looks."""
    features = chest.evidence.features
    assert features is not None  # never refused here
    st.plotly_chart(
        figures.on_picture(curves.marker_effect(grid, without), chest.image.pixels, features.frame),
        key="map",
        config={"displayModeBar": False},
        alt="Change of the probability in points, for 25 places of the letters, over the picture",
    )
    said = (
        "By how many points letters in the middle of each field move the probability. The dashed box is what the classifier sees; "
        "letters outside of it act at most through what the U-Net marks."
    )
    if (known := report.percent(without))[0] in "<>":
        said += (
            f" Without letters the probability is {known}, at the end of the scale. There, 0 only means that letters do not bring "
            "it back; any effect beyond the end does not show."
        )
    st.caption(said)


def everywhere(model: str) -> None:
    """Figures of whole sets."""
    _plain.show("xray")
    st.plotly_chart(
        figures.forest(_board.harder_questions("auc"), "AUC (0.5 = guessing)"),
        key="sets",
        config={"displayModeBar": False},
        alt="AUC on a random split, on a clean split, in other hospitals and with lesions moved between sources",
    )
    st.caption(
        f"Squares: the plain network. Diamonds: the app's {registry.get(registry.DEFAULT).title}. Each is asked harder and harder "
        f"questions; the last row asks something different. {terms.MOVED}"
    )
    if said := _board.confounded():
        st.caption(said)
    st.markdown(
        f"**{registry.get(model).title} on all test images as they are, without lungs, and with the border alone; beside it a "
        "linear model on thumbnails**"
    )
    left, right = st.columns(2)
    for column, modality, kind in ((left, "xray", "X-rays"), (right, "ct", "CT slices")):
        column.plotly_chart(
            figures.forest(_board.probe_figures(modality, model), f"AUC, {kind} (0.5 = guessing)"),
            key=f"probes-{modality}",
            config={"displayModeBar": False},
            alt=f"AUC on test {kind} as they are, without lungs, with the border alone, and of a linear model on thumbnails",
        )
    st.caption(
        "What stays away from one half comes from outside the lung mask: its outline, lung hidden behind the heart and the "
        "diaphragm, the chest wall, and the look of the hospital's pictures. A linear model on 16 x 16 pixels sees hardly any "
        "detail; at most a large, diffuse opacity survives the averaging."
    )
    st.markdown("### What others found")
    st.markdown(LITERATURE)


_ui.only_through_app()
st.title("Does it read the disease, or the hospital?")
chosen, settings, main = _ui.beside_picture()
with main:
    st.markdown(
        "Nearly every public set of X-rays has its COVID-19 pictures from other hospitals than its healthy ones. A network can "
        "then answer by the letters in a corner. So take the lungs away, or burn letters in, and ask again."
    )
    picture = _ui.or_phantom(chosen)
    try:
        chest = _answers.chest(picture, settings)
        if chest.evidence.refusal:
            st.warning(f"There is nothing to take away. {chest.evidence.refusal}", icon=":material/block:")
        else:
            st.markdown("### Take the lungs away")
            taken_away(picture, settings, chest)
            st.markdown("### Burn letters in")
            letters(picture, settings, chest)
    except (images.ImageError, WeightsError) as error:
        st.error(str(error), icon=":material/error:")
    st.markdown("## On whole sets of images")
    everywhere(settings.model)

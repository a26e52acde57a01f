"""Diagnose: a picture in, an honest answer out."""

import json
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from covid_core import figures, images, painting, printed, registry, report, terms, trial, volume, weights
from covid_core.classify import CLASSES
from covid_core.diagnose import Diagnosis
from covid_core.hounsfield import windowed
from covid_core.weights import WeightsError
from pages import _answers, _board, _choice, _pictures, _scans, _ui

# Colour of the box and its icon, by decision.
BOXES = {
    "covid": ("error", ":material/coronavirus:"),
    "non_covid": ("info", ":material/remove_circle:"),  # no tick: it does not mean healthy
    "uncertain": ("warning", ":material/help:"),
    "refused": ("warning", ":material/block:"),
}
KINDS = {"xray": "chest X-ray", "ct": "chest CT slice"}
# X-rays from the sources of training and from others; CT slices of the two sets of training.
TRUST = (("xray", "test"), ("xray", "external"), ("ct", "covid_ct_official_test"), ("ct", "sars_cov_2_grouped_test"))


def invitation() -> None:
    """What a visitor sees before there is a picture."""
    st.markdown(
        "Upload a **chest X-ray**, a **chest CT slice** or a whole CT, or try a phantom (synthetic, so that its lesions are known):"
    )
    _choice.show_phantoms()
    st.markdown("You get:")
    cards = (
        (":material/balance:", "An answer with uncertainty bars", "COVID-19 or not: 250 samples and their spread."),
        (":material/pulmonology:", "Lungs and lesions", "Marked by a U-Net, with an uncertainty for every pixel."),
        (
            ":material/center_focus_strong:",
            "What spoke for COVID-19",
            "Grad-CAM on a fixed scale: weak evidence looks weak.",
        ),
        (
            ":material/front_hand:",
            "The right to abstain",
            "Colour photographs are refused; pictures unlike its training get *cannot say*.",
        ),
    )
    for column, (icon, title, text) in zip(st.columns(4), cards, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"{icon} **{title}**\n\n{text}")
    st.page_link(
        "pages/learn.py", label="New here? **Learn** explains an answer step by step.", icon=":material/school:"
    )
    try:
        expectation(weights.load_config(registry.get(registry.DEFAULT))["metrics"])
    except WeightsError as error:
        st.error(str(error), icon=":material/error:")


def expectation(metrics: dict[str, Any]) -> None:
    """How often the default model's answers were right, at home and elsewhere."""
    st.markdown("## How far can you trust it?")
    st.markdown(
        "How often it is right when it gives an answer, with 95\u00a0% intervals. On X-rays from the hospitals it learned from it "
        "looks excellent; on those of other hospitals the same model errs far more often. The CT slices are from the two "
        "collections it learned from, with patients, or runs of similar slices, kept apart. Each figure rests only on the answers "
        f"it gave, n of them{_answered(metrics['xray'])}. The pages **Models** and **Scoreboard** have more."
    )
    shown = {}
    for modality, name in TRUST:
        part = metrics[modality].get(name, {})  # which other data may lack
        for decision in reversed(CLASSES):
            right = part.get(f"right_when_{decision}")
            if right and right["value"] is not None:
                what = f"{terms.part_name(f'{modality} / {name}')}, {part['n']:,} images"
                shown[f"{what}<br>{report.DECISIONS[decision]}"] = right
    if shown:
        st.plotly_chart(
            figures.forest(shown, "Share of its answers that are right", shares=True),
            key="trust",
            config={"displayModeBar": False},
            alt="Share of the default model's answers that are right, at home and in other hospitals",
        )
    if said := [*filter(None, (_board.rarely(metrics["xray"].get("external", {})), _board.confounded()))]:
        with st.expander("What these figures leave out", icon=":material/info:"):
            st.markdown("\n\n".join(said))


def _answered(parts: dict[str, Any]) -> str:
    """How many of the X-rays got an answer."""
    shares = [parts.get(name, {}).get("decided", {}).get("value") for name in ("test", "external")]
    if None in shares:
        return ""
    first, others = map(report.percent, shares)
    return f": {first} of the X-rays from the hospitals it learned from got one, {others} of those from other hospitals"


def verdict(result: Diagnosis) -> None:
    """The answer in words: the decision large, then why, and what it does not mean."""
    answer = result.classification
    kind, icon = BOXES[answer.decision]
    lines = []
    if answer.probability is not None and answer.interval is not None:
        lines.append(f"Read as a {KINDS[answer.modality]}.")
        if not answer.is_baseless:
            words = f"{report.percent(answer.level)} interval "
            lines.append(f"Probability of COVID-19 {report.with_interval(answer.probability, answer.interval, words)}.")
    lines += filter(None, (answer.reason, report.caution(answer)))
    getattr(st, kind)(f"### {report.DECISIONS[answer.decision]}\n{' '.join(lines)}", icon=icon)


def summary(result: Diagnosis) -> None:
    """The four numbers, two by two, on a phone too."""
    answer, found = result.classification, result.segmentation
    if answer.probability is None:
        return
    with st.container(key="summary"):
        first, second, third, fourth = (st.empty() for _ in range(4))
    said = report.percent(answer.probability)
    first.metric(
        "COVID-19 probability",
        "withheld" if answer.is_baseless else said,
        border=True,
        height="stretch",
        help=f"Computed was {said}, which means nothing for such a picture." if answer.is_baseless else None,
    )
    second.metric(
        f"Not ruled out ({report.percent(answer.level)})",
        "withheld" if answer.is_baseless else report.held(answer.prediction_set),
        border=True,
        height="stretch",
        help="The prediction set: classes that the calibration cannot rule out at this level. Each has its own threshold, "
        "so COVID-19 can be the only one left below 50 %. If both or neither are left, the answer is *cannot say*. "
        f"{_board.promise(answer.modality, answer.model)}",
    )
    if found is None or found.lesion_percent_of_lung is None or found.lesion_interval is None:
        third.metric(
            "Lesions in the lungs", "cannot say", border=True, height="stretch", help=found.reason if found else None
        )
    else:
        low, high = found.lesion_interval
        third.metric(
            "Lesions in the lungs",
            report.share(found.lesion_percent_of_lung / 100),
            f"{low:.0f} to {high:.0f} %"
            + (f", {printed.HARDLY}" if printed.says_little(found.lesion_interval) else ""),
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help=f"Marked as lesion: {printed.marked(found)}.",
        )
    score = answer.distance
    fourth.metric(
        "Distance from training",
        f"{score:.2f}",
        "above 1: unlike its images",
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
        help="Above 1 the picture is unlike the images the model learned from, and the answer is *cannot say*. Below 1 proves "
        "little: most X-rays from other hospitals lie there, too.",
    )


def uncertainty(result: Diagnosis) -> None:
    """Bars and what they mean."""
    answer = result.classification
    if answer.probability is None:
        return
    st.markdown("### How sure is it?")
    if answer.is_baseless:
        st.caption("The bars show what was computed, which means nothing for such a picture.")
    plain = {"displayModeBar": False}
    words = f"Probability of COVID-19 {report.percent(answer.probability)}, with its interval and all samples"
    st.plotly_chart(figures.probability_bar(answer), key="probability", config=plain, alt=words)
    words = f"Uncertainty in bits: aleatoric {answer.aleatoric:.2f}, epistemic {answer.epistemic:.2f}"
    st.plotly_chart(figures.uncertainty_bar(answer), key="uncertainty", config=plain, alt=words)
    with st.expander("What do these mean?", icon=":material/school:"):
        st.markdown(
            "- **Interval:** the range of the middle part of the samples: their spread, not the chance of being right. Each "
            "sample asks one of five heads with part of its inputs dropped (head-only dropout: the last layer alone is "
            "sampled, not the whole network).\n"
            "- **Aleatoric** uncertainty is doubt every sample shares, **epistemic** is disagreement between them.\n"
            "- **Grey band** of the bar (X-rays only): probabilities at which the answer is *cannot say*, because pictures of "
            "either class reach them when only their appearance changes.\n"
            "- **Not ruled out** (the prediction set) was calibrated on images with known labels, separately for each class. "
            f"{_board.promise(answer.modality, answer.model)}\n"
            "- All of this holds only for images like those it was calibrated on. A confident answer on a picture from another "
            "hospital can still be wrong: compare *training sources* and *other hospitals* on the Models page."
        )


def lesions(result: Diagnosis) -> None:
    """Share of the lungs that is lesion, and how much of the evidence lies inside them."""
    found = result.segmentation
    if found is None or result.classification.decision == "refused":
        return
    st.markdown(f"**Marked as lesion:** {printed.marked(found)}")
    if said := printed.consolidated(found):
        st.markdown(f"**Of this, consolidation:** {said}")
    if said := printed.inside(result):
        st.markdown(f"**Inside the lungs (Grad-CAM):** {said}")


def truth(result: Diagnosis, picked: _pictures.Upload) -> None:
    """What is true of a phantom, beside what was marked."""
    made = _pictures.recipe_of(picked.sample)
    if made is None or result.segmentation is None:
        return
    compared = trial.compare(_pictures.phantom_of(made), result.segmentation)
    said = f"**True share (the phantom is synthetic):** {compared.true_percent:.1f} % of the lung area"
    st.markdown(said + (f", Dice {compared.dice:.2f} (1 = the same outline)" if compared.dice is not None else ""))
    interval = result.segmentation.lesion_interval
    if interval is not None and not interval[0] <= compared.true_percent <= interval[1]:
        st.caption(
            "The true share lies outside the interval, which was calibrated on patients' pictures; a phantom is not one."
        )


def _true_lesions(picked: _pictures.Upload) -> painting.Mask | None:
    """Of a phantom that has some, [H, W]."""
    made = _pictures.recipe_of(picked.sample)
    mask = _pictures.phantom_of(made).lesions if made is not None else None
    return mask if mask is not None and mask.any() else None


def picture(
    result: Diagnosis, picked: _pictures.Upload, of: volume.Volume | None, wide: DeltaGenerator
) -> tuple[list[str], float]:
    """The picture with layers that can be switched, HU also in other windows; returns those shown and their opacity.

    Side by side it goes to the place that is as wide as the page.
    """
    available = painting.available(result)
    shown = _ui.choose_layers(available) if available else []
    # Above what else it is shown with, so that it is seen at once.
    place = st.container()
    opacity = st.slider("Strength of the layers", 0.0, 1.0, 0.5, 0.05, key="opacity") if available else 0.0
    words, grey = result.image.name, None
    hounsfield = result.image.hounsfield if of is None else of.hounsfield[picked.index]
    if hounsfield is not None:
        window = _scans.choose_window()
        level, width = volume.WINDOWS[window]
        grey = windowed(hounsfield, level, width)
        words += f", {window} window ({level:.0f}/{width:.0f} HU)"
    if shown:
        words += f"; layers: {', '.join(shown)}"
    is_wide = is_hatched = is_outlined = False
    true_lesions = _true_lesions(picked)
    if available:
        with st.container(horizontal=True):
            is_outlined = true_lesions is not None and st.toggle("Outline of the true lesions", True, key="outlined")
            is_wide = st.toggle(
                "Side by side, to zoom", key="zoom", help="Drag to move, scroll to enlarge; both pictures follow."
            )
            is_hatched = st.toggle("Patterns", key="hatched", help="To tell the layers apart without their colours.")
    painted = painting.layers(result, shown, opacity, grey, is_hatched)
    if true_lesions is not None and is_outlined:
        painted = painting.outlined(painted, true_lesions)
    if is_wide:
        wide.plotly_chart(
            figures.views(painting.layers(result, [], 0, grey), painted),
            key="views",
            config={"scrollZoom": True},
            alt=words,
        )
        place.caption(_ui.plain(words))
    else:
        place.image(painted, caption=_ui.plain(words), alt=words, width="stretch")
    place.markdown(printed.key(result, shown, is_hatched), unsafe_allow_html=True)
    return shown, opacity


def downloads(result: Diagnosis, shown: list[str], opacity: float) -> None:
    """A page to print, JSON of the whole answer, and the mask."""
    answer = result.classification
    rows: dict[str, Any] = {
        "classification": report.classification_row(result.image.name, result),
        "settings": {"method": answer.method, "level": answer.level},
    }
    found = result.segmentation
    if found is not None:
        rows["segmentation"] = report.segmentation_row(
            result.image.name, answer.modality, found, None, None, result.seconds
        )
    st.download_button(
        "Report to print",
        lambda: printed.page(result, shown, opacity),
        "report.html",
        "text/html",
        on_click="ignore",
        icon=":material/print:",
        width="stretch",
    )
    left, right = st.columns(2)
    left.download_button(
        "Answer as JSON",
        json.dumps(rows, indent=1),
        "answer.json",
        "application/json",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )
    if found is not None and found.plausible:
        right.download_button(
            "Mask as PNG",
            lambda: report.mask_png(found),
            "mask.png",
            "image/png",
            on_click="ignore",
            icon=":material/download:",
            width="stretch",
        )


def show(result: Diagnosis, picked: _pictures.Upload, of: volume.Volume | None) -> None:
    """The whole answer."""
    verdict(result)
    wide = st.container()
    left, right = st.columns(2, gap="medium")
    with left:
        shown, opacity = picture(result, picked, of, wide)
    with right:
        summary(result)
        uncertainty(result)
        lesions(result)
        truth(result, picked)
        if result.classification.decision == "refused":
            st.markdown("Or try a phantom:")
            _choice.show_phantoms()
        downloads(result, shown, opacity)
        st.caption(
            f"{result.classification.model}, weights {result.classification.weights_sha256[:12]}, "
            f"{result.seconds:.2f} s"
        )


_ui.only_through_app()
st.title("Is it COVID-19, and how sure can one be?")
chosen, settings, main = _ui.beside_picture()
with main:
    # Made in this order, so that the former answer, or the invitation, goes before the new name comes.
    heading, status = st.container(), st.empty()
    if chosen is None:
        with _ui.room(("",)).container():
            invitation()
    else:
        of = _pictures.volume_of(chosen)
        # From one slice of a CT to the next the page stays as high as it is, or it would jump to its top.
        place = _ui.room((chosen.volume or chosen.sha256, settings.modality, settings.model))
        heading.header(_ui.plain(chosen.name))
        if chosen.credit:
            heading.caption(f"Credit: {chosen.credit}")
        if chosen.is_phantom or chosen.is_computed:
            heading.caption(
                "A synthetic phantom, not a patient, drawn so that most get the right answer: that says nothing about patients."
            )
        try:
            result = _answers.answer_with_status(status, chosen, settings)
        except (images.ImageError, WeightsError) as error:
            place.error(str(error), icon=":material/error:")
        else:
            with place.container():
                show(result, chosen, of)
        if of is not None:
            try:
                _scans.whole(of, chosen.index)
            except (images.ImageError, WeightsError) as error:
                st.error(str(error), icon=":material/error:")

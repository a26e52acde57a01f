"""What is answered to an accepted picture, and why an answer is withheld."""

from covid_core import segment

# Why an answer is withheld.
UNLIKE = "The picture is unlike the images this model was trained on, so its answer cannot be relied on."
NO_LUNGS = (
    "Two lungs as on nearly all chest CT slices were not found, so there is too little to judge by. Use a whole slice through the "
    "middle of the lungs."
)
BASELESS = (UNLIKE, NO_LUNGS)  # the picture's fault: its probability means nothing and is not shown as an answer
AMBIGUOUS = "Neither answer can be ruled out at this level."
UNUSUAL = (
    "Both answers are ruled out at this level: the probability is lower than on most calibration images with COVID-19, and higher "
    "than on most of the others. At a higher level one of them may come back."
)
# Beside a probability far below one half, too, so it says what that means.
ONLY = (
    " (By the probability alone, 'no COVID-19' would be ruled out: few calibration images without COVID-19 came as high as "
    "{probability} %.)"
)
UNPROVEN = (
    "Not sure enough: 'COVID-19 pattern' needs at least {firm} %, because pictures without COVID-19 come close to that when only "
    "their appearance is changed." + ONLY
)
UNCLEAR = (
    "Not sure enough: 'No COVID-19 pattern' needs {clear} % or less, because some pictures of COVID-19 patients come as low as the "
    "{probability} % here when only their appearance is changed."
)
INVISIBLE = (
    "Too little opacity was marked with certainty in the lungs, so an answer would rest on how the picture looks, not on what the "
    "lungs show." + ONLY
)
ONE_SIDED = (
    "Too little opacity was marked in one of the lungs: COVID-19 pneumonia shows in both more often than other pneumonias and "
    "tuberculosis, but not always." + ONLY
)


def verdict(
    chosen: tuple[int, ...],
    probability: float,
    bounds: tuple[float, float],
    distance: float,
    *,
    log_opacity: float,
    lesser_side: float,
    plausible: bool,
    modality: str,
) -> tuple[str, str]:
    """The decision on an accepted picture, and why it is "uncertain" if it is.

    Args:
        chosen: the prediction set.
        probability: mean probability of COVID-19.
        bounds: up to which probability "non_covid" and from which on "covid" is answered: hardly any val picture of the
            other class comes so far, whatever source's look it is given.
        distance: from the training images, in units of the threshold.
        log_opacity: `segment.log_opacity`.
        lesser_side: `segment.lesser_side`.
        plausible: whether the lung mask looks like that of a chest image; those that do not are mostly refused before.
        modality: "xray" or "ct".
    """
    if distance > 1:
        return "uncertain", UNLIKE
    if not plausible:
        return "uncertain", NO_LUNGS
    if len(chosen) != 1:
        return "uncertain", AMBIGUOUS if chosen else UNUSUAL
    decision = ("non_covid", "covid")[chosen[0]]
    clear, firm = bounds
    withheld = ""
    if decision == "non_covid" and probability > clear:
        withheld = UNCLEAR
    elif decision == "covid" and segment.mean_probability(log_opacity) < segment.VISIBLE[modality]:
        withheld = INVISIBLE
    elif decision == "covid" and lesser_side < segment.BOTH_LUNGS[modality]:
        withheld = ONE_SIDED
    elif decision == "covid" and probability < firm:
        withheld = UNPROVEN
    if not withheld:
        return decision, ""
    if withheld not in (UNCLEAR, UNPROVEN):
        return "uncertain", withheld.format(probability=f"{100 * min(0.99, probability):.0f}")
    told, needed = told_apart(min(0.99, probability), clear if decision == "non_covid" else firm)
    return "uncertain", withheld.format(probability=told, clear=needed, firm=needed)


def told_apart(probability: float, bound: float) -> tuple[str, str]:
    """Both in per cent, with as many decimals, up to three, as it takes to see that they differ and that the bound can be met."""
    for digits in range(4):
        told, needed = (f"{100 * share:.{digits}f}" for share in (probability, bound))
        if told != needed and float(needed) not in (0, 100):
            break
    return told, needed

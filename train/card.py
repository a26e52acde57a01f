"""A model card from the model's config.json: every figure in it was written by train.evaluate."""

from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from covid_core import plain, report, terms
from covid_core.registry import ModelSpec, weights_sha256

HEADER = """---
{front}
---

# {title}

**Not a medical device.** For teaching and research: several of the data sets behind these weights are non-commercial.

{what}

{form} Every figure below was written into
`config.json` by `train/evaluate.py`; brackets hold the 95 % interval (1,000 bootstrap resamples of whole groups: patients where
these are known, else runs or copies of images that belong together, so that it may be too narrow, as it is from fewer than ten
groups; of shares of 0 or 1, Clopper and Pearson's). Weights, thresholds and calibration
never saw the images of a row below, unless it is said above that a row was made from images they saw; each row was evaluated
once with every finished model. Whether an image is an X-ray or a CT slice was given.
"""
# How weights were made, by name and the first twelve digits of their sha256: another training needs another text.
HISTORIES = Path(__file__).parent / "histories"
UNTOLD = (
    "How these weights were made, and from which data, is not written down yet: a file of `train/histories`, and\n"
    "`train/datasets/sources.json`, are to say it."
)
TRANSPLANTED = (
    f"The row *{terms.part_name('xray / transplanted')}* is made from val images: a training patient's lesions are put into\n"
    "healthy lungs, and healthy lung replaces a patient's lesions, so that the source says the opposite of the label. An AUC\n"
    "below one half there means that the answers follow the source. It is not a test on unseen images: the originals were used\n"
    "for calibration, the donor pictures for training, and U-Net and backbone learned from pictures made in the same way."
)
PLAIN = (
    f"Beside these weights lies `{plain.FILE}`: the same architecture, trained the way many reports train theirs: on whole X-rays\n"
    "of the same sources, without any cure against shortcuts (`train.protocols --protocol xray_grouped`). The Shortcut lab asks\n"
    "it to show what such a network reads; its figures stand on the Scoreboard, none of those below is its own."
)
MASKED = (
    "The U-Net that finds the lungs and marks the opacity learned from {count:,} of the {n:,} images of the row *{external}*, or\n"
    "from images that look like them: lungs, grain and grey levels, but no diagnosis. The row *{unseen}* leaves them out."
)
WHAT = {
    "mobilenetv2": (
        "A backbone ({architecture}) for chest X-rays and one for CT slices, with five linear dropout heads each, a\n"
        "temperature, class-conditional prediction sets and an input gate. It sees the box around the lungs that the U-Nets\n"
        "draw, of an X-ray also mirrored, of a CT slice also upside down, and beside it how much opacity they mark."
    ),
    "resnet50": (
        "One backbone ({architecture}, ResNet-50 v2) for chest X-rays and CT slices, with five linear dropout heads for each, a\n"
        "temperature and class-conditional prediction sets. It sees the box around the lungs that the U-Nets draw, of an X-ray\n"
        "also mirrored, of a CT slice also upside down, and beside it how much opacity they mark. MobileNetV2 takes\n"
        "the first look at the whole picture that tells the modality and the distance from the training images."
    ),
    "inception_resnet_v2": (
        "One backbone ({architecture}) for chest X-rays and CT slices, with five linear dropout heads for each, a temperature\n"
        "and class-conditional prediction sets. It sees the box around the lungs that the U-Nets draw, of an X-ray also\n"
        "mirrored, of a CT slice also upside down, and beside it how much opacity they mark. MobileNetV2 takes the\n"
        "first look at the whole picture."
    ),
    "ensemble": (
        "MobileNetV2, ResNet50 and InceptionResNetV2 ({architecture}) as one: their samples are put together, so that what "
        "the\nnetworks disagree about is part of the epistemic uncertainty. It has no weights of its own, only a "
        "temperature,\nprediction sets and the probability from which COVID-19 is answered, fitted on the same val images as "
        "theirs. Their\ncards say what they learned from, and which figures were known when choices were made. Where one taught "
        "another, they agree more than strangers would."
    ),
    "unet_xray": ("A U-Net ({architecture} encoder) that marks lungs and lesions in chest X-rays."),
    "unet_ct": ("A U-Net ({architecture} encoder) that marks lungs and lesions in CT slices."),
}


def text(value: Any) -> str:
    """A figure as "0.912 [0.900, 0.921], n = 1,789 in 1,406 groups"; counts as "29 of 30"."""
    if isinstance(value, list):
        return f"{value[0]} of {value[1]}"
    if value.get("value") is None:
        return f"not defined, {report.counted(value)}"
    mean, low, high = (report.index(value[name]) for name in ("value", "low", "high"))
    return f"{mean} [{low}, {high}], {report.counted(value)}"


def rows(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(protocol, measure, figure as text) of every figure, in order."""
    return [(" / ".join(path), name, text(value)) for path, name, value in terms.figures(metrics)]


TASKS = {"classify": "image-classification", "segment": "image-segmentation"}


def used(spec: ModelSpec, sources: dict[str, Any]) -> dict[str, Any]:
    """The data sets that a model learned from; none where nobody has said how it was made."""
    if history(spec)[0] == UNTOLD:
        return {}
    return {k: s for k, s in sources.items() if s["modality"] in spec.modalities and spec.task in s["trains"]}


def results(spec: ModelSpec, metrics: dict[str, Any]) -> list[EvalResult]:
    """Every figure that has a value, as the Hub's model-index wants it."""
    task = TASKS[spec.task]
    return [
        EvalResult(task, "_".join(path), " / ".join(path), name, value["value"], dataset_split=path[-1])
        for path, name, value in terms.figures(metrics)
        if isinstance(value, dict) and value["value"] is not None
    ]


def form(spec: ModelSpec) -> str:
    """What goes into the networks, and how their weights are kept."""
    if spec.members:
        return "Input and weights are those of its members."
    sizes = " and ".join(f"{s} x {s} px ({m})" for m, s in spec.sizes.items())
    return f"Input: one grey channel, {sizes}, -1..1. Weights: fp16 safetensors."


def history(spec: ModelSpec) -> tuple[str, list[str]]:
    """How a model's weights were made, and the repositories on the Hub that they come from, "{repo}" for one's own.

    They come from those that they started from, whose answers taught them, or that are its members. The ImageNet start of
    MobileNetV2 and of the U-Nets came from none.
    """
    if spec.members:
        return "", [f"{{repo}}-{name}" for name in spec.members]
    file = HISTORIES / f"{spec.name}-{weights_sha256(spec)[:12]}.md"
    if not file.exists():
        return UNTOLD, []
    told = ModelCard(file.read_text(encoding="utf-8"))
    return told.text.strip(), told.data.get("base_model") or []


def front(spec: ModelSpec, config: dict[str, Any], sources: dict[str, Any], repo: str) -> str:
    """The card's front matter, YAML: licence, library, task, data, what it comes from, and the figures as a model-index."""
    bases = [base.format(repo=repo) for base in history(spec)[1] if repo or "{repo}" not in base]
    data = ModelCardData(
        license="other",
        license_name="research-and-teaching",
        library_name="covid-core",
        pipeline_tag=TASKS[spec.task],
        tags=["covid-19", "chest-x-ray", "ct", "uncertainty"],
        base_model=bases or None,
        datasets=list(used(spec, sources)) or None,
        model_name=spec.title,
        eval_results=results(spec, config["metrics"]),
    )
    return data.to_yaml()


def _masked(metrics: dict[str, Any]) -> str:
    """How many external X-rays the U-Net learned from; "" where that was not looked for."""
    if "external_unseen" not in metrics:
        return ""
    whole, unseen = (metrics[name]["n"] for name in ("external", "external_unseen"))
    external, new = (terms.part_name(f"xray / {name}") for name in ("external", "external_unseen"))
    return MASKED.format(count=whole - unseen, n=whole, external=external, unseen=new)


def card(spec: ModelSpec, config: dict[str, Any], sources: dict[str, Any], repo: str = "") -> str:
    """The README.md of a model; with a repository OWNER/NAME, where that of a model is OWNER/NAME-<model>, for the Hub."""
    said = [WHAT[spec.name].format(architecture=spec.architecture)]
    if spec.task == "classify":
        said += [TRANSPLANTED, _masked(config["metrics"]["xray"])]
    if plain.FILE in spec.files:
        said.append(PLAIN)
    what = "\n\n".join(filter(None, (*said, history(spec)[0])))
    lines = [
        HEADER.format(
            front=front(spec, config, sources, repo),
            title=spec.title,
            what=what,
            form=form(spec),
        )
    ]
    lines += ["## Figures", "", "| images | measure | value |", "| --- | --- | --- |"]
    lines += [
        f"| {terms.part_name(part)} | {terms.MEASURES.get(name, name)} | {value} |"
        for part, name, value in rows(config["metrics"])
    ]
    if data := used(spec, sources).values():
        lines += ["", "## Training data", ""]
        lines += [f"- {s['title']}. {s['citation']} Licence: {s['licence']}. {s['note']}" for s in data]
    return "\n".join(lines) + "\n"

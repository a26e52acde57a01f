"""A model card from the model's config.json: every figure in it was written by train.evaluate."""

from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from covid_core.registry import ModelSpec

HEADER = """---
{front}
---

# {title}

**Not a medical device.** For teaching and research: several of the data sets behind these weights are non-commercial.

{what}

Input: one grey channel, {size}, -1..1. Weights: fp16 safetensors. Every figure below was written into
`config.json` by `train/evaluate.py`; brackets hold the 95 % interval (1,000 bootstrap resamples of whole patients or
groups). Weights, thresholds and calibration never saw a row below, but where it is said above how a row was made of images
that they saw; each was looked at once with every finished model. Whether an image is an X-ray or a CT slice was given.
"""
TRANSPLANTED = (
    "The row `transplanted` is made of val images: a training patient's lesions are put into the healthy, healthy lungs into\n"
    "the place of a patient's lesions, so that the source says the opposite of the label. An AUC below one half there means\n"
    "that the answers follow the source. It is no test on unseen images: the originals calibrated, the pictures that give\n"
    "trained, and U-Net and backbone learned from pictures made in the same way.\n\n"
)
MOBILENET_START = (
    "The ImageNet start is Keras' MobileNetV2 1.0 (Apache-2.0), turned back into floats from the int8 model that Google Coral\n"
    "published."
)
WHAT = {
    "mobilenetv2": (
        "A backbone ({architecture}, ImageNet start) for chest X-rays and one for CT slices, with five linear dropout heads\n"
        "each, a temperature, class-conditional prediction sets and an input gate. It sees the box around the lungs that the\n"
        "U-Nets draw, of an X-ray also mirrored, of a CT slice also upside down, and beside it how much opacity they mark. In\n"
        "the X-ray training data the source all but gives the label away; the rows of other hospitals say what is left of the\n"
        "internal figure outside.\n" + MOBILENET_START + "\n"
        "The X-ray U-Net learned from images of the external row: their lung masks and, for exchanging styles, their grain and\n"
        "grey levels, but no diagnosis.\n\n"
        "So that what holds whatever a picture looks like counts, X-rays take on the grain and grey levels of X-rays with the\n"
        "other label in training; a patient's lesions are put into healthy lungs of another source, healthy lungs into the\n"
        "place of a patient's lesions, and the label goes with them. The heads learn on restyled pictures too. X-rays of\n"
        "COVID-19 from web sites (COVID-CXNet) train as well; the external set was gathered from the same sites, so that, copies\n"
        "apart, some of its patients may be among them. One of its images is a copy of a training X-ray of the Radiography\n"
        "Database, and one of a val image; `train.audit` found them after the training. COVID-19 is answered on an X-ray only\n"
        "from a probability on that hardly any restyled val picture without it reaches, and only where opacity was marked\n"
        "plainly in both lungs; not COVID-19 only up to a probability that hardly any restyled val picture of a patient falls\n"
        "to.\n\n"
        + TRANSPLANTED
        + "The external and pediatric rows are no longer untouched. That earlier models failed on them, and that one's U-Net\n"
        "marked healthy lungs there, was known when these choices were made: the style exchange, the restyled pictures for the\n"
        "heads, the opacity (in both lungs) and the probability that a COVID-19 answer on an X-ray needs, and the probability\n"
        "that a not-COVID-19 answer needs; so were the rows of the models bundled before this one (for the last choice, of this\n"
        "very model) and of three that were not, all trained on web images too. How much of each was\n"
        "chosen on val, and which X-ray backbone to take, by the mean AUC of four val rows: as they are, restyled, restyled\n"
        "against pneumonia, transplanted. One trained after this had a higher mean and was not taken: outside it answered\n"
        "COVID-19 on more of the children and of the X-rays of Shenzhen. The second look at an X-ray was chosen by the same mean,\n"
        "when it was known how these weights do outside with one look."
    ),
    "resnet50": (
        "One backbone ({architecture}, ResNet-50 v2) for chest X-rays and CT slices, with five linear dropout heads for each, a\n"
        "temperature and class-conditional prediction sets. It sees the box around the lungs that the U-Nets draw, of an X-ray\n"
        "also mirrored, of a CT slice also upside down, and beside it how much opacity they mark. MobileNetV2 takes\n"
        "the first look at the whole picture that tells the modality and the distance from the training images.\n\n"
        "`train/runs/resnet50.sh` trains it: on crops at 160 px with their labels and with the features and answers of\n"
        "MobileNetV2 for the same crops (`train/distill.py`), six epochs, which is little. It started from GluonCV's ImageNet\n"
        "weights (Apache-2.0, by way of the ONNX model zoo), stage 4 at random but for its first convolution. Data,\n"
        "augmentation, the exchange of styles and of lesions, and what is known of copies are those of MobileNetV2: see its\n"
        "card. So is what was known of the external and pediatric rows when those choices were made. Nothing was chosen with\n"
        "the figures below.\n\n" + TRANSPLANTED.removesuffix("\n\n")
    ),
    "inception_resnet_v2": (
        "One backbone ({architecture}) for chest X-rays and CT slices, with five linear dropout heads for each, a temperature\n"
        "and class-conditional prediction sets. It sees the box around the lungs that the U-Nets draw, of an X-ray also\n"
        "mirrored, of a CT slice also upside down, and beside it how much opacity they mark. MobileNetV2 takes the\n"
        "first look at the whole picture.\n\n"
        "`train/runs/inception_resnet_v2.sh` trains it from random weights, with labels and with the features and answers of\n"
        "MobileNetV2 for the same crops (`train/distill.py`): four epochs of 20,000 crops at 96 px and one of 14,000 at 128 px,\n"
        "which is very little for a network of its size; it is used at 128 px, which was no worse on val than 160. Its map of\n"
        "where it looked has 2 x 2 cells.\n\n"
        "Data, augmentation, the exchange of styles and of lesions, and what is known of copies are those of MobileNetV2: see\n"
        "its card. So is what was known of the external and pediatric rows when those choices were made. Nothing was chosen\n"
        "with the figures below.\n\n" + TRANSPLANTED.removesuffix("\n\n")
    ),
    "ensemble": (
        "MobileNetV2, ResNet50 and InceptionResNetV2 ({architecture}) as one: their samples are put together, so that what the\n"
        "networks disagree about is part of the epistemic uncertainty. It has no weights of its own, only a temperature,\n"
        "prediction sets and the probability from which COVID-19 is answered, fitted on the same val images as theirs. Their\n"
        "cards say what they learned from. MobileNetV2 was the teacher of the other two, so that the three agree more than\n"
        "strangers would.\n\n" + TRANSPLANTED.removesuffix("\n\n")
    ),
    "unet_xray": (
        "A U-Net ({architecture} encoder, ImageNet start) that marks lungs and lesions. Lung masks follow two\n"
        "conventions (Shenzhen without the heart's shadow, V7 with it); lesion masks are coarse. In training, X-rays\n"
        "exchanged grain and grey levels with each other, those with lung masks included; this was introduced after an\n"
        "earlier X-ray U-Net was seen to mark healthy lungs of hospitals that are reported on as external. Lesions and their\n"
        "marks were also moved between patients and the healthy, who come from other sources, so that a hospital's look marks\n"
        "nothing. That costs Dice where all marked lesions come from that hospital; the weights lie three quarters of the way\n"
        "between those before and after it, chosen on val.\n" + MOBILENET_START
    ),
    "unet_ct": (
        "A U-Net ({architecture} encoder, ImageNet start) that marks lungs and lesions. It learned from volumes with both\n"
        "marked, from Inf-Net's train slices, where lesions are, and from COVID-CT and SARS-CoV-2 slices that an earlier round\n"
        "of it had marked, where that was sure. In its last three rounds a slice that is its patient's only one counts like a\n"
        "volume of one slice, and Inf-Net's are drawn five times as often as before: the weights before them, whose figures on\n"
        "the rows below were known, hardly fitted even the slices they had learned. The weights lie between those before and\n"
        "after a round, three quarters of the way twice and then at its end: of shares whose Dice on val is within a thousandth\n"
        "of the best the largest, for val holds no slice of Inf-Net's. The last two rounds see 320 px, as the app does; the\n"
        "weights before them, which learned at 256, were no worse on val at 320. The figures of the weights before each of these\n"
        "rounds were known when it was made; the last was made because they were just short of what was wanted. Another round was\n"
        "worse on val. Ground glass and consolidation are told apart by density: a U-Net that learned them in a third channel\n"
        "told them no better, and found lesions less well.\n" + MOBILENET_START
    ),
}


def text(value: Any) -> str:
    """A figure as "0.912 [0.900, 0.921], n = 1,789"; counts as "29 of 30"."""
    if isinstance(value, list):
        return f"{value[0]} of {value[1]}"
    if value.get("value") is None:
        return f"not defined, n = {value['n']:,}"
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}], n = {value['n']:,}"


def is_figure(value: Any) -> bool:
    """Whether this part of the metrics is one figure."""
    return (isinstance(value, dict) and "value" in value) or (
        isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value)
    )


def rows(metrics: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    """(protocol, measure, figure as text) of every figure, in order."""
    found: list[tuple[str, str, str]] = []
    for name, value in metrics.items():
        if is_figure(value):
            found.append((" / ".join(path), name, text(value)))
        elif isinstance(value, dict):
            found += rows(value, (*path, name))
    return found


TASKS = {"classify": "image-classification", "segment": "image-segmentation"}


def used(spec: ModelSpec, sources: dict[str, Any]) -> dict[str, Any]:
    """The data sets that a model learned from."""
    return {k: s for k, s in sources.items() if s["modality"] in spec.modalities and spec.task in s["trains"]}


def results(spec: ModelSpec, metrics: dict[str, Any], path: tuple[str, ...] = ()) -> list[EvalResult]:
    """Every figure that has a value, as the Hub's model-index wants it."""
    found: list[EvalResult] = []
    for name, value in metrics.items():
        if isinstance(value, dict) and "value" not in value:
            found += results(spec, value, (*path, name))
        elif is_figure(value) and isinstance(value, dict) and value["value"] is not None:
            part = " / ".join(path)
            found.append(
                EvalResult(TASKS[spec.task], "_".join(path), part, name, value["value"], dataset_split=path[-1])
            )
    return found


def front(spec: ModelSpec, config: dict[str, Any], sources: dict[str, Any], repo: str) -> str:
    """The card's front matter, YAML: licence, library, task, data, members, and the figures as a model-index."""
    data = ModelCardData(
        license="other",
        license_name="research-and-teaching",
        library_name="covid-core",
        pipeline_tag=TASKS[spec.task],
        tags=["covid-19", "chest-x-ray", "ct", "uncertainty"],
        # The ImageNet starts of the others came from no repository of the Hub.
        base_model=[f"{repo}-{name}" for name in spec.members] if repo and spec.members else None,
        datasets=list(used(spec, sources)),
        model_name=spec.title,
        eval_results=results(spec, config["metrics"]),
    )
    return data.to_yaml()


def card(spec: ModelSpec, config: dict[str, Any], sources: dict[str, Any], repo: str = "") -> str:
    """The README.md of a model; with a repository OWNER/NAME, where that of a model is OWNER/NAME-<model>, for the Hub."""
    what = WHAT[spec.name].format(architecture=spec.architecture)
    lines = [
        HEADER.format(
            front=front(spec, config, sources, repo),
            title=spec.title,
            what=what,
            size=" and ".join(f"{s} x {s} px ({m})" for m, s in spec.sizes.items()),
        )
    ]
    lines += ["## Figures", "", "| protocol | measure | value |", "| --- | --- | --- |"]
    lines += [f"| {protocol} | {measure} | {value} |" for protocol, measure, value in rows(config["metrics"])]
    lines += ["", "## Training data", ""]
    lines += [
        f"- {s['title']}. {s['citation']} Licence: {s['licence']}. {s['note']}" for s in used(spec, sources).values()
    ]
    return "\n".join(lines) + "\n"

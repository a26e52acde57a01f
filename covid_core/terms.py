"""What the names in config.json and in the stored results stand for, in words."""

from collections.abc import Iterable, Iterator
from typing import Any

from covid_core import report
from covid_core.uncertainty import DOUBT

# What the names of the parts in config.json stand for; a part without a line here keeps its name.
PARTS = {
    "xray / test": "X-ray, training sources",
    "xray / external": "X-ray, other hospitals, all",
    "xray / external_unseen": "X-ray, other hospitals, images new to the U-Net too",
    "xray / external_ieee8023": "X-ray, web collection ieee8023",
    "xray / external_shenzhen": "X-ray, Shenzhen (nobody with COVID-19)",
    "xray / external_covid_normal": "X-ray, other hospitals, against healthy",
    "xray / external_covid_pneumonia": "X-ray, other hospitals, against pneumonia",
    "xray / external_covid_tuberculosis": "X-ray, other hospitals, against tuberculosis",
    "xray / pediatric": "X-ray, children (nobody with COVID-19)",
    "xray / transplanted": "X-ray, lesions moved between sources",
    "ct / covid_ct_official_test": "CT, COVID-CT, official test",
    "ct / sars_cov_2_grouped_test": "CT, São Paulo, test by groups",
    "ct / test": "CT, test images of both sets",
    "ct / external": "CT, other hospitals",
    "sars_to_covid_ct": "CT, trained on São Paulo, tested on COVID-CT",
    "covid_ct_to_sars": "CT, trained on COVID-CT, tested on São Paulo",
    "xray / as_it_is": "X-ray, as it is",
    "xray / lungs_blacked_out": "X-ray, lungs blacked out",
    "xray / only_border": "X-ray, only the border of the box",
    "xray / thumbnail": "X-ray, linear model on 16 x 16 pixels",
    "xray / source_from_features": "X-ray, source from the features",
    "ct / as_it_is": "CT, as it is",
    "ct / lungs_blacked_out": "CT, lungs blacked out",
    "ct / only_border": "CT, only the border of the box",
    "ct / thumbnail": "CT, linear model on 16 x 16 pixels",
    "ct / source_from_features": "CT, source from the features",
    "gate": "Gate",
    "test": "Test",
    "infnet_test": "Inf-Net's 48 slices",
    "unet_ct / test": "CT volumes, test",
    "unet_ct / infnet_test": "Inf-Net's 48 slices",
    "unet_xray / test": "X-rays, test",
    "lesion_folds": "CT volumes, five folds by patient",
    "choices / imagenet": "CT validation: encoder from ImageNet, both losses",
    "choices / backbone": "CT validation: encoder from MobileNetV2's backbone, both losses",
    "choices / resnet50": "CT validation: encoder from ResNet50's backbone, both losses",
    "choices / entropy": "CT validation: MobileNetV2's backbone, cross-entropy alone",
    "choices / dice": "CT validation: MobileNetV2's backbone, soft Dice alone",
    "xray / start_random": "X-ray, validation images, by labels alone",
    "xray / start_taught": "X-ray, validation images, with a teacher too",
    "ct / start_random": "CT, validation images, by labels alone",
    "ct / start_taught": "CT, validation images, with a teacher too",
    "xray_random": "X-ray, Radiography Database, random split",
    "sars_random": "CT, São Paulo, random split",
    "sars_grouped": "CT, São Paulo, five folds by groups",
}

# Sources of the training images.
SOURCES = {
    "bimcv_padchest_es": "BIMCV and PadChest, Spain",
    "unknown_bimcv_or_web": "Radiography Database, BIMCV or web",
    "rsna_nih_us": "RSNA, USA",
    "nih_us": "NIH ChestX-ray8, USA",
    "cxnet_web": "Web, COVID-CXNet",
    "papers_preprints": "Figures of preprints, COVID-CT",
    "crawled_medpix": "MedPix, COVID-CT",
    "crawled_crawled": "Web, COVID-CT",
    "saopaulo_hspm_lapa_br": "Hospitals in São Paulo",
}
# Protocols for X-rays from the easiest question to the hardest, of a plain network first, then of the app's model.
HARDER = (
    "xray_random",
    "xray_grouped / test",
    "xray_grouped / external",
    "xray_grouped / external_covid_pneumonia",
    "xray_grouped / transplanted",
    "xray / test",
    "xray / external",
    "xray / external_unseen",
    "xray / external_covid_pneumonia",
    "xray / transplanted",
)
# What the row of `transplanted` asks, and what it is no test of.
MOVED = (
    "*Lesions moved between sources*: patients' lesions in healthy lungs from another hospital, and healthy lungs in place of "
    "patients' lesions. A model that reads opacities keeps most of its AUC there, one that reads the hospital falls below one "
    "half. It is not a test on unseen images: the app's U-Net and backbones were trained on pictures made in this way."
)
# Of a reliability curve.
AT_THE_END = (
    "Where few images lie, a point says little, and one temperature for all can make the confidence less accurate."
)
# In words, in the order in which pages offer them.
MEASURES = {
    "accuracy": "Accuracy of the more probable class",
    "auc": "AUC: chance that a COVID-19 image is ranked above one without it (0.5 = guessing)",
    "auc_difference": "AUC above MobileNetV2's: the difference on the same images, with its own interval (0 = alike)",
    "balanced_accuracy": "Share of each source's images named correctly, mean over the sources",
    "balanced_accuracy_by_chance": "Chance level: share named correctly by always naming one source",
    "sensitivity": "Sensitivity: share of the COVID-19 images recognised (cut at 50 %, without abstention)",
    "specificity": "Specificity: share of the other images recognised (cut at 50 %, without abstention)",
    "ppv_at_2%": "PPV: share of the positives that are right, where 2 % have COVID-19 (guessing: 2 %; cut at 50 %, no abstention)",
    "npv_at_2%": "NPV: share of the negatives that are right, where 2 % have COVID-19 (guessing: 98 %; cut at 50 %, no abstention)",
    "f1": "F1 (cut at 50 %, without abstention)",
    "auprc": "Area under the precision-recall curve",
    "ece": "Calibration error (ECE, smaller is better; never 0 in a small set, and its interval lies too high)",
    "ece_by_chance": "Calibration error that a perfectly calibrated model would have by chance, at least",
    "brier": "Brier score (smaller is better)",
    "nll": "Negative log-likelihood (smaller is better)",
    "risk_coverage_area": "Area under the risk-coverage curve (smaller is better)",
    "risk_at_80_percent": "Share wrong among the 80 % it is surest of (smaller is better)",
    "misclassification_auroc": "How well nearness to 50 % tells wrong answers from right ones (AUROC)",
    "accuracy_of_decided": "Accuracy of the answers it decides",
    "right_when_covid": "Answers 'COVID-19 pattern' that are right",
    "right_when_non_covid": "Answers 'no COVID-19 pattern' that are right",
    "decided": "Share of images it decides",
    "called_covid": "Share answered 'COVID-19 pattern'",
    "called_covid_covid": "Share of the COVID-19 images answered 'COVID-19 pattern'",
    "called_covid_non_covid": "Share of the other images answered 'COVID-19 pattern'",
    "refused": "Share refused",
    "unlike_training": "Share marked as unlike the training images",
    "coverage_covid": "Prediction sets with the true class, COVID-19 images (target 0.90)",
    "coverage_non_covid": "Prediction sets with the true class, other images (target 0.90)",
    "set_size_covid": "Classes in the prediction set, mean, COVID-19 images (1 = one class; below it some rule out both)",
    "set_size_non_covid": "Classes in the prediction set, mean, other images (1 = one class; below it some rule out both)",
    "opacity_covid": "COVID-19 images on which the U-Net marks visible opacity",
    "opacity_non_covid": "Other images on which the U-Net marks visible opacity",
    "ood_auroc": "How well the distance tells these images from the test images (AUROC)",
    "lesion_dice": "Lesion Dice, pooled: twice the overlap over the marked plus the true area, all images as one (1 = the same)",
    "lesion_dice_by_image": "Lesion Dice, mean over the images with some",
    "lesion_dice_by_patient": "Lesion Dice, mean over patients",
    "lung_dice": "Lung Dice, pooled: the same for lungs",
    "lung_dice_coronacases": "Lung Dice, pooled, Coronacases",
    "lung_dice_radiopaedia": "Lung Dice, pooled, Radiopaedia",
    "lung_dice_ieee8023_v7": "Lung Dice, pooled, ieee8023",
    "lung_dice_nlm_shenzhen": "Lung Dice, pooled, Shenzhen",
    "mean_dice_over_thresholds": "Mean Dice over all thresholds (Inf-Net's measure)",
    "dice_at_0.5": "Dice at 0.5, mean over slices",
    "dice_at_own_threshold": "Dice at the threshold chosen in validation, mean over slices",
    "ground_glass_dice": "Dice of ground glass, pooled",
    "consolidation_dice": "Dice of consolidation, pooled",
    "interval_coverage": "True lesion shares inside the interval (target 0.90)",
    "photographs_refused": "Colour photographs refused",
    "grey_photographs_refused": "The same photographs without their colour, refused",
    "grey_photographs_answered": "The same photographs without their colour, answered",
    "lateral_refused": "Lateral views refused",
    "lateral_refused_or_marked": "Lateral views refused or marked as unlike",
    "test_accepted": "Test images accepted",
    "modality_right": "Kind of image recognised",
}
# What part of the answers is uncertain, or certain, and wrong, or right.
RATES = {
    "USen": "share of the wrong answers that were uncertain",
    "USpe": "share of the right answers that were certain",
    "UPre": "share of the uncertain answers that were wrong",
    "UAcc": "share of all answers that were wrong and uncertain, or right and certain",
}
MEASURES |= {
    f"{rate} ({method})": f"{rate}, {title[0].lower()}{title[1:]}: {meaning} (uncertain: above {DOUBT} bit)"
    for method, title in report.METHOD_TITLES.items()
    for rate, meaning in RATES.items()
}


def measures(parts: Iterable[dict[str, Any]]) -> list[str]:
    """Those of `MEASURES` that any of the parts has."""
    held = {name for part in parts for name in part}
    return [name for name in MEASURES if name in held]


def part_name(path: str) -> str:
    """What a part of a model's figures was measured on, in words."""
    ours = same_images(path)
    return PARTS.get(path, path) if ours == path else f"{PARTS[ours]}, plain network"


def same_images(path: str) -> str:
    """The part of the bundled models' figures that a plain network was asked too; any other part itself."""
    as_ours = path.replace("xray_grouped / ", "xray / ")
    return as_ours if as_ours in PARTS else path


def measure_name(name: str) -> str:
    """A measure in few words; one without a line in `MEASURES` keeps its name."""
    return MEASURES.get(name, name).split(":")[0]


def _is_figure(value: Any) -> bool:
    """Whether this part of the metrics is one figure."""
    return (isinstance(value, dict) and "value" in value) or (
        isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value)
    )


def figures(metrics: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """(names down to it, measure, figure) of every figure, in order."""
    for name, value in metrics.items():
        if _is_figure(value):
            yield path, name, value
        elif isinstance(value, dict):
            yield from figures(value, (*path, name))

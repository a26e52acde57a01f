"""The app's answer to every reported image, one row each, kept without the images in `train/results/answers-MODEL.csv`.

Every figure of a classifier is computed from these rows, so that anyone can compute it again.
"""

import json
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from scipy.special import expit

from covid_core import classify, diagnose, gate, registry, segment, weights
from train import features

# Of an image, from `train.features`.
FACTS = ["image", "modality", "dataset", "source", "group", "split", "official_split", "finding"]


def without_networks(spec: registry.ModelSpec, folder: Path) -> classify.Classifier:
    """A classifier for features that are there already.

    Args:
        spec: the model.
        folder: holds NAME/model*.safetensors and NAME/config.json; those of the default model too, if its gate is to be
            another than the bundled one.
    """
    config = json.loads((folder / spec.name / registry.CONFIG).read_text())
    tensors = weights.read(weights.in_folder(folder / spec.name), "heads.")
    first = folder / registry.DEFAULT
    if (first / registry.CONFIG).exists():
        settings = json.loads((first / registry.CONFIG).read_text())["gate"]
        looked = gate.Gate.load(weights.read(weights.in_folder(first), "gate."), settings)
    else:
        looked = gate.Gate.of_default()
    return classify.Classifier(spec, {}, tensors, config, looked)


def rows(
    classifier: classify.Model, limits: dict[str, dict[str, Any]], table: pd.DataFrame, arrays: features.Arrays
) -> pd.DataFrame:
    """The app's decisions for rows of a feature table, by the app's own functions.

    Args:
        classifier: needs no networks.
        limits: by modality, what a U-Net's config says of plausible lungs.
        table: [N] rows of `train.features`.
        arrays: of these rows.

    Returns:
        [N] rows of `FACTS` and
        "found": modality that the first look found;
        "distance": from the training images, above 1 unlike them;
        "probability": of COVID-19, and "probability_METHOD" by each method of sampling;
        "untempered": the same before the temperature;
        "epistemic": bits; "low" and "high": the interval, as the app shows them;
        "set": prediction set at `classify.LEVEL`, its classes joined by "+";
        "opacity": whether the U-Net marked it visibly;
        "decision": as the app's, "refused" included.
    """
    facts = table[FACTS].reset_index(drop=True)
    glances = [classifier.gate.look(row) for row in arrays["whole"]]
    samples = {
        modality: {m: classifier.probabilities(arrays["pooled"], modality, m) for m in get_args(classify.Method)}
        for modality in classifier.spec.modalities
    }
    untempered = {m: expit(classifier.sample(arrays["pooled"], m)).mean(axis=-1) for m in classifier.spec.modalities}
    found = []
    for i, (row, glance) in enumerate(zip(table.itertuples(), glances, strict=True)):
        mine = {m: s[i] for m, s in samples[row.modality].items()}
        style = classifier.gate.style_distance(arrays["style"][i], row.modality)
        distance = max(glance.distance[row.modality], style)
        # As with the kind of image given; an automatic answer to the few taken for the other kind asks the other U-Net.
        shape = segment.LungShape(row.area, row.certainty, row.middle)
        implausible = segment.implausible(shape, limits[row.modality])
        summary, chosen, decision, _ = classifier.decide(
            mine["ensemble_mc_dropout"],
            distance,
            row.modality,
            log_opacity=row.log_opacity,
            lesser_side=row.lesser_side,
            plausible=not implausible,
        )
        if gate.refusable(row.chroma, row.contrast) or diagnose.refusal(glance, implausible, row.modality):
            decision = "refused"
        found.append(
            {
                "found": glance.modality,
                "distance": round(distance, 5),
                "probability": round(float(summary.mean[1]), 5),
                **{
                    f"probability_{m}": round(float(s[:, 1].mean()), 5)
                    for m, s in mine.items()
                    if m != "ensemble_mc_dropout"
                },
                "untempered": round(float(untempered[row.modality][i]), 5),
                "epistemic": round(summary.epistemic, 4),
                "low": round(summary.interval[0], 4),
                "high": round(summary.interval[1], 4),
                "set": "+".join(classify.CLASSES[c] for c in chosen),
                "opacity": segment.mean_probability(row.log_opacity) >= segment.VISIBLE[row.modality],
                "decision": decision,
            }
        )
    return pd.concat([facts, pd.DataFrame(found)], axis=1)

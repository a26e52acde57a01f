"""Choose a U-Net's thresholds on val:
`python -m train.calibrate --model unet_ct --data manifests=ROOT --weights FILE --features FOLDER --out FOLDER`.

Writes config.json beside a copy of the weights: the lesion threshold with the best pooled Dice, the scale of the lesion
share's interval, and the limits within which a lung mask is plausible. On the train slices where consolidation was marked, for
there are none in val, the density above which a lesion is consolidation.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from covid_core import registry, segment
from train import datasets, features, script
from train.loading import CONSOLIDATION, GROUND_GLASS
from train.masks import LEAST_LUNG, Outcome, outcomes, pooled_dice, shares, sums
from train.overlap import untrained

THRESHOLDS = np.round(np.arange(0.2, 0.81, 0.05), 2)
DENSITIES = np.round(np.arange(0.3, 0.96, 0.01), 2)
LEVEL = 0.90  # of the interval of the lesion share
OUTSIDE = 0.004  # share of val images allowed beyond each limit of a lung mask


def lesion_threshold(found: Sequence[Outcome]) -> float:
    """The threshold with the best pooled Dice."""
    marked = [o for o in found if o.lesion_truth is not None]
    scores = [
        pooled_dice(np.array([sums(o.lesion > t, o.lesion_truth) for o in marked if o.lesion_truth is not None]))
        for t in THRESHOLDS
    ]
    return float(THRESHOLDS[int(np.argmax(scores))])


def densest_glass(found: Sequence[Outcome]) -> float:
    """The density up to which a lesion is ground glass: best mean of both kinds' pooled Dice, given the lesions."""

    def score(limit: float) -> float:
        kinds: list[list[tuple[float, float]]] = [[], []]
        for o in found:
            if o.kinds is not None:
                dense = o.density > limit
                kinds[0].append(sums(~dense & (o.kinds > 0), o.kinds == GROUND_GLASS))
                kinds[1].append(sums(dense & (o.kinds > 0), o.kinds == CONSOLIDATION))
        return float(np.mean([pooled_dice(np.array(k)) for k in kinds]))

    return float(DENSITIES[int(np.argmax([score(d) for d in DENSITIES]))])


def interval_spread(found: Sequence[Outcome], threshold: float) -> float:
    """The spread that makes `segment.share_interval` hold the true share in `LEVEL` of the val images with lungs."""
    rows = [shares(o, threshold) for o in found if o.lesion_truth is not None and (o.lung > 0.5).mean() > LEAST_LUNG]
    errors = [abs(predicted**0.5 - truth**0.5) for predicted, truth in rows]
    return float(np.quantile(errors, LEVEL, method="higher"))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, choices=["unet_xray", "unet_ct"])
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True, help="by train.features: lung masks of val images")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    spec = registry.get(options.model)
    modality = spec.modalities[0]
    segmenter = segment.Segmenter.of_files(spec, [options.weights])
    records = untrained([r for r in datasets.read(options.data) if r.modality == modality])
    found = outcomes([r for r in records if r.split == "val" and (r.lesions_known or r.lungs)], segmenter)
    if not any(o.lesion_truth is not None and o.lesion_truth.any() for o in found):
        parser.error(f"--data holds no {modality} image of the split val with lesions marked.")
    told = [r for r in records if r.split == "train" and r.kinds]
    threshold = lesion_threshold(found)
    table, _ = features.load(options.features)
    shapes = table[(table.split == "val") & (table.modality == modality)]
    config = {
        "model": spec.name,
        "sizes": dict(spec.sizes),
        "channels": list(spec.channels),
        "lesion_threshold": threshold,
        "lesion_interval": {"level": LEVEL, "spread": interval_spread(found, threshold)},
        "lung_limits": {
            "area": [float(shapes.area.quantile(OUTSIDE)), float(shapes.area.quantile(1 - OUTSIDE))],
            "certainty": float(shapes.certainty.quantile(OUTSIDE)),
            "middle": float(shapes.middle.quantile(1 - OUTSIDE)),
        },
    }
    if told:
        config["densest_glass"] = densest_glass(outcomes(told, segmenter))
    options.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(options.weights, options.out / registry.WEIGHTS)
    (options.out / registry.CONFIG).write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    script.run(main)

"""What the encoder, its start and the loss of the CT U-Net are worth: `python -m train.choices --data manifests=ROOT --out FOLDER`.

Trains a U-Net shortly by each of `CHOICES`, all on as many slices, and marks the val images with it, the threshold of each chosen
there too. A row an image and choice, in `train/results/choices-unet_ct.csv`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from covid_core import registry, segment
from train import calibrate, datasets, marks, script, segmenter, tables, trainer
from train.masks import outcomes

# Name -> encoder, what it starts from, and loss; `--init` where no start is named.
CHOICES = {
    "imagenet": ("mobilenetv2", None, "both"),
    "backbone": ("mobilenetv2", "mobilenetv2", "both"),
    "resnet50": ("resnet50", "resnet50", "both"),
    "entropy": ("mobilenetv2", "mobilenetv2", "entropy"),
    "dice": ("mobilenetv2", "mobilenetv2", "dice"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1300, help="drawn per epoch")
    parser.add_argument("--results", type=Path, default=tables.RESULTS, help="folder for the table")
    trainer.add_arguments(parser, epochs=4, batch=16, rate=1e-3)
    options = parser.parse_args(arguments)
    if str(options.devices) != "1" or options.nodes != 1:
        parser.error("The U-Nets are measured as soon as they are trained: this runs on --devices 1.")
    plain = registry.get(tables.UNET)
    size = options.size or plain.sizes["ct"]
    val = [r for r in datasets.read(options.data) if r.modality == "ct" and r.split == "val" and r.lesions_known]
    same = {"modality": "ct", "size": size, "kinds": False, "teacher": None, "lungs": None}
    found_by = []
    for name, (encoder, start, loss) in CHOICES.items():
        out = options.out / name
        own = {"encoder": encoder, "loss": loss, "init": start or options.init, "out": out}
        segmenter.train(argparse.Namespace(**vars(options) | same | own))
        spec = replace(plain, architecture=registry.get(encoder).architecture, sizes={"ct": size})
        unet = segment.Segmenter.of_files(spec, [out / registry.WEIGHTS])
        found = outcomes(val, unet)
        table = marks.overlaps(found, calibrate.lesion_threshold(found))
        found_by.append(table.assign(choice=name, slices=options.epochs * options.examples))
    tables.write(pd.concat(found_by), tables.file(options.results, tables.Kind.CHOICES, tables.UNET))


if __name__ == "__main__":
    script.run(main)

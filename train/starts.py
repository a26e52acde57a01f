"""What a teacher is worth: `python -m train.starts --model inception_resnet_v2 --modality both --data manifests=ROOT --out FOLDER`.

Trains a network twice from the same weights, random ones unless `--init` says other, on the same number of pictures: by labels
alone (`train.classifier`), and with a finished model as its teacher too (`train.distill`). Keeps what both then answer to the
val images, a row an image, in `train/results/starts-MODEL.csv`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from covid_core import registry
from train import initial, script, tables, trainer
from train.classifier import ClassifierTask, Example, Views, add_arguments, data, fit, modalities
from train.datasets.records import Record
from train.distill import DistillTask, Taught, Teacher


def facts(record: Record) -> dict[str, str]:
    """What is kept of a val image."""
    return {"image": record.image.name} | {f: getattr(record, f) for f in ("modality", "source", "group", "finding")}


def probabilities(task: ClassifierTask, images: DataLoader[Example]) -> NDArray[np.float32]:
    """COVID-19 probability of every image, [N] float32."""
    task.eval()
    with torch.inference_mode():
        found = [task(batch[0].to(task.device))[0].sigmoid().cpu().numpy() for batch in images]
    return np.concatenate(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--teacher", choices=script.TRAINED, default=registry.DEFAULT, help="a finished classifier")
    parser.add_argument("--results", type=Path, default=tables.RESULTS, help="folder for the table")
    trainer.add_arguments(parser, epochs=1, batch=64, rate=1.5e-3)
    parser.set_defaults(init="random")
    options = parser.parse_args(arguments)
    spec, order = registry.get(options.model), modalities(options)
    initial.seed_everything(options.seed)  # and sets the device of this process, before any network is there
    train, weight, watched = data(options)
    seen = [record for images in watched for record in cast(Views, images.dataset).records]
    rows = pd.DataFrame([facts(record) for record in seen]).assign(pictures=options.epochs * options.examples)
    for start in tables.STARTS:
        initial.seed_everything(options.seed)
        settings = (spec.architecture, options.rate, [f"val_{m}" for m in order])
        is_taught = start == "taught"
        task = (
            DistillTask(*settings, Teacher(registry.get(options.teacher), order))
            if is_taught
            else ClassifierTask(*settings)
        )
        print(start, flush=True)
        fit(task, Taught(train, order) if is_taught else train, weight, watched, options, options.out / start)
        if task.trainer.is_global_zero:
            rows[start] = np.concatenate([probabilities(task, images) for images in watched]).round(5)
    if task.trainer.is_global_zero:
        tables.write(rows, tables.file(options.results, tables.Kind.STARTS, spec.name))


if __name__ == "__main__":
    script.run(main)

"""Lesions in CT by five folds: `python -m train.lesion_folds --data manifests=ROOT --init FILE --out FOLDER`.

Every volume with marked lesions is tested once, by a U-Net that saw no slice of its patient: a figure that hangs less on which
volumes happen to be in a test split. Each fold trains as `train.segmenter` does, on these volumes alone. Written is a row a
slice, `train/results/lesion_folds-MODEL.csv`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from sklearn.model_selection import GroupKFold
from torch.utils.data import DataLoader, WeightedRandomSampler

from covid_core import registry, segment
from train import datasets, initial, marks, script, tables, trainer
from train.datasets.records import Record
from train.masks import outcomes
from train.segmenter import Examples, SegmenterTask, sampling_weights
from train.splits import FOLDS, Fold, in_turn


def folds(records: Sequence[Record]) -> list[Fold]:
    """`FOLDS` folds of about as many slices, every patient in one of them."""
    groups = [r.group for r in records]
    return in_turn([[records[i] for i in test] for _, test in GroupKFold(FOLDS).split(records, groups=groups)])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1300, help="drawn per epoch")
    parser.add_argument("--results", type=Path, default=tables.RESULTS, help="folder for the table")
    trainer.add_arguments(parser, epochs=10, batch=16, rate=1e-3)
    options = parser.parse_args(arguments)
    spec = registry.get(tables.UNET)
    size = options.size or spec.sizes["ct"]
    spec = replace(spec, sizes={"ct": size})
    records = [r for r in datasets.read(options.data) if r.dataset == "ct_lesions"]
    if not records:
        parser.error("--data holds no CT volume with marked lesions.")
    rows = []
    for number, fold in enumerate(folds(records)):
        generator = initial.seed_everything(options.seed + number)
        task = SegmenterTask(spec.architecture, len(spec.channels), options.rate)
        print(initial.initialise(task.network, spec.architecture, options.init, "ct"), flush=True)
        home = options.out / f"fold{number}"
        sampler = WeightedRandomSampler(sampling_weights(fold.train), options.examples, generator=generator)
        examples = Examples(fold.train, size, augment=True)
        batches = DataLoader(examples, options.batch, sampler=sampler, drop_last=True, **trainer.workers(options))
        trainer.fit(task, batches, DataLoader(Examples(fold.val, size, augment=False), 32), options, home)
        if task.trainer.is_global_zero:
            weights = home / registry.WEIGHTS
            initial.save(task.network, weights)
            segmenter = segment.Segmenter.of_files(spec, [weights])
            rows.append(marks.overlaps(outcomes(fold.test, segmenter), threshold=0.5).assign(fold=number))
    if rows:
        tables.write(pd.concat(rows), tables.file(options.results, tables.Kind.LESION_FOLDS, tables.UNET))


if __name__ == "__main__":
    script.run(main)

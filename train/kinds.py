"""The multi-class variant of the CT U-Net on the test images: `python -m train.kinds --data manifests=ROOT --weights FILE`.

`train.segmenter --kinds` trains it: a third channel says which lesions are consolidation and which ground glass, after Inf-Net's
marks. Here its threshold is chosen on val, as `train.calibrate` does for the bundled U-Net, and a row a test slice written,
`train/results/kinds-MODEL.csv`, so that the scoreboard can hold both against each other.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from covid_core import registry, segment
from train import calibrate, datasets, marks, script, tables
from train.masks import outcomes


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--weights", type=Path, required=True, help="by train.segmenter --kinds")
    parser.add_argument("--results", type=Path, default=tables.RESULTS, help="folder for the table")
    options = parser.parse_args(arguments)
    plain = registry.get(tables.UNET)
    spec = replace(plain, channels=(*plain.channels, "consolidation"))
    records = [r for r in datasets.read(options.data) if r.modality == "ct"]
    unet = segment.Segmenter.of_files(spec, [options.weights])
    found = outcomes([r for r in records if r.split == "val" and r.lesions_known], unet)
    threshold = calibrate.lesion_threshold(found)
    interval = {"level": calibrate.LEVEL, "spread": calibrate.interval_spread(found, threshold)}
    config = {"lesion_threshold": threshold, "lesion_interval": interval}
    rows = marks.rows(segment.Segmenter(spec, unet.run, config), records)
    tables.write(rows, tables.file(options.results, tables.Kind.KINDS, tables.UNET))


if __name__ == "__main__":
    script.run(main)

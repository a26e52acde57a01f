"""Calibrate an ensemble on val: `python -m train.ensemble --folder FOLDER --features FOLDER FOLDER FOLDER`.

Its members are finished models; it has no weights of its own, only a temperature, conformal scores and the probabilities
from which it answers, all from the same rows as theirs.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from covid_core import classify, registry
from covid_core.ensemble import Ensemble
from train import answers, features, heads, script


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, required=True, help="holds MEMBER/config.json and MEMBER/model.safetensors"
    )
    parser.add_argument(
        "--features", type=Path, nargs="+", required=True, help="by train.features, of each member in turn"
    )
    options = parser.parse_args(arguments)
    spec = registry.get("ensemble")
    members = [answers.without_networks(registry.get(name), options.folder) for name in spec.members]
    config = {
        "model": spec.name,
        "sizes": dict(spec.sizes),
        "classes": list(classify.CLASSES),
        "members": list(spec.members),
        "temperature": {m: 1.0 for m in spec.modalities},
        "conformal": {m: {} for m in spec.modalities},
        "clear": {},
        "firm": {},
    }
    model = Ensemble(spec, members, config)
    table, arrays = features.joined(options.features)
    heads.calibrate(model, table, arrays["pooled"])
    home = options.folder / spec.name
    home.mkdir(parents=True, exist_ok=True)
    (home / registry.CONFIG).write_text(json.dumps(config) + "\n")


if __name__ == "__main__":
    script.run(main)

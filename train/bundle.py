"""Put finished models into the package: `python -m train.bundle --folder work/bundle`.

Copies weights and config, writes the model card from the config, and pins both files' hashes in covid_core/pins.py.
"""

import argparse
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from covid_core import plain, registry, source, weights
from train import card, datasets, script

PINS = Path(registry.__file__).parent / "pins.py"
BESIDE = (registry.INDEX, source.FILE, plain.FILE)  # files that only some models have


def _files(spec: registry.ModelSpec, folder: Path) -> list[str]:
    """Those of a model's files that the folder holds."""
    kept = [file.name for file in weights.in_folder(folder)]
    if not spec.members and not kept:
        raise FileNotFoundError(f"{folder} holds no {registry.WEIGHTS}, nor shards of it.")
    return [registry.CONFIG, *kept, *(name for name in BESIDE if (folder / name).exists())]


def pin_lines(pins: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The lines of covid_core/pins.py: name of a model -> file -> sha256."""
    lines = ["PINS: dict[str, dict[str, str]] = {"]
    for name, files in pins.items():
        lines += [f'    "{name}": {{', *(f'        "{f}": "{h}",' for f, h in files.items()), "    },"]
    return [*lines, "}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="holds NAME/model.safetensors and NAME/config.json")
    options = parser.parse_args(arguments)
    # Before anything bundled is deleted: what lacks its weights or its figures ends the script here.
    new = {
        s.name: _files(s, options.folder / s.name)
        for s in registry.SPECS
        if (options.folder / s.name / registry.CONFIG).exists()
    }
    if not new:
        names = ", ".join(spec.name for spec in registry.SPECS)
        parser.error(f"{options.folder} holds no model: no NAME/{registry.CONFIG} for {names}.")
    for name in new:
        if "metrics" not in json.loads((options.folder / name / registry.CONFIG).read_text()):
            raise ValueError(f"{options.folder / name} was not measured yet. Run train.evaluate --model {name} first.")
    pins: dict[str, dict[str, str]] = {}
    for spec in registry.SPECS:
        name, home = spec.name, weights.ASSETS / spec.name
        if name in new:
            home.mkdir(parents=True, exist_ok=True)
            # The plain network is none of these weights': it stays until there is a new one.
            for stale in [*weights.in_folder(home), home / registry.INDEX, home / source.FILE]:
                stale.unlink(missing_ok=True)
            for file in new[name]:
                shutil.copyfile(options.folder / name / file, home / file)
        if not home.exists():
            continue  # nobody has trained it yet
        pins[name] = {file: weights.sha256(home / file) for file in _files(spec, home)}
        config = json.loads((home / registry.CONFIG).read_text())
        (home / "README.md").write_text(card.card(replace(spec, files=pins[name]), config, datasets.sources()))
    head = '"""sha256 of every model\'s files; written by train/bundle.py."""'
    PINS.write_text("\n".join([head, "", *pin_lines(pins), ""]))
    for name in new:
        if plain.FILE in pins[name] and plain.FILE not in new[name]:
            print(
                f"{plain.FILE} of {name} stays as it was; train.protocols --protocol xray_grouped makes it from other data."
            )
    if behind := left_behind(new, pins):
        print(f"Made with earlier versions of these, so to be made or measured again: {', '.join(behind)}.")


def left_behind(new: Collection[str], bundled: Collection[str]) -> list[str]:
    """Bundled models, not among the new ones, whose answers rest on one that is new.

    Every classifier sees what the U-Nets find and goes by the gate of the default one; the ensemble joins the others.
    """
    shared = {registry.DEFAULT, *(spec.name for spec in registry.SPECS if spec.task == "segment")}
    return [
        spec.name
        for spec in registry.SPECS
        if spec.task == "classify"
        and spec.name in bundled
        and spec.name not in new
        and {*shared, *spec.members} & set(new)
    ]


if __name__ == "__main__":
    script.run(main)

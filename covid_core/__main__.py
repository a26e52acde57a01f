"""The command line: `python -m covid_core classify FILE...`, `segment`, `score`, `models`; `--help` says more."""

import argparse
import csv
import io
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covid_core import registry

OK, SOME_FAILED, WRONG_USE = 0, 1, 2
STOPPED = 130  # by Ctrl-C, as shells say it
# How a file's name is written that the output cannot hold.
UNPRINTABLE = "backslashreplace"
# Of the names of mask files, in bytes: file systems take 255, and the kind of the mask comes behind.
LONGEST = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 all good, 1 some files failed, 2 wrong use (argparse's own code), 130 stopped by Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    from covid_core.weights import WeightsError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=UNPRINTABLE)
    try:
        code: int = options.run(options)
        return code
    except BrokenPipeError:  # whoever read the answers has read enough: nothing is left to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return STOPPED
    except (WeightsError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_USE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m covid_core", description="COVID-19 imaging with uncertainty. Not a medical device."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    classifiers = [s.name for s in registry.MODELS.values() if s.task == "classify"]

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    one = command("classify", _classify, "COVID-19 or not, with uncertainty")
    two = command("segment", _segment, "mark lungs and lesions; writes masks as PNG with --out")
    three = command("score", _score, "classify every picture in a folder into a CSV file")
    four = command("models", _models, "list the models")
    command("prepare", _prepare, "fetch and convert all networks now, so that the first answer comes at once")
    for sub in (one, two):
        sub.add_argument("files", nargs="+", type=Path, metavar="FILE")
        sub.add_argument("--modality", choices=["auto", "xray", "ct"], default="auto")
    three.add_argument("folder", type=Path, metavar="FOLDER")
    three.add_argument("--out", type=Path, required=True, metavar="CSV")
    for sub in (one, three):
        sub.add_argument("--model", choices=classifiers, default=registry.DEFAULT)
    two.add_argument("--out", type=Path, metavar="DIR")
    for sub in (one, two, four):
        sub.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def _classify(options: argparse.Namespace) -> int:
    from covid_core import batch

    failed = False
    for row in batch.classify_files(options.files, options.modality, options.model):
        failed |= "error" in row
        _print(row, options.json, _in_words)
    return SOME_FAILED if failed else OK


def _segment(options: argparse.Namespace) -> int:
    from covid_core import diagnose, images, report

    if options.out is not None:
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"No folder {options.out} can be made. Give --out another name.") from error
    failed, taken = False, set[str]()
    for file in options.files:
        started = time.perf_counter()
        try:
            image = images.read(file)
            found = diagnose.find(image, options.modality)
            if found.refusal or found.segmentation is None:
                raise images.ImageError(found.refusal)
            names = _masks(options.out, file, image.sha256, found.segmentation, taken)
        except images.ImageError as error:
            failed = True
            _print({"file": str(file), "error": str(error)}, options.json, _in_words)
            continue
        seconds = time.perf_counter() - started
        row = report.segmentation_row(str(file), found.modality, found.segmentation, *names, seconds)
        _print(row, options.json, _lesions_in_words)
    return SOME_FAILED if failed else OK


def _masks(folder: Path | None, file: Path, sha256: str, found: Any, taken: set[str]) -> tuple[str | None, str | None]:
    """Write a picture's mask and its uncertainty, if they are wanted; returns their names.

    Raises:
        ImageError: they cannot be written, or something else has that name.
    """
    from covid_core import images, report

    if folder is None:
        return None, None
    stem = os.fsencode(file.stem)[:LONGEST].decode(errors="ignore")
    # Two pictures of one name from two folders must not overwrite each other's mask; some disks do not heed case.
    stem = stem if stem.casefold() not in taken else f"{stem}-{sha256[:8]}"
    taken.add(stem.casefold())
    mask, uncertainty = (folder / f"{stem}-{kind}.png" for kind in ("mask", "uncertainty"))
    for target, content in ((mask, report.mask_png(found)), (uncertainty, report.uncertainty_png(found))):
        try:
            # The same answer may be written again, but nobody's own mask of that name.
            if target.exists() and target.read_bytes() != content:
                raise images.ImageError(f"{target} exists and holds something else. Give --out another folder.")
            target.write_bytes(content)
        except OSError as error:
            raise images.ImageError(f"{target} cannot be written. Give --out another folder.") from error
    return str(mask), str(uncertainty)


def _score(options: argparse.Namespace) -> int:
    from covid_core import batch, diagnose

    found = batch.search(options.folder)
    if not options.out.parent.is_dir():
        raise ValueError(f"{options.out.parent} is not a folder. Make it first.")
    if any(os.path.abspath(file) == os.path.abspath(options.out) for file in found.pictures):
        raise ValueError(f"{options.out} is one of the pictures. Give --out another name.")
    if options.out.is_dir():
        raise ValueError(f"{options.out} is a folder. Give --out the name of a file.")
    left_out = sum(os.path.abspath(file) != os.path.abspath(options.out) for file in found.others)
    diagnose.classifier(options.model)  # where it cannot be had, older results stay
    failed = 0
    with options.out.open("w", newline="", encoding="utf-8", errors=UNPRINTABLE) as stream:
        writer = csv.DictWriter(stream, batch.COLUMNS)
        writer.writeheader()
        for folder in found.closed:
            writer.writerow(
                {"file": str(folder), "error": "This folder cannot be opened. Check that you are allowed to."}
            )
        for row in batch.classify_files(found.pictures, model=options.model):
            failed += "error" in row
            writer.writerow(batch.cells(row))
    besides = f", {left_out} left out whose names are not those of pictures" if left_out else ""
    besides += f", folders not opened: {len(found.closed)}" if found.closed else ""
    print(f"{len(found.pictures)} files, {failed} failed{besides}: {options.out}")
    return SOME_FAILED if failed or found.closed else OK


def _prepare(_: argparse.Namespace) -> int:
    from covid_core import plain
    from covid_core.classify import Classifier
    from covid_core.segment import Segmenter

    for spec in registry.MODELS.values():
        if not spec.members:
            (Classifier if spec.task == "classify" else Segmenter).load(spec)
            print(f"{spec.name}: ready", flush=True)
    if plain.network():
        print("plain network: ready", flush=True)
    return OK


def _models(options: argparse.Namespace) -> int:
    from covid_core import weights

    for spec in registry.MODELS.values():
        row = {
            "name": spec.name,
            "title": spec.title,
            "task": spec.task,
            "modalities": list(spec.modalities),
            "architecture": spec.architecture,
            "size": dict(spec.sizes),
            "weights_sha256": registry.weights_sha256(spec),
            "status": str(weights.status(spec)),
        }
        _print(
            row, options.json, lambda r: f"{r['name']:12} {r['task']:9} {', '.join(r['modalities']):9} {r['status']}"
        )
    return OK


def _in_words(row: dict[str, Any]) -> str:
    from covid_core import report

    if row["decision"] == "refused":
        return f"{row['file']}: refused. {row['gate']['reason']}"
    (low, high), reason = row["covid_interval"], row["gate"]["reason"]
    probability = f"COVID-19 probability {row['covid_probability']:.2f} [{low:.2f}, {high:.2f}]"
    said = "no probability that means anything" if report.is_baseless(row) else probability
    return f"{row['file']}: {row['modality']}, {row['decision']}, {said}" + (f". {reason}" if reason else "")


def _lesions_in_words(row: dict[str, Any]) -> str:
    if row["lesion_percent_of_lung"] is None:
        return f"{row['file']}: {row['modality']}, lesions: cannot say, the lungs were not found as expected"
    low, high = row["lesion_interval"]
    return (
        f"{row['file']}: {row['modality']}, lungs {row['lung_percent']:.1f} % of the picture, "
        f"lesions {row['lesion_percent_of_lung']:.1f} % of the lungs [{low:.1f}, {high:.1f}]"
    )


def _print(row: dict[str, Any], as_json: bool, words: Any) -> None:
    if as_json:
        print(json.dumps(row), flush=True)
    elif "error" in row:
        print(f"{row['file']}: {row['error']}", file=sys.stderr, flush=True)
    else:
        print(words(row), flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Every script of `train/runs` goes through: each step finds the files that earlier ones leave, and understands its arguments."""

import argparse
import importlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "train" / "runs"
# Stands in for Python: notes what it was asked to do, and leaves files where the step would.
STAND_IN = """#!{python} -SE
import json, os, pathlib, sys
given = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps(given) + "\\n")
for before, value in zip(given, given[1:]):
    place = pathlib.Path({root!r} if value.startswith("covid_core/") else "") / value
    if value.startswith(("work/", "covid_core/")) and before not in ("--out", "--results") and not place.exists():
        sys.exit(f"{{' '.join(given)}}: there is no {{value}} yet")
    if before == "--out":
        names = {{"train.classifier": "backbone", "train.distill": "backbone", "train.protocols": "fold0/plain"}}
        name = names.get(given[1], "model") + ".safetensors"
        file = place if place.suffix else place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
"""


class Understood(Exception):
    """Raised instead of the work itself."""


def run(
    script: Path, data: str, folder: Path, dry: bool = False
) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
    """The script in a folder with a stand-in for Python; how it ended, and what it asked for."""
    log, stand_in = folder / "log", folder / "bin" / "python"
    log.unlink(missing_ok=True)
    stand_in.parent.mkdir(exist_ok=True)
    stand_in.write_text(STAND_IN.format(python=sys.executable, log=str(log), root=str(ROOT)))
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
    (folder / "covid_core" / "assets" / "model").mkdir(parents=True, exist_ok=True)
    environment = {"PATH": f"{stand_in.parent}:{os.environ['PATH']}", **({"DRY": "1"} if dry else {})}
    command = ["bash", str(script), data, "first.safetensors", "second.safetensors"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done, [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_what_is_finished_is_not_begun_again_and_other_data_are_not_mixed_in(tmp_path: Path) -> None:
    script = RUNS / "bundled.sh"
    trainings = [sum("--epochs" in step for step in run(script, "/data", tmp_path)[1]) for _ in range(2)]
    assert trainings[0] > 10 and trainings[1] == 0
    (tmp_path / "work" / "ct1" / "backbone.safetensors").unlink()  # stopped there
    assert [step[1:4] for step in run(script, "/data", tmp_path)[1] if "--epochs" in step] == [
        ["train.classifier", "--modality", "ct"]
    ]
    done, steps = run(script, "/other", tmp_path)
    assert done.returncode == 1 and "was begun with manifests=/data" in done.stderr and not steps


@pytest.mark.parametrize(
    ("script", "dry"), [*((file, False) for file in sorted(RUNS.glob("*.sh"))), (RUNS / "gpu_all.sh", True)]
)
def test_every_step_is_understood(script: Path, dry: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, steps = run(script, "/data", tmp_path, dry)
    assert done.returncode == 0, done.stderr
    assert len(steps) >= 5

    parse = argparse.ArgumentParser.parse_args

    def only_parse(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
        parse(parser, arguments)
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    for flag, module, *arguments in steps:
        assert flag == "-m" and module.startswith("train."), module
        main = importlib.import_module(module).main
        with pytest.raises(Understood):
            main(arguments)

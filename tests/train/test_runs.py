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
        name = "backbone.safetensors" if given[1] in ("train.classifier", "train.distill") else "model.safetensors"
        file = place if place.suffix else place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
"""


class Understood(Exception):
    """Raised instead of the work itself."""


@pytest.mark.parametrize(
    ("script", "dry"), [*((file, False) for file in sorted(RUNS.glob("*.sh"))), (RUNS / "gpu_all.sh", True)]
)
def test_every_step_is_understood(script: Path, dry: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, stand_in = tmp_path / "log", tmp_path / "bin" / "python"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.format(python=sys.executable, log=str(log), root=str(ROOT)))
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "covid_core" / "assets" / "model").mkdir(parents=True)
    environment = {"PATH": f"{stand_in.parent}:{os.environ['PATH']}", **({"DRY": "1"} if dry else {})}
    command = ["bash", str(script), "/data", "first.safetensors", "second.safetensors"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in log.read_text().splitlines()]
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

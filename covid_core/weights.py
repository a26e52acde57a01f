"""Find a model's files: bundled with the package, in a local folder, in the Hub's cache, or on the Hub; sha256 checked."""

import hashlib
import json
import os
import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from covid_core.registry import CONFIG, ModelSpec

ASSETS = Path(__file__).parent / "assets"


class WeightsError(RuntimeError):
    """A model's file cannot be had; the message names the file, the places searched and what cures it."""


def cache_folder() -> Path:
    """The user's cache folder for this project: COVID_CORE_CACHE, else the platform's usual place."""
    if os.environ.get("COVID_CORE_CACHE"):
        return Path(os.environ["COVID_CORE_CACHE"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "covid_core"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "covid_core"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "covid_core"


@lru_cache(maxsize=64)
def _hash(path: str, size: int, modified: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256(file: Path) -> str:
    """Hash of a file; remembered as long as its size and time of change stay."""
    state = file.stat()
    return _hash(str(file), state.st_size, state.st_mtime_ns)


def locate(spec: ModelSpec, file: str, folder: Path | None = None) -> Path:
    """Path of a verified file."""
    path = ASSETS / spec.name / file
    if not path.exists():
        raise WeightsError(f"{file} of {spec.name} was not found in {path.parent}.")
    if sha256(path) != spec.files[file]:
        raise WeightsError(f"{path} is damaged or was changed.")
    return path


def load_config(spec: ModelSpec, folder: Path | None = None) -> dict[str, Any]:
    """The model's config.json, verified."""
    config: dict[str, Any] = json.loads(locate(spec, CONFIG, folder=folder).read_text())
    return config

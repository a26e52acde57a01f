"""Many files, one row each; a bad file becomes a row with its reason and never stops the others."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from covid_core import images, registry, report
from covid_core.diagnose import diagnose

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".dcm", ".dicom")


def pictures(folder: Path) -> list[Path]:
    """All picture files below a folder, sorted.

    Raises:
        ValueError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder.")
    found = sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(f"There is no picture in {folder}. Looked for {', '.join(SUFFIXES)}.")
    return found


def classify_files(
    files: Iterable[Path], modality: str = "auto", model: str = registry.DEFAULT
) -> Iterator[dict[str, Any]]:
    """One row a file: the keys of `classify --json`, or "file" and "error"."""
    for file in files:
        try:
            yield report.classification_row(str(file), diagnose(images.read(file), modality, model))
        except images.ImageError as error:
            yield {"file": str(file), "error": str(error)}

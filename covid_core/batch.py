"""Many files, one row each; a bad file becomes a row with its reason and never stops the others."""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from covid_core import archive, images, registry, report
from covid_core.diagnose import diagnose
from covid_core.picture import ImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".dcm", ".dicom")
MAX_BYTES = 256 * 1024**2  # of all files as they come
# Of a CSV file: the keys of `report.classification_row`, and of a file that could not be read.
COLUMNS = (
    *("file", "modality", "decision", "covid_probability", "covid_interval", "aleatoric", "epistemic"),
    *("prediction_set", "gate", "model", "weights_sha256", "seconds", "error"),
)


@dataclass(frozen=True)
class Entry:
    """A file of a batch.

    Attributes:
        name: as shown; of a file in an archive, with the archive and its folders.
        load: gives the content, or raises ImageError.
    """

    name: str
    load: Callable[[], bytes] = field(repr=False)


@dataclass(frozen=True)
class Answered:
    """A file with its row.

    Attributes:
        row: the keys of `classify --json`, or "file" and "error".
        image: the picture; None when there is none in the file.
    """

    row: dict[str, Any]
    image: images.DecodedImage | None


@dataclass(frozen=True)
class Found:
    """What lies below a folder.

    Attributes:
        pictures: files whose names are pictures', sorted.
        others: other files, but not what systems note about folders (`._x`, `.DS_Store`).
        closed: folders that cannot be opened.
    """

    pictures: list[Path]
    others: list[Path]
    closed: list[Path]


def search(folder: Path) -> Found:
    """Look for pictures in a folder and in those in it, linked ones too, each once.

    Raises:
        ValueError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder.")
    found, closed, seen = list[Path](), list[Path](), set[str]()
    for place, folders, files in os.walk(folder, followlinks=True, onerror=lambda e: closed.append(Path(e.filename))):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(place, name) for name in files if not name.startswith(".")]
    pictures = sorted(file for file in found if file.suffix.lower() in SUFFIXES or _is_dicom_without_ending(file))
    if not pictures and not closed:
        raise ValueError(
            f"There is no picture in {folder}. Looked for {', '.join(SUFFIXES)}, and DICOM without an ending."
        )
    return Found(pictures, sorted(set(found) - set(pictures)), sorted(closed))


def _is_dicom_without_ending(file: Path) -> bool:
    """As archives of hospitals name them: IM0001, or the numbers of their identifier."""
    if file.suffix and not file.suffix[1:].isdigit():
        return False
    try:
        if not file.is_file():  # opening a pipe would wait for ever
            return False
        with file.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def of_uploads(files: Sequence[tuple[str, bytes]]) -> list[Entry]:
    """The files, and instead of a zip archive those in it, unpacked one at a time when it is their turn.

    Args:
        files: names and contents.

    Raises:
        ImageError: more than `archive.MAX_FILES` files or `MAX_BYTES` bytes, or archives without a file.
    """
    if sum(len(data) for _, data in files) > MAX_BYTES:
        raise ImageError(f"These files have more than {MAX_BYTES // 1024**2} MB together. Upload fewer at a time.")
    entries: list[Entry] = []
    for name, data in files:
        entries += _unpacked(name, data) if archive.is_zip(data) else [Entry(name, partial(bytes, data))]
    if files and not entries:
        raise ImageError("There is no file in this archive. Put pictures into it.")
    if len(entries) > archive.MAX_FILES:
        raise ImageError(
            f"These are {len(entries):,} files; at most {archive.MAX_FILES:,} are read. Upload fewer at a time."
        )
    return entries


def _unpacked(name: str, data: bytes) -> list[Entry]:
    """The files in an archive; an archive that cannot be read is one bad file."""
    try:
        members = archive.members(data)
    except ImageError as error:
        return [Entry(name, partial(_refuse, str(error)))]
    return [
        Entry(f"{name}/{m.name}", m.read if m.size <= images.MAX_BYTES else partial(_refuse, images.TOO_LONG))
        for m in members
    ]


def _refuse(reason: str) -> bytes:
    raise ImageError(reason)


def answer(entry: Entry, modality: str = "auto", model: str = registry.DEFAULT) -> Answered:
    """The row of a file; the other arguments are those of `diagnose`."""
    image = None
    try:
        image = images.decode(entry.load(), entry.name)
        return Answered(report.classification_row(entry.name, diagnose(image, modality, model)), image)
    except ImageError as error:
        return Answered({"file": entry.name, "error": str(error)}, image)


def classify_files(
    files: Iterable[Path], modality: str = "auto", model: str = registry.DEFAULT
) -> Iterator[dict[str, Any]]:
    """One row a file: the keys of `classify --json`, or "file" and "error"."""
    for file in files:
        yield answer(Entry(str(file), partial(images.read_bytes, file)), modality, model).row


def cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row for a CSV file: lists and the gate's record are JSON inside their cell.

    Before a text that a spreadsheet would compute, as a file's name can be, stands an apostrophe.
    """
    return {k: _cell(v) for k, v in row.items()}


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(tuple("=+-@\t\r")) else value


def to_csv(rows: Iterable[dict[str, Any]]) -> str:
    """A CSV file of these rows."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(cells(row) for row in rows)
    return stream.getvalue()

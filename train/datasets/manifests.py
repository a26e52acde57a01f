"""Readers for folders with a `manifest.csv`: the collection the bundled weights were trained on.

Each reader takes the collection's root and returns records; where the images come from and under which licence is in
`train/datasets/sources.json`, which the model cards cite.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from train.datasets.records import Record

SPLITS = ("train", "val", "test", "extra_val", "extra_test", "external", "pediatric", "excluded")


class Row(dict[str, str]):
    """Of a manifest, by column; a missing column is named with its file."""

    file: Path

    def __missing__(self, column: str) -> str:
        raise ValueError(f"{self.file} has no column '{column}', only {', '.join(self)}. Columns are parted by commas.")


def _rows(root: Path, folder: str) -> Iterator[Row]:
    file = Path(root) / folder / "manifest.csv"
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise ValueError(
            f"{file} cannot be read: {error}. Save it as CSV in UTF-8, columns parted by commas."
        ) from error
    for values in table.to_dict("records"):
        row = Row({str(column): value for column, value in values.items()})
        row.file = file
        yield row


def _file(root: Path, folder: str, name: str) -> Path | None:
    return Path(root) / folder / name if name else None


def hashed_split(key: str) -> str:
    """Give "test" (a fifth), "val" (a tenth) or "train", by a hash of the key, so that it never depends on the order of files."""
    share = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32
    return "test" if share < 0.2 else "val" if share < 0.3 else "train"


def shared_out(keys: Iterable[str]) -> dict[str, str]:
    """Give each of few keys "train", "val" or "test", in the order of their hashes, so that no part of three is empty."""
    ordered = sorted(set(keys), key=lambda key: hashlib.sha256(key.encode()).hexdigest())
    tested, watched = (max(round(share * len(ordered)), 1) for share in (0.2, 0.15))
    parts = ["test"] * tested + ["val"] * watched
    return {key: parts[i] if i < len(parts) else "train" for i, key in enumerate(ordered)}


def xray(root: Path) -> list[Record]:
    """Chest X-rays with a finding; splits train, val, test, extra_val, extra_test, external, pediatric, excluded.

    COVID-19 from web sites, more varied than from any hospital, trains too. The external set was gathered from the same
    sites: some of its patients may be among them.

    Raises:
        ValueError: as in `apart`.
    """
    found = [
        Record(
            image=Path(root) / "xray" / row["file"],
            modality="xray",
            dataset="xray",
            source=row["source"],
            group=f"xray/{row['group']}",
            split="train" if row["split"] == "extra_train" else row["split"],
            finding=row["label"],
        )
        for row in _rows(root, "xray")
    ]
    return apart(found)


def apart(records: list[Record]) -> list[Record]:
    """The same records, whose splits are known and whose groups are in one of them.

    Raises:
        ValueError: they are not.
    """
    place: dict[str, str] = {}
    for record in records:
        if record.split not in SPLITS:
            raise ValueError(f"{record.image}: there is no split '{record.split}'. Use one of: {', '.join(SPLITS)}.")
        if record.split != "excluded" and place.setdefault(record.group, record.split) != record.split:
            raise ValueError(
                f"{record.image}: the group {record.group.partition('/')[2]} is in the splits {place[record.group]} and "
                f"{record.split}. All images of a patient belong to one."
            )
    return records


def _named(file: str) -> str:
    """The data set by whose name one of the file's folders begins; of other CT slices there is but one set."""
    folders = Path(file).parent.parts
    known = (name for name in ("sars_cov_2_ct", "covid_ct") for folder in folders if folder.startswith(name))
    return next(known, "ct")


def ct(root: Path) -> list[Record]:
    """CT slices with a finding, COVID-19 or not.

    Raises:
        ValueError: as in `apart`.
    """
    found = [
        Record(
            image=Path(root) / "ct" / row["file"],
            modality="ct",
            dataset=_named(row["file"]),
            source=row["source"],
            group=f"ct/{row['group']}",
            split=row["split"],
            finding=row["label"],
            official_split=row["official_split"],
        )
        for row in _rows(root, "ct")
    ]
    return apart(found)


def ct_lesions(root: Path) -> list[Record]:
    """Slices of CT volumes with lesion masks, and lung masks where they are known; errors as of `apart`."""
    found = [
        Record(
            image=Path(root) / "ct_lesions" / row["image"],
            modality="ct",
            dataset="ct_lesions",
            source=row["volume"].split("_")[0],
            group=f"ct_lesions/{row['group']}",
            split=row["split"],
            lungs=_file(root, "ct_lesions", row["lungs"]),
            lesions=_file(root, "ct_lesions", row["lesions"]),
            lesions_known=True,
        )
        for row in _rows(root, "ct_lesions")
    ]
    return apart(found)


def infnet(root: Path) -> list[Record]:
    """The 98 slices of Inf-Net with their published split; train slices that share a patient with a test slice are
    given the split "train_overlap", so that the published split's leak is a choice, not an accident.

    Patients are known only where somebody recognised them; every other slice is a group of its own.
    """
    rows = list(_rows(root, "ct_lesions_infnet"))
    # "91/93 cluster (...)": the test slices of one patient, by their numbers.
    named = [re.findall(r"\d+", row["same_patient_as_test"].partition("(")[0]) for row in rows]
    patient = {number: numbers[0] for numbers in sorted(named, key=len) for number in numbers}

    def group(row: Row, numbers: Sequence[str]) -> str:
        number = numbers[0] if numbers else Path(row["image"]).stem if row["split"] == "test" else ""
        return f"infnet/test patient {patient[number]}" if number in patient else f"infnet/{row['image']}"

    return [
        Record(
            image=Path(root) / "ct_lesions_infnet" / row["image"],
            modality="ct",
            dataset="infnet",
            source="medicalsegmentation",
            group=group(row, numbers),
            split="train_overlap" if row["split"] == "train" and row["same_patient_as_test"] else row["split"],
            lesions=_file(root, "ct_lesions_infnet", row["lesions"]),
            kinds=_file(root, "ct_lesions_infnet", row["classes"]),
            lesions_known=True,
            transposed=True,
        )
        for row, numbers in zip(rows, named, strict=True)
    ]


def xray_lesions(root: Path) -> list[Record]:
    """X-rays of COVID-19 patients with opacity masks; of some the patient in the archive that `xray_lungs` draws on is known.

    Raises:
        ValueError: as in `apart`.
    """
    found = [
        Record(
            image=Path(root) / "xray_lesions" / row["image"],
            modality="xray",
            dataset="xray_lesions",
            source="qata_cov19",
            group=f"xray_lungs/{row['patient']}" if row.get("patient") else f"xray_lesions/{row['group']}",
            split=row["split"],
            lesions=_file(root, "xray_lesions", row["lesions"]),
            lesions_known=True,
        )
        for row in _rows(root, "xray_lesions")
    ]
    return apart(found)


def xray_lungs(root: Path) -> list[Record]:
    """X-rays with lung masks; split by a hash of the patient where the manifest says nothing of it; errors as of `apart`."""
    found = [
        Record(
            image=Path(root) / "xray_lungs" / row["image"],
            modality="xray",
            dataset="xray_lungs",
            source=row["source"],
            group=f"xray_lungs/{row['patient']}",
            split=row.get("split") or hashed_split(row["patient"]),
            lungs=_file(root, "xray_lungs", row["lungs"]),
        )
        for row in _rows(root, "xray_lungs")
    ]
    return apart(found)


def refused(root: Path) -> list[Record]:
    """Pictures that must be refused: lateral chest X-rays and everyday photographs."""
    folders = {"lateral_xray": "lateral", "photographs": "photograph"}
    return [
        Record(image=file, modality="xray", dataset=folder, source=folder, group=f"{folder}/{file.stem}", split=split)
        for folder, split in folders.items()
        for file in sorted((Path(root) / folder).glob("*.*"))
        if file.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")
    ]


def everything(root: Path) -> list[Record]:
    """Records of every folder of the collection that is there; ValueError where there is none."""
    folders = {
        "xray": xray,
        "ct": ct,
        "ct_lesions": ct_lesions,
        "ct_lesions_infnet": infnet,
        "xray_lesions": xray_lesions,
        "xray_lungs": xray_lungs,
    }
    held = {folder: reader for folder, reader in folders.items() if (Path(root) / folder).is_dir()}
    if not held:
        raise ValueError(f"{root} holds none of the folders {', '.join(folders)}. Name the folder in which they are.")
    return [r for reader in held.values() for r in reader(root)] + refused(root)

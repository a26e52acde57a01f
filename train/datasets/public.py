"""Readers for public data sets in the folders they are published in; citations and licences are in sources.json.

A set without a split of its own gets one by a hash of the group, so that a group never straddles two parts.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from train.datasets.manifests import hashed_split
from train.datasets.records import Record

# How the Large COVID-19 CT set and the lesion frames name slices of COVID-CT (Zhao), of COVID-19-CT-Seg (Jun) and of MedSeg
# (Bjorke), from which Inf-Net's test slices come.
TAKEN = re.compile(r"(\d+_)?(Zhao|Jun|Bjorke)_", re.IGNORECASE)
RUN = 50  # slices of SARS-CoV-2 CT-scan in a row that make a group
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


def _images(folder: Path) -> Iterator[Path]:
    """Picture files of a folder, sorted; none when it does not exist."""
    if folder.is_dir():
        yield from sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))


def _required(records: list[Record], root: Path, layout: str) -> list[Record]:
    if not records:
        raise ValueError(f"No image was found in {root}. Expected the layout {layout}.")
    return records


def radiography_database(root: Path) -> list[Record]:
    """COVID-19 Radiography Database: `COVID`, `Normal`, `Lung_Opacity`, `Viral Pneumonia`, each with images and masks.

    No patients are named, so a group is an image: a random split by this reader leaks where a patient has several.
    """
    findings = {"COVID": "covid", "Normal": "normal", "Lung_Opacity": "pneumonia", "Viral Pneumonia": "pneumonia"}
    records = []
    for folder, finding in findings.items():
        home = root / folder
        for file in _images(home / "images" if (home / "images").is_dir() else home):
            mask = home / "masks" / file.name
            group = f"radiography_database/{file.stem}"
            records.append(
                Record(
                    image=file,
                    modality="xray",
                    dataset="radiography_database",
                    source=f"radiography_database/{folder}",
                    group=group,
                    split=hashed_split(group),
                    finding=finding,
                    lungs=mask if mask.exists() else None,
                )
            )
    return _required(records, root, "COVID/images/*.png, Normal/images/*.png, ...")


def large_ct(root: Path) -> list[Record]:
    """Large COVID-19 CT scan slice dataset: `1NonCOVID`, `2COVID`, `3CAP`; the patient is in the file name.

    What it took from sets that have a reader of their own is left out, for it holds their test images too.
    """
    findings = {"1NonCOVID": "normal", "2COVID": "covid", "3CAP": "pneumonia"}
    records = []
    for folder, finding in findings.items():
        for file in _images(root / folder):
            if TAKEN.match(file.stem):
                continue
            # 6_Rahimzadeh_normal2_patient205_SR_4_IM00012: folder, patient, series and slice of the set it was taken from.
            numbered = re.sub(r"[-_ ]*(IM|I|slice|image)?[-_ ]*\d+$", "", file.stem, flags=re.IGNORECASE) or file.stem
            named = re.search(r"patient\d+", numbered)
            patient = named[0] if named else re.sub(r"_SR_\d+$", "", numbered)
            group = f"large_ct/{folder}/{patient}"
            records.append(Record(file, "ct", "large_ct", "large_ct", group, hashed_split(group), finding))
    return _required(records, root, "1NonCOVID/*.png, 2COVID/*.png, 3CAP/*.png")


def ct_lesion_frames(root: Path) -> list[Record]:
    """COVID-19 CT lesion segmentation dataset: `frames` and `masks` with the same names; `TAKEN` ones are left out."""
    records = []
    for file in _images(root / "frames"):
        mask = root / "masks" / file.name
        if mask.exists() and not TAKEN.match(file.stem):
            group = f"ct_lesion_frames/{re.sub(r'[-_ ]*[0-9]+$', '', file.stem) or file.stem}"
            split = hashed_split(group)
            records.append(
                Record(
                    file, "ct", "ct_lesion_frames", "ct_lesion_frames", group, split, lesions=mask, lesions_known=True
                )
            )
    return _required(records, root, "frames/*.png with masks/*.png of the same names")


def sars_cov_2_ct(root: Path) -> list[Record]:
    """SARS-CoV-2 CT-scan dataset: `COVID` and `non-COVID`, no patients named.

    Neighbouring numbers often show the same patient, so runs of `RUN` make a group. A run's border may cut a patient, the less
    often the longer runs are. The figures of the scoreboard are on groups found by their looks.
    """
    records = []
    for folder, finding in {"COVID": "covid", "non-COVID": "non_covid"}.items():
        for file in _images(root / folder):
            number = re.search(r"\((\d+)\)", file.stem)
            run = int(number.group(1)) // RUN if number else file.stem
            group = f"sars_cov_2_ct/{folder}/{run}"
            records.append(Record(file, "ct", "sars_cov_2_ct", "sao_paulo", group, hashed_split(group), finding))
    return _required(records, root, "COVID/*.png and non-COVID/*.png")


def covid_ct(root: Path) -> list[Record]:
    """COVID-CT: `Images-processed/CT_COVID`, `CT_NonCOVID`, and the published split in `Data-split`.

    That split cuts papers, whose figures may be of one patient: a paper whole goes to the part that is most to be guarded.
    """
    records: list[Record] = []
    for folder, part, finding in (("CT_COVID", "COVID", "covid"), ("CT_NonCOVID", "NonCOVID", "non_covid")):
        listed: dict[str, str] = {}
        for split in ("train", "val", "test"):
            names = root / "Data-split" / part / f"{split}CT_{part}.txt"
            if not names.exists():
                raise ValueError(f"{names} is missing: the published split of COVID-CT is needed.")
            listed |= {line.strip(): split for line in names.read_text(encoding="utf-8").splitlines() if line.strip()}
        # Unpacking the archives leaves one more folder of the same name.
        home = root / "Images-processed" / folder
        for file in _images(home / folder if (home / folder).is_dir() else home):
            if file.name in listed:
                # Several figures of one paper may show one patient.
                group = f"covid_ct/{folder}/{re.split('-p[0-9]|%', file.stem)[0]}"
                split = listed[file.name]
                records.append(
                    Record(file, "ct", "covid_ct", f"covid_ct/{part}", group, split, finding, official_split=split)
                )
    guarded = {r.group: split for split in ("train", "val", "test") for r in records if r.official_split == split}
    records = [replace(r, split=guarded[r.group]) for r in records]
    return _required(records, root, "Images-processed/CT_COVID/*.png, Images-processed/CT_NonCOVID/*")

"""Readers of data sets: `read(["NAME=FOLDER", ...])` returns one list of records."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from train.datasets import manifests, public
from train.datasets.records import Record

READERS: dict[str, Callable[[Path], list[Record]]] = {
    "manifests": manifests.everything,
    "radiography_database": public.radiography_database,
    "large_ct": public.large_ct,
    "ct_lesion_frames": public.ct_lesion_frames,
    "sars_cov_2_ct": public.sars_cov_2_ct,
    "covid_ct": public.covid_ct,
}


def read(sources: Sequence[str]) -> list[Record]:
    """Records of all the data sets named.

    Args:
        sources: "NAME=FOLDER", NAME one of `READERS`.

    Raises:
        ValueError: another name, or a folder that does not exist.
    """
    records: list[Record] = []
    for source in sources:
        name, _, folder = source.partition("=")
        if name not in READERS or not folder:
            raise ValueError(
                f"'{source}' is not NAME=FOLDER with NAME one of {', '.join(READERS)} (NIfTI volumes of COVID-19-CT-Seg are "
                "cut into slices first, by train.datasets.covid_19_ct_seg)."
            )
        if not Path(folder).is_dir():
            raise ValueError(f"{folder} is not a folder")
        records += READERS[name](Path(folder).resolve())  # as tables name them, however one spells it
    return records


def sources() -> dict[str, dict[str, Any]]:
    """Title, citation, licence, address, caveat, modality and what it trains, of every set of images behind the weights."""
    found: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "sources.json").read_text(encoding="utf-8"))
    return found

"""The protocols part the images as they say, and one of them is run on phantoms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covid_core import phantom
from train import protocols
from train.datasets.records import Record

RECORDS = [
    Record(Path(f"{i}.png"), "ct", "sars_cov_2_ct", "s", f"g{i // 3}", finding=("covid", "non_covid")[i // 3 % 2])
    for i in range(90)
]


def names(records: list[Record]) -> set[str]:
    return {r.image.name for r in records}


def test_a_random_split_has_every_image_once_and_patients_on_both_sides() -> None:
    (fold,) = protocols.random_split(RECORDS, 0)
    assert [len(part) for part in (fold.train, fold.val, fold.test)] == [72, 9, 9]
    assert len(names(fold.train + fold.val + fold.test)) == 90
    assert {r.group for r in fold.test} & {r.group for r in fold.train}
    assert names(protocols.random_split(RECORDS, 1)[0].test) != names(fold.test)


def test_grouped_folds_test_every_image_once_and_keep_patients_apart() -> None:
    folds = protocols.grouped_folds(RECORDS, 0)
    assert sorted(r.image.name for fold in folds for r in fold.test) == sorted(names(RECORDS))
    for fold in folds:
        parts = [{r.group for r in part} for part in (fold.train, fold.val, fold.test)]
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        assert len(fold.train) + len(fold.val) + len(fold.test) == 90


def test_elsewhere_trains_on_one_set_and_tests_on_the_other() -> None:
    records = [replace(r, split=("train", "val", "test")[i % 3]) for i, r in enumerate(RECORDS)]
    other = [replace(r, dataset="covid_ct") for r in records[:10]]
    (fold,) = protocols.PROTOCOLS["sars_to_covid_ct"].folds([*records, *other], 0)
    assert {r.dataset for r in fold.train + fold.val} == {"sars_cov_2_ct"}
    assert {r.split for r in fold.val} == {"val"} and len(fold.train) == 60
    assert fold.test == other


def test_a_protocol_from_images_to_a_row_an_image(tmp_path: Path) -> None:
    folder = tmp_path / "xray" / "images" / "radiography_db"
    folder.mkdir(parents=True)
    rows = []
    for i in range(20):
        pixels = phantom.xray(i, size=64).pixels
        Image.fromarray((pixels * 255).astype(np.uint8)).save(folder / f"{i}.png")
        label = ("covid", "normal")[i % 2]
        file = f"images/radiography_db/{i}.png"
        rows.append({"file": file, "label": label, "source": "s", "group": str(i), "split": "excluded"})
    pd.DataFrame(rows).to_csv(tmp_path / "xray" / "manifest.csv", index=False)
    short = ["--init", "random", "--epochs", "1", "--batch", "8", "--workers", "0", "--size", "64"]
    where = ["--data", f"manifests={tmp_path}", "--out", str(tmp_path / "out"), "--results", str(tmp_path / "results")]
    protocols.main(["--protocol", "xray_random", *short, *where])
    table = pd.read_csv(tmp_path / "results" / "xray_random-mobilenetv2.csv")
    assert list(table.columns) == ["image", "source", "group", "finding", "fold", "covid_probability"]
    assert len(table) == 2 and table.covid_probability.between(0, 1).all()
    with pytest.raises(SystemExit) as stop:
        protocols.main(["--protocol", "sars_random", *short, *where])
    assert stop.value.code == 2

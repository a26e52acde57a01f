"""The protocols part the images as they say, and one of them is run on phantoms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covid_core import phantom, plain, weights
from train import protocols, splits
from train.datasets.records import BLACKED, TRANSPLANTED, Record

RECORDS = [
    Record(Path(f"{i}.png"), "ct", "sars_cov_2_ct", "s", f"g{i // 3}", finding=("covid", "non_covid")[i // 3 % 2])
    for i in range(90)
]


def names(records: list[Record]) -> set[str]:
    return {r.image.name for r in records}


def test_a_random_split_has_every_image_once_and_patients_on_both_sides() -> None:
    (fold,) = splits.random_split(RECORDS, 0)
    assert [len(part) for part in (fold.train, fold.val, fold.test)] == [72, 9, 9]
    assert len(names(fold.train + fold.val + fold.test)) == 90
    assert {r.group for r in fold.test} & {r.group for r in fold.train}
    assert names(splits.random_split(RECORDS, 1)[0].test) != names(fold.test)


def test_grouped_folds_test_every_image_once_and_keep_patients_apart() -> None:
    folds = splits.grouped_folds(RECORDS, 0)
    assert sorted(r.image.name for fold in folds for r in fold.test) == sorted(names(RECORDS))
    for fold in folds:
        parts = [{r.group for r in part} for part in (fold.train, fold.val, fold.test)]
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        assert len(fold.train) + len(fold.val) + len(fold.test) == 90


def test_elsewhere_trains_on_one_set_and_tests_on_the_other() -> None:
    records = [replace(r, split=("train", "val", "test")[i % 3]) for i, r in enumerate(RECORDS)]
    other = [replace(r, dataset="covid_ct") for r in records[:10]]
    (fold,) = splits.PROTOCOLS["sars_to_covid_ct"].folds([*records, *other], 0)
    assert {r.dataset for r in fold.train + fold.val} == {"sars_cov_2_ct"}
    assert {r.split for r in fold.val} == {"val"} and len(fold.train) == 60
    assert fold.test == other


def test_the_own_split_tests_all_that_nothing_learns_from() -> None:
    parts = ("train", "val", "test", "external", "pediatric", "excluded", "extra_test")
    records = [replace(r, modality="xray", split=parts[i % 7]) for i, r in enumerate(RECORDS)]
    protocol = splits.PROTOCOLS["xray_grouped"]
    assert not protocol.wanted(replace(records[0], finding=""))
    (fold,) = protocol.folds(records, 0)
    assert {r.split for r in fold.train} == {"train"} and {r.split for r in fold.val} == {"val"}
    assert names(fold.test) == names([r for r in records if r.split in ("test", "external", "pediatric")])


def test_an_x_ray_from_the_web_that_comes_back_in_a_test_is_not_learned(tmp_path: Path) -> None:
    pixels = phantom.xray(1, size=64).pixels
    files = []
    for i, shown in enumerate((pixels, pixels, pixels.T)):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray((shown * 255).astype(np.uint8)).save(files[-1])
    known = {"modality": "xray", "dataset": "xray", "finding": "covid"}
    given = [("ieee8023", "external"), ("cxnet_web", "train"), ("cxnet_web", "train")]
    records = [
        Record(file, source=source, group=file.name, split=split, **known)
        for file, (source, split) in zip(files, given, strict=True)
    ]
    (fold,) = splits.own_split(records, 0)
    assert names(fold.train) == {"2.png"} and names(fold.test) == {"0.png"}


def test_blacked_out_are_the_lungs_of_what_the_app_takes_for_a_chest(tmp_path: Path) -> None:
    known = phantom.xray(3, size=192)
    for name, pixels in (("chest.png", known.pixels), ("blank.png", np.zeros((64, 64)))):
        Image.fromarray((pixels * 255).astype(np.uint8)).save(tmp_path / name)
    records = [Record(tmp_path / name, "xray", "xray", "s", name, split="test") for name in ("blank.png", "chest.png")]
    (kept,), (changed,) = protocols.blacked_out(records, 192)
    assert kept == replace(records[1], split=BLACKED)
    (before,) = protocols.squares(records[1:], 192)
    assert changed[known.lungs].mean() < 0.1 * before[known.lungs].mean()
    assert changed[~known.lungs].mean() > 0.5 * before[~known.lungs].mean()


def test_a_protocol_from_images_to_a_row_an_image(tmp_path: Path) -> None:
    folder = tmp_path / "xray" / "images" / "radiography_db"
    folder.mkdir(parents=True)
    rows = []
    for i in range(20):
        pixels = phantom.xray(i, size=128).pixels
        Image.fromarray((pixels * 255).astype(np.uint8)).save(folder / f"{i}.png")
        label = ("covid", "normal")[i % 2]
        file = f"images/radiography_db/{i}.png"
        split = ["val", "test", "external", "pediatric"][i // 2] if i < 8 else "train"
        rows.append({"file": file, "label": label, "source": "s", "group": str(i), "split": split})
    pd.DataFrame(rows).to_csv(tmp_path / "xray" / "manifest.csv", index=False)
    short = ["--init", "random", "--epochs", "1", "--batch", "8", "--workers", "0", "--size", "64"]
    where = ["--data", f"manifests={tmp_path}", "--out", str(tmp_path / "out"), "--results", str(tmp_path / "results")]
    protocols.main(["--protocol", "xray_random", *short, *where])
    table = pd.read_csv(tmp_path / "results" / "xray_random-mobilenetv2.csv")
    assert list(table.columns) == ["image", "source", "group", "split", "finding", "fold", "covid_probability"]
    assert len(table) == 2 and table.covid_probability.between(0, 1).all()
    where[3] = str(tmp_path / "own split")
    facts = {
        "modality": "xray",
        "dataset": "xray",
        "source": "s",
        "group": "1",
        "finding": "covid",
        "file": folder / "1.png",
    }
    pd.DataFrame([facts | {"split": split} for split in ("val", TRANSPLANTED)]).to_csv(
        tmp_path / "xray.csv", index=False
    )
    protocols.main(["--protocol", "xray_grouped", *short, *where, "--looks", str(tmp_path)])
    table = pd.read_csv(tmp_path / "results" / "xray_grouped-mobilenetv2.csv")
    assert list(table.split) == [
        *(s for s in ("test", "external", "pediatric", BLACKED) for _ in range(2)),
        TRANSPLANTED,
    ]
    inside, changed = (table[table.split == split] for split in ("test", BLACKED))
    assert list(inside.image) == list(changed.image) == ["2.png", "3.png"]
    written = tmp_path / "own split" / "fold0" / plain.FILE
    assert {"head.weight", "head.bias"} < set(weights.names([written]))
    with pytest.raises(SystemExit) as stop:
        protocols.main(["--protocol", "sars_random", *short, *where])
    assert stop.value.code == 2


@pytest.mark.parametrize("lost", ["train", "val", "test"])
def test_a_part_without_images_is_said_before_anything_is_trained(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = [s for s in ("train", "val", "test") if s != lost]
    records = [replace(RECORDS[i], modality="xray", split=split) for i, split in enumerate(left)]
    monkeypatch.setattr(protocols.datasets, "read", lambda _: records)
    with pytest.raises(SystemExit):
        protocols.main(["--protocol", "xray_grouped", "--data", "manifests=x", "--out", str(tmp_path)])
    assert f"no image for {lost} of the protocol" in capsys.readouterr().err

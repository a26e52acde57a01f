"""Every training script, two steps each, on a collection of phantoms laid out like the real one."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from covid_core import gate, metrics, networks, phantom, registry, source, weights
from train import (
    answers,
    calibrate,
    card,
    classifier,
    datasets,
    distill,
    ensemble,
    evaluate,
    features,
    heads,
    lesion_folds,
    looks,
    probes,
    scoreboard,
    segmenter,
    starts,
    tables,
    throughput,
)
from train.datasets.records import Record
from train.overlap import without_copies

PARTS = ("train", "val", "test")


def save(folder: Path, name: str, pixels: np.ndarray) -> str:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels * 255).astype(np.uint8)).resize((128, 128), Image.Resampling.NEAREST).save(file)
    return name


def manifest(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("collection")
    lesions = phantom.Lesions(count=8, size=0.24, density=0.9)
    rows: dict[str, list[dict[str, str]]] = {
        "xray": [],
        "ct": [],
        "ct_lesions": [],
        "xray_lesions": [],
        "xray_lungs": [],
    }
    seed = 0
    for part in PARTS:
        for ill in (True, False, True, False):
            seed += 1
            x = phantom.xray(seed, lesions if ill else None, size=128)
            c = phantom.ct(seed, lesions if ill else None, size=128)
            name = f"{seed}.png"
            label = "covid" if ill else "normal"
            common = {"group": str(seed), "split": part}
            rows["xray"].append(
                {"file": save(root / "xray", name, x.pixels), "label": label, "source": label, **common}
            )
            rows["ct"].append(
                {
                    "file": save(root / "ct", name, c.pixels),
                    "label": "covid" if ill else "non_covid",
                    "source": "clinic" if ill else "web",
                    "official_split": part,
                    **common,
                }
            )
            if ill:
                rows["ct_lesions"].append(
                    {
                        "image": save(root / "ct_lesions", name, c.pixels),
                        "lesions": save(root / "ct_lesions", f"lesions/{name}", c.lesions),
                        "lungs": save(root / "ct_lesions", f"lungs/{name}", c.lungs),
                        "volume": f"phantom_{seed}",
                        **common,
                    }
                )
                rows["xray_lesions"].append(
                    {
                        "image": save(root / "xray_lesions", name, x.pixels),
                        "lesions": save(root / "xray_lesions", f"lesions/{name}", x.lesions),
                        **common,
                    }
                )
            rows["xray_lungs"].append(
                {
                    "image": save(root / "xray_lungs", name, x.pixels),
                    "lungs": save(root / "xray_lungs", f"lungs/{name}", x.lungs),
                    "patient": str(seed),
                    "source": "phantom",
                }
            )
    for folder, content in rows.items():
        manifest(root / folder, content)
    return root


def test_from_images_to_model_card(collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # No interval is tested here, and a thousand resamples of every figure take long.
    whole = metrics.bootstrap
    monkeypatch.setattr(metrics, "bootstrap", lambda *rows, **given: whole(*rows, **given | {"n": 20}))
    data = ["--data", f"manifests={collection}"]
    short = ["--init", "random", "--epochs", "1", "--batch", "2", "--workers", "0"]
    nets = tmp_path / "nets"
    for modality in ("xray", "ct"):
        out = ["--out", str(nets / f"unet_{modality}")]
        segmenter.main(["--modality", modality, "--examples", "4", *data, *short, *out])
        assert (nets / f"unet_{modality}" / "last.ckpt").exists()
    teacher = str(nets / "unet_ct" / "model.safetensors")
    out = ["--init", teacher, "--teacher", teacher, "--size", "96", "--out", str(tmp_path / "student")]
    segmenter.main(["--modality", "ct", "--examples", "4", *data, *short, *out])
    assert (tmp_path / "student" / "model.safetensors").exists()
    finder = str(nets / "unet_xray" / "model.safetensors")
    out = ["--init", finder, "--lungs", finder, "--size", "96", "--out", str(tmp_path / "exchanged")]
    segmenter.main(["--modality", "xray", "--examples", "4", *data, *short, *out])
    assert (tmp_path / "exchanged" / "model.safetensors").exists()
    cropped = ["--segmenters", str(nets)]
    backbones, table, bundle = (tmp_path / name for name in ("backbones", "features", "bundle"))
    for modality in ("xray", "ct"):
        out = ["--out", str(backbones / modality)]
        classifier.main(["--modality", modality, "--examples", "4", *data, *short, *cropped, *out])
    for modality in ("xray", "ct"):
        looks.main(
            ["--modality", modality, *data, "--backbones", str(backbones), *cropped, "--out", str(tmp_path / "looks")]
        )
        given = ["--modality", modality, "--looks", str(tmp_path / "looks")]
        features.main([*given, "--backbones", str(backbones), "--out", str(table)])
    rows, _ = features.load(table)
    counts = rows.groupby(["modality", "split"]).size()
    for split, again in features.RESTYLED.items():
        assert counts["xray", again] == counts["xray", split] and ("ct", again) not in counts
    heads.main(["--features", str(table), "--backbones", str(backbones), "--out", str(bundle / "mobilenetv2")])
    fitted = json.loads((bundle / "mobilenetv2" / "config.json").read_text())
    strict = fitted | {"clear": fitted["clear"] | {"xray": 0.0}, "firm": fitted["firm"] | {"ct": 1.0}}
    laxer = {"clear": strict["clear"] | {"ct": 0.9}, "firm": strict["firm"] | {"xray": 0.1}}
    spoilt = strict | laxer | {"temperature": {"xray": 9.0, "ct": 9.0}, "metrics": {"of": "the former calibration"}}
    (bundle / "mobilenetv2" / "config.json").write_text(json.dumps(spoilt))
    heads.main(["--features", str(table), "--keep", "--out", str(bundle / "mobilenetv2")])
    assert json.loads((bundle / "mobilenetv2" / "config.json").read_text()) == strict
    with pytest.raises(SystemExit):
        heads.main(["--features", str(table), "--model", "resnet50", "--keep", "--out", str(bundle / "mobilenetv2")])
    assert json.loads((bundle / "mobilenetv2" / "config.json").read_text()) == strict
    results = ["--results", str(tmp_path / "results")]
    for name in ("unet_xray", "unet_ct"):
        trained = str(nets / name / "model.safetensors")
        calibrate.main(
            ["--model", name, *data, "--weights", trained, "--features", str(table), "--out", str(bundle / name)]
        )
        evaluate.main(["--model", name, "--folder", str(bundle), *data, *results])
    evaluate.main(["--model", "mobilenetv2", "--folder", str(bundle), "--features", str(table), *results])

    config = json.loads((bundle / "mobilenetv2" / "config.json").read_text())
    assert config["metrics"]["xray"]["test"]["n"] == 4
    assert set(config["conformal"]["ct"]) == {"mc_dropout", "ensemble", "ensemble_mc_dropout"}
    with safe_open(bundle / "mobilenetv2" / "model.safetensors", "numpy") as file:
        assert file.get_tensor("heads.xray.weight").shape[0] == 5
    text = card.card(registry.get("mobilenetv2"), config, datasets.sources())
    assert (
        "Not a medical device" in text and "| X-ray, training sources | Accuracy of the more probable class |" in text
    )

    # One backbone for both; the default model's took the first look.
    shared, table = ["--model", "resnet50"], tmp_path / "features50"
    out = ["--size", "64", "--out", str(tmp_path / "backbones50" / "both")]
    classifier.main([*shared, "--modality", "both", "--examples", "4", *data, *short, *cropped, *out])
    start = ["--epochs", "1", "--batch", "2", "--workers", "0", "--init", f"{out[-1]}/backbone.safetensors"]
    out[-1] += "/.."
    distill.main([*shared, "--modality", "both", "--examples", "4", *data, *start, *cropped, *out])
    made_with = ["--backbones", str(tmp_path / "backbones50")]
    for modality in ("xray", "ct"):
        given = ["--modality", modality, "--looks", str(tmp_path / "looks")]
        features.main([*shared, *given, *made_with, "--out", str(table)])
    monkeypatch.setattr(heads, "MOST_IN_A_FILE", "20MB")
    heads.main([*shared, "--features", str(table), *made_with, "--out", str(bundle / "resnet50")])
    evaluate.main([*shared, "--folder", str(bundle), "--features", str(table), *results])
    # The first look is that of the default model beside it, not of the bundled one.
    looked = answers.without_networks(registry.get("resnet50"), bundle).gate
    first = json.loads((bundle / "mobilenetv2" / "config.json").read_text())["gate"]
    assert dict(looked.thresholds) == first["thresholds"] != dict(gate.Gate.of_default().thresholds)
    # In place of the third, which takes long, the second once more: the ensemble sees only heads and features.
    shutil.copytree(bundle / "resnet50", bundle / "inception_resnet_v2")
    three = ["--folder", str(bundle), "--features", str(tmp_path / "features"), str(table), str(table)]
    ensemble.main(three)
    evaluate.main(["--model", "ensemble", *three, *results])
    assert json.loads((bundle / "ensemble" / "config.json").read_text())["metrics"]["xray"]["test"]["n"] == 4
    config = json.loads((bundle / "resnet50" / "config.json").read_text())
    rows = tables.read(tables.file(tmp_path / "results", tables.Kind.ANSWERS, "resnet50"))
    assert "gate" not in config and config["metrics"]["ct"]["test"]["n"] == sum(
        (rows.modality == "ct") & (rows.split == "test")
    )
    shards = weights.in_folder(bundle / "resnet50")
    listed = json.loads((bundle / "resnet50" / registry.INDEX).read_text())["weight_map"]
    assert len(shards) == 3 and set(listed.values()) == {shard.name for shard in shards}
    assert set(listed) == weights.names(shards)
    assert not [name for name in listed if name.startswith(("xray.", "ct.", "gate."))]
    trained = weights.read([tmp_path / "backbones50" / "both" / "backbone.safetensors"], "body.")
    for name, value in networks.load(registry.get("resnet50"), shards, "xray").state_dict().items():
        assert np.array_equal(value.numpy(), trained[name])


def test_two_starts_on_the_same_pictures(collection: Path, tmp_path: Path) -> None:
    given = ["--epochs", "1", "--batch", "2", "--workers", "0", "--examples", "4", "--size", "64", "--modality", "both"]
    place = ["--out", str(tmp_path / "starts"), "--results", str(tmp_path)]
    starts.main(["--model", "mobilenetv2", "--data", f"manifests={collection}", *given, *place])
    rows = tables.read(tables.file(tmp_path, tables.Kind.STARTS, "mobilenetv2"))
    assert set(rows.pictures) == {4} and not (rows.random == rows.taught).all()
    board = {r["protocol"]: r for r in scoreboard.board(tmp_path) if r["kind"] != "published"}
    assert set(board) == {f"{modality} / start_{start}" for modality in ("xray", "ct") for start in tables.STARTS}
    for modality, mine in rows.groupby("modality"):
        right = (mine.taught > 0.5) == (mine.finding == "covid")
        row = board[f"{modality} / start_taught"]
        assert row["figures"]["accuracy"]["value"] == round(right.mean(), 4) and row["pictures"] == 4


def test_how_fast_a_training_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in (("PHANTOMS", 4), ("WARM", 1), ("STEPS", 2)):
        monkeypatch.setattr(throughput, name, count)
    throughput.main(["--batch", "2", "--size", "64", "--workers", "0"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["model"] == "mobilenetv2" and told["size"] == 64
    assert told["share"] == pytest.approx(told["images_per_second"] / told["bare_images_per_second"], rel=0.05)


def test_lesions_by_folds(collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [Record(Path(f"{i}.png"), "ct", "ct_lesions", "s", f"patient{i // 3}") for i in range(30)]
    for fold in lesion_folds.folds(records):
        groups = [{r.group for r in part} for part in (fold.train, fold.val, fold.test)]
        assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2]) and len(groups[2]) == 2
    monkeypatch.setattr(lesion_folds, "FOLDS", 3)  # three trainings are enough here
    given = ["--init", "random", "--epochs", "1", "--batch", "2", "--workers", "0", "--examples", "2", "--size", "64"]
    place = ["--out", str(tmp_path / "folds"), "--results", str(tmp_path)]
    lesion_folds.main(["--data", f"manifests={collection}", *given, *place])
    rows = tables.read(tables.file(tmp_path, tables.Kind.LESION_FOLDS, tables.UNET))
    assert sorted(rows.fold.unique()) == list(range(lesion_folds.FOLDS)) and not rows.image.duplicated().any()
    (row,) = [r for r in scoreboard.board(tmp_path) if r["kind"] != "published"]
    pooled = 2 * rows.lesion_overlap.sum() / rows.lesion_total.sum()
    assert row["figures"]["lesion_dice"]["value"] == round(pooled, 4)


def test_probes_of_the_bundled_model(collection: Path, tmp_path: Path) -> None:
    data = ["--data", f"manifests={collection}"]
    for modality in ("xray", "ct"):
        looks.main(["--modality", modality, *data, "--out", str(tmp_path / "looks")])
        given = ["--modality", modality, "--looks", str(tmp_path / "looks")]
        features.main([*given, "--out", str(tmp_path / "features")])
    given = ["--features", str(tmp_path / "features"), *data]
    probes.main([*given, "--out", str(tmp_path / "readers"), "--results", str(tmp_path)])
    rows = tables.read(tables.file(tmp_path, tables.Kind.PROBES, "mobilenetv2"))
    assert len(rows) == 8 and set(rows.source_guessed[rows.modality == "ct"]) <= {"clinic", "web"}
    assert rows.thumbnail.between(0, 1).all() and rows.only_border.notna().sum() == rows.as_it_is.notna().sum() > 0
    board = scoreboard.probed("mobilenetv2", rows)
    told = {row["protocol"]: row["figures"] for row in board}
    ct = rows[rows.modality == "ct"]
    right = balanced_accuracy_score(ct.source, ct.source_guessed)
    assert told["ct / source_from_features"]["balanced_accuracy"]["value"] == round(right, 4)
    assert told["xray / thumbnail"]["auc"]["n"] == 4
    with safe_open(tmp_path / "readers" / source.FILE, "numpy") as file:
        assert json.loads(file.metadata()["ct"]) == ["clinic", "web"]
        assert file.get_tensor("ct.weight").shape == (2, 1280)
    # An ensemble has no features to read a source from, and the thumbnails are nobody's.
    probes.main([*given, "--model", "ensemble", "--results", str(tmp_path)])
    joined = tables.read(tables.file(tmp_path, tables.Kind.PROBES, "ensemble"))
    assert {"source_guessed", "thumbnail"}.isdisjoint(joined)
    assert joined.as_it_is.notna().equals(rows.as_it_is.notna()) and not joined.as_it_is.equals(rows.as_it_is)
    asked = {row["protocol"] for row in scoreboard.probed("ensemble", joined)}
    assert asked == {f"{m} / {p}" for m in ("xray", "ct") for p in ("as_it_is", "lungs_blacked_out", "only_border")}


def test_a_linear_reader_gives_what_the_library_gives() -> None:
    rng = np.random.default_rng(0)
    given = rng.normal(size=(60, 4)).astype(np.float32) * [1, 5, 0.2, 1] + [0, 3, 1, 0]
    for count in (2, 3):
        target = np.array(["a", "b", "c"])[rng.integers(0, count, 60)]
        mean, spread = given.mean(axis=0), given.std(axis=0) + 1e-6
        model = LogisticRegression(C=0.5, class_weight="balanced", max_iter=300).fit((given - mean) / spread, target)
        reader = probes.fit(given, target, 0.5)
        assert reader.names == tuple(model.classes_)
        expected = model.predict_proba((given - mean) / spread)
        np.testing.assert_allclose(reader.probabilities(given), expected, atol=1e-4)


def test_what_training_lacks_is_said_before_it(collection: Path, tmp_path: Path) -> None:
    given = [
        "--modality",
        "both",
        "--data",
        f"manifests={collection}",
        "--init",
        "random",
        "--out",
        str(tmp_path / "out"),
    ]
    with pytest.raises(ValueError, match="no ct image to validate on: --data holds none of covid:val"):
        classifier.main([*given, "--unseen", "covid:val"])
    sources = {r.source for r in datasets.read([f"manifests={collection}"]) if r.modality == "xray" and r.covid}
    with pytest.raises(ValueError, match="needs xray images to train on with COVID-19 and without"):
        classifier.main([*given, "--without", *sources])
    with pytest.raises(ValueError, match="holds no source COVD to leave out"):
        classifier.main([*given, "--without", "COVD"])
    assert not (tmp_path / "out").exists()


def test_copies_are_found(collection: Path) -> None:
    records = [r for r in datasets.read([f"manifests={collection}"]) if r.dataset == "xray"]
    assert without_copies(records[:3], records) == []


def test_a_wrong_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NAME=FOLDER"):
        datasets.read(["nonsense"])
    with pytest.raises(ValueError, match="is not a folder"):
        datasets.read([f"manifests={tmp_path / 'nowhere'}"])

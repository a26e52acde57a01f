"""Figures from stored rows, by hand and as published."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covid_core import metrics, registry, stored, weights
from train import evaluate, scoreboard, tables
from train import published as peers


def test_pages_and_figures_mean_the_same_parts() -> None:
    rows = tables.read(tables.file(tables.RESULTS, tables.Kind.ANSWERS, registry.DEFAULT))
    parts = {f"{m} / {name}": chosen for m, named in evaluate.protocols(rows).items() for name, chosen in named.items()}
    for name, belongs in stored.PARTS.items():
        assert parts[name].tolist() == [belongs(row) for row in rows.to_dict("records")]


def test_every_figure_of_ours_has_an_interval() -> None:
    ours = [r for r in json.loads((tables.RESULTS / scoreboard.BOARD).read_text()) if r["kind"] != "published"]
    without = {
        name for r in ours for name, f in r["figures"].items() if f["value"] is not None and not {"low", "high"} <= {*f}
    }
    assert without == {"balanced_accuracy_by_chance"}  # which is counted, not measured


def table(folder: Path, name: str) -> None:
    rows = [("a", "covid", 0.9), ("b", "covid", 0.4), ("c", "normal", 0.2), ("d", "normal", 0.6), ("e", "normal", 0.1)]
    frame = pd.DataFrame(rows, columns=["group", "finding", "covid_probability"])
    pd.concat([frame] * 2).to_csv(folder / name, index=False)


def answer(group: str, split: str, finding: str, probability: float, **other: Any) -> dict[str, Any]:
    facts = {"image": f"{group}.png", "modality": "xray", "dataset": "d", "source": "s", "official_split": ""}
    given = {"found": "xray", "distance": 0.5, "set": "covid" if probability > 0.5 else "non_covid", "opacity": True}
    methods = {column: probability for column in scoreboard.METHODS.values()}
    decided = "covid" if probability > 0.5 else "non_covid"
    return {
        "group": group,
        "split": split,
        "finding": finding,
        **facts,
        **given,
        **methods,
        "decision": decided,
        **other,
    }


def test_figures_by_hand(tmp_path: Path) -> None:
    table(tmp_path, "sars_random-mobilenetv2.csv")
    table(tmp_path, "something-else.csv")  # no protocol of ours
    scoreboard.main(["--results", str(tmp_path)])
    found = json.loads((tmp_path / scoreboard.BOARD).read_text())
    (row,) = (r for r in found if r["kind"] != "published")
    assert (row["protocol"], row["model"], row["modality"]) == ("sars_random", "mobilenetv2", "ct")
    assert (row["n"], row["n_covid"], row["groups"]) == (10, 4, 5)
    figures = row["figures"]
    assert figures["accuracy"]["value"] == 0.6
    assert figures["sensitivity"]["value"] == 0.5
    assert figures["specificity"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["auc"]["value"] == pytest.approx(5 / 6, abs=1e-4)
    assert figures["accuracy"]["low"] <= 0.6 <= figures["accuracy"]["high"]


def test_networks_trained_for_one_protocol_are_also_asked_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metrics, "bootstrap", lambda *_, **__: (0.0, 0.0))
    for name, probability in (("mobilenetv2", [0.9, 0.4, 0.2]), ("resnet50", [0.7, 0.8, 0.6])):
        rows = {
            "image": ["a", "b", "c"],
            "group": ["a", "b", "c"],
            "finding": ["covid", "covid", "normal"],
            "split": "test",
        }
        pd.DataFrame({**rows, "covid_probability": probability}).to_csv(
            tmp_path / f"sars_random-{name}.csv", index=False
        )
    scoreboard.main(["--results", str(tmp_path)])
    found = {r["model"]: r for r in json.loads((tmp_path / scoreboard.BOARD).read_text()) if r["kind"] != "published"}
    assert list(found) == ["mobilenetv2", "resnet50", "MobileNetV2 and ResNet50 together"]
    # Alone each is wrong once; their means are .8, .6 and .4.
    assert [row["figures"]["accuracy"]["value"] for row in found.values()] == [0.6667, 0.6667, 1.0]
    other = pd.read_csv(tmp_path / "sars_random-resnet50.csv").iloc[::-1]
    other.to_csv(tmp_path / "sars_random-resnet50.csv", index=False)
    scoreboard.main(["--results", str(tmp_path)])
    assert "no row of all together. The tables of mobilenetv2, resnet50 hold different" in capsys.readouterr().out
    ours = [r["model"] for r in json.loads((tmp_path / scoreboard.BOARD).read_text()) if r["kind"] != "published"]
    assert ours == ["mobilenetv2", "resnet50"]


def test_a_network_tested_inside_and_elsewhere_has_a_row_for_each_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "bootstrap", lambda *_, **__: (0.0, 0.0))
    rows = [
        ("test", "s", "covid", 0.9),
        ("test", "s", "normal", 0.1),
        ("external", "ieee8023", "covid", 0.3),
        ("external", "ieee8023", "pneumonia", 0.8),
        ("external", "nlm_shenzhen", "tuberculosis", 0.2),
        ("pediatric", "k", "normal", 0.6),
        ("pediatric", "k", "pneumonia", 0.4),
        ("lungs_blacked_out", "s", "covid", 0.4),
        ("lungs_blacked_out", "s", "normal", 0.1),
    ]
    made = pd.DataFrame(rows, columns=["split", "source", "finding", "covid_probability"])
    made = made.assign(image=made.index.astype(str), group=made.index.astype(str))
    made.to_csv(tmp_path / "xray_grouped-mobilenetv2.csv", index=False)
    scoreboard.main(["--results", str(tmp_path)])
    found = {
        r["protocol"]: r for r in json.loads((tmp_path / scoreboard.BOARD).read_text()) if r["kind"] != "published"
    }
    expected = {"test": (2, 1.0), "external": (3, 0.3333), "external_covid_pneumonia": (2, 0.0), "pediatric": (2, 0.5)}
    expected["lungs_blacked_out"] = (2, 0.5)
    for name, (n, accuracy) in expected.items():
        row = found[f"xray_grouped / {name}"]
        assert (row["n"], row["figures"]["accuracy"]["value"]) == (n, accuracy)
        assert (row["modality"], row["kind"]) == ("xray", "trained for it")
    assert found["xray_grouped / external"]["figures"]["auc"]["value"] == 0.5
    assert found["xray_grouped / pediatric"]["figures"]["auc"]["value"] is None
    assert "xray_grouped / external_unseen" not in found


def test_none_or_all_of_the_images_leave_room_for_chance() -> None:
    groups = [f"patient {n // 2}" for n in range(20)]
    every, none = (evaluate.share([holds] * 20, groups) for holds in (True, False))
    # Clopper and Pearson with ten trials.
    assert (every["value"], every["low"], every["high"]) == (1, round(0.025**0.1, 4), 1)
    assert (none["value"], none["low"], none["high"]) == (0, 0, round(1 - 0.025**0.1, 4))
    assert (every["n"], every["groups"]) == (20, 10)


def test_a_predictive_value_of_one_is_no_promise() -> None:
    probability, covid = np.repeat([0.9, 0.1], 20), np.repeat([1, 0], 20)
    found = scoreboard.further(probability, covid, [str(n) for n in range(40)])
    least = round(0.025 ** (1 / 20), 4)
    assert found["sensitivity"]["low"] == found["specificity"]["low"] == least
    ppv, npv = found["ppv_at_2%"], found["npv_at_2%"]
    assert ppv["value"] == npv["value"] == 1
    assert ppv["low"] == pytest.approx(least * 0.02 / (least * 0.02 + (1 - least) * 0.98), abs=1e-4)
    assert npv["low"] == pytest.approx(least * 0.98 / (least * 0.98 + (1 - least) * 0.02), abs=1e-4)


def test_rates_of_doubt_by_hand() -> None:
    # Of 8 patients: wrong and uncertain 2, wrong and certain 1, right and certain 4, right and uncertain 1.
    probability = np.array([0.45, 0.4, 0.03, 0.97, 0.98, 0.02, 0.99, 0.6])
    covid, groups = np.array([1, 1, 1, 1, 1, 0, 1, 1]), list("abcdefgh")
    found = scoreboard.of_doubt(probability, covid, groups)
    expected = {"USen": (2 / 3, 3), "USpe": (4 / 5, 5), "UPre": (2 / 3, 3), "UAcc": (6 / 8, 8)}
    assert {name: (f["value"], f["n"]) for name, f in found.items()} == {
        name: (round(value, 4), n) for name, (value, n) in expected.items()
    }
    turned = scoreboard.of_doubt(probability[::-1], covid[::-1], groups[::-1])
    assert values(turned) == values(found), "the order of rows has no say"
    sure = scoreboard.of_doubt(np.array([0.99, 0.01]), np.array([1, 0]), ["a", "b"])
    assert [sure[name]["value"] for name in expected] == [None, 1, None, 1], "nothing is wrong, nothing uncertain"


def test_being_unlike_by_hand() -> None:
    inside = pd.DataFrame({"distance": [0.1, 0.2, 0.6], "group": list("abc")})
    outside = pd.DataFrame({"distance": [0.5, 0.9], "group": list("de")})
    found = scoreboard.apart(inside, outside)
    assert (found["value"], found["n"], found["groups"]) == (round(5 / 6, 4), 2, 2)
    assert scoreboard.apart(inside, outside[:0])["value"] is None


def test_together_are_asked_the_images_that_all_were_asked() -> None:
    few = pd.DataFrame({"image": ["a", "b"], "split": "test", "covid_probability": [0.2, 0.6]})
    more = pd.concat([few.assign(covid_probability=0.8), few.assign(split="transplanted_val")])
    _, found = scoreboard.together({"mobilenetv2": few, "resnet50": more})
    assert list(found.covid_probability) == pytest.approx([0.5, 0.7])
    with pytest.raises(ValueError, match="different images"):
        scoreboard.together({"mobilenetv2": few[1:], "resnet50": more})


def test_of_one_source_there_is_none_to_guess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "bootstrap", lambda *_, **__: (0.0, 0.0))
    facts = {"finding": ["covid", "normal"], "as_it_is": [0.9, 0.1], "group": ["a", "b"], "source": ["here", "there"]}
    both = [
        pd.DataFrame(facts | {"modality": "xray", "source_guessed": ["here", "there"]}),
        pd.DataFrame(facts | {"modality": "ct"}),
    ]
    tables.write(pd.concat(both), tmp_path / "probes-mobilenetv2.csv")
    rows = scoreboard.probed("mobilenetv2", tables.read(tmp_path / "probes-mobilenetv2.csv"))
    assert [r["protocol"] for r in rows] == ["xray / as_it_is", "xray / source_from_features", "ct / as_it_is"]


def test_calibration_has_an_error_by_chance() -> None:
    rng = np.random.default_rng(0)
    for n, least in ((50, 0.05), (5000, 0.005)):
        covid = rng.uniform(size=n)
        both = np.stack([1 - covid, covid], axis=1)
        found = evaluate.by_chance(both, [str(i) for i in range(n)])
        own = metrics.ece(both, (rng.uniform(size=n) < covid).astype(int))  # of one whose labels are so drawn
        assert found["low"] <= own <= found["high"] and found["value"] > least


def test_a_bundled_model_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "bootstrap", lambda *_, **__: (0.0, 0.0))
    rows = pd.DataFrame(
        [
            answer("a", "test", "covid", 0.97),
            answer("b", "test", "covid", 0.3, decision="uncertain", set=""),
            answer("c", "test", "normal", 0.2),
            answer("d", "test", "normal", 0.03, set="non_covid+covid"),
            answer("e", "pediatric", "normal", 0.9, distance=2.0),
            answer("f", "pediatric", "normal", 0.1, distance=0.4),
            # A part of the test images has nothing to be told from.
            answer("g", "test", "covid", 0.9, modality="ct", official_split="test", dataset="covid_ct"),
        ]
    )
    rows = pd.concat([rows, rows.assign(group=rows.group + " too")])  # one patient alone says nothing about others
    test, children, *slices = scoreboard.bundled("mobilenetv2", rows, rows)
    assert not any("auc_difference" in row["figures"] for row in (test, children))  # to itself
    # The other ranks one of the two pairs of the .3 image wrongly, and is asked about the same images.
    worse = rows.assign(probability=rows.probability.replace({0.3: 0.1}))
    compared, without, *_ = scoreboard.bundled("resnet50", worse, rows)
    assert (
        compared["figures"]["auc_difference"]["value"] == -0.25
        and without["figures"]["auc_difference"]["value"] is None
    )
    assert not any("auc_difference" in row["figures"] for row in scoreboard.bundled("resnet50", worse[1:], rows))
    assert len(slices) == 2 and not any("ood_auroc" in row["figures"] for row in slices)
    assert (test["protocol"], children["protocol"]) == ("xray / test", "xray / pediatric")
    value = {name: figure["value"] for name, figure in test["figures"].items()}
    assert (value["accuracy"], value["decided"], value["called_covid"]) == (0.75, 0.75, 0.25)
    assert (value["coverage_covid"], value["set_size_covid"], value["set_size_non_covid"]) == (0.5, 0.5, 1.5)
    # .3 and .2 are doubtful at half a bit, .97 and .03 are not: one of the doubtful is wrong.
    assert (value["USen (ensemble)"], value["USpe (ensemble)"]) == (1.0, pytest.approx(2 / 3, abs=1e-4))
    assert (value["UPre (mc_dropout)"], value["UAcc (mc_dropout)"]) == (0.5, 0.75)
    assert children["figures"]["ood_auroc"]["value"] == 0.5 and "ood_auroc" not in test["figures"]
    assert children["figures"]["sensitivity"]["value"] is None


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"group": ["01", "NA"], "official_split": ["", ""], "set": ["covid", ""], "as_it_is": [0.5, None]}
    )
    tables.write(rows, tmp_path / "rows.csv")
    pd.testing.assert_frame_equal(tables.read(tmp_path / "rows.csv"), rows)


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        scoreboard.main(["--results", str(tmp_path)])
    assert stop.value.code == 2


def values(part: Any) -> Any:
    """The same without the ends of the intervals."""
    if isinstance(part, dict):
        return {name: values(inner) for name, inner in part.items() if name not in ("low", "high")}
    return [values(inner) for inner in part] if isinstance(part, list) else part


def some_intervals(monkeypatch: pytest.MonkeyPatch, one_in: int) -> None:
    """Of the intervals only some are computed, by lot, others are nan: a thousand resamples of every figure take minutes."""
    whole, rng = metrics.bootstrap, np.random.default_rng(0)

    def bootstrap(*arrays: Any, **options: Any) -> tuple[float, float]:
        return whole(*arrays, **options) if rng.integers(one_in) == 0 else (np.nan, np.nan)

    monkeypatch.setattr(metrics, "bootstrap", bootstrap)


def intervals(part: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], tuple[float, float]]:
    """The ends of the intervals that were computed, by where they stand."""
    if isinstance(part, dict) and "low" in part:
        return {} if np.isnan([part["low"], part["high"]]).any() else {path: (part["low"], part["high"])}
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return {key: ends for name, value in inner for key, ends in intervals(value, (*path, name)).items()}


def test_what_is_published_is_what_the_rows_say(monkeypatch: pytest.MonkeyPatch) -> None:
    some_intervals(monkeypatch, one_in=10)
    published = json.loads((tables.RESULTS / scoreboard.BOARD).read_text())
    found = scoreboard.board(tables.RESULTS)
    assert values(published) == values(found)
    held, computed = intervals(published), intervals(found)
    assert computed.items() <= held.items()
    # By lot every measure has its turn; the few rows of lesions and lungs are all computed below.
    of_lesions = [number for number, row in enumerate(found) if row["modality"] == "lesions"]
    lots = {path[-1] for path in computed if path[0] not in of_lesions}
    assert {path[-1] for path in held if path[0] not in of_lesions} == lots


def test_rows_of_lesions_are_what_their_tables_say() -> None:
    def table(kind: str, model: str = "unet_ct") -> pd.DataFrame:
        return tables.read(tables.file(tables.RESULTS, kind, model))

    computed = [
        *(
            row
            for model in ("unet_ct", "unet_xray")
            for row in scoreboard.marked(model, table(tables.Kind.MASKS, model))
        ),
        *scoreboard.marked(tables.UNET, table(tables.Kind.KINDS), scoreboard.MULTI_CLASS),
        *scoreboard.chosen(table(tables.Kind.CHOICES)),
        scoreboard.folded(table(tables.Kind.LESION_FOLDS)),
        *peers.peers(),
    ]
    published = [
        row for row in json.loads((tables.RESULTS / scoreboard.BOARD).read_text()) if row["modality"] == "lesions"
    ]
    # What is left is told by others alone.
    assert [row["kind"] for row in published if row not in computed] == ["published"]
    assert all(row in published for row in computed)


def test_intervals_are_what_the_rows_say() -> None:
    published = json.loads((tables.RESULTS / scoreboard.BOARD).read_text())
    rows = {(r["protocol"], r["model"]): r["figures"] for r in published if r["kind"] != "published"}
    table = tables.read(tables.RESULTS / "sars_random-mobilenetv2.csv")
    assert rows["sars_random", "mobilenetv2"] == scoreboard.trained("sars_random", "mobilenetv2", table)[0]["figures"]
    name = "covid_ct_official_test"
    answered = tables.read(tables.file(tables.RESULTS, tables.Kind.ANSWERS, registry.DEFAULT))
    own = evaluate.part(answered[evaluate.protocols(answered)["ct"][name]])
    assert weights.load_config(registry.get(registry.DEFAULT))["metrics"]["ct"][name] == own
    board = rows[f"ct / {name}", registry.DEFAULT]
    shared = set(own) & set(board)
    assert "auc" in shared and all(board[measure] == own[measure] for measure in shared)


def test_what_nobody_looked_at_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    some_intervals(monkeypatch, one_in=50)
    rows = tables.read(tables.file(tables.RESULTS, tables.Kind.ANSWERS, registry.DEFAULT))
    own = evaluate.classifier_metrics(rows[rows.split == "test"])["gate"]
    assert set(own) == {"test_accepted", "modality_right"}


@pytest.mark.parametrize("spec", registry.MODELS.values(), ids=lambda s: s.name)
def test_a_models_own_figures_are_what_its_rows_say(spec: registry.ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    if spec.task == "segment":
        figures = evaluate.segmenter_metrics(tables.read(tables.file(tables.RESULTS, tables.Kind.MASKS, spec.name)))
        assert weights.load_config(spec)["metrics"] == figures
        return
    some_intervals(monkeypatch, one_in=7)
    figures = evaluate.classifier_metrics(tables.read(tables.file(tables.RESULTS, tables.Kind.ANSWERS, spec.name)))
    held = weights.load_config(spec)["metrics"]
    assert values(held) == values(figures)
    assert intervals(figures) and intervals(figures).items() <= intervals(held).items()

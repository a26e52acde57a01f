"""Maps that others published: our metric gives the paper's figures on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests import golden
from train import published


def test_the_metric_is_the_papers() -> None:
    # Fan 2020, arXiv 2004.14133, table 2, and its maps at 0.5.
    expected = {
        "U-Net": (0.4391, 0.541),
        "U-Net++": (0.5810, 0.706),
        "Inf-Net": (0.6820, 0.738),
        "Semi-Inf-Net": (0.7390, 0.770),
    }
    found = {row["model"]: row["figures"] for row in published.peers()}
    assert set(found) == set(expected)
    for model, (mean, at_half) in expected.items():
        assert found[model]["mean_dice_over_thresholds"]["value"] == pytest.approx(mean, abs=5e-5)
        assert found[model]["dice_at_0.5"]["value"] == pytest.approx(at_half, abs=5e-4)
        assert all(figure["n"] == 48 and figure["low"] < figure["high"] for figure in found[model].values())


def test_rows_of_maps(tmp_path: Path) -> None:
    folder = tmp_path / "ct_lesions_infnet"
    truth = np.array(golden.PICTURES["ct-lesions"]().lesions)
    maps = {"perfect": truth, "nothing": ~truth}
    for name in ("test", *(f"published_predictions/{model}" for model in maps)):
        (folder / name / "images" if name == "test" else folder / name).mkdir(parents=True)
    (folder / "test" / "images" / "1.png").write_bytes(golden.png("ct-lesions"))
    for file, values in {
        "test/1.png": truth,
        **{f"published_predictions/{m}/1.png": values for m, values in maps.items()},
    }.items():
        Image.fromarray((values.T * 255).astype(np.uint8)).save(folder / file)
    (folder / "manifest.csv").write_text(
        "image,lesions,classes,split,same_patient_as_test\ntest/images/1.png,test/1.png,,test,\n"
    )
    data = ["--data", f"manifests={tmp_path}"]
    published.main([*data, "--out", str(tmp_path / "rows.csv")])
    found = pd.read_csv(tmp_path / "rows.csv").set_index("model")
    assert found.dice.to_dict() == {"nothing": 0, "perfect": 1}
    assert found.mean_dice["perfect"] > 0.99 > 0.01 > found.mean_dice["nothing"]
    (folder / "published_predictions" / "perfect" / "1.png").unlink()
    with pytest.raises(ValueError, match="holds no map of the slice"):
        published.rows(data[1:])

"""The bundled weights give the answers they gave when they were bundled, through API, command line and page alike."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from covid_core import registry, report
from covid_core.engine import TOLERANCE
from tests import golden

EXPECTED = json.loads(golden.FILE.read_text())
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", golden.PICTURES)
def test_api(name: str) -> None:
    found, expected = golden.answer(name), EXPECTED[name]
    assert found["decision"] == expected["decision"]
    assert found["ood_score"] == pytest.approx(expected["ood_score"], abs=5 * TOLERANCE)
    if expected["probability"] is not None:
        assert found["probability"] == pytest.approx(expected["probability"], abs=5 * TOLERANCE)
        assert found["interval"] == pytest.approx(expected["interval"], abs=5 * TOLERANCE)
    assert found["lung_pixels"] == pytest.approx(expected["lung_pixels"], rel=0.01)
    assert found["lesion_pixels"] == pytest.approx(expected["lesion_pixels"], rel=0.02, abs=20)


@pytest.mark.parametrize("name", golden.PICTURES)
def test_every_classifier(name: str) -> None:
    expected = EXPECTED[name]["probabilities"]
    assert set(expected) == {spec.name for spec in registry.MODELS.values() if spec.task == "classify"}
    for model, probability in golden.probabilities(name).items():
        assert probability == pytest.approx(expected[model], abs=5 * TOLERANCE), model


def test_command_line(tmp_path: Path) -> None:
    for name in golden.PICTURES:
        (tmp_path / f"{name}.png").write_bytes(golden.png(name))
    for modality in ("xray", "ct"):
        files = [str(tmp_path / f"{n}.png") for n in golden.PICTURES if golden.MODALITY[n] == modality]
        command = [sys.executable, "-m", "covid_core", "classify", *files, "--modality", modality, "--json"]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        for line in run.stdout.splitlines():
            row = json.loads(line)
            expected = EXPECTED[Path(row["file"]).stem]
            assert row["decision"] == expected["decision"]
            assert row["weights_sha256"] == registry.get("mobilenetv2").files[registry.WEIGHTS]
            if expected["probability"] is not None:
                assert row["covid_probability"] == pytest.approx(expected["probability"], abs=5 * TOLERANCE)


def test_page() -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    next(b for b in app.button if b.label == "Phantom CT slice, with lesions").click()
    app.run()
    next(c for c in app.button_group if c.key == "modality").set_value("ct")
    app.run()
    assert not app.exception
    shown = " ".join(e.value for kind in (app.success, app.error, app.warning) for e in kind)
    expected = EXPECTED["ct-lesions"]
    words = {"covid": "COVID-19 pattern", "non_covid": "No COVID-19", "uncertain": "Cannot say", "refused": "No answer"}
    assert words[expected["decision"]] in shown
    if expected["probability"] is not None:
        assert report.percent(expected["probability"]) in shown

"""Publishing against a Hub on this machine: what is uploaded can be fetched and loaded, and gives the golden tensors."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load

from covid_core import engine, registry, weights
from tests.hub_server import Fault, HubServer
from train import card, datasets, golden, publish

ROOT = Path(__file__).parents[2]


def run(hub: HubServer, *arguments: str, token: str = "hf_test") -> subprocess.CompletedProcess[str]:
    # Files go over plain HTTP: the protocol of the Hub's newer store is not spoken here.
    wanted = {"HF_ENDPOINT": hub.url, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "train.publish", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | wanted, capture_output=True, text=True, check=False)


def front_matter(text: str) -> dict[str, object]:
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert found
    return yaml.safe_load(found[1])


def test_what_is_published_is_found_again_in_an_empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with HubServer() as hub:
        done = run(hub, "--repo", "me/covid-core", "--space", "me/demo", "--models", "unet_ct")
        assert done.returncode == 0, done.stderr
        (commit,) = hub.repos["me/covid-core-unet_ct"]
        assert f'"unet_ct": ("me/covid-core-unet_ct", "{commit}"),' in done.stdout
        spec = registry.get("unet_ct")
        assert all(f'"{file}": "{sha}",' in done.stdout for file, sha in spec.files.items())

        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("COVID_CORE_CACHE", str(tmp_path / "converted"))
        monkeypatch.setattr(weights, "ASSETS", tmp_path / "none")
        published = replace(spec, repo="me/covid-core-unet_ct", revision=commit)
        assert weights.status(published) is weights.Status.HUB
        tensors = load(hub.repos["me/covid-core-unet_ct"][commit][golden.FILE])
        given = engine.start(published, "ct", "torch")(tensors["ct.input"])
        np.testing.assert_allclose(given, tensors["ct.output"], atol=1e-5)
        assert weights.load_config(published) == json.loads(hub.repos["me/covid-core-unet_ct"][commit]["config.json"])
        assert weights.status(published) is weights.Status.CACHED

        assert hub.kinds["me/demo"]["type"] == "space" and hub.kinds["me/demo"]["sdk"] == "docker"
        (space,) = hub.repos["me/demo"].values()
        assert {"Dockerfile", "app.py", "pages/diagnose.py", "covid_core/assets/unet_ct/model.safetensors"} <= set(
            space
        )
        assert front_matter(space["README.md"].decode())["sdk"] == "docker"
        # The repository is there by now, and holds what later weights do not have.
        files = hub.repos["me/covid-core-unet_ct"][commit]
        hub.add("me/covid-core-unet_ct", commit, "model-00001-of-00002.safetensors", b"stale")
        hub.add("me/covid-core-unet_ct", commit, ".gitattributes", b"the Hub's own")
        again = run(hub, "--repo", "me/covid-core", "--models", "unet_ct")
        assert again.returncode == 0, again.stderr
        *_, last = hub.repos["me/covid-core-unet_ct"].values()
        assert set(last) == set(files) - {"model-00001-of-00002.safetensors"} and ".gitattributes" in last


def test_a_dry_run_shows_every_file_and_asks_nobody() -> None:
    with HubServer() as hub:
        done = run(hub, "--repo", "me/covid-core", "--space", "me/demo", "--dry-run")
        assert done.returncode == 0, done.stderr
        assert not hub.requests
    for name, spec in registry.MODELS.items():
        assert f"me/covid-core-{name}\n" in done.stdout
        assert all(f"  {file}  " in done.stdout for file in spec.files)
    assert "Dockerfile" in done.stdout and "PUBLISHED" not in done.stdout


def test_what_goes_wrong_is_said() -> None:
    with HubServer() as hub:
        assert run(hub, "--repo", "nobody", "--dry-run").returncode == 2
        for wrong in (
            run(hub, "--repo", "me/x", "--models", "unet_ct", token="hf_other"),
            broken(hub, Fault("status", 403)),
            broken(hub, Fault("upload", 400)),
        ):
            assert wrong.returncode == 1 and "Traceback" not in wrong.stderr
            assert wrong.stderr.splitlines()[-1].startswith("error: ") and "hf auth login" in wrong.stderr
        assert not hub.repos


def broken(hub: HubServer, fault: Fault) -> subprocess.CompletedProcess[str]:
    hub.fault = fault
    return run(hub, "--repo", "me/x", "--models", "unet_ct")


# Where the models come from; the ImageNet start of the others was never on the Hub.
OWN = "me/covid-core"
BASES = {
    "resnet50": ["onnxmodelzoo/legacy_models", f"{OWN}-mobilenetv2"],
    "inception_resnet_v2": [f"{OWN}-mobilenetv2"],
    "ensemble": [f"{OWN}-mobilenetv2", f"{OWN}-resnet50", f"{OWN}-inception_resnet_v2"],
}


@pytest.mark.parametrize("name", list(registry.MODELS))
def test_cards_carry_figures_that_machines_read(name: str) -> None:
    spec = registry.get(name)
    config = weights.load_config(spec)
    text = card.card(spec, config, datasets.sources())
    assert (weights.ASSETS / name / "README.md").read_text() == text
    front = front_matter(card.card(spec, config, datasets.sources(), OWN))
    assert {"license", "library_name", "pipeline_tag", "datasets", "model-index"} <= set(front)
    assert front.get("base_model", []) == BASES.get(name, [])
    (index,) = front["model-index"]
    told = [
        (result["dataset"]["name"], metric["type"], metric["value"])
        for result in index["results"]
        for metric in result["metrics"]
    ]
    measured = [(part, measure, value) for part, measure, value in _figures(config["metrics"])]
    assert sorted(told) == sorted(measured) and told
    assert front["datasets"] == list(card.used(spec, datasets.sources()))


def test_how_weights_were_made_is_told_of_no_others() -> None:
    own = {name: spec for name, spec in registry.MODELS.items() if not spec.members}
    told = {f"{name}-{registry.weights_sha256(spec)[:12]}.md" for name, spec in own.items()}
    assert told == {file.name for file in card.HISTORIES.iterdir()}
    for name, spec in own.items():
        config, sources = weights.load_config(spec), datasets.sources()
        made = next(card.HISTORIES.glob(f"{name}-*")).read_text().split("---\n")[2].strip()
        assert made in card.card(spec, config, sources)
        other = replace(spec, files={file: "0" * 64 for file in spec.files})
        untold = card.card(other, config, sources)
        assert made not in untold and card.UNTOLD in untold
        assert "## Training data" not in untold and "datasets:" not in untold.partition("\n# ")[0]


def _figures(metrics: dict[str, object], path: tuple[str, ...] = ()) -> list[tuple[str, str, float]]:
    found = []
    for name, value in metrics.items():
        if isinstance(value, dict) and value.get("value") is not None:
            found.append((" / ".join(path), name, value["value"]))
        elif isinstance(value, dict) and "value" not in value:
            found += _figures(value, (*path, name))
    return found


def test_the_app_has_all_files_it_needs_and_none_too_many() -> None:
    files = publish.app_files()
    assert not [f for f in files if "__pycache__" in f or f.startswith(("tests", "work", ".git/"))]
    assert json.loads(files["train/results/scoreboard.json"])

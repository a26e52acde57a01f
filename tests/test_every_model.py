"""One contract for every model: files, hashes, engines that agree, shapes, and figures that say their n."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from covid_core import classify, diagnose, engine, images, plain, registry, source, weights
from covid_core.classify import METHODS
from covid_core.explain import explain
from tests import golden

SPECS = list(registry.MODELS.values())
CLASSIFIERS = [s for s in SPECS if s.task == "classify"]
NETWORKS = [s for s in SPECS if not s.members]


def names(spec: registry.ModelSpec) -> str:
    return spec.name


@pytest.mark.parametrize("spec", SPECS, ids=names)
def test_files_are_bundled_and_pinned(spec: registry.ModelSpec) -> None:
    extra = {source.FILE} if spec.task == "classify" and not spec.members else set()
    extra |= {plain.FILE} if spec.name == registry.DEFAULT else set()
    is_sharded = len(spec.weights) > 1
    assert set(spec.files) == extra | {registry.CONFIG, *spec.weights, *({registry.INDEX} if is_sharded else ())}
    assert is_sharded or spec.weights == (() if spec.members else (registry.WEIGHTS,))
    assert all(weights.locate(spec, name).stat().st_size < 50e6 for name in spec.weights)
    assert len(registry.weights_sha256(spec)) == 64
    for file, digest in spec.files.items():
        assert weights.sha256(weights.locate(spec, file)) == digest
    config = weights.load_config(spec)
    assert config["model"] == spec.name and config["sizes"] == dict(spec.sizes)


@pytest.mark.parametrize("spec", NETWORKS, ids=names)
def test_engines_agree(spec: registry.ModelSpec) -> None:
    is_shared = not any(name.startswith("ct.") for name in weights.names(weights.locate_weights(spec)))
    for modality in spec.modalities[: 1 if is_shared else None]:
        size = spec.sizes[modality]
        batch = np.random.default_rng(0).uniform(-1, 1, (2, 1, size, size)).astype(np.float32)
        one, two = engine.start(spec, modality, "openvino")(batch), engine.start(spec, modality, "torch")(batch)
        assert one.shape == two.shape
        assert np.abs(one - two).max() < engine.TOLERANCE * max(1.0, float(np.abs(two).max()))


def test_pictures_answer_alike_however_many_run_at_once() -> None:
    spec = registry.get("unet_xray")
    run = engine.start(spec, "xray", "openvino")
    batch = np.random.default_rng(0).uniform(-1, 1, (5, 1, spec.sizes["xray"], spec.sizes["xray"])).astype(np.float32)
    together = run(batch)
    for count in (1, 2, 3, 1):  # there and back between networks of a fixed and of any number
        assert np.abs(run(batch[:count]) - together[:count]).max() < engine.TOLERANCE


def test_the_engine_can_be_chosen_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = registry.get(registry.DEFAULT)
    monkeypatch.setenv("COVID_CORE_ENGINE", "torch")
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_torch", lambda *_: "by torch")
        assert engine.start(spec, "xray") == "by torch"
        assert engine.start(spec, "xray", "openvino") != "by torch"
    monkeypatch.setenv("COVID_CORE_ENGINE", "tensorflow")
    with pytest.raises(
        weights.WeightsError, match="no engine 'tensorflow', which COVID_CORE_ENGINE names. Choose one of"
    ):
        engine.start(spec, "xray")
    with pytest.raises(ValueError, match="no engine 'onnx'. Choose one of: auto, openvino, torch"):
        engine.start(spec, "xray", "onnx")  # type: ignore[arg-type]


def test_modalities_of_one_backbone_may_differ_in_size(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(registry.get("resnet50"), sizes={"xray": 224, "ct": 256})
    started: list[str] = []
    monkeypatch.setattr(engine, "start", lambda _, modality: started.append(modality) or len(started))
    runs = classify.Classifier.load(spec).runs
    assert started == ["xray", "ct"] and runs["xray"] != runs["ct"]
    started.clear()
    runs = classify.Classifier.load(registry.get("resnet50")).runs
    assert len(started) == 1 and runs["xray"] == runs["ct"]


def test_a_model_that_is_loading_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "_loaded", {})
    monkeypatch.setattr(diagnose, "_loading", {})
    begun, go_on, loaded = threading.Event(), threading.Event(), []

    def load(spec: registry.ModelSpec) -> str:
        loaded.append(spec.name)
        if spec.name == "resnet50":
            begun.set()
            assert go_on.wait(30)
        return spec.name

    monkeypatch.setattr(classify.Classifier, "load", load)
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(diagnose.classifier, "resnet50") for _ in range(2)]
        assert begun.wait(30)
        assert str(diagnose.classifier("mobilenetv2")) == "mobilenetv2"
        go_on.set()
        assert [str(one.result(30)) for one in slow] == ["resnet50"] * 2
    assert loaded == ["resnet50", "mobilenetv2"]


@pytest.mark.parametrize("kind", ["openvino", "torch"])
def test_numpy_leaves_the_cores_to_the_networks(kind: engine.Kind) -> None:
    spec = registry.get(registry.DEFAULT)
    with threadpool_limits(2, user_api="blas"):
        engine.start(spec, "xray", kind)
        found = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert found and set(found) == {1}


@pytest.mark.parametrize("spec", CLASSIFIERS, ids=names)
@pytest.mark.parametrize("name", golden.PICTURES)
def test_an_answer_is_complete(spec: registry.ModelSpec, name: str) -> None:
    picture = images.decode(golden.png(name), name)
    classifier = diagnose.classifier(spec.name)
    modality = golden.MODALITY[name]
    segmentation = diagnose.segmenter(modality).segment(picture.pixels)
    glance = diagnose.look(picture)
    features = classifier.features(picture, modality, segmentation)
    for method, count in zip(METHODS, (50, 5, 250), strict=True):
        answer = classifier.answer(features, glance, modality, method)  # type: ignore[arg-type]
        assert answer.samples.shape == (count * max(1, len(spec.members)),)
        assert answer.probability is not None and answer.interval is not None
        assert answer.interval[0] <= answer.probability <= answer.interval[1] or method == "ensemble"
        assert answer.decision in ("covid", "non_covid", "uncertain")
        assert answer.aleatoric is not None and 0 <= answer.aleatoric <= 1
        assert answer.epistemic is not None and 0 <= answer.epistemic <= 1
    wider = classifier.answer(features, glance, modality, level=0.99)
    narrow = classifier.answer(features, glance, modality, level=0.80)
    assert set(narrow.prediction_set) <= set(wider.prediction_set)
    assert segmentation.lungs.shape == segmentation.uncertainty.shape == picture.shape
    assert not (segmentation.lesions & ~segmentation.lungs).any()


@pytest.mark.parametrize("spec", CLASSIFIERS, ids=names)
def test_grad_cam_adds_up_to_the_logit(spec: registry.ModelSpec) -> None:
    picture = images.decode(golden.png("xray-lesions"), "x")
    classifier = diagnose.classifier(spec.name)
    segmentation = diagnose.segmenter("xray").segment(picture.pixels)
    features = classifier.features(picture, "xray", segmentation)
    shown = explain(classifier, features, "xray", segmentation.lungs)
    logit = classifier.sample(features.pooled, "xray", "ensemble").mean() / classifier.config["temperature"]["xray"]
    assert float(shown.cells.sum()) + shown.opacity + shown.bias == pytest.approx(float(logit), abs=1e-4)


@pytest.mark.parametrize("spec", [s for s in CLASSIFIERS if not s.members], ids=names)
def test_loading_is_strict(spec: registry.ModelSpec, tmp_path) -> None:
    from safetensors.numpy import save_file

    state = weights.read(weights.locate_weights(spec), "")
    state.pop(next(n for n in state if n.startswith(("ct.body.", "body.")) and n.endswith(".weight")))
    save_file(state, tmp_path / "model.safetensors")
    from covid_core import networks

    with pytest.raises(RuntimeError, match="Missing key"):
        networks.load(spec, [tmp_path / "model.safetensors"], "ct")


@pytest.mark.parametrize("spec", SPECS, ids=names)
def test_card_and_config_say_the_same(spec: registry.ModelSpec) -> None:
    from train import card, datasets

    config = json.loads((weights.ASSETS / spec.name / registry.CONFIG).read_text())
    assert card.card(spec, config, datasets.sources()) == (weights.ASSETS / spec.name / "README.md").read_text()
    assert card.rows(config["metrics"])


def test_answers_do_not_depend_on_company() -> None:
    classifier = diagnose.classifier("mobilenetv2")
    size = len(classifier.mean_heads("ct")[0][0])
    pooled = np.abs(np.random.default_rng(1).normal(size=(3, size))).astype(np.float32)
    together = classifier.probabilities(pooled, "ct")
    for row in range(3):
        assert np.allclose(classifier.probabilities(pooled[row], "ct"), together[row], atol=1e-5)
    assert classify.CLASSES == ("non_covid", "covid")

"""An ensemble against its members, and Grad-CAM on grids of two sizes."""

import numpy as np
import pytest

from covid_core import classify, diagnose, explain, images, registry, uncertainty, weights
from covid_core.ensemble import Ensemble
from tests import golden


def joined() -> tuple[Ensemble, classify.Classifier]:
    """The default model twice, at half its certainty."""
    member = diagnose.classifier("mobilenetv2")
    assert isinstance(member, classify.Classifier)
    config = {**member.config, "temperature": {"xray": 2.0, "ct": 2.0}}
    return Ensemble(registry.get("ensemble"), [member, member], config), member


def test_its_samples_are_those_of_its_members() -> None:
    ensemble, member = joined()
    picture = images.decode(golden.png("ct-lesions"), "ct")
    found = diagnose.segmenter("ct").segment(picture.pixels)
    alone, together = (model.features(picture, "ct", found) for model in (member, ensemble))
    assert together.pooled == pytest.approx(np.tile(alone.pooled, 2))
    for method in classify.METHODS:
        logits = member.sample(alone.pooled, "ct", method) / member.config["temperature"]["ct"]
        assert ensemble.sample(together.pooled, "ct", method) == pytest.approx(np.tile(logits, 2), abs=1e-4)
    one, two = (explain.explain(m, f, "ct", found.lungs) for m, f in ((member, alone), (ensemble, together)))
    assert two.cells == pytest.approx(one.cells / 2, abs=1e-5)  # its own temperature halves every logit
    assert (two.opacity, two.bias) == pytest.approx((one.opacity / 2, one.bias / 2))


def test_members_that_contradict_each_other_are_epistemic_uncertainty() -> None:
    _, member = joined()

    def sure(sign: float) -> classify.Classifier:
        heads = {"xray": np.full((5, 4), sign, np.float32), "ct": np.full((5, 4), sign, np.float32)}
        tensors = {f"heads.{m}.weight": w for m, w in heads.items()}
        tensors |= {f"heads.{m}.bias": np.zeros(5, np.float32) for m in heads}
        return classify.Classifier(member.spec, {}, tensors, member.config, member.gate)

    pooled, members = np.full(4, 3.0, np.float32), [sure(1.0), sure(-1.0)]
    ensemble = Ensemble(registry.get("ensemble"), members, {**member.config, "temperature": {"xray": 1.0, "ct": 1.0}})
    alone = [uncertainty.summarise(m.probabilities(pooled, "ct", "ensemble")).epistemic for m in members]
    together = uncertainty.summarise(ensemble.probabilities(np.tile(pooled, 2), "ct", "ensemble")).epistemic
    assert max(alone) < 1e-6 and together > 0.5


def test_a_map_on_a_finer_grid_keeps_its_sum_and_place() -> None:
    cells = np.zeros((7, 7))
    cells[0, 6] = 2.0
    finer = explain._on_grid(cells, 8)
    assert finer.shape == (8, 8) and finer.sum() == pytest.approx(2.0)
    assert finer[0, 7] == finer.max() and finer[2:].sum() == 0


@pytest.mark.parametrize("spec", registry.SPECS, ids=lambda spec: spec.name)
def test_a_model_nobody_has_trained_is_not_offered_and_says_so(spec: registry.ModelSpec) -> None:
    assert set(spec.members) <= {other.name for other in registry.SPECS}
    if not spec.files:
        assert spec.name not in registry.MODELS
        with pytest.raises(weights.WeightsError, match="not published"):
            diagnose.classifier(spec.name)

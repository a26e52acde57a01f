"""ImageNet's three channels become the one grey channel of this project's networks."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from covid_core import networks, registry
from train import initial


def test_resnet50_has_a_norm_before_its_pooling() -> None:
    stem = networks.Backbone("resnetv2_50").body.stem
    assert [name for name, _ in stem.named_children()] == ["conv", "norm", "pool"]
    assert stem(torch.randn(1, 1, 64, 64)).min() >= 0


@pytest.mark.parametrize("architecture", sorted(initial.SCALES))
def test_grey_gives_what_three_scaled_channels_give(architecture: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = networks.Backbone(architecture).eval()
    stem, norm = initial.STEMS[architecture]
    kernel, shift = network.body.get_parameter(stem), network.body.get_buffer(norm)
    stride = 2
    colour = torch.randn(len(kernel), 3, *kernel.shape[2:])
    state = {**network.body.state_dict(), stem: colour, norm: torch.randn_like(shift)}
    save_file({name: value.contiguous() for name, value in state.items()}, str(tmp_path / "colour.safetensors"))
    initial.initialise(network, architecture, str(tmp_path / "colour.safetensors"))

    grey = torch.rand(1, 1, 32, 32) * 2 - 1
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in initial.SCALES[architecture])
    scaled = ((grey + 1) / 2 - mean) / deviation
    expected = torch.conv2d(scaled, colour, stride=stride) - state[norm].view(1, -1, 1, 1)
    found = torch.conv2d(grey, kernel, stride=stride) - shift.view(1, -1, 1, 1)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_what_a_unet_marks_besides_starts_from_zeros(tmp_path: Path) -> None:
    two, three = networks.UNet("mobilenetv2_100", 2), networks.UNet("mobilenetv2_100", 3)
    file = tmp_path / "two.safetensors"
    initial.save(two, file)
    initial.initialise(three, "mobilenetv2_100", str(file))
    before, after = two.half().float().state_dict(), three.state_dict()
    assert all(after[name][: len(value)].equal(value) for name, value in before.items() if value.ndim)
    assert not any(after[f"body.segmentation_head.0.{part}"][2:].any() for part in ("weight", "bias"))


def test_two_backbones_start_no_shared_one() -> None:
    backbone = networks.Backbone("mobilenetv2_100")
    with pytest.raises(ValueError, match="mobilenetv2 has a backbone for each modality"):
        initial.initialise(backbone, "mobilenetv2_100", "mobilenetv2", "both")


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet50"])
def test_a_unet_starts_from_a_bundled_classifier(name: str) -> None:
    architecture = registry.get(name).architecture
    unet, backbone = networks.UNet(architecture, 2), networks.Backbone(architecture)
    initial.initialise(unet, architecture, name, "ct")
    initial.initialise(backbone, architecture, name, "ct")
    encoder = unet.body.encoder.model.eval()
    picture = torch.rand(1, 1, 64, 64) * 2 - 1
    with torch.inference_mode():
        deepest = encoder(picture)[-1]
        if name == "resnet50":  # pre-activation: the backbone has a norm more
            deepest = backbone.body.norm.eval()(deepest)
        # Of MobileNetV2 the encoder lacks the last convolution.
        expected = backbone.eval()(picture)
        found = deepest if name == "resnet50" else backbone.body.bn2(backbone.body.conv_head(deepest))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_without_a_network_it_is_said_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    def offline(*_: object, **__: object) -> None:
        raise OSError("no connection")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ValueError, match=r"could not be fetched from the Hub: no connection\n.*--init FILE"):
        initial._from_hub("mobilenetv2_100")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"something": torch.zeros(2)}, str(file))
    with pytest.raises(ValueError, match="another network"):
        initial.initialise(networks.Backbone("mobilenetv2_100"), "mobilenetv2_100", str(file))

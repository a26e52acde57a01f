"""Starting weights for a backbone or a U-Net's encoder: ImageNet from the Hub, a file, or random."""

from pathlib import Path

import torch
from torch import Tensor, nn

from covid_core.networks import Backbone, UNet

# timm's weights on the Hugging Face Hub, for `--init imagenet`.
HUB_TAGS = {
    "mobilenetv2_100": "mobilenetv2_100.ra_in1k",
    "resnetv2_50": "resnetv2_50.a1h_in1k",
    "inception_resnet_v2": "inception_resnet_v2.tf_in1k",
}


def initialise(network: Backbone | UNet, architecture: str, init: str) -> str:
    """Load starting weights in place.

    Args:
        network: to be filled; its own first convolution takes one grey channel.
        architecture: timm's name.
        init: "imagenet" (needs a network), "random", or a safetensors file: ImageNet weights under timm's names, the
            weights of a network like this one (all of it is loaded), or of another network of this project with the same
            backbone (a U-Net's encoder starts a classifier).

    Returns:
        one line on what was loaded.
    """
    if init == "random":
        return "random weights"
    if init != "imagenet" and _is_like(network, Path(init)):
        from safetensors.torch import load_model

        load_model(network, init)
        return f"all tensors from {init}"
    state = _from_hub(architecture) if init == "imagenet" else _from_file(Path(init))
    body = network.body.encoder.model if isinstance(network, UNet) else network.body
    wanted = body.state_dict()
    found = {name: _fit(value, wanted[name]) for name, value in state.items() if name in wanted}
    found = {name: value for name, value in found.items() if value.shape == wanted[name].shape}
    if len(found) < len(wanted) // 2:
        raise ValueError(f"{init} holds {len(found)} of the {len(wanted)} tensors of {architecture}: another network?")
    body.load_state_dict(found, strict=False)
    return f"{len(found)} of {len(wanted)} tensors from {init}"


def _is_like(network: nn.Module, file: Path) -> bool:
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        return set(tensors.keys()) == set(network.state_dict())


def _fit(value: Tensor, wanted: Tensor) -> Tensor:
    """A colour picture with three equal channels and the grey picture must give the same: sum over the channels."""
    if value.ndim == 4 and value.shape[1] == 3 and wanted.shape[1] == 1:
        value = value.sum(dim=1, keepdim=True)
    return value


def _from_hub(architecture: str) -> dict[str, Tensor]:
    import timm

    pretrained = timm.create_model(HUB_TAGS[architecture], pretrained=True)
    return dict(pretrained.state_dict())


def _from_file(file: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    state = {name: value.float() if value.is_floating_point() else value for name, value in load_file(file).items()}
    for prefix in ("body.encoder.model.", "body."):
        inner = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if inner:
            return inner
    return state


def save(network: nn.Module, file: Path) -> None:
    """Weights as fp16 safetensors: half the size, and the inference engine computes in float32 all the same."""
    from safetensors.torch import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    state = network.state_dict()
    save_file({n: (v.half() if v.is_floating_point() else v).contiguous().cpu() for n, v in state.items()}, str(file))


def seed_everything(seed: int) -> torch.Generator:
    """Seed torch, numpy and Python through Lightning; returns a generator for the samplers."""
    import lightning

    lightning.seed_everything(seed, verbose=False, workers=True)
    return torch.Generator().manual_seed(seed)

"""Starting weights for a backbone or a U-Net's encoder: ImageNet from the Hub, a file, or random."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from covid_core import registry, weights
from covid_core.networks import Backbone, UNet
from train import script

Scale = tuple[Sequence[float], Sequence[float]]  # mean and standard deviation of red, green and blue in 0..1
# timm's weights on the Hugging Face Hub, for `--init imagenet`.
HUB_TAGS = {
    "mobilenetv2_100": "mobilenetv2_100.ra_in1k",
    "resnetv2_50": "resnetv2_50.a1h_in1k",
    "inception_resnet_v2": "inception_resnet_v2.tf_in1k",
}


# Stem convolution and the norm behind it, by architecture.
STEMS = {
    "mobilenetv2_100": ("conv_stem.weight", "bn1.running_mean"),
    "resnetv2_50": ("stem.conv.weight", "stem.norm.running_mean"),
    "inception_resnet_v2": ("conv2d_1a.conv.weight", "conv2d_1a.bn.running_mean"),
}
# How names begin in ResNet50, and in the same network as the encoder of a U-Net.
ENCODER_NAMES = {"stages.": "stages_", "stem.": "stem_conv."}
# What ImageNet weights in a file expect.
SCALES: dict[str, Scale] = {
    "mobilenetv2_100": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    # GluonCV's, its own input norm folded in.
    "resnetv2_50": ((0.45222, 0.42571, 0.37757), (0.28551, 0.27888, 0.28231)),
}


def initialise(network: Backbone | UNet, architecture: str, init: str, modality: str = "") -> str:
    """Load starting weights in place.

    Args:
        network: to be filled; its own first convolution takes one grey channel.
        architecture: timm's name.
        init: "imagenet" (needs a network), "random", the name of a bundled classifier, whose backbone is taken, or a safetensors
            file: ImageNet weights under timm's names, the weights of a network like this one (all of it is loaded; what a
            U-Net marks besides starts from zeros), or of another network of this project with the same backbone (a U-Net's
            encoder starts a classifier).
        modality: whose backbone, where that classifier has one for each.

    Returns:
        one line on what was loaded.
    """
    if init == "random":
        return "random weights"
    is_named = init == "imagenet" or init in script.TRAINED
    if not is_named and _is_like(network, Path(init)):
        from safetensors.torch import load_file

        try:
            network.load_state_dict(_widened(load_file(init), network.state_dict()))
        except RuntimeError as error:  # tensors of other shapes
            raise ValueError(f"{init} holds the weights of another network than {architecture}.") from error
        return f"all tensors from {init}"
    scale = SCALES.get(architecture)
    if init == "imagenet":
        state, scale = _from_hub(architecture)
    else:
        state = _of_bundled(init, modality) if is_named else _from_file(Path(init))
    body = network.body.encoder.model if isinstance(network, UNet) else network.body
    wanted = body.state_dict()
    if scale is not None:
        state = _for_grey(state, *STEMS[architecture], *scale)
    if isinstance(network, UNet):
        for begin, other in ENCODER_NAMES.items():
            state = {other + n.removeprefix(begin) if n.startswith(begin) else n: v for n, v in state.items()}
    found = {name: value for name, value in state.items() if name in wanted and value.shape == wanted[name].shape}
    if len(found) < len(wanted) // 2:
        raise ValueError(f"{init} holds {len(found)} of the {len(wanted)} tensors of {architecture}: another network?")
    body.load_state_dict(found, strict=False)
    fresh = sorted({name.rsplit(".", 1)[0] for name in wanted.keys() - found.keys()})
    said = f"; as they were: {', '.join(fresh)}" if fresh else ""
    return f"{len(found)} of {len(wanted)} tensors from {init}{said}"


def _is_like(network: nn.Module, file: Path) -> bool:
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        return set(tensors.keys()) == set(network.state_dict())


def _widened(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state with zeros for the channels that its last layer does not have yet."""
    return {
        name: torch.cat([value, value.new_zeros(len(wanted[name]) - len(value), *value.shape[1:])])
        if value.ndim and value.shape[1:] == wanted[name].shape[1:] and len(value) < len(wanted[name])
        else value
        for name, value in state.items()
    }


def _for_grey(
    state: dict[str, Tensor], stem: str, norm: str, mean: Sequence[float], deviation: Sequence[float]
) -> dict[str, Tensor]:
    """The state for one channel in -1..1: it gives what three equal ones, scaled as the weights expect, would give.

    Args:
        state: weights; returned as they are without a stem of three channels.
        stem: name of its convolution.
        norm: name of the running mean behind it, which takes up what scaling shifts (but for the zeros at the border).
        mean: of the channels, 0..1.
        deviation: of the channels.
    """
    kernel = state.get(stem)
    if kernel is None or kernel.shape[1] != 3:
        return state
    middle, wide = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(deviation).view(1, 3, 1, 1)
    changed = {stem: (kernel / (2 * wide)).sum(dim=1, keepdim=True)}
    if norm in state:
        changed[norm] = state[norm] - (kernel * (0.5 - middle) / wide).sum(dim=(1, 2, 3))
    return {**state, **changed}


def _from_hub(architecture: str) -> tuple[dict[str, Tensor], Scale]:
    import timm

    try:
        pretrained: Any = timm.create_model(HUB_TAGS[architecture], pretrained=True)
    except (OSError, RuntimeError) as error:  # huggingface_hub's errors are OSErrors, some without a connection are not
        raise ValueError(
            f"timm's weights {HUB_TAGS[architecture]} could not be fetched from the Hub: {error}\n"
            "Without a connection give `--init FILE` (safetensors), the name of a bundled classifier, or `--init random`."
        ) from error
    expects = pretrained.pretrained_cfg
    return dict(pretrained.state_dict()), (expects["mean"], expects["std"])


def _of_bundled(name: str, modality: str) -> dict[str, Tensor]:
    spec = registry.get(name)
    files = weights.locate_weights(spec)
    if modality == "both" and len({weights.prefix(files, m) for m in spec.modalities}) > 1:
        raise ValueError(f"{name} has a backbone for each modality, so --modality both cannot start from it.")
    start = f"{weights.prefix(files, modality)}body."
    return {n.removeprefix(start): torch.from_numpy(v) for n, v in weights.read(files, start).items()}


def _from_file(file: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    state = {name: value.float() if value.is_floating_point() else value for name, value in load_file(file).items()}
    for prefix in ("body.encoder.model.", "body."):
        inner = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if inner:
            return inner
    return state


def save(network: nn.Module, file: Path) -> None:
    """Weights as fp16 safetensors: half the size, and the inference engine computes in float32 all the same.

    The file is there as a whole or not at all: where it is, `train/runs/bundled.sh` takes the training for finished.
    """
    from safetensors.torch import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    state, part = network.state_dict(), file.with_suffix(".part")
    save_file({n: (v.half() if v.is_floating_point() else v).contiguous().cpu() for n, v in state.items()}, str(part))
    part.replace(file)


def seed_everything(seed: int) -> torch.Generator:
    """Seed torch, numpy and Python through Lightning; returns a generator for the samplers.

    Of several GPUs the one that Lightning will give this process becomes its own now: networks that help in the training
    (teachers, U-Nets) are loaded before Lightning begins, and would all lie on the first.
    """
    import lightning

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    lightning.seed_everything(seed, verbose=False, workers=True)
    return torch.Generator().manual_seed(seed)

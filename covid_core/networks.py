"""Build the networks: a timm backbone for the classifiers, a smp U-Net for the segmenters; strict loading of weights.

All take one grey channel in -1..1. Needs torch; nothing at the command line's fast path imports this module.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

import covid_core._torchvision  # noqa: F401  (must come before timm and smp, which import torchvision)

if TYPE_CHECKING:
    from covid_core.registry import ModelSpec


class Backbone(nn.Module):
    """A timm classifier without its head: image [N, 1, S, S] -> features [N, C, s, s] after the last activation."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        import timm

        self.body: Any = timm.create_model(architecture, pretrained=False, num_classes=0, in_chans=1)
        self.channels: int = self.body.num_features  # type: ignore[assignment]

    def forward(self, image: Tensor) -> Tensor:
        """Features; average them over the last two axes for the pooled vector."""
        features: Tensor = self.body.forward_features(image)
        return features


class UNet(nn.Module):
    """smp's U-Net: image [N, 1, S, S] -> logits [N, 2, S, S], channels lung and lesion. S divisible by 32."""

    DECODER = (128, 64, 32, 16, 8)  # half of smp's default: twice as fast on a CPU

    def __init__(self, architecture: str) -> None:
        super().__init__()
        import segmentation_models_pytorch as smp

        self.body: Any = smp.Unet(
            f"tu-{architecture}", encoder_weights=None, in_channels=1, classes=2, decoder_channels=self.DECODER
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits; a sigmoid of each channel is its probability."""
        logits: Tensor = self.body(image)
        return logits


def build(spec: "ModelSpec") -> Backbone | UNet:
    """The spec's network, of any of its modalities, in evaluation mode with random weights."""
    network = Backbone(spec.architecture) if spec.task == "classify" else UNet(spec.architecture)
    return network.eval()


def load(spec: "ModelSpec", file: Path, modality: str) -> Backbone | UNet:
    """The spec's network for a modality, weights from a safetensors file (fp16 or float32).

    A classifier's file holds a backbone for each modality under "xray." and "ct.", beside the heads and the gate, which
    numpy reads; a file that holds one network, as it comes out of training, has names without such a prefix.

    Raises:
        RuntimeError: names or shapes do not all agree.
    """
    from safetensors import safe_open

    network = build(spec)
    with safe_open(file, "pt") as tensors:
        names = list(tensors.keys())
        prefix = f"{modality}." if any(n.startswith("heads.") for n in names) else ""
        state = {n.removeprefix(prefix): tensors.get_tensor(n).float() for n in names if n.startswith(f"{prefix}body.")}
    network.load_state_dict(state, strict=True)
    return network.requires_grad_(False)

"""Build the networks: a timm backbone for the classifiers, a smp U-Net for the segmenters; strict loading of weights.

All take one grey channel in -1..1. Needs torch; nothing at the command line's fast path imports this module.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import covid_core._torchvision  # noqa: F401  (must come before timm and smp, which import torchvision)
from covid_core import weights

if TYPE_CHECKING:
    from covid_core.registry import ModelSpec


class Backbone(nn.Module):
    """A timm classifier without its head: image [N, 1, S, S] -> features [N, C, s, s] after the last activation."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        import timm

        self.body: Any = timm.create_model(architecture, pretrained=False, num_classes=0, in_chans=1)
        if architecture == "resnetv2_50":
            stem: Any = self.body.stem
            self.body.stem = nn.Sequential(OrderedDict([*_normed(stem.conv).named_children(), ("pool", stem.pool)]))
        self.channels: int = self.body.num_features  # type: ignore[assignment]

    def forward(self, image: Tensor) -> Tensor:
        """Features; average them over the last two axes for the pooled vector."""
        features: Tensor = self.body.forward_features(image)
        return features


def _normed(convolution: Any) -> nn.Sequential:
    """The first convolution of ResNet-50 v2 with a norm and a ReLU, as its published weights want it; timm's has none."""
    from timm.layers.norm_act import BatchNormAct2d

    return nn.Sequential(OrderedDict(conv=convolution, norm=BatchNormAct2d(convolution.out_channels)))


class UNet(nn.Module):
    """smp's U-Net: image [N, 1, S, S] -> logits [N, channels, S, S], as `ModelSpec.channels` names them. S divisible by 32."""

    DECODER = (128, 64, 32, 16, 8)  # half of smp's default: twice as fast on a CPU

    def __init__(self, architecture: str, channels: int) -> None:
        super().__init__()
        import segmentation_models_pytorch as smp

        self.body: Any = smp.Unet(
            f"tu-{architecture}", encoder_weights=None, in_channels=1, classes=channels, decoder_channels=self.DECODER
        )
        if architecture == "resnetv2_50":
            encoder = self.body.encoder.model
            encoder["stem_conv"] = _normed(encoder["stem_conv"])

    def forward(self, image: Tensor) -> Tensor:
        """Logits; a sigmoid of each channel is its probability, that of consolidation one given a lesion."""
        logits: Tensor = self.body(image)
        return logits

    def fold(self) -> None:
        """Make the decoder faster; the answers stay the same, but it can be trained no more."""
        blocks, deep = self.body.decoder.blocks, self.body.encoder.out_channels[-1]
        # The last block has no map of the encoder's to join, and gains nothing.
        for index, channels in enumerate((deep, *self.DECODER[:-2])):
            blocks[index] = Doubling(blocks[index], channels)


class Doubling(nn.Module):
    """A block of smp's U-Net decoder as the app runs it: the same answers for fewer multiplications.

    The block doubles a map by repeating every value and convolves the result, 3 x 3, together with the encoder's map of that
    size. What each of the four new values takes from the repeated ones comes from 2 x 2 of the old: one transposed
    convolution, in which four products do the work of nine.

    Args:
        block: with its trained weights.
        channels: of the map that is doubled.
    """

    # Which taps of the 3 x 3 kernel fall on the same old value, for each tap of the 4 x 4 one (stride 2, padding 1).
    TAPS = ((0, 0, 1), (0, 1, 1), (1, 1, 0), (1, 0, 0))

    def __init__(self, block: Any, channels: int) -> None:
        super().__init__()
        convolution, *self_after = block.conv1
        kernel = convolution.weight
        taps = torch.tensor(self.TAPS, dtype=kernel.dtype)
        self.doubling = nn.ConvTranspose2d(channels, len(kernel), 4, stride=2, padding=1, bias=False)
        self.doubling.weight = nn.Parameter(torch.einsum("ka,lb,oiab->iokl", taps, taps, kernel[:, :channels]))
        self.joining = nn.Conv2d(kernel.shape[1] - channels, len(kernel), 3, padding=1, bias=False)
        self.joining.weight = nn.Parameter(kernel[:, channels:])
        self.after = nn.Sequential(*self_after)
        self.second = block.conv2

    def forward(self, deep: Tensor, height: int, width: int, skip_connection: Tensor) -> Tensor:
        """The arguments and result of smp's block; height and width are twice the map's."""
        result: Tensor = self.second(self.after(self.doubling(deep) + self.joining(skip_connection)))
        return result


def build(spec: "ModelSpec") -> Backbone | UNet:
    """The spec's network, of any of its modalities, in evaluation mode with random weights."""
    if spec.task == "classify":
        return Backbone(spec.architecture).eval()
    return UNet(spec.architecture, len(spec.channels)).eval()


def load(spec: "ModelSpec", files: Sequence[Path], modality: str) -> Backbone | UNet:
    """The spec's network for a modality, weights from one safetensors file or its shards (fp16 or float32).

    A classifier's hold a backbone for each modality under "xray." and "ct.", or one for both without such a prefix,
    beside the heads and the gate, which numpy reads.

    Raises:
        RuntimeError: names or shapes do not all agree.
    """
    with torch.device("meta"):  # random weights take longer to draw than the real ones to read
        network = build(spec)
    prefix = weights.prefix(files, modality)
    found = weights.read(files, f"{prefix}body.")
    state = {name.removeprefix(prefix): torch.from_numpy(values) for name, values in found.items()}
    network.load_state_dict(state, strict=True, assign=True)
    if isinstance(network, UNet):
        network.fold()
    return network.requires_grad_(False)

"""Augmentation with torchvision's transforms v2, strong against the shortcuts: borders, markers, contrast, sharpness.

Images are float tensors in 0..1, [1, S, S].
"""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

import covid_core._torchvision  # noqa: F401  (must come before torchvision)

Pair = tuple[Tensor, Tensor]


class GreyLevels(torch.nn.Module):
    """Another window, gamma and, seldom, inversion-free contrast: what differs between machines and converters."""

    def __init__(self, window: float = 0.2, gamma: float = 0.5) -> None:
        super().__init__()
        self.window, self.gamma = window, gamma

    def forward(self, image: Tensor) -> Tensor:
        """[1, S, S] in 0..1 to the same."""
        low, high = torch.empty(2).uniform_(-self.window, self.window).tolist()
        exponent = float(torch.empty(1).uniform_(-self.gamma, self.gamma).exp())
        stretched = ((image - low) / (1 + high - low)).clamp(0, 1)
        return stretched**exponent


class Compression(torch.nn.Module):
    """JPEG artefacts and lost resolution, as of a figure cut from a paper."""

    def forward(self, image: Tensor) -> Tensor:
        """[1, S, S] in 0..1 to the same."""
        size = image.shape[-1]
        small = int(size * float(torch.empty(1).uniform_(0.45, 1.0)))
        picture = Image.fromarray((image[0].numpy() * 255).astype(np.uint8)).resize((small, small))
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=int(torch.randint(25, 95, (1,))))
        restored = Image.open(buffer).resize((size, size), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.asarray(restored, np.float32)[None] / 255)


class Marker(torch.nn.Module):
    """A bright or dark patch near a border, where hospitals burn in letters; and black or white borders."""

    def forward(self, image: Tensor) -> Tensor:
        """[1, S, S] in 0..1 to the same."""
        image = image.clone()
        size = image.shape[-1]
        height, width = (int(v) for v in torch.randint(size // 24, size // 7, (2,)))
        along = int(torch.randint(0, size - max(height, width), (1,)))
        across = int(torch.randint(0, size // 8, (1,)))
        top, left = (along, across) if torch.rand(1) < 0.5 else (across, along)
        if torch.rand(1) < 0.5:
            left = size - left - width
        image[:, top : top + height, left : left + width] = float(torch.rand(1) < 0.8)
        return image


class Noise(torch.nn.Module):
    """Additive Gaussian noise of random strength."""

    def __init__(self, highest: float = 0.08) -> None:
        super().__init__()
        self.highest = highest

    def forward(self, image: Tensor) -> Tensor:
        """[1, S, S] in 0..1 to the same."""
        return (image + torch.randn_like(image) * float(torch.rand(1)) * self.highest).clamp(0, 1)


def degradations() -> v2.Transform:
    """Changes of grey levels and sharpness that leave every pixel in its place."""
    return v2.Compose(
        [
            v2.RandomApply([GreyLevels()], 0.8),
            v2.RandomApply([v2.GaussianBlur(5, (0.3, 1.6))], 0.25),
            v2.RandomApply([Compression()], 0.3),
            v2.RandomApply([Noise()], 0.3),
        ]
    )


def segmentation_augmentation(modality: str, size: int) -> Callable[[Tensor, Tensor], Pair]:
    """A function (image [1, S, S], masks [2, S, S]) -> the same, moved together; what moves in is unknown to the loss.

    CT slices are also turned upside down: some published volumes are stored so.
    """
    flips = [v2.RandomHorizontalFlip()] + ([v2.RandomVerticalFlip(0.3)] if modality == "ct" else [])
    geometry = v2.Compose(
        [
            *flips,
            v2.RandomAffine(
                degrees=12,
                translate=(0.08, 0.08),
                scale=(0.75, 1.35),
                shear=8,
                interpolation=InterpolationMode.BILINEAR,
                fill={tv_tensors.Image: 0, tv_tensors.Mask: 255},
            ),
        ]
    )
    grey = degradations()

    def augment(image: Tensor, masks: Tensor) -> Pair:
        moved, moved_masks = geometry(tv_tensors.Image(image), tv_tensors.Mask(masks))
        return grey(moved.as_subclass(Tensor).clamp(0, 1)), moved_masks.as_subclass(Tensor)

    return augment


def classifier_augmentation(modality: str, size: int) -> Callable[[Tensor, Tensor], Pair]:
    """A function (image [1, S, S], opacity grid [g, g]) -> the same, moved together; -1 in the grid means unmarked."""
    fill = {tv_tensors.Image: 0, tv_tensors.Mask: -1}
    geometry = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            *([v2.RandomVerticalFlip(0.15)] if modality == "ct" else []),
            v2.RandomAffine(
                degrees=12,
                translate=(0.08, 0.08),
                scale=(0.8, 1.3),
                shear=8,
                interpolation=InterpolationMode.BILINEAR,
                fill=fill,
            ),
        ]
    )
    grey = v2.Compose([degradations(), v2.RandomApply([Marker()], 0.3), v2.RandomErasing(0.3, scale=(0.03, 0.2))])

    def augment(image: Tensor, opacity: Tensor) -> Pair:
        coarse = opacity.repeat_interleave(size // opacity.shape[-1], 0).repeat_interleave(size // opacity.shape[-1], 1)
        moved, grid = geometry(tv_tensors.Image(image), tv_tensors.Mask(coarse[None]))
        pooled = torch.nn.functional.avg_pool2d(grid.as_subclass(Tensor), size // opacity.shape[-1])[0]
        return grey(moved.as_subclass(Tensor).clamp(0, 1)), pooled

    return augment

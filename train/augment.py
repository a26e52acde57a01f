"""Augmentation with torchvision's transforms v2, strong against the shortcuts: borders, markers, contrast, sharpness.

Images are float tensors in 0..1, [1, S, S].
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

Pair = tuple[Tensor, Tensor]
# Share of the draws of X-rays that take on the style of another training picture: in them the sources with lesions are
# others than those without. In CT slices grey levels are densities, and exchanging them cost lesions on val.
EXCHANGED = 0.5


class GreyLevels(torch.nn.Module):
    """A random window and gamma: what differs between machines and converters."""

    WINDOW = 0.2
    GAMMA = 0.5

    def forward(self, image: Tensor) -> Tensor:
        """[1, S, S] in 0..1 to the same."""
        low, high = torch.empty(2).uniform_(-self.WINDOW, self.WINDOW).tolist()
        exponent = float(torch.empty(1).uniform_(-self.GAMMA, self.GAMMA).exp())
        stretched = ((image - low) / (1 + high - low)).clamp(0, 1)
        return stretched**exponent


class Tone(torch.nn.Module):
    """A random rising tone curve and a smooth shading, as if from another detector and another hospital's processing."""

    PIECES = 6
    BEND = 1.6
    SHADING = 0.12

    def forward(self, image: Tensor) -> Tensor:
        """[1, S, S] in 0..1 to the same."""
        curve = torch.cat([torch.zeros(1), (torch.rand(self.PIECES) * self.BEND).exp().cumsum(0)])
        curve = curve / curve[-1]
        place = image.clamp(0, 1) * self.PIECES
        left = place.floor().clamp(max=self.PIECES - 1).long()
        bent = torch.lerp(curve[left], curve[left + 1], place - left)
        if torch.rand(1) < 0.5:
            coarse = torch.randn(1, 1, 3, 3) * self.SHADING
            bent = bent + interpolate(coarse, image.shape[-2:], mode="bicubic", align_corners=True)[0]
        low, drop = (torch.rand(2) * 0.25).tolist()
        return (low + (1 - drop - low) * bent).clamp(0, 1)


class Rings:
    """The grain of pictures of one size: mean amplitude in rings of rising frequency."""

    COUNT = 24
    MOST = 4.0  # a ring is amplified or damped by no more than this

    def __init__(self, size: int) -> None:
        self.size = size
        frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) * size
        self.ring = np.digitize(frequency, np.geomspace(1.5, size // 2, self.COUNT))
        self.pixels = np.maximum(np.bincount(self.ring.ravel(), minlength=self.COUNT + 1), 1)

    def of(self, picture: NDArray[Any]) -> NDArray[Any]:
        """[COUNT + 1], logarithm of the mean amplitude."""
        return self._of(np.fft.rfft2(picture))

    def filtered(self, picture: NDArray[Any], grain: NDArray[Any]) -> NDArray[Any]:
        """The picture with this grain; its mean and the coarsest shading stay."""
        waves = np.fft.rfft2(picture)
        gain = np.exp(np.clip(grain - self._of(waves), -np.log(self.MOST), np.log(self.MOST)))
        gain[0] = 1
        return np.fft.irfft2(waves * gain[self.ring], picture.shape)

    def _of(self, waves: NDArray[Any]) -> NDArray[Any]:
        sums = np.bincount(self.ring.ravel(), np.abs(waves).ravel(), minlength=self.COUNT + 1)
        return np.asarray(np.log(sums / self.pixels + 1e-3))


class StyleExchange(torch.nn.Module):
    """Give a picture the grain and the grey levels of another training picture, whatever its source and finding.

    Where the source of a picture all but gives its label away, a network learns the source. After the exchange the mean
    power at every frequency and the distribution of grey levels no longer say which source a picture is from; what lies
    where is untouched. (After "Fourier domain adaptation", arXiv 2004.05498, with rings in place of single frequencies.)

    Args:
        references: [N, S, S], the pictures to take styles from.
        weights: [N], how often each is drawn; all alike without.
    """

    def __init__(self, references: NDArray[np.uint8], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.weights = torch.tensor(weights) if weights is not None else torch.ones(len(references))
        self.rings = Rings(references.shape[-1])
        self.levels = np.linspace(0, 1, 33)
        self.grains = np.stack([self.rings.of(r / 255.0) for r in references]).astype(np.float32)
        self.greys = np.stack([np.quantile(r / 255.0, self.levels) for r in references]).astype(np.float32)

    def forward(self, image: Tensor) -> Tensor:
        """[1, S, S] in 0..1 to the same."""
        return torch.from_numpy(self.styled(image[0].numpy(), self.draw()))[None]

    def draw(self) -> int:
        """The number of a random reference."""
        return int(torch.multinomial(self.weights, 1))

    def styled(self, picture: NDArray[np.float32], reference: int) -> NDArray[np.float32]:
        """[S, S] in 0..1 to the same, in the style of a reference."""
        filtered = self.rings.filtered(picture, self.grains[reference])
        own = np.quantile(filtered, self.levels) + np.arange(len(self.levels)) * 1e-6  # rising, as interp needs
        return np.interp(filtered, own, self.greys[reference]).astype(np.float32)


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
    """A bright or dark patch near a border, where hospitals burn in letters."""

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

    HIGHEST = 0.08

    def forward(self, image: Tensor) -> Tensor:
        """[1, S, S] in 0..1 to the same."""
        return (image + torch.randn_like(image) * float(torch.rand(1)) * self.HIGHEST).clamp(0, 1)


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


class SegmentationAugmentation:
    """(image [1, S, S], masks [channels, S, S]) -> the same, moved together; what moves in is unknown to the loss.

    CT slices are also turned upside down: some published volumes are stored so. X-rays exchange styles.
    A class, because a function made by another cannot be sent to a worker on systems that do not fork.
    """

    def __init__(self, modality: str, references: NDArray[np.uint8]) -> None:
        """For "xray" or "ct"; references [N, S, S] are pictures to take styles from."""
        flips = [v2.RandomHorizontalFlip()] + ([v2.RandomVerticalFlip(0.3)] if modality == "ct" else [])
        self.geometry = v2.Compose(
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
        exchange = [v2.RandomApply([StyleExchange(references)], EXCHANGED)] if modality == "xray" else []
        self.grey = v2.Compose([*exchange, degradations()])

    def __call__(self, image: Tensor, masks: Tensor) -> Pair:
        moved, moved_masks = self.geometry(tv_tensors.Image(image), tv_tensors.Mask(masks))
        return self.grey(moved.as_subclass(Tensor).clamp(0, 1)), moved_masks.as_subclass(Tensor)


class ClassifierAugmentation:
    """(image [1, W, W], opacity [1, W, W]) -> the same moved together and cut to [1, size, size].

    The views are wider than what is cut from them, so that moving seldom brings in a border. A class, for the same reason.
    """

    def __init__(self, modality: str, size: int, exchange: StyleExchange | None = None) -> None:
        """For "xray" or "ct"; side of the result; exchange, applied to `EXCHANGED` of the draws."""
        self.geometry = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                *([v2.RandomVerticalFlip(0.15)] if modality == "ct" else []),
                v2.RandomAffine(
                    degrees=10,
                    translate=(0.06, 0.06),
                    scale=(0.85, 1.25),
                    shear=6,
                    interpolation=InterpolationMode.BILINEAR,
                ),
                v2.CenterCrop(size),
            ]
        )
        self.grey = v2.Compose(
            [
                *([v2.RandomApply([exchange], EXCHANGED)] if exchange is not None else []),
                v2.RandomApply([Tone()], 0.3),
                degradations(),
                v2.RandomApply([Marker()], 0.3),
                v2.RandomErasing(0.3, scale=(0.03, 0.2)),
            ]
        )

    def __call__(self, image: Tensor, opacity: Tensor) -> Pair:
        moved, grid = self.geometry(tv_tensors.Image(image), tv_tensors.Image(opacity))
        return self.grey(moved.as_subclass(Tensor).clamp(0, 1)), grid.as_subclass(Tensor).clamp(0, 1)

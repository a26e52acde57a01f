"""Records to arrays in memory: a data set of tens of thousands of 224 px images fits, and every epoch after is free.

Scaling and cropping are `covid_core.preprocess`'s, the very functions the app runs.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm.contrib.concurrent import thread_map

from covid_core import encode, images, preprocess, registry, segment, weights
from train.datasets.records import Record

S = TypeVar("S")
T = TypeVar("T")
UNKNOWN = 255  # value of a mask pixel nobody marked
GROUND_GLASS, CONSOLIDATION = 1, 2  # in a file of kinds
UNSURE = 0.25  # a teacher's probability further than this from 0 and 1 marks nothing

MARKED = 127  # values of a mask above this are marked


def pixels(record: Record) -> NDArray[np.float32]:
    """The record's picture as the app would decode it, [H, W] float32 in 0..1."""
    try:
        picture = images.read(record.image).pixels
    except images.ImageError as error:
        raise ValueError(f"{record.image}: {error}") from error
    return picture.T.copy() if record.transposed else picture


def mask(record: Record, file: Path | None, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A mask file as [H, W] float32 of 0 and 1; all 0 without a file.

    Some sets keep masks at another size than the pictures; they are enlarged or reduced without smoothing.

    Raises:
        ValueError: the mask has another aspect ratio than the picture, or a largest value of 1 to 127.
    """
    if file is None:
        return np.zeros(shape, np.float32)
    values = stored(record, file, shape)
    if 0 < (brightest := int(values.max())) <= MARKED:
        raise ValueError(
            f"{file}: the mask's largest value is {brightest}. Save it with 255 where something is marked, 0 elsewhere."
        )
    return (values > MARKED).astype(np.float32)


def stored(record: Record, file: Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """What a mask file holds, [H, W] uint8, at the picture's size; errors as of `mask`."""
    grey = Image.open(file).convert("L")
    height, width = shape[::-1] if record.transposed else shape
    if abs(grey.width * height - grey.height * width) > max(grey.width, width, grey.height, height):
        raise ValueError(f"{file}: the mask is {grey.width} x {grey.height}, the picture {width} x {height} pixels")
    values = np.asarray(grey.resize((width, height), Image.Resampling.NEAREST))
    return values.T.copy() if record.transposed else values


def segmentation_example(
    record: Record, size: int, teacher: segment.Segmenter | None = None, channels: int = 2
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One training example for the U-Net; without any mask, what the teacher is sure of.

    Returns:
        image [size, size] uint8 and masks [channels, size, size] uint8 (lung, lesion and, if there are three, consolidation): 0, 1
        or `UNKNOWN`. Consolidation is known of the lesions whose kind was marked; no teacher marks it.
    """
    picture = pixels(record)
    square, frame = preprocess.whole_square(picture, record.modality, size)
    masks = np.full((channels, size, size), UNKNOWN, np.uint8)
    if teacher is not None and record.lungs is None and not record.lesions_known:
        probability = teacher.probabilities(teacher.view(picture)[0])
        sure = np.abs(probability - 0.5) > 0.5 - UNSURE
        masks[:2] = np.where(sure, probability > 0.5, UNKNOWN)
    known = (record.lungs is not None, record.lesions_known)
    for channel, (file, is_known) in enumerate(zip((record.lungs, record.lesions), known, strict=True)):
        if is_known:
            masks[channel] = frame.extract(mask(record, file, picture.shape), size) > 0.5
    if channels > 2 and record.kinds is not None:
        kinds = stored(record, record.kinds, picture.shape)
        lesion, dense = (frame.extract(m.astype(np.float32), size) for m in (kinds > 0, kinds == CONSOLIDATION))
        masks[2] = np.where(lesion > 0.5, dense > lesion / 2, UNKNOWN)
    return encode.grey8(square), masks


def in_parallel(function: Callable[[S], T], items: Sequence[S], label: str) -> list[T]:
    """The function's value for each item, in order, with a progress bar; decoding releases the interpreter lock."""
    found: list[T] = thread_map(function, items, desc=label, mininterval=10)
    return found


def segmenters(folder: Path | None, modalities: Sequence[str]) -> dict[str, segment.Segmenter]:
    """The U-Nets that find the lungs, by modality.

    Args:
        folder: holds NAME/model.safetensors of freshly trained ones; None for the bundled ones.
        modalities: "xray", "ct" or both.
    """
    specs = {m: registry.segmenter_for(m) for m in modalities}
    if folder is None:
        return {m: segment.Segmenter.load(spec) for m, spec in specs.items()}
    return {m: segment.Segmenter.of_files(spec, weights.in_folder(folder / spec.name)) for m, spec in specs.items()}

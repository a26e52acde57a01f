"""Change what should not matter, or take away what should, and ask the classifier again.

A network that reads the disease has nothing to say about a chest without lungs, and does not mind a letter in a corner.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from covid_core import degrade, preprocess, registry
from covid_core.classify import Method
from covid_core.diagnose import Evidence, classifier, look, see, segmenter
from covid_core.picture import DecodedImage

Mask = NDArray[np.bool_]
# The U-Net's edge runs inside the lungs here and there; grown by this share of the picture nothing of them is left.
GROWN = 0.015
# What stays of the lungs' box on each of its sides when its middle is blacked out, as a share of the box.
BORDER = 0.12
# Height of a burned-in letter as a share of the picture: that of the side markers in hospital X-rays.
LETTER = 0.08
PLACES = 5  # of a marker, across and down


@dataclass(frozen=True)
class Chest:
    """A picture with what was found in it before it is changed.

    Attributes:
        image: reduced to `degrade.SIDE`.
        lungs: [H, W] bool.
        evidence: for the answer to it; refused when it is no chest.
    """

    image: DecodedImage
    lungs: Mask
    evidence: Evidence


@dataclass(frozen=True)
class Probe:
    """A changed picture and what is said of it.

    Attributes:
        title: what was done.
        image: the picture, changed.
        alone: what the classifier makes of the box around the lungs that the unchanged picture has, without the gate.
        whole: what the app makes of the changed picture.
    """

    title: str
    image: DecodedImage
    alone: Evidence
    whole: Evidence


def chest(image: DecodedImage, modality: str = "auto", model: str = registry.DEFAULT) -> Chest:
    """Find the lungs of a picture; arguments as of `diagnose.see`."""
    small = degrade.reduced(image)
    seen = see(small, modality, model)
    lungs = np.zeros(small.shape, bool) if seen.segmentation is None else seen.segmentation.lungs
    return Chest(small, lungs, seen.evidence.light())


def probes(unchanged: Chest) -> list[Probe]:
    """The picture as it is, with its lungs blacked out, and with only the border of their box left."""
    evidence = unchanged.evidence
    changed = {"Lungs blacked out": without_lungs(unchanged), "Only the border": only_border(unchanged)}
    return [
        Probe("As it is", unchanged.image, evidence, evidence),
        *(
            Probe(
                title, image, in_box(unchanged, image), see(image, evidence.modality, evidence.model).evidence.light()
            )
            for title, image in changed.items()
        ),
    ]


def without_lungs(unchanged: Chest) -> DecodedImage:
    """The picture with the lungs blacked out."""
    image, lungs = unchanged.image, unchanged.lungs
    steps = max(round(GROWN * max(image.shape)), 1)
    grown = ndimage.binary_dilation(lungs, iterations=steps)
    return replace(image, pixels=np.where(grown, 0, image.pixels).astype(np.float32))


def only_border(unchanged: Chest) -> DecodedImage:
    """The picture with all but the border of the lungs' box blacked out."""
    image, box = unchanged.image, preprocess.around(unchanged.lungs)
    edge = round(BORDER * box.side)
    inner, outer = np.zeros(image.shape, bool), np.zeros(image.shape, bool)
    for mask, start, side in ((outer, 0, box.side), (inner, edge, box.side - 2 * edge)):
        top, left = box.top + start, box.left + start
        mask[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = True
    return replace(image, pixels=np.where(outer & ~inner, image.pixels, 0).astype(np.float32))


def with_marker(image: DecodedImage, text: str, across: float, down: float) -> DecodedImage:
    """The picture with white letters burned in, as hospitals mark the side or the way a picture was taken.

    Args:
        image: the picture.
        text: a few letters.
        across: middle of the text, 0 (left edge) to 1.
        down: the same from the upper edge.
    """
    height, width = image.shape
    letters = Image.new("L", (width, height))
    font = ImageFont.load_default(size=max(LETTER * max(height, width), 8))
    ImageDraw.Draw(letters).text((across * width, down * height), text, fill=255, font=font, anchor="mm")
    return replace(image, pixels=np.maximum(image.pixels, np.asarray(letters, np.float32) / np.float32(255)))


def in_box(unchanged: Chest, image: DecodedImage) -> Evidence:
    """What the classifier makes of the box around the lungs, whatever the gate says of the picture.

    Args:
        unchanged: whose lungs and kind of image count.
        image: the picture, changed.
    """
    modality, model = unchanged.evidence.modality, unchanged.evidence.model
    found = replace(segmenter(modality).segment(image.pixels), lungs=unchanged.lungs)
    features = classifier(model).features(image, modality, found)
    return Evidence(model, modality, look(image), features, "").light()


def marker_map(unchanged: Chest, text: str, method: Method) -> NDArray[np.float32]:
    """COVID-19 probability [PLACES, PLACES] with the marker in the middle of each field of a grid, rows from above."""
    middles = [(place + 0.5) / PLACES for place in range(PLACES)]
    values = [
        in_box(unchanged, with_marker(unchanged.image, text, across, down)).answer(method).probability
        for down in middles
        for across in middles
    ]
    return np.array(values, np.float32).reshape(PLACES, PLACES)

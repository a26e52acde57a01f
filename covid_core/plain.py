"""A network as many reports train theirs, to be asked beside the app's: whole X-rays, labels as they are, nothing held back.

It learned from X-rays of the app's sources, by `train.protocols --protocol xray_grouped`, and is kept to show what such a
network reads. It has no gate, no calibration and never abstains, so no page offers it as a model.
"""

import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from covid_core import engine, preprocess, registry, weights
from covid_core.explain import Explanation, explanation_of
from covid_core.picture import DecodedImage

FILE = "plain.safetensors"  # beside the weights of the default model, whose architecture and size it has
MODALITY = "xray"
_loading = threading.Lock()


@dataclass(frozen=True)
class Answer:
    """What the plain network says.

    Attributes:
        probability: of COVID-19, 0..1, mean over the picture and its mirror image.
        explanation: its Grad-CAM, over the whole picture.
    """

    probability: float
    explanation: Explanation


def network() -> tuple[engine.Run, NDArray[np.float32], float] | None:
    """The backbone, and weight [C] and bias of its head, loaded once; None where it is not among the default model's files.

    Raises:
        WeightsError: the file is nowhere, or damaged.
    """
    with _loading:  # others who ask wait for the first, who may convert it
        return _loaded()


@lru_cache(maxsize=1)
def _loaded() -> tuple[engine.Run, NDArray[np.float32], float] | None:
    spec = registry.get(registry.DEFAULT)
    if FILE not in spec.files:
        return None
    file = weights.locate(spec, FILE)
    head = weights.read([file], "head.")
    return engine.of_files(spec, MODALITY, [file]), head["head.weight"][0], float(head["head.bias"][0])


def ask(image: DecodedImage, lungs: NDArray[np.bool_]) -> Answer | None:
    """Its answer to an X-ray; None where there is no such network.

    Args:
        image: the picture.
        lungs: [H, W] bool, only to say how much of what it saw lies in them.

    Raises:
        WeightsError: its file is nowhere, or damaged.
    """
    from scipy.special import expit

    if (found := network()) is None:
        return None
    run, weight, bias = found
    square, frame = preprocess.whole_square(image.pixels, MODALITY, registry.get(registry.DEFAULT).sizes[MODALITY])
    seen = preprocess.to_input(np.stack([square, square[:, ::-1]]))
    maps = np.tensordot(run(seen[:, None]), weight, ([1], [0]))
    maps = maps / maps[0].size
    probability = float(expit(maps.sum(axis=(1, 2)) + bias).mean())
    cells = ((maps[0] + maps[1][:, ::-1]) / 2).astype(np.float32)
    return Answer(probability, explanation_of(cells, frame, 0.0, bias, lungs))

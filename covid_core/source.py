"""Which source of the training images a picture looks like, read from the very features the classifier weighs.

What a linear reader tells from the features, the classifier can use, too. Fitted by `train.probes`.
"""

import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from covid_core import registry, weights
from covid_core.diagnose import Evidence

FILE = "sources.safetensors"


@dataclass(frozen=True)
class Reader:
    """A linear reader of a modality's features.

    Attributes:
        names: [S], of the sources.
        weight: [S, C] float32.
        bias: [S] float32.
    """

    names: tuple[str, ...]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def probabilities(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """[..., S] of features [..., C], the mean over the cells."""
        from scipy.special import softmax

        probabilities: NDArray[np.float32] = softmax(pooled @ self.weight.T + self.bias, axis=-1)
        return probabilities


@lru_cache(maxsize=4)
def readers(model: str) -> dict[str, Reader]:
    """The readers of a model by modality; none where it has none.

    Raises:
        WeightsError: the file is nowhere, or damaged.
    """
    from safetensors import safe_open

    spec = registry.get(model)
    if FILE not in spec.files:
        return {}
    with safe_open(weights.locate(spec, FILE), "numpy") as file:
        names = {m: tuple(json.loads(listed)) for m, listed in (file.metadata() or {}).items()}
        return {
            m: Reader(listed, file.get_tensor(f"{m}.weight"), file.get_tensor(f"{m}.bias"))
            for m, listed in names.items()
        }


def guess(evidence: Evidence) -> dict[str, float]:
    """Probability of each source of the training images, the likeliest first; empty where there is no reader or feature."""
    reader = readers(evidence.model).get(evidence.modality)
    if reader is None or evidence.features is None:
        return {}
    probability = reader.probabilities(evidence.features.cells[0].mean(axis=(1, 2)))
    order = np.argsort(-probability)
    return {reader.names[i]: float(probability[i]) for i in order}

"""Golden tensors: what a network answers to a fixed input, so that whoever loads the weights can check what they loaded."""

import numpy as np
from numpy.typing import NDArray

from covid_core import engine
from covid_core.registry import ModelSpec

FILE = "golden.safetensors"


def tensors(spec: ModelSpec) -> dict[str, NDArray[np.float32]]:
    """For every modality "<modality>.input" [1, 1, S, S], noise in -1..1, and "<modality>.output", by PyTorch.

    Args:
        spec: a model with weights of its own.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for modality, size in spec.sizes.items():
        given = np.random.default_rng(0).uniform(-1, 1, (1, 1, size, size)).astype(np.float32)
        found[f"{modality}.input"] = given
        found[f"{modality}.output"] = np.ascontiguousarray(engine.start(spec, modality, "torch")(given))
    return found

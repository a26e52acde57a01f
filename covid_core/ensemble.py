"""Several classifiers as one: their samples are put together, so that what the networks disagree about is epistemic too."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from covid_core import segment
from covid_core.classify import Array, Classifier, Features, Method, Model
from covid_core.picture import DecodedImage
from covid_core.registry import ModelSpec


class Ensemble(Model):
    """The mean of its members' tempered probabilities, with a temperature and prediction sets of its own."""

    def __init__(self, spec: ModelSpec, members: Sequence[Classifier], config: dict[str, Any]) -> None:
        super().__init__(spec, config, members[0].gate)
        self.members = members

    def features(self, image: DecodedImage, modality: str, found: segment.Segmentation) -> Features:
        # What is no network's own is computed once.
        first = self.members[0].features(image, modality, found)
        others = (member.cells(image, modality, found)[0] for member in self.members[1:])
        return replace(first, cells=(*first.cells, *others))

    def sample(self, pooled: Array, modality: str, method: Method = "ensemble_mc_dropout") -> Array:
        widths = [member.heads[modality][0].shape[1] for member in self.members]
        parts = np.split(pooled, np.cumsum(widths)[:-1], axis=-1)
        logits = [
            member.sample(part, modality, method) / float(member.config["temperature"][modality])
            for member, part in zip(self.members, parts, strict=True)
        ]
        return np.concatenate(logits, axis=-1)

    def mean_heads(self, modality: str) -> list[tuple[Array, float]]:
        temperature = float(self.config["temperature"][modality])
        heads = [head for member in self.members for head in member.mean_heads(modality)]
        return [(weight / temperature, bias / temperature) for weight, bias in heads]

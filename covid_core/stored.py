"""The app's own answers to the reported images, kept as rows without the images, for pages that compute with them."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from covid_core import metrics

Row = Mapping[str, str]
# Part, as in a model's metrics -> which rows belong to it.
PARTS: Mapping[str, Callable[[Row], bool]] = MappingProxyType(
    {
        "xray / test": lambda row: row["modality"] == "xray" and row["split"] == "test",
        "xray / external": lambda row: row["modality"] == "xray" and row["split"] == "external",
        "ct / test": lambda row: row["modality"] == "ct" and row["split"] == "test",
        "ct / covid_ct_official_test": lambda row: row["modality"] == "ct" and row["official_split"] == "test",
    }
)


@dataclass(frozen=True)
class Answers:
    """Answers to the images of one part.

    Attributes:
        probability: [N] float64, of COVID-19.
        untempered: [N] float64, the same before the temperature.
        covid: [N] int, what is true.
    """

    probability: NDArray[np.float64]
    untempered: NDArray[np.float64]
    covid: NDArray[np.int64]

    @property
    def called(self) -> NDArray[np.int64]:
        """[N], the more probable class."""
        return (self.probability > 0.5).astype(np.int64)

    def risk_coverage(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`metrics.risk_coverage` where the surest are those with the probability farthest from one half."""
        return metrics.risk_coverage(np.abs(self.probability - 0.5), self.called == self.covid)

    def reliability(self) -> dict[str, list[dict[str, float]]]:
        """`metrics.reliability` before and after the temperature."""
        return {
            name: metrics.reliability(np.stack([1 - p, p], axis=1), self.covid, bins=10)
            for name, p in (("before the temperature", self.untempered), ("after", self.probability))
        }

    def ece(self) -> tuple[float, float]:
        """Calibration error before and after the temperature."""
        before, after = (
            metrics.ece(np.stack([1 - p, p], axis=1), self.covid) for p in (self.untempered, self.probability)
        )
        return before, after

    def worth(self, prevalence: float) -> tuple[float, float]:
        """Positive and negative predictive value of the more probable class, where this share is ill."""
        return metrics.ppv(self.called, self.covid, prevalence), metrics.npv(self.called, self.covid, prevalence)


def read(file: Path) -> dict[str, Answers]:
    """The answers by part, of those parts that have any.

    Args:
        file: as `train.evaluate` writes it.
    """
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    found = {}
    for name, belongs in PARTS.items():
        mine = [row for row in rows if belongs(row)]
        if mine:
            found[name] = Answers(
                np.array([float(row["probability"]) for row in mine]),
                np.array([float(row["untempered"]) for row in mine]),
                np.array([int(row["finding"] == "covid") for row in mine]),
            )
    return found

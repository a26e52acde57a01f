"""How a phantom is made, with a name that a link can carry: `phantom-ct-3-8-24-90-50-10`."""

import re
from dataclasses import dataclass

from covid_core import phantom

NAME = re.compile(r"phantom-(xray|ct)-(\d{1,4})-(\d{1,2})-(\d{1,2})-(\d{1,3})-(\d{1,3})-(\d{1,3})")


@dataclass(frozen=True)
class Recipe:
    """Settings of a phantom; but for `seed` and `count` in per cent of what `phantom.Lesions` takes.

    Attributes:
        modality: "xray" or "ct".
        seed: which person.
        count: of lesions; 0 is healthy.
        size: of a lesion, of the width of both lungs.
        density: 0 faintest ground glass .. 100 almost consolidated.
        level: 0 apex .. 100 base; a CT slice always lies at the lesions' height.
        depth: 0 along the pleura .. 100 near the hilum.
    """

    modality: phantom.Modality
    seed: int
    count: int
    size: int
    density: int
    level: int
    depth: int

    @property
    def name(self) -> str:
        """For `parse`."""
        numbers = (self.seed, self.count, self.size, self.density, self.level, self.depth)
        return "-".join(["phantom", self.modality, *map(str, numbers)])

    @property
    def title(self) -> str:
        """For people."""
        kind = "X-ray" if self.modality == "xray" else "CT"
        lesions = f"{self.count} lesion{'s' * (self.count > 1)}" if self.count else "healthy"
        return f"Phantom {kind} {self.seed}, {lesions}"

    def make(self) -> phantom.Phantom:
        """The phantom.

        Raises:
            ValueError: a setting is out of range.
        """
        lesions = None
        if self.count:
            lesions = phantom.Lesions(
                count=self.count,
                size=self.size / 100,
                density=self.density / 100,
                level=self.level / 100 if self.modality == "xray" else None,
                depth=self.depth / 100,
            )
        return (phantom.xray if self.modality == "xray" else phantom.ct)(seed=self.seed, lesions=lesions)


def parse(name: str) -> Recipe | None:
    """The recipe of this name; None if it is none."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    modality: phantom.Modality = "xray" if found[1] == "xray" else "ct"
    return Recipe(modality, *map(int, found.groups()[1:]))

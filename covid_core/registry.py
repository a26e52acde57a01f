"""The models: one frozen record each, with the files it consists of, their hashes and where they come from.

Numbers a machine made (temperature, thresholds, metrics) are in each model's config.json; this module pins that file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from covid_core.pins import PINS

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


@dataclass(frozen=True)
class ModelSpec:
    """What names a model and its files.

    Attributes:
        name: as typed on the command line.
        title: as shown on a page.
        task: "classify" or "segment".
        sizes: input side in pixels for every modality it reads, "xray" or "ct".
        architecture: timm's name of the backbone.
        files: file name -> sha256.
        repo: repository on the Hugging Face Hub; "" where the model has not been published.
        revision: commit of that repository, never a branch.
    """

    name: str
    title: str
    task: Literal["classify", "segment"]
    sizes: Mapping[str, int]
    architecture: str
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    repo: str = ""
    revision: str = ""

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it can read."""
        return tuple(self.sizes)


def _spec(name: str, title: str, task: Literal["classify", "segment"], **sizes: int) -> ModelSpec:
    return ModelSpec(name, title, task, MappingProxyType(sizes), "mobilenetv2_100", PINS.get(name, {}))


_SPECS = (
    _spec("mobilenetv2", "MobileNetV2", "classify", xray=224, ct=256),
    _spec("unet_xray", "U-Net for X-rays", "segment", xray=192),
    _spec("unet_ct", "U-Net for CT", "segment", ct=256),
)
MODELS: Mapping[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
DEFAULT = "mobilenetv2"


def get(name: str) -> ModelSpec:
    """The model of this name.

    Raises:
        ValueError: no such model; the message lists those there are.
    """
    if name not in MODELS:
        raise ValueError(f"There is no model '{name}'. Choose one of: {', '.join(MODELS)}.")
    return MODELS[name]


def segmenter_for(modality: str) -> ModelSpec:
    """The U-Net of a modality, "xray" or "ct"."""
    return get(f"unet_{modality}")

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
        modalities: what it can read.
        architecture: timm's name of the backbone.
        size: input side in pixels.
        files: file name -> sha256.
        repo: repository on the Hugging Face Hub; "" where the model has not been published.
        revision: commit of that repository, never a branch.
    """

    name: str
    title: str
    task: Literal["classify", "segment"]
    modalities: tuple[str, ...]
    architecture: str
    size: int
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    repo: str = ""
    revision: str = ""


_SPECS = (
    ModelSpec(
        "mobilenetv2", "MobileNetV2", "classify", ("xray", "ct"), "mobilenetv2_100", 192, PINS.get("mobilenetv2", {})
    ),
    ModelSpec("unet_xray", "U-Net for X-rays", "segment", ("xray",), "mobilenetv2_100", 192, PINS.get("unet_xray", {})),
    ModelSpec("unet_ct", "U-Net for CT", "segment", ("ct",), "mobilenetv2_100", 256, PINS.get("unet_ct", {})),
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

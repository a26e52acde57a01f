"""The models: one frozen record each, with the files it consists of, their hashes and where they come from.

Numbers a machine made (temperature, thresholds, metrics) are in each model's config.json; this module pins that file.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from types import MappingProxyType
from typing import Literal

from covid_core.pins import PINS

WEIGHTS = "model.safetensors"
# What is too large for one file, as huggingface_hub names it; then `INDEX` lists whose tensors lie where.
SHARDS = "model*.safetensors"
INDEX = "model.safetensors.index.json"
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
        members: names of the classifiers whose samples it joins; such a model has no weights of its own.
        channels: what a segmenter marks, in the order of its network's channels.
    """

    name: str
    title: str
    task: Literal["classify", "segment"]
    sizes: Mapping[str, int]
    architecture: str
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    repo: str = ""
    revision: str = ""
    members: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it can read."""
        return tuple(self.sizes)

    @property
    def weights(self) -> tuple[str, ...]:
        """The files that hold its tensors: one, or the shards of a large model."""
        return tuple(name for name in self.files if fnmatch(name, SHARDS))


# Name -> repository and commit on the Hub, as `train.publish` prints them.
PUBLISHED: dict[str, tuple[str, str]] = {}


def _spec(
    name: str,
    title: str,
    task: Literal["classify", "segment"],
    architecture: str = "mobilenetv2_100",
    members: tuple[str, ...] = (),
    channels: tuple[str, ...] = (),
    **sizes: int,
) -> ModelSpec:
    place = PUBLISHED.get(name, ("", ""))
    return ModelSpec(
        name, title, task, MappingProxyType(sizes), architecture, PINS.get(name, {}), *place, members, channels
    )


SPECS = (
    _spec("mobilenetv2", "MobileNetV2", "classify", xray=224, ct=256),
    _spec("resnet50", "ResNet50", "classify", "resnetv2_50", xray=224, ct=224),
    # As far as two CPU cores came; with a GPU larger crops are better, ImageNet's are 299 px.
    _spec("inception_resnet_v2", "InceptionResNetV2", "classify", "inception_resnet_v2", xray=128, ct=128),
    _spec(
        "ensemble",
        "Ensemble of the three",
        "classify",
        "mobilenetv2_100, resnetv2_50, inception_resnet_v2",
        ("mobilenetv2", "resnet50", "inception_resnet_v2"),
        xray=224,
        ct=256,
    ),
    _spec("unet_xray", "U-Net for X-rays", "segment", channels=("lung", "lesion"), xray=192),
    _spec("unet_ct", "U-Net for CT", "segment", channels=("lung", "lesion"), ct=320),
)
# Offered are those whose files are pinned; the others exist once somebody has trained and bundled them.
MODELS: Mapping[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in SPECS if spec.files})
DEFAULT = "mobilenetv2"


def get(name: str) -> ModelSpec:
    """The model of this name, also one that is not offered yet.

    Raises:
        ValueError: no such model; the message lists those that are offered.
    """
    for spec in SPECS:
        if spec.name == name:
            return spec
    raise ValueError(f"There is no model '{name}'. Choose one of: {', '.join(MODELS)}.")


def weights_sha256(spec: ModelSpec) -> str:
    """Of its weights; of a model of several shards, or that joins others, of their hashes in a row."""
    hashes = [weights_sha256(get(m)) for m in spec.members] or [spec.files[name] for name in spec.weights]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def segmenter_for(modality: str) -> ModelSpec:
    """The U-Net of a modality, "xray" or "ct"."""
    return get(f"unet_{modality}")

"""Golden answers of the bundled weights on phantoms: `python -m tests.golden` writes them anew."""

import json
from pathlib import Path
from typing import Any

from covid_core import images, phantom, registry
from covid_core.diagnose import conclude, diagnose, find, read

FILE = Path(__file__).parent / "golden.json"
PICTURES = {
    "xray-healthy": lambda: phantom.xray(seed=8),
    "xray-lesions": lambda: phantom.xray(seed=8, lesions=phantom.Lesions(count=24, size=0.16, density=1, depth=0.2)),
    "ct-healthy": lambda: phantom.ct(seed=8),
    "ct-lesions": lambda: phantom.ct(seed=8, lesions=phantom.Lesions(count=12, size=0.16, density=0.6)),
}
MODALITY = {name: name.split("-")[0] for name in PICTURES}


def png(name: str) -> bytes:
    """A phantom's file."""
    return phantom.png_bytes(PICTURES[name]())


def answer(name: str) -> dict[str, Any]:
    """What is held fixed of one answer."""
    # The modality is given: whether a phantom passes the gate is not what these tests are about.
    result = diagnose(images.decode(png(name), f"{name}.png"), MODALITY[name])
    found, given = result.segmentation, result.classification
    assert found is not None
    return {
        "decision": given.decision,
        "probability": given.probability,
        "interval": given.interval,
        "ood_score": given.distance,
        "lung_pixels": int(found.lungs.sum()),
        "lesion_pixels": int(found.lesions.sum()),
    }


def probabilities(name: str) -> dict[str, float | None]:
    """Of COVID-19, by every classifier."""
    found = find(images.decode(png(name), f"{name}.png"), MODALITY[name])
    classifiers = [spec.name for spec in registry.MODELS.values() if spec.task == "classify"]
    return {model: conclude(read(found, model)).classification.probability for model in classifiers}


if __name__ == "__main__":
    made = {name: answer(name) | {"probabilities": probabilities(name)} for name in PICTURES}
    FILE.write_text(json.dumps(made, indent=1) + "\n")

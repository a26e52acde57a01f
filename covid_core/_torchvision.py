"""Make `import torchvision` work beside a torch build its compiled operators were not made for.

torchvision from PyPI is built for CUDA. Beside a CPU build of torch its compiled library does not load, and because
torchvision registers Python kernels for two of the operators declared there, the import itself fails with "operator
torchvision::nms does not exist". Nothing in this project calls those operators, so declaring their schemas is enough.
Import this module before the first import of torchvision, timm or segmentation_models_pytorch.
"""

import importlib.util
from pathlib import Path

import torch


def _compiled_library_loads() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # nothing to mend: the import will say that torchvision is missing
    for library in Path(spec.origin).parent.glob("_C.*"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            return False
        return True
    return False


# At module level, because the declarations last only as long as the Library object.
LIBRARY: torch.library.Library | None = None
if not _compiled_library_loads():
    LIBRARY = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

"""Covid Core: from a chest X-ray or CT image to an answer that says how sure it is.

from covid_core import read
from covid_core.diagnose import diagnose
print(diagnose(read("chest.png")).classification)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covid_core.diagnose import Diagnosis as Diagnosis
    from covid_core.images import DecodedImage as DecodedImage
    from covid_core.images import ImageError as ImageError
    from covid_core.images import decode as decode
    from covid_core.images import read as read

__version__ = "0.1.0"
# Public names and the modules they are fetched from on first use, so that importing the package costs nothing.
_HOMES = {
    "Diagnosis": "diagnose",
    "DecodedImage": "images",
    "ImageError": "images",
    "decode": "images",
    "read": "images",
}
__all__ = ["DecodedImage", "Diagnosis", "ImageError", "__version__", "decode", "read"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'covid_core' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"covid_core.{_HOMES[name]}"), name)

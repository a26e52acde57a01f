"""DICOM files: one frame of a chest X-ray or of a CT, as grey levels and Hounsfield units.

pydicom is told which tags to read, and none of them tells who the patient is, so that neither an answer nor an error
message nor a log can.
"""

from io import BytesIO
from typing import Any

import libjpeg
import numpy as np
import openjpeg
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from covid_core.images import Array, ImageError, check_size, stretch

TAGS = [
    "SOPClassUID", "ImageType", "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel",
]

"""DICOM files: one frame of a chest X-ray or of a CT, as grey levels and Hounsfield units.

pydicom is told which tags to read, and none of them says who the patient is: no answer, error message or log can.
"""

import math
import re
from io import BytesIO
from typing import Any

import numpy as np
from libjpeg.utils import get_parameters as jpeg_parameters
from numpy.typing import NDArray
from openjpeg.utils import get_parameters as jpeg2000_parameters
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    RLELossless,
)

from covid_core.hounsfield import AIR, LUNG_WINDOW, windowed
from covid_core.picture import Array, ImageError, check_size, over_full_range

TAGS = [
    *("SOPClassUID", "Modality", "ImageType"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]
# In an Enhanced CT, the sequence that a tag is found in, for all frames together or for each of its own.
GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
}
RESCALE = ("RescaleSlope", "RescaleIntercept", "RescaleType")

# Computed, digital and film-digitised radiography, and fluoroscopy units that also take chest X-rays.
XRAY = ("CR", "DX", "DR", "RG", "RF")
# "Other" and no entry at all say as little as a PNG file does, and are taken like one.
UNKNOWN = ("OT", "")
OTHER_MODALITIES = {
    "MR": "an MR image",
    "US": "an ultrasound image",
    "PT": "a PET image",
    "NM": "a nuclear medicine image",
    "MG": "a mammogram",
    "XA": "an angiogram",
    "PX": "a dental X-ray",
    "IO": "a dental X-ray",
    "ES": "an endoscopy image",
    "SM": "a microscopy image",
    "ECG": "an electrocardiogram",
    "SR": "a report",
    "DOC": "a document",
    "SEG": "a segmentation",
    "PR": "a display setting",
}

# Run lengths can stand for 64 times as much, and pydicom unpacks them before it looks how much was to be expected.
MAX_RLE_BYTES = 16 * 1024 * 1024
# A window or a slope beyond these many grey levels is a mistake.
SMALLEST, LARGEST = 1e-6, 1e9
# The air in and around a chest lies below; a slice without any such value is not in Hounsfield units, whatever it says.
AIRY = -200

DAMAGED = (
    "This DICOM file is damaged, incomplete or of an unusual kind. Export the picture again, as DICOM without "
    "compression or as PNG."
)


def decode(data: bytes, is_alone: bool = True) -> tuple[Array, Array | None, str | None]:
    """Decode a DICOM file.

    Args:
        data: the file's content, with or without the preamble.
        is_alone: whether it is all there is of a CT. Then it must hold air, or its values are not taken for Hounsfield
            units; those of a series are judged together.

    Returns:
        Grey levels [H, W] float32, 0..1: of a CT, the lung window; otherwise with the file's own look-up table or
        window, or from the smallest to the largest value if it has none.
        Hounsfield units [H, W] float32, at least -1024; None if the file is no CT or does not hold them.
        Modality, "xray", "ct" or None if the file does not say.

    Raises:
        ImageError: damaged, not a CT or chest X-ray, a localizer, in colour, of several frames, without a picture,
            compressed in a way that is not read, or of a size that `check_size` refuses.
    """
    try:
        dataset = _read_tags(data)
        modality = _modality(dataset)
        _check_layout(dataset)
        for tag, value in rescale_of(dataset, 0).items():
            setattr(dataset, tag, value)
        return *_grey(dataset, _stored_values(dataset), modality, is_alone), modality
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # any tag can hold anything, and pydicom finds out only when it is used
        raise ImageError(DAMAGED) from error


def _read_tags(data: bytes) -> FileDataset:
    """Parse the file, without decoding its pixels."""
    check_not_deflated(data)
    dataset = dcmread(BytesIO(data), force=True, specific_tags=list(TAGS))
    if data[128:132] != b"DICM" and not ("SOPClassUID" in dataset and "Rows" in dataset):
        raise ImageError("This is not a DICOM file, though its name says so. Export it again, as DICOM or PNG.")
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = plain
    return dataset


def rescale_of(dataset: Dataset, frame: int) -> dict[str, Any]:
    """What an Enhanced CT says of how a frame's values become Hounsfield units; empty of any other file."""
    found = {tag: in_groups(dataset, frame, tag) for tag in RESCALE}
    return {tag: value for tag, value in found.items() if value is not None}


def in_groups(dataset: Dataset, frame: int, tag: str) -> Any:
    """The value of one of `GROUPS` for a frame, as it is for it alone or for all; None without any."""
    own = (dataset.get("PerFrameFunctionalGroupsSequence") or [])[frame : frame + 1]
    for group in [*own, *(dataset.get("SharedFunctionalGroupsSequence") or [])]:
        if (items := group.get(GROUPS[tag])) and tag in items[0]:
            return items[0][tag].value
    return None


def check_not_deflated(data: bytes) -> None:
    """Raise ImageError for a deflated file, before it is parsed: pydicom inflates it then, however large it becomes."""
    if str(DeflatedExplicitVRLittleEndian).encode() in data:
        raise ImageError("This DICOM file is deflated, which is not read. Export it without compression.")


def is_localizer(dataset: Dataset) -> bool:
    """Whether a CT image is an overview for planning, not a slice."""
    return re.search("LOCALIZER|SCOUT", str(dataset.get("ImageType")).upper()) is not None


def modality_code(modality: str) -> str:
    """A modality in capitals as a sentence may repeat it: a tag can hold any text, so only a code is."""
    return f"modality {modality}" if re.fullmatch("[A-Z0-9]{1,16}", modality) else "unknown modality"


def _modality(dataset: Dataset) -> str | None:
    """Return "xray", "ct" or None if unknown; raise ImageError for what is neither."""
    modality = str(dataset.get("Modality") or "").strip().upper()
    if modality == "CT":
        if is_localizer(dataset):
            raise ImageError("This is a CT localizer, an overview for planning. Use an axial slice of the series.")
        return "ct"
    if modality in XRAY:
        return "xray"
    if modality in UNKNOWN:
        return None
    what = OTHER_MODALITIES.get(modality, "a DICOM file of another kind")
    raise ImageError(f"This is {what} ({modality_code(modality)}). Use a chest X-ray or an axial CT slice.")


def _check_layout(dataset: Dataset) -> None:
    """Raise ImageError unless the pixels are one grey frame of a size that is read."""
    if not dataset.get("PixelData"):
        raise ImageError("This DICOM file holds no picture, or not all of it. Export the picture again.")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise ImageError(
            f"This DICOM file holds {frames:,} frames. Open a CT on the app's page Diagnose, or export one of them as DICOM "
            "or PNG."
        )
    if int(dataset.SamplesPerPixel) != 1 or dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise ImageError("This DICOM file holds a colour picture, not a grey scan. Use the original X-ray or CT slice.")
    check_size(int(dataset.Columns), int(dataset.Rows))


def _stored_values(dataset: FileDataset) -> NDArray[Any]:
    """Decode the pixels: [H, W] integers, as stored."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    try:
        readable = get_decoder(syntax).is_available
    except NotImplementedError:
        readable = False
    if not readable:
        # Not the file's own text: the name is the registered one, and a UID that is not registered stays unnamed.
        name = syntax.name if syntax.name != syntax else "an unknown way"
        raise ImageError(f"This DICOM file is compressed ({name}), which is not read. Export it without compression.")
    if syntax.is_encapsulated:
        _check_compressed(get_frame(dataset.PixelData, 0, number_of_frames=1), syntax, dataset)
    stored = pixel_array(dataset, index=0)
    if stored.shape != (dataset.Rows, dataset.Columns):
        raise ImageError(DAMAGED)
    return stored


def _check_compressed(frame: bytes, syntax: UID, dataset: Dataset) -> None:
    """Raise ImageError if the compressed picture is not one grey channel of the size that the tags promise.

    The decoders go by what the compressed picture says, so a small file could make them fill the memory.
    """
    if syntax == RLELossless:
        fits = len(frame) <= MAX_RLE_BYTES
    else:
        found = jpeg2000_parameters(frame) if syntax in JPEG2000TransferSyntaxes else jpeg_parameters(frame)
        channels = found.get("nr_components", found.get("samples_per_pixel"))  # the libraries have a name each
        fits = (found["rows"], found["columns"], channels) == (dataset.Rows, dataset.Columns, 1)
    if not fits:
        raise ImageError(DAMAGED)


def _grey(dataset: Dataset, stored: NDArray[Any], modality: str | None, is_alone: bool) -> tuple[Array, Array | None]:
    """Return grey levels 0..1, and Hounsfield units or None."""
    padding = _padding(dataset, stored)
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    values = stored
    if table := dataset.get("ModalityLUTSequence"):
        values = _look_up(stored, table[0])
    elif slope is not None and intercept is not None:
        if not (SMALLEST < abs(float(slope)) < LARGEST and abs(float(intercept)) < LARGEST):
            raise ImageError(DAMAGED)
        values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
        is_hu = modality == "ct" and str(dataset.get("RescaleType") or "HU").upper() == "HU"
        if is_hu and not (is_alone and values[~padding].min(initial=0) > AIRY):
            # Nothing is thinner than air; some scanners fill what lies outside their round field with -2000 or -3024.
            hounsfield: Array = np.maximum(values, AIR)
            hounsfield[padding] = AIR
            # Not turned round for MONOCHROME1: what Hounsfield units mean does not depend on how they were shown.
            return windowed(hounsfield, *LUNG_WINDOW), hounsfield
    pixels = _as_shown(dataset, values, ~padding)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels = 1 - pixels
    pixels[padding] = 0
    return pixels, None


def _padding(dataset: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Find what is no part of the picture, such as the corners around the round field of a CT."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, np.bool_)
    limit = dataset.get("PixelPaddingRangeLimit")
    # Signed values are often declared as unsigned; the conversion makes -2000 of 63536. What has more bits than the picture,
    # as after a conversion to fewer, is none of its values.
    ends = np.array([value, value if limit is None else limit], np.int64)
    kind = np.iinfo(stored.dtype)
    if ends.min() < -(2 ** (kind.bits - 1)) or ends.max() >= 2**kind.bits:
        return np.zeros(stored.shape, np.bool_)
    ends = ends.astype(stored.dtype)
    return np.asarray((stored >= ends.min()) & (stored <= ends.max()))


def _as_shown(dataset: Dataset, values: NDArray[Any], used: NDArray[np.bool_]) -> Array:
    """Apply the file's look-up table or its first window, or else go from the smallest to the largest value."""
    if table := dataset.get("VOILUTSequence"):
        # Stretched, because tables often declare more bits than they use.
        return over_full_range(_look_up(values, table[0]), used)
    centre, width = (_first_number(dataset.get(tag)) for tag in ("WindowCenter", "WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if function == "LINEAR":  # DICOM's own definition, PS3.3 C.11.2.1.2.1
        centre, width = centre - 0.5, width - 1
    if abs(centre) < LARGEST and SMALLEST < width < LARGEST:
        if function == "SIGMOID":
            scaled = (values.astype(np.float32) - np.float32(centre)) / np.float32(width)
            return np.asarray(1 / (1 + np.exp(-4 * scaled)), np.float32)
        return windowed(values, centre, width)
    return over_full_range(values, used)


def _first_number(value: Any) -> float:
    """Return the first of the numbers in a tag that holds none, one or several; not a number if none."""
    if value is None or value == "":
        return math.nan
    return float(value[0] if isinstance(value, MultiValue) else value)


def _look_up(values: NDArray[Any], item: Dataset) -> NDArray[Any]:
    """Replace each value by the entry of a look-up table; what lies outside gets the first or the last entry."""
    count, first, _ = item.LUTDescriptor
    entries = item.LUTData
    if isinstance(entries, bytes):
        order = ">" if item.original_encoding[1] is False else "<"
        entries = np.frombuffer(entries, np.uint8 if len(entries) == count else f"{order}u2")
    entries = np.asarray(entries)
    if first >= 2**15 and values.min() < 0:
        first -= 2**16  # a negative number declared as unsigned, like the padding
    index = np.clip(np.rint(values).astype(np.int32) - first, 0, len(entries) - 1)
    return np.asarray(entries[index])

"""Pictures as files, and as addresses that hold them."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def grey8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Values in 0..1, what lies beyond clipped, as 0..255."""
    return np.asarray(np.round(np.clip(pixels, 0, 1) * 255), np.uint8)


def png(values: NDArray[np.uint8]) -> bytes:
    """A picture [H, W] or [H, W, 3] as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def thumbnail(pixels: NDArray[np.float32], side: int) -> str:
    """A small copy of a picture as a data URL.

    Args:
        pixels: [H, W] float32, 0..1.
        side: the longer one, px.
    """
    small = Image.fromarray(grey8(pixels))
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80)
    return data_url(buffer.getvalue(), "webp")


def data_url(data: bytes, kind: str = "png") -> str:
    """An image file as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"

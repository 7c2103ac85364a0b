"""Masks as `data:` URLs of PNGs, the way Label Studio's bitmask regions hold them."""

from __future__ import annotations

import base64
import binascii
import struct
import zlib

import numpy as np

from toolkit.errors import InputError
from toolkit.image import open_stored
from toolkit.masks import mask_to_png

PREFIX = "data:image/png;base64,"

_IHDR_END = 8 + 8 + 13 + 4  # signature, chunk length and type, header data, checksum


def mask_to_data_url(mask: np.ndarray) -> str:
    """Encode a mask as a 1-bit PNG that is transparent where the mask is not set.

    The page keeps the URL as it is until somebody paints on the region, and reads only the PNG's alpha.

    Args:
        mask: bool [H, W].
    """
    png = mask_to_png(mask)
    # A tRNS chunk names the grey value that is transparent (PNG 3, section 11.3.1.1): 0, what is not set.
    body = b"tRNS" + struct.pack(">H", 0)
    chunk = struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
    return PREFIX + base64.b64encode(png[:_IHDR_END] + chunk + png[_IHDR_END:]).decode("ascii")


def data_url_to_mask(url: str, *, max_pixels: int) -> np.ndarray:
    """Decode the mask of a bitmask region.

    Args:
        url: `data:image/…;base64,…` of any image format.
        max_pixels: refuse more pixels than this.

    Returns:
        bool [H, W]: where the image is mostly opaque if it has an alpha channel, else where it is not black.

    Raises:
        InputError: not such a URL, or not an image.
    """
    head, comma, payload = url.partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise InputError("bitmask: expected imageDataURL to start with data:image/png;base64,")
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("bitmask: imageDataURL is not valid base64; it was cut short or damaged") from error
    return _opaque(data, max_pixels)


def _opaque(data: bytes, max_pixels: int) -> np.ndarray:
    if _transparent_black(data):
        # Pillow keeps a tRNS chunk apart from the pixels; in our own PNGs it says what black says.
        return open_stored(data, max_pixels=max_pixels).astype(bool)
    values = open_stored(data, max_pixels=max_pixels)
    if values.ndim == 2:
        return values != 0
    if values.shape[2] in (2, 4):
        return values[..., -1] >= 128
    return (values != 0).any(axis=2)


def _transparent_black(data: bytes) -> bool:
    """Whether a PNG is grey with 0 as its transparent value, as `mask_to_data_url` writes it."""
    return data[_IHDR_END + 4 : _IHDR_END + 10] == b"tRNS\0\0" and data[25:26] == b"\0"

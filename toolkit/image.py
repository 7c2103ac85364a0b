"""Open, measure and save images: the one place where a file or an array becomes uint8 RGB."""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image

from toolkit.errors import InputError
from toolkit.files import write_bytes_atomic

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | np.ndarray | BinaryIO

MAX_PIXELS = 200_000_000

# What Pillow's readers raise on damaged or hostile files, besides the OSError they document.
_READ_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# EXIF tag Orientation (TIFF 6.0, tag 274): what turns the stored pixels upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)

_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
IMAGE_SUFFIXES = tuple(_FORMATS)

_pillow_limit = threading.Lock()


class ImageError(InputError):
    """An image that cannot be used: missing, damaged, too large, or no image at all."""


def open_image(source: Source, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Open any image as upright 8-bit RGB.

    The EXIF orientation is applied, transparent parts are laid on white, 16-bit values are scaled to 8 bits,
    and of an animation the first frame counts. Colour profiles are not applied.

    Args:
        source: a path; the bytes of an image file; a binary file object (read from its start, not closed); or
            an array [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (RGBA) of bool, uint8, uint16 (full range) or
            float (0 to 1). An array that is uint8 [H, W, 3] already is returned without a copy.
        max_pixels: refuse more pixels than this, before any is decoded.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        ImageError: no such file, not an image, truncated or damaged, too large, or an array of another kind.
    """
    if isinstance(source, np.ndarray):
        return _flatten(_to_uint8(source, "the given array"))
    with _read(source, max_pixels) as (image, name):
        return _flatten(_pixels(image, name))


def open_stored(source: Source, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Open an image as the numbers it stores, upright: indices stay indices, alpha stays a channel.

    Args:
        source: as for `open_image`; an array is returned as it is.
        max_pixels: refuse more pixels than this, before any is decoded.

    Returns:
        [H, W] or [H, W, C] of uint8, of uint16 for 16-bit grey files, or of bool for 1-bit files.

    Raises:
        ImageError: as `open_image`.
    """
    if isinstance(source, np.ndarray):
        return source
    with _read(source, max_pixels) as (image, name):
        return _sixteen_bits(image, name) if image.mode[:1] == "I" else np.array(image)


def open_index(source: Source, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Open a one-channel image of classes, regions or instances as the indices it stores.

    Args:
        source: as for `open_image`.
        max_pixels: refuse more pixels than this, before any is decoded.

    Returns:
        [H, W] of uint8, of uint16 for 16-bit files, or of bool for 1-bit files.

    Raises:
        ImageError: as `open_image`, or more than one channel.
    """
    values = open_stored(source, max_pixels=max_pixels)
    if values.ndim != 2 or values.dtype not in (np.bool_, np.uint8, np.uint16):
        name = source if isinstance(source, (str, os.PathLike)) else "the given image"
        raise ImageError(f"{name}: expected one channel of 1, 8 or 16 bits; save it as a grey or palette PNG")
    return values


def image_size(source: Source) -> tuple[int, int]:
    """Return (height, width) of the upright image, from the header alone.

    Raises:
        ImageError: no such file, or not an image.
    """
    if isinstance(source, np.ndarray):
        return source.shape[0], source.shape[1]
    with _header(source) as (image, _name):
        width, height = image.size
        # Pillow swaps the sides of a TIFF by itself.
        sideways = image.format != "TIFF" and _orientation(image) in _SIDEWAYS
        return (width, height) if sideways else (height, width)


def save_image(path: str | os.PathLike[str], image: np.ndarray, quality: int = 92) -> None:
    """Write an image, whole or not at all, in the format that the suffix names.

    Args:
        path: ends in .jpg, .jpeg, .png, .webp, .bmp, .tif or .tiff.
        image: an array as `open_image` takes; [H, W] is written grey, alpha kept where the format has it.
        quality: 1 to 100, for JPEG and WebP.

    Raises:
        InputError: another suffix, an array of another kind, or a place that cannot be written to.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(f"{path}: cannot write images as '{suffix}'; use one of {', '.join(_FORMATS)}")
    pixels = _to_uint8(image, "the image to save")
    if pixels.shape[2] == 4 and _FORMATS[suffix] in ("JPEG", "BMP"):
        pixels = _flatten(pixels)
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    options = {"quality": quality} if _FORMATS[suffix] in ("JPEG", "WEBP") else {}
    picture.save(buffer, _FORMATS[suffix], **options)
    write_bytes_atomic(path, buffer.getvalue())


@contextmanager
def _header(source: Source) -> Iterator[tuple[Image.Image, str]]:
    """Lend the image with only its header read, and the name that error messages give it."""
    stream: Any = source
    with ExitStack() as opened:
        if isinstance(source, (str, os.PathLike)):
            name = os.fspath(source)
            try:
                stream = opened.enter_context(open(name, "rb"))
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise ImageError(f"{name}: cannot open this image ({reason}); check the path") from error
        elif isinstance(source, (bytes, bytearray, memoryview)):
            name, stream = "the given bytes", io.BytesIO(source)
        elif hasattr(source, "read"):
            name = str(getattr(source, "name", "the given file"))
        else:
            raise ImageError(
                f"expected a path, bytes, an array or a binary file, not a {type(source).__name__}"
            )
        yield _identify(stream, name), name


def _identify(stream: Any, name: str) -> Image.Image:
    """Read the header of an image file."""
    # Pillow refuses more than 179 MP and warns above 89 MP; the limit that counts here is the caller's.
    with _pillow_limit:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(stream)
        except _READ_ERRORS as error:
            raise ImageError(
                f"{name}: not an image that can be read; expected JPEG, PNG, WebP, TIFF or the like"
            ) from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _read(source: Source, max_pixels: int) -> Iterator[tuple[Image.Image, str]]:
    """Lend the decoded, upright image, and its name."""
    with _header(source) as (image, name):
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(
                f"{name}: {width} × {height} pixels is more than the limit of {max_pixels:,}; shrink it"
            )
        try:
            image.load()
            method = _UPRIGHT.get(_orientation(image))
            upright = image if method is None else image.transpose(method)
        except _READ_ERRORS as error:
            raise ImageError(
                f"{name}: the image is damaged or cut short ({error}); fetch it again"
            ) from error
        yield upright, name


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8, without decoding pixels; 1 where none can be read."""
    try:
        # The base class's method, because PNG's own one decodes the image when it finds no EXIF.
        value = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
        stream = getattr(image, "fp", None)
        if value is None and image.format == "PNG" and stream is not None:
            late = _late_png_exif(stream)
            value = late.get(ExifTags.Base.Orientation) if late else None
    except _READ_ERRORS:  # damaged EXIF: the picture itself may be sound
        return 1
    return value if value in _UPRIGHT else 1


def _late_png_exif(stream: Any) -> Image.Exif | None:
    """Find the EXIF chunk of a PNG, which may stand behind the pixels (PNG 3, section 11.3.4.5)."""
    here = stream.tell()
    try:
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"eXIf":
                exif = Image.Exif()
                exif.load(b"Exif\x00\x00" + stream.read(length))
                return exif
            stream.seek(length + 4, os.SEEK_CUR)
        return None
    finally:
        stream.seek(here)


def _pixels(image: Image.Image, name: str) -> np.ndarray:
    """Turn a decoded image of any mode into uint8 [H, W, C] with 1, 3 or 4 channels."""
    if image.mode[:1] == "I":
        return _to_uint8(_sixteen_bits(image, name), name)
    if image.mode == "F":
        return _to_uint8(np.array(image), name)
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return np.array(image.convert("L"))[..., None]
    transparent = "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBA", "RGBa")
    if image.mode == "RGB" and not transparent:
        return np.array(image)
    try:
        return np.array(image.convert("RGBA" if transparent else "RGB"))
    except ValueError as error:
        raise ImageError(f"{name}: colour mode {image.mode} is not supported; save it as RGB") from error


def _sixteen_bits(image: Image.Image, name: str) -> np.ndarray:
    """Return the values of an integer image deeper than 8 bits as uint16 [H, W]."""
    values = np.array(image)  # uint16, or int32 in mode "I"
    if values.dtype.itemsize > 2 and (values.min() < 0 or values.max() > 65535):
        raise ImageError(f"{name}: 32-bit values outside 0…65535; scale the image to 16 or 8 bits")
    return values.astype(np.uint16)


def _to_uint8(array: np.ndarray, name: str) -> np.ndarray:
    """Scale an image array of any accepted kind to uint8 [H, W, C] with 1, 3 or 4 channels."""
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.size == 0:
        raise ImageError(f"{name}: expected [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], not {array.shape}")
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 = 255 · 257
    if array.dtype.kind != "f":
        raise ImageError(f"{name}: expected bool, uint8, uint16 or float values, not {array.dtype}")
    low, high = float(array.min()), float(array.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # also refuses NaN; the margin is for rounding
        raise ImageError(f"{name}: float values must lie in 0…1, not {low:g}…{high:g}; divide by the maximum")
    return (np.clip(array, 0, 1) * 255 + 0.5).astype(np.uint8)


def _flatten(pixels: np.ndarray) -> np.ndarray:
    """Turn uint8 [H, W, 1|3|4] into RGB [H, W, 3], with what is transparent on white."""
    channels = pixels.shape[2]
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    if channels == 3:
        return np.ascontiguousarray(pixels)
    alpha = pixels[..., 3:].astype(np.uint16)
    on_white = pixels[..., :3] * alpha + 255 * (255 - alpha) + 127  # at most 65152: fits uint16
    return (on_white // 255).astype(np.uint8)

from __future__ import annotations

import io
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toolkit.errors import InputError
from toolkit.image import ImageError, image_size, open_image, open_index, open_stored, save_image

# A 2 × 3 picture in which every pixel differs.
PIXELS = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [200, 100, 50], [255, 255, 255]]], np.uint8
)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, tail: bytes = b"") -> bytes:
    """A PNG made by hand; `rows` hold a filter byte 0 before each row; `tail` follows the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(rows))
        + tail
        + png_chunk(b"IEND", b"")
    )


def test_path_bytes_array_and_file_object_give_the_same_pixels(tmp_path):
    data = encoded(PIXELS)
    (tmp_path / "x.png").write_bytes(data)
    stream = io.BytesIO(data)
    stream.seek(5)  # read from the start all the same
    for source in (
        tmp_path / "x.png",
        str(tmp_path / "x.png"),
        data,
        bytearray(data),
        memoryview(data),
        stream,
        PIXELS,
    ):
        image = open_image(source)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert image.flags.writeable
        np.testing.assert_array_equal(image, PIXELS)
    assert not stream.closed


def upright_by_hand(stored: np.ndarray, orientation: int) -> np.ndarray:
    """The EXIF standard's wording, put into array operations: where row 0 and column 0 of `stored` belong."""
    if orientation >= 5:  # row 0 is a side: left (5, 8) or right (6, 7)
        turned = np.swapaxes(stored, 0, 1)
        if orientation in (6, 7):
            turned = turned[:, ::-1]
        return turned[::-1] if orientation in (7, 8) else turned  # column 0: top (5, 6) or bottom (7, 8)
    turned = stored[::-1] if orientation in (3, 4) else stored  # row 0: top (1, 2) or bottom (3, 4)
    return turned[:, ::-1] if orientation in (2, 3) else turned  # column 0: left (1, 4) or right (2, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_and_seen_in_the_size(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(PIXELS, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    expected = upright_by_hand(PIXELS, orientation)
    np.testing.assert_array_equal(open_image(data), expected)
    assert image_size(data) == expected.shape[:2]


def test_orientation_of_a_jpeg_photo():
    photo = np.zeros((16, 32, 3), np.uint8)
    photo[:8, :8] = 255  # the corner of row 0 and column 0
    exif = Image.Exif()
    exif[0x0112] = 6  # row 0 is the right side, column 0 the top
    image = open_image(encoded(photo, "JPEG", exif=exif))
    assert image.shape == (32, 16, 3)
    assert image[2, 13].min() > 240
    assert image[2, 2].max() < 15


def test_png_exif_behind_the_pixels_counts():
    exif = Image.Exif()
    exif[0x0112] = 8
    data = png(3, 1, 8, 0, bytes([0, 10, 20, 30]), png_chunk(b"eXIf", exif.tobytes()[6:]))
    assert image_size(data) == (3, 1)
    np.testing.assert_array_equal(open_image(data)[:, 0, 0], [30, 20, 10])


@pytest.mark.parametrize("value", [0, 9, 300])
def test_an_orientation_that_does_not_exist_is_ignored(value):
    exif = Image.Exif()
    exif[0x0112] = value
    np.testing.assert_array_equal(open_image(encoded(PIXELS, exif=exif)), PIXELS)


def test_damaged_exif_does_not_spoil_a_sound_picture():
    data = png(2, 1, 8, 0, bytes([0, 7, 9]), png_chunk(b"eXIf", b"II*\x00\xff\xff\xff\xffrubbish"))
    assert image_size(data) == (1, 2)
    np.testing.assert_array_equal(open_image(data)[0, :, 0], [7, 9])


def test_grey_one_bit_and_palette():
    grey = np.array([[0, 128, 255]], np.uint8)
    np.testing.assert_array_equal(open_image(encoded(grey)), np.repeat(grey[..., None], 3, 2))
    bits = Image.fromarray(np.array([[True, False]]))
    np.testing.assert_array_equal(open_image(encoded(bits))[0, :, 1], [255, 0])
    palette = Image.fromarray(PIXELS).quantize(6)
    np.testing.assert_array_equal(open_image(encoded(palette)), np.array(palette.convert("RGB")))


def test_sixteen_bit_grey_is_scaled_to_the_full_range():
    stored = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(open_image(encoded(stored, kind))[0, :, 0], [0, 1, 128, 255])
    big_endian = encoded(stored.astype(">u2"), "TIFF")
    np.testing.assert_array_equal(open_image(big_endian)[0, :, 0], [0, 1, 128, 255])


def test_sixteen_bit_colour_png():
    rows = bytes([0]) + struct.pack(">6H", 0, 65535, 128 * 257, 257, 65535, 0)
    np.testing.assert_array_equal(open_image(png(2, 1, 16, 2, rows))[0], [[0, 255, 128], [1, 255, 0]])


def test_deep_values_out_of_range_are_refused():
    with pytest.raises(ImageError, match="32-bit"):
        open_image(encoded(np.array([[0, 70000]], np.int32), "TIFF"))
    np.testing.assert_array_equal(
        open_image(encoded(np.array([[0, 65535]], np.int32), "TIFF"))[0, :, 0], [0, 255]
    )


def test_float_tiff():
    np.testing.assert_array_equal(
        open_image(encoded(np.array([[0, 0.5, 1]], np.float32), "TIFF"))[0, :, 0], [0, 128, 255]
    )
    with pytest.raises(ImageError, match="0…1"):
        open_image(encoded(np.array([[0, 200]], np.float32), "TIFF"))


def test_alpha_is_laid_on_white():
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [100, 0, 200, 128]]], np.uint8)
    # By hand: 100 · 128/255 + 127 = 177.2; 127; 200 · 128/255 + 127 = 227.4.
    expected = [[[10, 20, 30], [255, 255, 255], [177, 127, 227]]]
    for source in (
        rgba,
        encoded(rgba),
        encoded(rgba, "TIFF"),
        encoded(rgba, "WEBP", lossless=True, exact=True),
    ):
        np.testing.assert_array_equal(open_image(source), expected)
    grey_alpha = encoded(
        Image.merge("LA", [Image.new("L", (2, 1), 60), Image.fromarray(np.uint8([[255, 0]]))])
    )
    np.testing.assert_array_equal(open_image(grey_alpha)[0, :, 0], [60, 255])


def test_transparent_palette_colour_and_transparent_grey_become_white():
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    palette.putpalette([50, 60, 70, 80, 90, 100])
    np.testing.assert_array_equal(
        open_image(encoded(palette, transparency=1)), [[[50, 60, 70], [255, 255, 255]]]
    )
    grey = encoded(np.array([[5, 6]], np.uint8), transparency=6)
    np.testing.assert_array_equal(open_image(grey)[0, :, 0], [5, 255])


def test_cmyk_photo():
    # No ink is white, full black ink is black, full cyan ink takes red away.
    inks = np.zeros((16, 48, 4), np.uint8)
    inks[:, 16:32, 3] = 255
    inks[:, 32:, 0] = 255
    for kind in ("JPEG", "TIFF"):
        image = open_image(encoded(Image.fromarray(inks, "CMYK"), kind)).astype(int)
        assert image[8, 8].min() > 250
        assert image[8, 24].max() < 5
        assert image[8, 40, 0] < 5
        assert image[8, 40, 1:].min() > 250


def test_first_frame_of_an_animation():
    first, second = (Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 0, 255)))
    data = encoded(first, "GIF", save_all=True, append_images=[second])
    np.testing.assert_array_equal(open_image(data)[0, 0], [255, 0, 0])


@pytest.mark.parametrize(
    ("array", "first_pixel"),
    [
        (np.array([[True, False]]), [255, 255, 255]),
        (np.array([[7, 0]], np.uint8), [7, 7, 7]),
        (np.array([[[7], [0]]], np.uint8), [7, 7, 7]),
        (np.array([[[65535, 0, 32896]]], np.uint16), [255, 0, 128]),
        (np.array([[[0.0, 1.0, 0.25]]], np.float64), [0, 255, 64]),
        (np.array([[[0.5, 0.5, 0.5, 0.0]]], np.float16), [255, 255, 255]),
        (np.array([[[1.0005, -0.0005, 0.5]]], np.float32), [255, 0, 128]),
        (PIXELS[:, ::-1], [0, 0, 255]),
    ],
)
def test_arrays_of_every_accepted_kind(array, first_pixel):
    image = open_image(array)
    assert image.dtype == np.uint8
    assert image.shape == (*array.shape[:2], 3)
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image[0, 0], first_pixel)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2), np.int64), "int64"),
        (np.zeros((2, 2, 2), np.uint8), r"\(2, 2, 2\)"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.full((2, 2), np.nan), "0…1"),
        (np.full((2, 2), 255.0), "0…1"),
        (np.array([["a"]]), "U1"),
    ],
)
def test_arrays_that_are_no_image_are_refused(array, message):
    with pytest.raises(ImageError, match=message):
        open_image(array)


@given(st.integers(0, 65535))
def test_sixteen_bits_round_to_the_nearest_of_eight(value):
    assert open_image(np.array([[value]], np.uint16))[0, 0, 0] == round(value / 257)


def test_missing_folder_empty_and_foreign_files_are_refused_by_name(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "notes.jpg").write_text("This is no photo. " * 50)
    for name, message in {
        "missing.jpg": "No such file",
        ".": "directory",
        "empty.jpg": "not an image",
        "notes.jpg": "not an image",
    }.items():
        for function in (open_image, image_size):
            with pytest.raises(ImageError, match=message) as caught:
                function(tmp_path / name)
            assert str(tmp_path) in str(caught.value)
    with pytest.raises(ImageError):
        open_image("nul\x00byte.jpg")
    with pytest.raises(ImageError, match="NoneType"):
        open_image(None)
    with pytest.raises(ImageError):
        open_image(io.StringIO("text"))
    assert issubclass(ImageError, InputError)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_files_cut_short_are_refused(kind, rng):
    data = encoded(rng.integers(0, 256, (40, 50, 3), np.uint8), kind)
    for kept in (0.02, 0.3, 0.6, 0.95):
        with pytest.raises(ImageError):
            open_image(data[: int(len(data) * kept)])


@given(st.sampled_from(["JPEG", "PNG", "TIFF", "GIF", "WEBP"]), st.data())
def test_a_damaged_file_gives_a_picture_or_an_image_error_and_nothing_else(kind, data):
    damaged = bytearray(encoded(np.arange(90, dtype=np.uint8).reshape(5, 6, 3), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    for function in (lambda source: open_image(source, max_pixels=100_000), image_size):
        try:
            function(bytes(damaged))
        except ImageError:
            continue


def test_the_pixel_limit_is_checked_before_decoding():
    """Headers that promise 20 000 × 20 000 and 14 000 × 14 001 pixels, with no pixels behind them."""
    bomb = png(20_000, 20_000, 8, 2, b"")
    with pytest.raises(ImageError, match="20000 × 20000 pixels is more than the limit of 200,000,000"):
        open_image(bomb)
    assert image_size(bomb) == (20_000, 20_000)
    # Below our limit, above the one Pillow has by itself: refused only because the pixels are missing.
    with pytest.raises(ImageError, match="cut short"):
        open_image(png(14_000, 14_001, 1, 0, b""))
    with pytest.raises(ImageError, match="limit of 5"):
        open_image(encoded(PIXELS), max_pixels=5)
    assert open_image(encoded(PIXELS), max_pixels=6).shape == (2, 3, 3)


def test_pillows_own_limit_is_left_as_it_was_whatever_threads_do():
    before = Image.MAX_IMAGE_PIXELS
    data = encoded(PIXELS)
    threads = [threading.Thread(target=lambda: [open_image(data) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert before == Image.MAX_IMAGE_PIXELS


def test_size_needs_no_pixels(tmp_path):
    data = encoded(np.zeros((300, 200, 3), np.uint8), "JPEG")
    assert image_size(data[:650]) == (300, 200)
    assert image_size(np.zeros((4, 5, 3), np.uint8)) == (4, 5)


def test_index_images_keep_their_numbers():
    indices = np.array([[0, 3], [255, 1]], np.uint8)
    palette = Image.fromarray(indices, "L").convert("P")
    palette.putpalette(list(range(256)) * 3)
    for source in (encoded(indices), encoded(palette), indices):
        np.testing.assert_array_equal(open_index(source), indices)
    deep = np.array([[0, 40_000]], np.uint16)
    assert open_index(encoded(deep)).dtype == np.uint16
    np.testing.assert_array_equal(open_index(encoded(deep)), deep)
    assert open_index(encoded(indices > 0)).dtype == np.bool_
    with pytest.raises(ImageError, match="one channel"):
        open_index(encoded(PIXELS))
    rgba = np.zeros((1, 2, 4), np.uint8)
    np.testing.assert_array_equal(open_stored(encoded(rgba)), rgba)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF"])
def test_saving_without_loss(tmp_path, suffix):
    save_image(tmp_path / f"deep/x{suffix}", PIXELS)
    np.testing.assert_array_equal(open_image(tmp_path / f"deep/x{suffix}"), PIXELS)


def test_saving_grey_alpha_and_photos(tmp_path):
    grey = np.array([[1, 2]], np.uint8)
    save_image(tmp_path / "grey.png", grey)
    np.testing.assert_array_equal(open_index(tmp_path / "grey.png"), grey)
    rgba = np.zeros((8, 8, 4), np.uint8)
    save_image(tmp_path / "alpha.png", rgba)
    np.testing.assert_array_equal(open_stored(tmp_path / "alpha.png"), rgba)
    save_image(tmp_path / "alpha.jpg", rgba)
    assert open_image(tmp_path / "alpha.jpg").min() > 250
    photo = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    for suffix in (".jpg", ".webp"):
        save_image(tmp_path / f"good{suffix}", photo, quality=95)
        save_image(tmp_path / f"poor{suffix}", photo, quality=10)
        assert (tmp_path / f"good{suffix}").stat().st_size > (tmp_path / f"poor{suffix}").stat().st_size
        error = np.abs(open_image(tmp_path / f"good{suffix}").astype(int) - photo).mean()
        assert error < 3
    assert sorted(path.name for path in Path(tmp_path).glob(".*")) == []


def test_saving_to_an_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"'\.heic'.*\.png"):
        save_image(tmp_path / "x.heic", PIXELS)

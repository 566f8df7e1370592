from __future__ import annotations

import ast
import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np
from PIL import Image

from cutswap.data import images
from cutswap.data.decoding import MAX_PIXELS
from cutswap.data.images import (
    IMAGE_SUFFIXES,
    is_constant,
    is_image_name,
    photo_size,
    read_depth_bytes,
    read_mask,
    read_photo,
    resize_mask,
    resize_photo,
    save_png,
    to_image,
    to_photo,
)
from cutswap.errors import CutSwapError
from tests.helpers.datasets import noise_photo

HEIGHT, WIDTH = 10, 12
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
MODULES = Path(images.__file__).parent


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str, colour) -> Image.Image:
    return Image.new(mode, (WIDTH, HEIGHT), colour)


def from_array(array) -> Image.Image:
    return Image.fromarray(np.asarray(array))


def full(value, dtype) -> Image.Image:
    return from_array(np.full((HEIGHT, WIDTH), value, dtype))


def png_header(height: int, width: int) -> bytes:
    """A PNG that promises a size and has no pixels: decoding it would fail."""

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def webp_header(height: int, width: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    body = b"WEBPVP8L" + struct.pack("<IBI", 5, 0x2F, bits) + b"\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(bits: int, photometric: int, data: bytes) -> bytes:
    """An uncompressed one-strip grey TIFF; Pillow reads these kinds but does not write them."""
    tags = [
        (256, 4, WIDTH),
        (257, 4, HEIGHT),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8 + 2 + 9 * 12 + 4),
        (277, 3, 1),
        (278, 4, HEIGHT),
        (279, 4, len(data)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0\0\0\0" + data


def twelve_bit(value: int) -> bytes:
    pair = (value << 12 | value).to_bytes(3, "big")  # two pixels in three bytes
    return pair * (HEIGHT * WIDTH // 2)


def palette(transparent: bool) -> bytes:
    image = plain("P", 1)
    image.putpalette([*WHITE, *RED, *BLUE])
    return encode(image, "PNG", **({"transparency": 1} if transparent else {}))


def frames(kind: str, **options) -> bytes:
    others = [plain("RGB", BLUE), plain("RGB", WHITE)]
    return encode(plain("RGB", RED), kind, save_all=True, append_images=others, **options)


READABLE = {  # file -> colour of every pixel
    "grey": (encode(plain("L", 77), "PNG"), (77,) * 3),
    "one bit, set": (encode(plain("1", 1), "PNG"), WHITE),
    "one bit, clear": (encode(plain("1", 0), "PNG"), (0, 0, 0)),
    "grey 16 bit, white": (encode(full(65535, np.uint16), "PNG"), WHITE),
    "grey 16 bit, by 257": (encode(full(100 * 257, np.uint16), "PNG"), (100,) * 3),
    "grey 16 bit, rounded up": (encode(full(100 * 257 + 129, np.uint16), "PNG"), (101,) * 3),
    "grey 16 bit, rounded down": (encode(full(100 * 257 + 128, np.uint16), "PNG"), (100,) * 3),
    "grey 16 bit tiff": (encode(full(40 * 257, np.uint16), "TIFF"), (40,) * 3),
    "grey 16 bit tiff, other end first": (encode(full(40 * 257, ">u2"), "TIFF"), (40,) * 3),
    "grey 16 bit tiff, 0 is white": (tiff(16, 0, b"\0" * HEIGHT * WIDTH * 2), WHITE),
    "grey 12 bit tiff, white": (tiff(12, 1, twelve_bit(4095)), WHITE),
    "grey 12 bit tiff": (tiff(12, 1, twelve_bit(1365)), (85,) * 3),
    "grey 32 bit tiff, 16 used": (encode(full(40 * 257, np.int32), "TIFF"), (40,) * 3),
    "float tiff, white": (encode(full(1, np.float32), "TIFF"), WHITE),
    "float tiff": (encode(full(0.4, np.float32), "TIFF"), (102,) * 3),
    "grey and alpha": (encode(plain("LA", (0, 51)), "PNG"), (204,) * 3),
    "colour and alpha": (encode(plain("RGBA", (255, 0, 0, 51)), "PNG"), (255, 204, 204)),
    "colour and no alpha left": (encode(plain("RGBA", (9, 9, 9, 0)), "WEBP", lossless=True), WHITE),
    "one colour transparent": (encode(plain("RGB", RED), "PNG", transparency=RED), WHITE),
    "palette": (palette(False), RED),
    "palette, transparent": (palette(True), WHITE),
    "cmyk tiff": (encode(plain("CMYK", (0, 255, 255, 0)), "TIFF"), RED),
    "cmyk jpeg by adobe": (encode(plain("CMYK", (0, 255, 255, 0)), "JPEG"), RED),
    "luma and chroma tiff": (
        encode(plain("RGB", RED).convert("YCbCr"), "TIFF", compression="tiff_lzw"),
        (254, 0, 0),
    ),
    "bmp": (encode(plain("RGB", RED), "BMP"), RED),
    "animated png": (frames("PNG"), RED),
    "animated webp": (frames("WEBP", lossless=True), RED),
    "pages of a tiff": (frames("TIFF"), RED),
}


@pytest.mark.parametrize("case", READABLE)
def test_reads_every_kind_of_file_as_rgb(case, tmp_path):
    data, colour = READABLE[case]
    path = tmp_path / "photo.jpeg"  # the content decides, not the suffix
    path.write_bytes(data)
    photo = read_photo(path)
    assert photo.dtype == np.uint8
    assert photo.shape == (HEIGHT, WIDTH, 3)
    assert np.unique(photo.reshape(-1, 3), axis=0).tolist() == [list(colour)]
    assert photo.flags.writeable
    assert photo.flags.c_contiguous
    np.testing.assert_array_equal(read_depth_bytes(data, "upload")[0], photo)


STORED = {  # orientation -> how the upright array lies in the file, from the EXIF standard
    1: lambda u: u,
    2: lambda u: u[:, ::-1],
    3: lambda u: u[::-1, ::-1],
    4: lambda u: u[::-1],
    5: lambda u: u.swapaxes(0, 1),
    6: lambda u: u.swapaxes(0, 1)[::-1],  # first row of the file is the right side
    7: lambda u: u.swapaxes(0, 1)[::-1, ::-1],
    8: lambda u: u.swapaxes(0, 1)[:, ::-1],  # first row of the file is the left side
}


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(orientation, suffix, tmp_path):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = 255  # only the top left corner is white
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"photo{suffix}"
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    stored.save(path, exif=exif, **({"lossless": True} if suffix == ".webp" else {}))
    np.testing.assert_array_equal(read_photo(path) > 127, upright > 127)
    np.testing.assert_array_equal(read_mask(path), upright[..., 0] > 127)
    assert photo_size(path) == (16, 24)


def test_deep_grey_is_turned_upright_too(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    ramp = np.arange(16 * 24, dtype=np.uint16).reshape(16, 24) * 128
    Image.fromarray(np.ascontiguousarray(STORED[6](ramp))).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png")[..., 0], np.rint(ramp / 257))


def test_damaged_exif_does_not_cost_the_photo():
    words = struct.pack("<HHHI4sI", 1, 274, 2, 4, b"abc", 0)  # an orientation that is a text
    for damaged in (b"Exif\0\0II*\0\x08\0\0\0" + words, b"Exif\0\0garbage, not a directory"):
        data = encode(plain("RGB", RED), "JPEG", exif=damaged)
        assert read_depth_bytes(data, "x")[0].shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("size", [(8, 8), (8, 3000), (3000, 8)])
def test_the_smallest_sides_are_read(size):
    assert (
        read_depth_bytes(encode(from_array(noise_photo(0, size)), "BMP"), "x")[0].shape[:2] == size
    )


def cut(kind: str, share: float, **options) -> bytes:
    data = encode(Image.fromarray(noise_photo(0, (40, 30))), kind, **options)
    return data[: int(len(data) * share)]


REFUSED = {  # file -> words of the refusal
    "empty": (b"", "an empty file"),
    "text": (b"just words, nothing else", "something else"),
    "another format": (encode(plain("L", 0), "GIF"), "something else"),
    "sound, not a picture": (b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 20, "something else"),
    "first bytes only": (b"\x89PNG\r\n\x1a\n", "damaged or truncated"),
    "7 rows": (png_header(7, 100), "7 x 100"),
    "7 columns": (png_header(100, 7), "100 x 7"),
    "too wide": (png_header(10, 30_001), "10 x 30001"),
    "too high": (png_header(30_001, 10), "30001 x 10"),
    "too many pixels": (png_header(10_001, 10_000), "10001 x 10000"),
    "a bomb": (png_header(29_000, 29_000), "29000 x 29000"),
    "a webp bomb": (webp_header(16_000, 16_000), "at most 50 million pixels"),
    "integers beyond 16 bit": (encode(full(65_536, np.int32), "TIFF"), "0..65535"),
    "negative integers": (encode(full(-1, np.int32), "TIFF"), "0..65535"),
    "float beyond 1": (encode(full(1.5, np.float32), "TIFF"), "0..1"),
    "float without a number": (encode(full(np.nan, np.float32), "TIFF"), "nan"),
}
for _kind, _options in (
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
):
    for _share in (0.02, 0.5, 0.95):
        REFUSED[f"{_share} of {_kind} {_options}"] = (cut(_kind, _share, **_options), "truncated")


@pytest.mark.filterwarnings("ignore:.*Corrupt EXIF|.*Truncated File:UserWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_refuses_by_name(case, tmp_path):
    data, words = REFUSED[case]
    path = tmp_path / "part 7.png"
    path.write_bytes(data)
    with pytest.raises(CutSwapError, match="part 7.png: ") as caught:
        read_photo(path)
    assert words in str(caught.value)
    with pytest.raises(CutSwapError, match="^upload.png: "):
        read_depth_bytes(data, "upload.png")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("absent.png", "no file"),
        ("folder.png", "a folder"),
        ("absent.png/inside.png", "no file"),
        ("n" * 300 + ".png", "too long"),
        ("nul\0.png", "no file"),
    ],
)
@pytest.mark.parametrize("read", [read_photo, read_mask, photo_size])
def test_refuses_paths_that_are_no_file(name, found, read, tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(CutSwapError, match=found):
        read(tmp_path / name)


def test_large_photos_within_the_limit_do_not_warn(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(png_header(5000, 10_000))
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sorted(photo_size(path)) == [5000, 10_000]
    assert MAX_PIXELS == 5000 * 10_000
    assert limit == Image.MAX_IMAGE_PIXELS


def two_values(mode: str, off, on) -> Image.Image:
    image = plain(mode, off)
    image.paste(on, (4, 2, 9, 6))
    return image


def palette_mask() -> Image.Image:
    image = two_values("P", 0, 2)
    image.putpalette([*WHITE, *RED, 0, 0, 0])  # black on white: only the index tells
    return image


MASKS = {
    "0 and 255": encode(two_values("L", 0, 255), "PNG"),
    "class id 1": encode(two_values("L", 0, 1), "PNG"),
    "one bit": encode(two_values("1", 0, 1), "PNG"),
    "16 bit, low byte only": encode(
        from_array(np.asarray(two_values("L", 0, 7)).astype(np.uint16)), "PNG"
    ),
    "16 bit tiff, 0 is white": tiff(
        16, 0, (65535 - np.asarray(two_values("L", 0, 9)).astype("<u2")).tobytes()
    ),
    "32 bit tiff": encode(two_values("I", 0, 70_000), "TIFF"),
    "float tiff": encode(two_values("F", 0, 0.25), "TIFF"),
    "palette": encode(palette_mask(), "PNG"),
    "one channel of RGB": encode(two_values("RGB", (0, 0, 0), (0, 0, 1)), "PNG"),
    "RGB, opaque": encode(two_values("RGBA", (0, 0, 0, 255), (1, 0, 0, 255)), "PNG"),
    "RGB, alpha on the ground": encode(two_values("RGBA", (0, 0, 0, 99), (1, 0, 0, 0)), "PNG"),
    "grey, opaque": encode(two_values("LA", (0, 255), (1, 255)), "PNG"),
    "ink": encode(two_values("CMYK", (0, 0, 0, 255), (0, 255, 255, 0)), "TIFF"),
}


@pytest.mark.parametrize("case", MASKS)
def test_every_kind_of_mask_counts_what_is_not_zero(case, tmp_path):
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[2:6, 4:9] = True
    path = tmp_path / "mask.png"
    path.write_bytes(MASKS[case])
    mask = read_mask(path)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.skipif(PIL.__version__ < "13", reason="older Pillow refuses these files by itself")
def test_black_of_luma_and_chroma_does_not_count(tmp_path):
    image = two_values("YCbCr", (0, 128, 128), (9, 128, 128))
    image.save(tmp_path / "mask.tif")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif"), np.asarray(image)[..., 0] > 0)


def test_ringing_of_a_jpeg_mask_does_not_count(tmp_path):
    levels = np.zeros((32, 32), np.uint8)
    levels[7:15, 9:22] = 255
    path = tmp_path / "mask.jpg"
    Image.fromarray(levels).save(path, quality=60)
    assert (np.asarray(Image.open(path)) > 0).sum() > (levels > 0).sum()  # it does ring
    np.testing.assert_array_equal(read_mask(path), levels > 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.png", True), ("a.JPG", True), ("a.TiFf", True), ("a.webp", True), ("a.gif", False)]
    + [(".a.png", False), ("._a.png", False), ("png", False), (".png", False), ("a.csv", False)],
)
def test_names_of_images(name, expected):
    assert is_image_name(Path(name)) is expected
    assert all(is_image_name(Path(f"a{s.upper()}")) for s in IMAGE_SUFFIXES)


sides = st.integers(1, 40)


@settings(max_examples=40, deadline=None)
@given(sides, sides, sides, sides, st.integers(0, 99))
def test_resized_photos_have_the_size_and_stay_within_the_values(h, w, height, width, seed):
    photo = noise_photo(seed, (h, w))
    resized = resize_photo(photo, (height, width))
    assert resized.shape == (height, width, 3)
    assert resized.dtype == np.uint8
    assert (resized.min(axis=(0, 1)) >= photo.min(axis=(0, 1))).all()
    assert (resized.max(axis=(0, 1)) <= photo.max(axis=(0, 1))).all()


def test_photo_of_that_size_comes_back_itself_and_masks_too():
    photo, mask = noise_photo(0), np.zeros((5, 6), bool)
    assert resize_photo(photo, photo.shape[:2]) is photo
    assert resize_mask(mask, (5, 6)) is mask


def test_shrinking_averages_instead_of_picking():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = resize_photo(stripes, (16, 16))[2:-2, 2:-2]
    assert abs(inner.astype(int) - 128).max() < 10


def test_resize_takes_height_first_and_keeps_top_and_left():
    photo = np.zeros((20, 30, 3), np.uint8)
    photo[:10, :, 0] = 255  # top red
    photo[:, :15, 1] = 255  # left green
    small = resize_photo(photo, (4, 6))
    np.testing.assert_array_equal(small[0, :, 0], 255)
    np.testing.assert_array_equal(small[:, 0, 1], 255)
    np.testing.assert_array_equal(resize_mask(photo[..., 0] > 0, (4, 6))[:, 0], [1, 1, 0, 0])


@settings(max_examples=60, deadline=None)
@given(st_np.arrays(bool, st.tuples(sides, sides)), sides, sides)
def test_resized_masks_invent_no_value(mask, height, width):
    resized = resize_mask(mask, (height, width))
    assert resized.shape == (height, width)
    assert resized.dtype == bool
    assert set(np.unique(resized)) <= set(np.unique(mask))


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.integers(1, 4))
def test_enlarging_a_mask_by_whole_numbers_repeats_its_pixels(h, w, factor):
    mask = np.random.default_rng(h * w).random((h, w)) > 0.5
    expected = mask.repeat(factor, axis=0).repeat(factor, axis=1)
    np.testing.assert_array_equal(resize_mask(mask, (h * factor, w * factor)), expected)


def test_shrinking_a_mask_picks_the_pixel_at_the_centre():
    mask = np.zeros((8, 8), bool)
    mask[1, 3] = mask[4, 4] = True  # of each 2 x 2 the lower right one is picked
    expected = np.zeros((4, 4), bool)
    expected[0, 1] = True
    np.testing.assert_array_equal(resize_mask(mask, (4, 4)), expected)


def test_every_value_survives_normalisation():
    photos = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    image = to_image(photos)
    assert image.shape == (1, 3, 16, 16)
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    np.testing.assert_array_equal(to_photo(image), photos)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3), sides, sides, st.integers(0, 99))
def test_to_photo_undoes_to_image(n, h, w, seed):
    photos = np.random.default_rng(seed).integers(0, 256, (n, h, w, 3), dtype=np.uint8)
    for view in (photos, photos[:, ::-1, ::-1]):  # also of memory that runs backwards
        back = to_photo(to_image(view))
        np.testing.assert_array_equal(back, view)
        assert back.dtype == np.uint8


def test_normalisation_is_imagenets():
    grey = to_image(np.full((1, 2, 2, 3), 128, np.uint8))[0, :, 0, 0].tolist()
    expected = [(128 / 255 - m) / s for m, s in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]
    assert grey == pytest.approx(expected, abs=1e-6)


def test_to_photo_clips_and_takes_gradients():
    image = torch.tensor([-99.0, 0.0, 99.0]).view(1, 3, 1, 1).requires_grad_()
    assert to_photo(image).ravel().tolist() == [0, 116, 255]


@pytest.mark.parametrize(
    "photos",
    [
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 1), np.uint8),
        np.zeros((1, 3, 4, 4), np.uint8),
        np.zeros((1, 4, 4, 3), np.float32),
    ],
)
def test_to_image_refuses_other_arrays(photos):
    with pytest.raises(CutSwapError, match=r"\(N, H, W, 3\) uint8"):
        to_image(photos)


@pytest.mark.parametrize(
    ("array", "read_back"),
    [
        (noise_photo(3), noise_photo(3)),
        (noise_photo(3)[::2, ::-1], noise_photo(3)[::2, ::-1]),
        (noise_photo(3)[..., 0], noise_photo(3)[..., :1].repeat(3, axis=2)),
        (np.eye(9, 11, dtype=bool), np.eye(9, 11)[..., None].repeat(3, axis=2) * 255),
    ],
)
def test_saved_pngs_read_back_the_same(array, read_back, tmp_path):
    path = tmp_path / "new" / "a.png"
    save_png(path, array)
    image = Image.open(path)
    assert image.format == "PNG"
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), read_back)
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 3), bool),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_save_refuses_other_arrays_and_keeps_the_old_file(array, tmp_path):
    path = tmp_path / "a.png"
    path.write_text("old")
    with pytest.raises(CutSwapError, match="array to save"):
        save_png(path, array)
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (None, True),
        ((0, 0, 0), False),
        ((9, 11, 2), False),
        ((slice(None), 5), False),  # a stripe from top to bottom
        ((5, slice(None)), False),
    ],
)
def test_constant_photos(change, expected):
    photo = np.full((10, 12, 3), (10, 20, 30), np.uint8)
    if change:
        photo[change] += 2
    assert is_constant(photo) is expected
    if change:
        photo[change] -= 1  # noise
        assert is_constant(photo)


@pytest.mark.parametrize(
    "name", ["images", "decoding", "records", "layouts", "visa_split", "datasets", "problems"]
)
def test_reading_files_does_not_import_torch(name):
    tree = ast.parse((MODULES / f"{name}.py").read_text())
    at_import = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    names = {a.name for n in at_import if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in at_import if isinstance(n, ast.ImportFrom)}
    assert not [n for n in names if n.split(".")[0] in ("torch", "torchvision")]

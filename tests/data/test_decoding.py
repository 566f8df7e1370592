"""A picture that is sound is read, whatever its file carries beside it."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutswap.data import decoding
from cutswap.data.decoding import decode
from cutswap.data.images import photo_size, read_mask, read_photo
from cutswap.errors import CutSwapError
from tests.helpers.datasets import noise_photo

LONG = b"x" * 2_000_000


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


ITXT = b"k\0\1\0\0\0" + zlib.compress(LONG)
TEXTS = {
    "2 MB compressed": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LONG)),
    "2 MB compressed, international": chunk(b"iTXt", ITXT),
    "70 MB in pieces": chunk(b"zTXt", b"k\0\0" + zlib.compress(LONG[:1_000_000])) * 70,
    "10 MB plain": chunk(b"tEXt", b"k\0" + LONG * 5),
    "checksum wrong": chunk(b"tEXt", b"k\0text", crc=7),
    "not compressed": chunk(b"zTXt", b"k\0\0" + b"no zlib at all"),
    "unknown compression": chunk(b"zTXt", b"k\0\7" + zlib.compress(b"text")),
    "colour profile of 3 MB": chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(3_000_000))),
    "colour profile damaged": chunk(b"iCCP", b"k\0\7none"),
    "density cut short": chunk(b"pHYs", b"\0"),
    "of another program": chunk(b"prVt", b"none", crc=7),
}


def png(pixels: np.ndarray) -> bytes:
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, "PNG")
    return made.getvalue()


@pytest.mark.parametrize("place", ["before the pixels", "after the pixels"])
@pytest.mark.parametrize("case", TEXTS)
def test_a_png_is_read_whatever_text_it_carries(case, place, tmp_path):
    pixels = noise_photo(3)
    data = png(pixels)
    at = data.index(b"IDAT") - 4 if place == "before the pixels" else data.index(b"IEND") - 4
    path = tmp_path / "photo.png"
    path.write_bytes(data[:at] + TEXTS[case] + data[at:])
    np.testing.assert_array_equal(read_photo(path), pixels)
    assert read_mask(path).shape == photo_size(path) == pixels.shape[:2]


@pytest.mark.parametrize("cut", [40, 200, 500])
def test_a_png_with_text_and_a_body_cut_short_is_damaged_still(cut, tmp_path):
    data = png(noise_photo(3))
    at = data.index(b"IDAT") - 4
    path = Path(tmp_path / "photo.png")
    path.write_bytes(data[:at] + TEXTS["2 MB compressed"] + data[at:-cut])
    with pytest.raises(CutSwapError, match="a damaged or truncated file"):
        read_photo(path)


def test_a_wrong_checksum_of_the_picture_itself_is_damage(tmp_path):
    data = bytearray(png(noise_photo(3)))
    at = data.index(b"IHDR")
    data[at + 4 + struct.unpack(">I", data[at - 4 : at])[0]] ^= 1
    text = data.index(b"IDAT") - 4
    path = tmp_path / "photo.png"
    path.write_bytes(bytes(data[:text]) + TEXTS["not compressed"] + bytes(data[text:]))
    with pytest.raises(CutSwapError, match="a damaged or truncated file"):
        read_photo(path)


@pytest.mark.parametrize("more", [0, 1])
def test_a_jpeg_of_scan_upon_scan_is_refused_at_the_limit(
    more: int, monkeypatch: pytest.MonkeyPatch
):
    """Each scan is a pass over all pixels for twenty bytes of file."""
    scans = 40
    data = io.BytesIO()
    Image.new("RGB", (64, 64)).save(data, "JPEG", progressive=True)
    plain = data.getvalue()
    last = plain.rindex(b"\xff\xda")
    own = plain.count(b"\xff\xda")
    many = plain[:last] + plain[last:-2] * (scans - own + 1 + more) + plain[-2:]
    monkeypatch.setattr(decoding, "MAX_SCANNED", scans * 64 * 64)
    if more:
        with pytest.raises(CutSwapError, match="at most 40 scans"):
            decode(io.BytesIO(many), "photo")
    else:
        assert decode(io.BytesIO(many), "photo").image.size == (64, 64)

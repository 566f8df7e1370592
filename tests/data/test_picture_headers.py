"""Pictures whose headers make work out of nothing, and sound ones near the limits."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutswap.data import picture_headers as limits
from cutswap.data.images import photo_size, read_depth_bytes, read_mask, read_photo
from cutswap.errors import CutSwapError
from tests.helpers.small_photos import photo_of

SIZE = (24, 32)


def encoded(form: str) -> bytes:
    data = io.BytesIO()
    Image.fromarray(photo_of(0, SIZE)).save(data, form)
    return data.getvalue()


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(middle: bytes, kind: bytes = b"IDAT") -> bytes:
    """A sound PNG with something before its pixels, or before its end."""
    data = encoded("PNG")
    at = data.index(kind) - 4
    return data[:at] + middle + data[at:]


def jpeg_with(middle: bytes) -> bytes:
    data = encoded("JPEG")
    return data[:2] + middle + data[2:]


def tiff_with(kind: int, count: int, order: str = "<", big: bool = False, tags: int = 1) -> bytes:
    """A TIFF's beginning with tags of which each holds `count` values somewhere behind."""
    magic = {"<": b"II", ">": b"MM"}[order]
    if big:
        head = magic + struct.pack(f"{order}HHHQ", 43, 8, 0, 16)
        return (
            head
            + struct.pack(f"{order}Q", tags)
            + struct.pack(f"{order}HHQQ", 700, kind, count, 64) * min(tags, 5000)
        )
    head = magic + struct.pack(f"{order}HI", 42, 8)
    return (
        head
        + struct.pack(f"{order}H", tags)
        + struct.pack(f"{order}HHII", 700, kind, count, 64) * min(tags, 5000)
    )


MANY = limits.MAX_PIECES
HOSTILE = {
    "PNG of empty chunks": png_with(chunk(b"teSt") * MANY),
    "PNG of empty pixel chunks": png_with(chunk(b"IDAT") * MANY),
    "PNG of empty chunks behind its pixels": png_with(chunk(b"teSt") * MANY, b"IEND"),
    "PNG with a huge profile": png_with(struct.pack(">I4s", limits.MAX_PIECE + 1, b"eXIf")),
    "JPEG of empty segments": jpeg_with(b"\xff\xe5\x00\x02" * MANY),
    "JPEG of empty comments": jpeg_with(b"\xff\xfe\x00\x02" * MANY),
    "JPEG of segments shorter than nothing": jpeg_with(b"\xff\xe5\x00\x00" * MANY),
    "JPEG of zeros between segments": jpeg_with(b"\xff\xe5\x00\x02" + bytes(MANY)),
    "JPEG of padding": jpeg_with(b"\xff" * MANY),
    "JPEG of restarts": jpeg_with(b"\xff\xd0" * MANY),
    "BMP of runs of one pixel": encoded("BMP")[:30] + b"\1" + bytes(limits.MAX_RUNS),
    **{
        f"TIFF {order}{'big' if big else ''} with {what}": tiff_with(kind, count, order, big, tags)
        for order in "<>"
        for big in (False, True)
        for what, kind, count, tags in (
            ("a text of 3 GB", 2, 3_000_000_000, 1),
            ("a million strips", 4, 1_000_000, 1),
            ("tags that are too large together", 7, 20_000_000, 2),
            ("5,000 tags", 3, 1, 5000),
        )
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_header_that_makes_work_out_of_nothing_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Before Pillow sees it, by every reader."""
    path = tmp_path / "photo"
    path.write_bytes(HOSTILE[name])

    def never(*_: object, **__: object) -> None:
        raise AssertionError("Pillow was given the file")

    monkeypatch.setattr(Image.Image, "__init__", never)
    for ask in (
        lambda: read_photo(path),
        lambda: read_mask(path),
        lambda: photo_size(path),
        lambda: read_depth_bytes(HOSTILE[name], "photo"),
    ):
        with pytest.raises(CutSwapError, match="at most"):
            ask()


def test_a_sparse_file_of_3_gb_is_refused_by_its_size(tmp_path: Path):
    path = tmp_path / "photo.tif"
    path.write_bytes(encoded("TIFF"))
    with path.open("r+b") as file:
        file.truncate(3_000_000_000)
    with pytest.raises(CutSwapError, match="a file of at most 500,000,000 bytes"):
        photo_size(path)


@pytest.mark.parametrize(
    "data",
    [
        png_with(chunk(b"teSt") * 5000),
        png_with(chunk(b"eXIf", bytes(100_000))),
        jpeg_with(b"\xff\xe5\x00\x02" * 5000),
        jpeg_with(b"\xff\xe2\xff\xff" + bytes(0xFFFD)),
        jpeg_with(b"\xff" * 50),
        encoded("TIFF"),
        encoded("BMP"),
        encoded("WEBP"),
    ],
    ids=range(8),
)
def test_sound_pictures_with_much_beside_them_are_read(data: bytes):
    assert read_depth_bytes(data, "photo")[0].shape == (*SIZE, 3)


def test_many_small_pixel_chunks_are_still_the_picture():
    """As encoders write them that send rows as they come."""
    data = encoded("PNG")
    at = data.index(b"IDAT") - 4
    (length,) = struct.unpack(">I", data[at : at + 4])
    body = data[at + 8 : at + 8 + length]
    pieces = b"".join(chunk(b"IDAT", body[i : i + 1]) for i in range(len(body)))
    found, _ = read_depth_bytes(data[:at] + pieces + data[at + 12 + length :], "photo")
    assert np.array_equal(found, photo_of(0, SIZE))

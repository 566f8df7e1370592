"""Hostile photos, masks and uploads."""

from __future__ import annotations

import functools
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.helpers.small_photos import photo_of
from tests.robustness.hostile import EITHER, SOUND, Case, Make, damaged, file_of

SIZE = (24, 32)


def encoded(array: np.ndarray, form: str, mode: str | None = None, **options: Any) -> bytes:
    data = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(data, form, **options)
    return data.getvalue()


@functools.cache
def sound() -> dict[str, bytes]:
    """One small sound file of every kind we read, by its suffix and kind."""
    photo, deep = photo_of(0, SIZE), np.arange(768, dtype=np.uint16).reshape(SIZE) * 80
    real = np.linspace(0, 1, 768, dtype=np.float32).reshape(SIZE)
    turned = Image.Exif()
    turned[274] = 6
    return {
        "rgb.png": encoded(photo, "PNG"),
        "grey.png": encoded(photo, "PNG", "L"),
        "alpha.png": encoded(photo, "PNG", "RGBA"),
        "palette.png": encoded(photo, "PNG", "P"),
        "bits.png": encoded(photo, "PNG", "1"),
        "deep.png": encoded(deep, "PNG"),
        "plain.jpg": encoded(photo, "JPEG"),
        "progressive.jpg": encoded(photo, "JPEG", progressive=True),
        "turned.jpg": encoded(photo, "JPEG", exif=turned),
        "plain.bmp": encoded(photo, "BMP"),
        "plain.tif": encoded(photo, "TIFF"),
        "lzw.tif": encoded(photo, "TIFF", compression="tiff_lzw"),
        "deep.tif": encoded(deep, "TIFF"),
        "float.tif": encoded(real, "TIFF"),
        "plain.webp": encoded(photo, "WEBP"),
    }


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, body: bytes = b"", *, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG of that header, and whatever pixels are given, compressed."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(body, 9)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def zeros(width: int, height: int, channels: int = 3) -> bytes:
    """A PNG of zeros that is small on disk: a decompression bomb where it is large."""
    colour = {1: 0, 3: 2, 4: 6}[channels]
    return png(width, height, bytes((1 + channels * width) * height), colour=colour)


def many_scans(size: tuple[int, int], scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated: seconds of work a scan, bytes on disk."""
    data = encoded(np.zeros((*size, 3), np.uint8), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def bomb_zip(megabytes: int) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("photo.png", bytes(megabytes * 1_000_000))
        archive.writestr("../../escaped.png", sound()["rgb.png"])
    return data.getvalue()


FOREIGN: dict[str, bytes] = {
    "0 bytes": b"",
    "1 byte": b"\x89",
    "a text": b"hello\n" * 100,
    "HTML": b"<html><script>alert(1)</script>",
    "SVG with a file entity": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM'
    b' "file:///etc/passwd">]><svg>&x;</svg>',
    "GIF": b"GIF89a" + bytes(100),
    "PDF": b"%PDF-1.4\n" + bytes(100),
    "a program": b"\x7fELF" + bytes(200),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "PNG's first bytes alone": b"\x89PNG\r\n\x1a\n",
    "JPEG's first bytes alone": b"\xff\xd8\xff",
    "BMP's first bytes alone": b"BM",
    "TIFF's first bytes alone": b"II*\0",
    "WebP's first bytes alone": b"RIFF\0\0\0\0WEBP",
    "a WAV file": b"RIFF\x24\0\0\0WAVEfmt " + bytes(50),
    "a TIFF whose directory is itself": b"II*\0\x08\0\0\0\x01\0" + bytes(12) + b"\x08\0\0\0",
    "a TIFF with a directory of 65,535 entries": b"II*\0\x08\0\0\0\xff\xff" + bytes(5000),
    "a BMP of negative size": b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, -64, -64, 1, 24, 0)
    + bytes(20),
    "a PNG of no pixel": png(0, 0),
    "a PNG of 2,147,483,647 pixels a side": png(2**31 - 1, 2**31 - 1),
    "a PNG of 30,001 by 8": zeros(30_001, 8),
    "a strip of 1 by 10,000": zeros(10_000, 1),
    "a strip of 10,000 by 1": zeros(1, 10_000),
    "a PNG of 7 by 7": zeros(7, 7),
    "a PNG that promises 7,000 by 7,000": png(7000, 7000, b"short"),
    "a PNG of a bit depth there is not": png(32, 32, bytes(3104), bits=7),
    "a PNG with a text of 50 MB": png(32, 32, bytes(97 * 32))[:33]
    + _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000), 9))
    + png(32, 32, bytes(97 * 32))[33:],
}  # fmt: skip
FLOATS = {"NaN": np.nan, "infinity": np.inf, "minus infinity": -np.inf, "-1": -1.0, "1e30": 1e30}


def float_tiff(value: float) -> bytes:
    values = np.full(SIZE, 0.5, np.float32)
    values[3, 4] = value
    return encoded(values, "TIFF")


def linked(target: str) -> Make:
    """A link of an innocent name."""

    def make(folder: Path) -> Path:
        (folder / "photo.png").symlink_to(target)
        return folder / "photo.png"

    return make


def special(folder: Path) -> Path:
    os.mkfifo(folder / "photo.png")
    return folder / "photo.png"


def a_folder(folder: Path) -> Path:
    (folder / "photo.png").mkdir()
    return folder / "photo.png"


NAMES = (
    "../../escaped.png",
    "..\\..\\escaped.png",
    "/etc/cron.d/x.png",
    "C:\\Windows\\x.png",
    "%2e%2e%2fescaped.png",
    "a\nb.png",
    "a\rb.png",
    "$(touch pwned).png",
    "`touch pwned`.png",
    "; rm -rf ~ #.png",
    "-rf.png",
    "a\0b.png",
    "." * 300 + ".png",
    "\u202egnp.exe",
    "CON.png",
    "",
    "file:///etc/passwd",
    "\\\\server\\share\\x.png",
    "index.json",
    '=HYPERLINK("x").png',
    "[x](javascript:alert(1)).png",
    "\udcff.png",
)


def cases() -> Iterator[Case]:
    """All pictures, for the readers `photo`, `mask` and `upload`."""
    for reader in ("photo", "mask"):
        for seed, (name, data) in enumerate(sound().items()):
            yield Case(reader, f"sound {name}", file_of(data, name), SOUND)
            for damage, bad in damaged(data, seed):
                if reader == "photo" or seed % 3 == 0:
                    yield Case(reader, f"{name}, {damage}", file_of(bad, name), EITHER)
        for name, data in FOREIGN.items():
            verdict = EITHER if "50 MB" in name else "refused"
            yield Case(reader, name, file_of(data, "photo.png"), verdict)
        yield Case(reader, "a link to /dev/zero", linked("/dev/zero"))
        yield Case(reader, "a link to a text", linked("/etc/passwd"))
        yield Case(reader, "a link to itself", linked("photo.png"))
        yield Case(reader, "a pipe nobody writes", special)
        yield Case(reader, "a folder", a_folder)
        yield Case(reader, "a strip of 8 by 10,000", file_of(zeros(10_000, 8), "p.png"), SOUND)
        for channels in (1, 3, 4):
            yield Case(
                reader,
                f"50 million zeros of {channels} channels",
                lambda folder, n=channels: file_of(zeros(10_000, 5000, n), "p.png")(folder),
                SOUND,
                is_heavy=True,
            )
            yield Case(
                reader,
                f"100 million zeros of {channels} channels",
                lambda folder, n=channels: file_of(zeros(10_000, 10_000, n), "p.png")(folder),
                is_heavy=True,
            )
        yield Case(
            reader,
            "a progressive JPEG of 4 million pixels and 2,000 scans",
            lambda folder: file_of(many_scans((2000, 2000), 2000), "p.jpg")(folder),
            is_heavy=True,
        )
        yield Case(
            reader,
            "a progressive JPEG of 50 million pixels",
            lambda folder: file_of(many_scans((5000, 10_000), 1), "p.jpg")(folder),
            SOUND,
            is_heavy=True,
        )
    for name, value in FLOATS.items():
        yield Case("photo", f"a float TIFF with {name}", file_of(float_tiff(value), "p.tif"))
    for name in ("NaN", "infinity"):
        yield Case("mask", f"a float TIFF with {name}", file_of(float_tiff(FLOATS[name]), "p.tif"))
    for name, data in FOREIGN.items():
        verdict = EITHER if "50 MB" in name else "refused"
        yield Case("upload", name, file_of(data, "upload/photo.png"), verdict)
    yield Case("upload", "a zip bomb", file_of(bomb_zip(5), "upload/photos.zip"))
    yield Case(
        "upload",
        "a zip bomb of 900 MB",
        lambda folder: file_of(bomb_zip(900), "upload/photo.png")(folder),
        is_heavy=True,
    )
    yield Case("upload", "a pickle", file_of(b"cos\nsystem\n(S'touch pwned'\ntR.", "upload/p.png"))
    for number, name in enumerate(NAMES):
        # A browser's name may be anything; it travels beside the file, as it does in an upload.
        yield Case("upload", f"name {name[:20]!r}", _named(number, name), SOUND)


def _named(number: int, name: str) -> Make:
    def make(folder: Path) -> Path:
        (folder / "upload").mkdir()
        (folder / "name").write_bytes(name.encode("utf-8", "surrogateescape"))
        return file_of(sound()["rgb.png"], f"upload/{number}.png")(folder)

    return make

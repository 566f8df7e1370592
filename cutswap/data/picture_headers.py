"""How much work the header of a picture may make, told before any of it is done.

Pillow walks segments, chunks and tags one by one and keeps what they hold, whatever there are:
20 MB of empty JPEG segments or PNG chunks take it seven to ten seconds, one tag of a sparse TIFF of
3 GB takes 5.8 GB. Here they are counted and measured, and read nowhere.
"""

from __future__ import annotations

import io
import struct
from typing import IO

from cutswap.errors import CutSwapError

MAX_FILE = 500_000_000  # bytes: 50 million pixels of four times 16 bits, and a fifth beside them
MAX_PIECES = 100_000  # segments or chunks; a PNG of 400 MB has 49,000 of the usual 8 kB
MAX_PIECE = 32_000_000  # bytes of one that is no pixels: a profile, EXIF
MAX_TAGS = 4096  # of a TIFF's directory; cameras write a hundred
MAX_NUMBERS = 250_000  # of one tag; strips and tiles of 16 x 16 on 50 million pixels are 195,000
MAX_RUNS = 4_000_000  # bytes of a run-length coded BMP, which Pillow unpacks in Python

_BYTES = (1, 2, 6, 7)  # TIFF's types of single bytes: texts, profiles, EXIF
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_SCAN, _PADDING = 0xDA, 0xFF
# JPEG markers that stand alone, without a length: restarts, begin, end, and reserved ones.
_ALONE = frozenset((0x00, 0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)))


def need_modest(stream: IO[bytes], subject: object) -> None:
    """Refuse a picture whose header makes work out of nothing.

    Args:
        stream: a seekable binary file; its position is kept.
        subject: what errors call it.

    Raises:
        CutSwapError: too large a file, or too many or too large pieces beside its pixels.
    """
    here = stream.tell()
    try:
        size = stream.seek(0, io.SEEK_END)
        if size > MAX_FILE:
            raise _refused(subject, f"a file of at most {MAX_FILE:,} bytes", f"{size:,}")
        stream.seek(0)
        head = stream.read(8)
        if head.startswith(b"\x89PNG"):
            _count_chunks(stream, subject)
        elif head.startswith(b"\xff\xd8"):
            _count_segments(stream, subject)
        elif head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            _measure_tags(stream, head, subject)
        elif head.startswith(b"BM"):
            stream.seek(30)
            if stream.read(1) in (b"\1", b"\2") and size > MAX_RUNS:
                wanted = f"a run-length coded BMP of at most {MAX_RUNS:,} bytes"
                raise _refused(subject, wanted, f"{size:,}")
    finally:
        stream.seek(here)


def _count_chunks(stream: IO[bytes], subject: object) -> None:
    """Of a PNG: four bytes of length, four of kind, the body, four of checksum."""
    for _ in range(MAX_PIECES):
        head = stream.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        if length > MAX_PIECE and kind not in (b"IDAT", b"zTXt", b"tEXt", b"iTXt"):
            name = kind.decode("ascii", errors="replace")
            raise _too_large(subject, f"a chunk {name!r} of {length:,} bytes")
        stream.seek(length + 4, io.SEEK_CUR)
    raise _too_many(subject, "PNG", "chunks")


def _count_segments(stream: IO[bytes], subject: object) -> None:
    """Of a JPEG up to its first scan; bytes between segments count as one each, as for Pillow."""
    stream.seek(2)
    is_marked = False
    for _ in range(MAX_PIECES):
        byte = stream.read(1)
        if not byte:
            return
        if not is_marked or byte[0] == _PADDING:
            is_marked = byte[0] == _PADDING
            continue
        is_marked = False
        if byte[0] == _SCAN:
            return
        if byte[0] not in _ALONE:
            length = stream.read(2)
            stream.seek(max(0, int.from_bytes(length, "big") - 2), io.SEEK_CUR)
    raise _too_many(subject, "JPEG", "segments")


def _measure_tags(stream: IO[bytes], head: bytes, subject: object) -> None:
    """Of a TIFF's first directory, classic or big; what is damaged is Pillow's to say."""
    order = "<" if head.startswith(b"II") else ">"
    is_big = head[2:4] in (b"+\0", b"\0+")
    if is_big:
        stream.seek(8)
    place = "Q" if is_big else "I"
    count, entry = ("Q", f"{order}HHQQ") if is_big else ("H", f"{order}HHII")
    try:
        offset = head[4:8] if not is_big else stream.read(8)
        stream.seek(struct.unpack(order + place, offset)[0])
        (tags,) = struct.unpack(order + count, stream.read(struct.calcsize(order + count)))
    except (struct.error, OSError, OverflowError, ValueError):
        return
    if tags > MAX_TAGS:
        raise _too_many(subject, "TIFF", "tags", MAX_TAGS)
    total = 0
    size = struct.calcsize(entry)
    for _ in range(tags):
        data = stream.read(size)
        if len(data) < size:
            return
        _, kind, values, _ = struct.unpack(entry, data)
        if kind not in _BYTES and values > MAX_NUMBERS:
            raise _too_many(subject, "TIFF", "numbers in a tag", MAX_NUMBERS)
        total += values * _SIZES.get(kind, 1)
        if total > MAX_PIECE:
            raise _too_large(subject, f"tags of {total:,} bytes")


def _too_many(subject: object, form: str, what: str, most: int = MAX_PIECES) -> CutSwapError:
    return _refused(subject, f"a {form} of at most {most:,} {what}", "more")


def _too_large(subject: object, found: str) -> CutSwapError:
    return _refused(subject, f"at most {MAX_PIECE:,} bytes beside the pixels", found)


def _refused(subject: object, expected: str, found: str) -> CutSwapError:
    return CutSwapError(
        subject, expected=expected, found=found, fix="export it again as png, or crop it"
    )

"""Image files opened under our own limits, decoded, and turned upright; `images` builds on it.

Pillow's plugins are built directly instead of through `Image.open`, which warns from 89 million
pixels on: silencing that would change state shared by all threads.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from cutswap.data.picture_headers import need_modest
from cutswap.errors import CutSwapError

MAX_PIXELS = 50_000_000  # decoded and as an array 350 MB in all, a second; phones stop at 50
MAX_SIDE = 30_000
BAND = 512
MIN_SIDE = 8

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# Of what may stand beside a PNG's pixels these decide how they are shown; the rest are comments,
# colour profiles and times, over some of which Pillow refuses the picture.
_PNG_SHOWN = (b"tRNS", b"eXIf")
_PNG_BESIDE = 0x20  # bit of a chunk's first letter: small, so not needed to show the picture
_MAX_REPACKED = 8 * MAX_PIXELS  # bytes of a PNG without its texts: four channels of 16 bits

_PLUGINS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (_PNG_MAGIC, PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    *((magic, TiffImagePlugin.TiffImageFile) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
)
_EXIF_ORIENTATION, _TIFF_BITS, _TIFF_PHOTOMETRIC = 274, 258, 262
_UPRIGHT = {  # EXIF orientation -> what brings it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# A progressive JPEG may repeat a scan of twenty bytes for ever, each a pass over all pixels; ten
# scans are what encoders write.
MAX_SCANNED = 12 * MAX_PIXELS

T = TypeVar("T")


@dataclass(frozen=True)
class Decoded:
    """A decoded, upright picture with what its file said about the numbers in it.

    Attributes:
        image: in the mode Pillow gave it.
        format: PNG, JPEG, BMP, TIFF or WEBP.
        full: largest value a deep grey (I;16, I) or float (F) picture may hold.
        is_inverted: deep grey where 0 means white; Pillow turns that around up to 8 bits only.
    """

    image: Image.Image
    format: str
    full: int
    is_inverted: bool

    @property
    def is_deep(self) -> bool:
        """Whether it is grey of more than 8 bits."""
        return self.image.mode in ("I", "F") or self.image.mode.startswith("I;16")

    def bands(self) -> Iterator[tuple[slice, Decoded]]:
        """The picture `BAND` rows at a time, with the rows: a whole copy may take 200 MB.

        Every conversion we make looks at one pixel, so bands give the same numbers.
        """
        width, height = self.image.size
        if height <= BAND:  # a crop is a copy
            yield slice(0, height), self
            return
        for top in range(0, height, BAND):
            rows = slice(top, min(top + BAND, height))
            yield rows, replace(self, image=self.image.crop((0, rows.start, width, rows.stop)))

    def values(self) -> np.ndarray:
        """(H, W) or (H, W, C), the numbers of the file; a palette's are its indices."""
        values = np.asarray(self.image)
        return self.full - values if self.is_inverted else values


def from_file(path: Path, read: Callable[[IO[bytes], object], T]) -> T:
    """Call `read(stream, path)` on an open file.

    Raises:
        CutSwapError: it is missing, a folder, or may not be opened.
    """
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "no file"
            raise CutSwapError(path, expected="an image file", found=found, fix="check the path")
        with path.open("rb") as stream:
            return read(stream, path)
    except OSError as error:
        raise CutSwapError(
            path,
            expected="an image file that can be opened",
            found=error.strerror or error,
            fix="check the file and its permissions",
        ) from error


def decode(stream: IO[bytes], subject: object) -> Decoded:
    """Decode the first picture of a file, EXIF orientation applied.

    Raises:
        CutSwapError: as `open_header`, or the body is damaged or cut short.
    """
    opened = open_header(stream, subject)
    try:
        opened.load()
    except Exception as error:  # decoders raise almost anything on damaged data
        plain = _without_comments(stream, error)
        if plain is None:
            raise _damaged(subject, error) from error
        return decode(plain, subject)
    turn = _UPRIGHT.get(_orientation(opened))
    upright = opened.transpose(turn) if turn is not None else opened
    full, is_inverted = 1 if opened.mode == "F" else 65_535, False
    if opened.mode.startswith("I;16") and isinstance(opened, TiffImagePlugin.TiffImageFile):
        full = 2 ** int(opened.tag_v2.get(_TIFF_BITS, (16,))[0]) - 1
        is_inverted = opened.tag_v2.get(_TIFF_PHOTOMETRIC) == 0
    return Decoded(upright, opened.format or "", full, is_inverted)


def upright_size(stream: IO[bytes], subject: object) -> tuple[int, int]:
    """(height, width) after EXIF orientation, from the header alone.

    Raises:
        CutSwapError: as `open_header`.
    """
    image = open_header(stream, subject)
    width, height = image.size
    # Two of Pillow's habits: a TIFF's size is upright already, and asking a PNG without EXIF for
    # it decodes the whole file.
    is_plain_png = image.format == "PNG" and "exif" not in image.info
    is_lying = image.format != "TIFF" and not is_plain_png and _orientation(image) >= 5
    return (width, height) if is_lying else (height, width)


def open_header(stream: IO[bytes], subject: object) -> ImageFile.ImageFile:
    """Read the header and check the size before anything is decoded.

    Args:
        stream: a seekable binary file at its start.
        subject: what errors call it.

    Raises:
        CutSwapError: empty, not one of our formats, damaged, a size out of limits, or a header that
            makes work out of nothing.
    """
    head = stream.read(16)
    stream.seek(0)
    plugin = next((p for magic, p in _PLUGINS if head.startswith(magic)), None)
    if plugin is None or (head.startswith(b"RIFF") and head[8:12] != b"WEBP"):
        raise CutSwapError(
            subject,
            expected="an image (png, jpg, bmp, tif or webp)",
            found="something else" if head else "an empty file",
            fix="convert it to png" if head else "copy the file again",
        )
    need_modest(stream, subject)
    try:
        image = plugin(stream)
    except Image.DecompressionBombError as error:
        raise _wrong_size(subject, "more") from error
    except Exception as error:  # header parsers raise almost anything on damaged data
        plain = _without_comments(stream, error)
        if plain is None:
            raise _damaged(subject, error) from error
        return open_header(plain, subject)
    width, height = image.size
    if min(image.size) < MIN_SIDE or max(image.size) > MAX_SIDE or height * width > MAX_PIXELS:
        raise _wrong_size(subject, f"{height} x {width} (height x width)")
    if plugin is JpegImagePlugin.JpegImageFile:
        _need_few_scans(stream, height * width, subject)
    return image


def _without_comments(stream: IO[bytes], error: Exception) -> IO[bytes] | None:
    """A PNG again without its comments; None where it has none, or is none.

    Pillow refuses a sound picture whose comment or colour profile is damaged, unpacks to more than
    1 MB, or, with others, to more than 64 MB; its limits are state that all threads share.

    Args:
        stream: the file.
        error: what Pillow said; a picture too large stays one.
    """
    if isinstance(error, Image.DecompressionBombError):
        return None
    stream.seek(0)
    if stream.read(len(_PNG_MAGIC)) != _PNG_MAGIC:
        return None
    kept = [_PNG_MAGIC]
    size, is_shorter = 0, False
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind[0] & _PNG_BESIDE and kind not in _PNG_SHOWN:
            stream.seek(length + 4, io.SEEK_CUR)
            is_shorter = True
            continue
        size += length
        if size > _MAX_REPACKED:
            return None
        kept += [head, stream.read(length + 4)]
        if kind == b"IEND":
            break
    return io.BytesIO(b"".join(kept)) if is_shorter else None


def _need_few_scans(stream: IO[bytes], pixels: int, subject: object) -> None:
    """Refuse a JPEG that makes work out of nothing; within pixel data FF is never followed by DA.

    Args:
        stream: the file; its position is kept.
        pixels: of the picture.
        subject: what errors call it.
    """
    here = stream.tell()
    stream.seek(0)
    scans = 0
    last = b""
    while block := stream.read(1 << 20):
        scans += (last + block).count(b"\xff\xda")
        last = block[-1:]
    stream.seek(here)
    # Metadata may hold the mark too, so few are never counted against a small picture.
    if scans * pixels > MAX_SCANNED and scans > 12:
        raise CutSwapError(
            subject,
            expected=f"a JPEG of at most {max(12, MAX_SCANNED // pixels)} scans at this size",
            found=f"{scans:,} scans",
            fix="export it again as a plain JPEG or as png",
        )


def _orientation(image: ImageFile.ImageFile) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF beside a sound picture: the picture is what matters
        return 1


def _wrong_size(subject: object, found: str) -> CutSwapError:
    return CutSwapError(
        subject,
        expected=f"sides of {MIN_SIDE} to {MAX_SIDE:,} pixels and at most"
        f" {MAX_PIXELS // 10**6} million pixels in all",
        found=found,
        fix="resize or crop the image",
    )


def _damaged(subject: object, error: Exception) -> CutSwapError:
    reason = str(error) or type(error).__name__
    return CutSwapError(
        subject,
        expected="a complete image",
        found=f"a damaged or truncated file ({reason})",
        fix="copy or export the file again",
    )

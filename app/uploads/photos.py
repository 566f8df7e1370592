"""One uploaded file to one upright photo, or a plain sentence on why it cannot be used."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

import numpy as np
from PIL import Image

from cutswap.data.decoding import upright_size
from cutswap.data.images import is_constant, read_depth_bytes, resize_photo
from cutswap.errors import CutSwapError

MAX_FILE_BYTES = 20_000_000  # a 48-megapixel phone JPEG has 12 to 16 MB; the app's own limit too
MAX_PIXELS = 50_000_000  # decoded 150 MB; phones stop at 48 to 50 megapixels
KEPT_SIDE = 2048  # pixels of the longer side kept: no setting works on larger images
_STEM_LENGTH = 40  # letters of a name in the name of the file that is kept
_NAME_LENGTH = 120  # of an original name in the index and on the screen


@dataclass(frozen=True)
class Upload:
    """One file as the browser sent it: its name, which may be anything, and its bytes."""

    name: str
    data: bytes


class UnusableError(ValueError):
    """One file that cannot be used; the sentence is its only argument."""


def decoded(
    file: Upload,
    name: str,
    limit: int,
    bits: int | None = None,
    pixels: int = MAX_PIXELS,
) -> tuple[np.ndarray, int]:
    """Decode an upload; sizes are checked before that.

    Args:
        file: the upload.
        name: what to call it.
        limit: bytes at most.
        bits: that the camera fills of grey photos of more than 8, see `read_photo`.
        pixels: at most.

    Returns:
        (H, W, 3) uint8, upright, and its largest number, as `read_depth` gives it.

    Raises:
        UnusableError: too large, no image, damaged, or all pixels alike.
    """
    size = len(file.data)
    if size > limit:
        raise UnusableError(
            f"{size / 1e6:.0f} MB, at most {limit // 10**6} MB a file; make it smaller"
        )
    try:
        height, width = upright_size(io.BytesIO(file.data), name)
        if height * width > pixels:
            raise UnusableError(
                f"{height} x {width} pixels, at most {pixels // 10**6} million; make it smaller"
            )
        photo, top = read_depth_bytes(file.data, name, bits)
    except CutSwapError as error:
        raise UnusableError(f"{error.found} instead of {error.expected}; {error.fix}") from error
    except MemoryError:
        raise UnusableError("too large for this machine's memory; make it smaller") from None
    if is_constant(photo):
        raise UnusableError("all pixels are alike: it shows nothing")
    return photo, top


def shrunk(photo: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 with its longer side at most `KEPT_SIDE`, its shape kept."""
    height, width = photo.shape[:2]
    share = KEPT_SIDE / max(height, width)
    if share >= 1:
        return photo
    return resize_photo(photo, (max(8, round(height * share)), max(8, round(width * share))))


def png_of(photo: np.ndarray) -> Callable[[IO[bytes]], None]:
    """A writer of the photo for `write_with`."""
    # Level 1 of 9: two thirds of the time for an eighth more bytes, and these are read again soon.
    return lambda f: Image.fromarray(photo).save(f, format="PNG", compress_level=1)


def printable(name: str) -> str:
    """A browser's file name for screens and the index: one line, no path, no control characters."""
    last = re.split(r"[\\/]", name)[-1]
    clean = "".join(c if c.isprintable() else " " for c in last).strip()
    return clean[:_NAME_LENGTH] or "a file without a name"


def safe_stem(name: str) -> str:
    """`-IMG_2034` of `IMG_2034.JPG`, to stand behind a number: letters, digits, - and _ alone.

    Empty where nothing of the name is left; never a path, an option or a name of the system's,
    for the number comes first. At most 40 letters: 160 bytes in any script.
    """
    stem = unicodedata.normalize("NFC", re.sub(r"\.[^.]*$", "", name))
    kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in stem)[:_STEM_LENGTH].strip("-")
    return f"-{kept}" if kept else ""

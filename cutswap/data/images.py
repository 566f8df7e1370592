"""Photos and masks: read from any common file, refused by name, resized, normalised, saved.

A `photo` is (H, W, 3) uint8 RGB, an `image` is (N, 3, H, W) float32 normalised for ImageNet
networks, a mask is (H, W) bool, True on the defect. Sizes are (height, width).
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image

from cutswap.data.decoding import (
    Decoded,
    decode,
    from_file,
    upright_size,
)
from cutswap.errors import CutSwapError
from cutswap.utils.files import write_with

if TYPE_CHECKING:
    from torch import Tensor


IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
# ImageNet statistics of RGB in 0..1, as torchvision's weights were trained with.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

LONELY = 1000  # see `is_constant`; of a photo of 256 x 256 a spot of 8 x 8

_ALPHA_LAST = ("LA", "PA", "RGBA")


def is_image_name(path: Path) -> bool:
    """Whether the name says image: a known suffix in any case, and not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_photo(path: Path, bits: int | None = None) -> np.ndarray:
    """Read an image file of any depth and colour model as an upright RGB photo.

    The content decides the format, not the suffix. Transparency is laid on white, as a viewer
    shows it. 12- and 16-bit grey is scaled by its full range, never by its content, so brightness
    stays comparable between photos; so is float in 0..1. EXIF orientation is applied, ICC profiles
    are not. Of animations and multi-page files the first picture counts.

    Args:
        path: of the file.
        bits: that the camera fills of grey whole numbers of more than 8 bits: 12 in a file of 16
            are scaled by 4095; None: all that the file has.

    Returns:
        (H, W, 3) uint8 RGB, its own writable memory.

    Raises:
        CutSwapError: no such file, empty, damaged or cut short, no image, a side under `MIN_SIDE`
            or over `MAX_SIDE`, over `MAX_PIXELS` (before decoding), or numbers of unknown range.
    """
    return read_depth(path, bits)[0]


def read_depth_bytes(data: bytes, name: str, bits: int | None = None) -> tuple[np.ndarray, int]:
    """`read_depth` for an upload: its bytes, and the name to call it by in errors."""
    return _read_depth(io.BytesIO(data), name, bits)


def read_depth(path: Path, bits: int | None = None) -> tuple[np.ndarray, int]:
    """`read_photo`, and the largest number of a grey photo of 16 bits; 0 for others.

    That number tells how many of the bits the camera fills; see `problems`. With `bits` it is 0.
    """
    return from_file(path, lambda stream, subject: _read_depth(stream, subject, bits))


def read_mask(path: Path) -> np.ndarray:
    """Read a defect mask; any value but zero counts, so class ids and palettes work.

    Palettes count by index and colours by any channel; alpha alone does not count. JPEG is lossy
    and rings around edges, so there a value counts from half range (128) on. Of a folder with the
    masks of one photo (LOCO), what any of them marks counts.

    Returns:
        (H, W) bool, True on the defect.

    Raises:
        CutSwapError: as `read_photo`; a folder without masks, or with masks of several sizes.
    """
    first, *others = mask_files(path) or (path,)
    mask = read_mask_levels(first)[0]
    for other in others:
        more = read_mask_levels(other)[0]
        if more.shape != mask.shape:
            raise CutSwapError(
                other,
                expected=f"{mask.shape[0]} x {mask.shape[1]} pixels, as {first.name} has",
                found=f"{more.shape[0]} x {more.shape[1]}",
                fix="export the masks of one photo alike",
            )
        mask |= more
    return mask


def read_mask_levels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """`read_mask` of one file, and how often each value is in it.

    Returns:
        (H, W) bool, and (256,) int64: pixels by value, of colours the largest channel, of deeper
        files scaled to 0..255 so that only 0 stays 0.

    Raises:
        CutSwapError: as `read_photo`.
    """
    return from_file(path, _read_mask)


def read_mask_levels_bytes(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """`read_mask_levels` for an upload: its bytes, and the name to call it by in errors."""
    return _read_mask(io.BytesIO(data), name)


def mask_files(mask: Path) -> tuple[Path, ...]:
    """The files of a record's mask: itself, or the images in that folder; links in it are none."""
    try:
        if not mask.is_dir():
            return (mask,)
        with os.scandir(mask) as entries:
            names = sorted(e.name for e in entries if e.is_file(follow_symlinks=False))
    except OSError:  # a name too long, or it may not be listed; whoever opens it says so
        return (mask,)
    return tuple(mask / name for name in names if is_image_name(Path(name)))


def photo_size(path: Path) -> tuple[int, int]:
    """(height, width) of the upright photo or mask, from the header alone.

    Raises:
        CutSwapError: as `read_photo`, but a damaged body goes unseen.
    """
    return from_file(path, upright_size)


def _read_depth(
    stream: IO[bytes], subject: object, bits: int | None = None
) -> tuple[np.ndarray, int]:
    decoded = decode(stream, subject)
    photo = np.empty((decoded.image.height, decoded.image.width, 3), np.uint8)
    if decoded.is_deep:
        if bits is not None and decoded.image.mode != "F":
            decoded = replace(decoded, full=2**bits - 1)
        top = int(_need_range(decoded, subject))
        for rows, band in decoded.bands():
            levels = np.rint(band.values() * np.float32(255 / decoded.full))
            photo[rows] = levels.astype(np.uint8)[..., None]
        return photo, top if decoded.full == 2**16 - 1 and not decoded.is_inverted else 0
    for rows, band in decoded.bands():
        image = band.image
        if image.mode in _ALPHA_LAST or "transparency" in image.info:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        photo[rows] = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return photo, 0


def _need_range(decoded: Decoded, subject: object) -> float:
    """Refuse grey numbers outside 0..full; the largest of them."""
    ends = [(values.min(), values.max()) for _, b in decoded.bands() for values in (b.values(),)]
    low, high = np.min([end[0] for end in ends]), np.max([end[1] for end in ends])
    if not (low >= 0 and high <= decoded.full):  # NaN fails both
        # Stretching what is there would give every photo another brightness.
        raise CutSwapError(
            subject,
            expected=f"grey values in 0..{decoded.full}",
            found=f"{low:g}..{high:g}",
            fix="rescale all images alike and save them with 8 or 16 bits",
        )
    return float(high)


def _read_mask(stream: IO[bytes], subject: object) -> tuple[np.ndarray, np.ndarray]:
    decoded = decode(stream, subject)
    mask = np.empty((decoded.image.height, decoded.image.width), bool)
    counts = np.zeros(256, np.int64)
    for rows, band in decoded.bands():
        values = band.values()
        if band.image.mode in _ALPHA_LAST:
            values = values[..., :-1]
        elif band.image.mode in ("CMYK", "YCbCr"):  # there black is not all zero
            values = np.asarray(band.image.convert("RGB"))
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise CutSwapError(
                subject,
                expected="a mask of finite numbers",
                found="NaN or infinity",
                fix="export the mask again as png",
            )
        marked: np.ndarray = values > 127 if decoded.format == "JPEG" else values != 0
        mask[rows] = np.any(marked, axis=2) if marked.ndim == 3 else marked
        counts += _levels(values, decoded.full)
    return mask, counts


def _levels(values: np.ndarray, full: int) -> np.ndarray:
    """(256,) int64, pixels by value; deeper numbers are scaled, and only 0 stays 0."""
    highest = values.max(axis=2) if values.ndim == 3 else values
    if highest.dtype == bool:
        marked = int(np.count_nonzero(highest))
        counts = np.zeros(256, np.int64)
        counts[[0, 255]] = highest.size - marked, marked
        return counts
    if highest.dtype != np.uint8:
        share = np.clip(np.abs(highest.astype(np.float32)) / full, 0, 1)
        highest = np.ceil(share * 255).astype(np.uint8)
    # Pillow counts bytes where they lie; numpy's bincount makes eight of each first.
    return np.array(Image.fromarray(highest).histogram(), np.int64)


def resize_photo(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Squash (H, W, 3) uint8 to (height, width), bilinear with antialiasing.

    Returns:
        (height, width, 3) uint8; the same array where it has that size already.
    """
    if photo.shape[:2] == tuple(size):
        return photo
    height, width = size
    return np.array(Image.fromarray(photo).resize((width, height), Image.Resampling.BILINEAR))


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Squash (H, W) bool to (height, width) bool by nearest neighbour: no value is invented.

    A defect thinner than the step between kept pixels can vanish, as in peers' code.
    """
    if mask.shape == tuple(size):
        return mask
    height, width = size
    levels = Image.fromarray(mask.astype(np.uint8))
    return np.asarray(levels.resize((width, height), Image.Resampling.NEAREST)) > 0


def to_image(photos: np.ndarray) -> Tensor:
    """(N, H, W, 3) uint8 photos to an (N, 3, H, W) float32 image, ImageNet-normalised.

    Raises:
        CutSwapError: another shape or dtype, for example one photo without its batch axis.
    """
    import torch

    if photos.ndim != 4 or photos.shape[3] != 3 or photos.dtype != np.uint8:
        raise CutSwapError(
            "photos",
            expected="an (N, H, W, 3) uint8 array",
            found=f"{photos.shape} {photos.dtype}",
            fix="stack the photos first, one or many",
        )
    levels = torch.from_numpy(np.array(photos, order="C")).permute(0, 3, 1, 2)  # (N, 3, H, W)
    image = levels.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return image.sub_(mean).div_(std)


def to_photo(image: Tensor) -> np.ndarray:
    """(N, 3, H, W) normalised image to (N, H, W, 3) uint8 photos: `to_image` undone exactly.

    Values beyond black and white are clipped; the image may require gradients or lie on a device.
    """
    import torch

    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    levels = (image.detach().float().cpu() * std + mean) * 255
    photos = levels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)  # (N, H, W, 3)
    return np.ascontiguousarray(photos.numpy())


def save_png(path: Path, array: np.ndarray) -> None:
    """Write a PNG whole: (H, W, 3) uint8 RGB, (H, W) uint8 grey, or (H, W) bool as 0 and 255.

    Raises:
        CutSwapError: another shape or dtype, or the file cannot be written.
    """
    is_mask = array.dtype == bool and array.ndim == 2
    is_photo = array.dtype == np.uint8 and (array.ndim == 2 or array.shape[2:] == (3,))
    if not array.size or not (is_mask or is_photo):
        raise CutSwapError(
            path,
            expected="an (H, W, 3) uint8 or (H, W) bool or uint8 array to save",
            found=f"{array.shape} {array.dtype}",
            fix="convert it first",
        )
    levels = array.astype(np.uint8) * 255 if is_mask else array
    write_with(path, lambda file: Image.fromarray(levels).save(file, format="PNG"))


def is_constant(photo: np.ndarray) -> bool:
    """Whether (nearly) all pixels of (H, W, 3) uint8 are alike: such a photo shows nothing.

    Alike are colours a level apart, the noise of a covered lens: jitter rounds it away. With fewer
    than one pixel in `LONELY` of another colour no swap of patches can be counted on to change
    anything: a white photo with one pixel of 254 ended a training after its first update.
    """
    height, width = photo.shape[:2]
    # One of three places shows the common colour, unless the odd pixels lie just there.
    for y, x in ((0, 0), (height // 2, width // 2), (height // 3, width // 5)):
        colour = photo[y, x]
        if _differs(photo[::7, ::7], colour).mean() > 0.05:  # nearly every photo ends here
            continue
        if np.count_nonzero(_differs(photo, colour)) * LONELY < height * width:
            return True
    return False


def _differs(photo: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """(H, W) bool: more than one level in some channel."""
    apart = np.maximum(photo, colour) - np.minimum(photo, colour) > 1
    is_apart: np.ndarray = apart.any(axis=2)
    return is_apart

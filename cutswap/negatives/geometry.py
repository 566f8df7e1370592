"""How large a patch or scar is: one rule for every method, so that they differ in nothing else."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from cutswap.config import NegativeSettings
from cutswap.negatives.anchors import Size

SCAR_REFERENCE_SIDE = 256  # scar sizes are given for an image of this side


def patch_size(image_size: Size, settings: NegativeSettings, rng: np.random.Generator) -> Size:
    """(height, width): area uniform, aspect log-uniform, clipped to the image."""
    area = rng.uniform(*settings.area) * image_size[0] * image_size[1]
    aspect = np.exp(rng.uniform(*np.log(settings.aspect)))  # width over height
    return clipped(np.sqrt(area / aspect), np.sqrt(area * aspect), image_size)


def scar_size(image_size: Size, settings: NegativeSettings, rng: np.random.Generator) -> Size:
    """(height, width) of a strip before it is turned, small enough to fit at any angle."""
    scale = min(image_size) / SCAR_REFERENCE_SIDE
    width = rng.uniform(*settings.scar_width) * scale
    height = rng.uniform(*settings.scar_height) * scale
    limit = max(1, int(min(image_size) / np.sqrt(2)) - 1)  # so that any rotation still fits
    return clipped(height, width, (limit, limit))


def clipped(height: float, width: float, limit: Size) -> Size:
    """Rounded, at least one pixel, at most `limit`."""
    return (
        min(max(round(float(height)), 1), limit[0]),
        min(max(round(float(width)), 1), limit[1]),
    )


@lru_cache(maxsize=64)  # each is asked for several times a sample, and turned to be measured
def rotated_size(size: tuple[int, ...], angle: float) -> Size:
    """(height, width) of the box around a patch rotated by `angle` degrees, as Pillow expands."""
    if angle == 0:
        return size[0], size[1]
    width, height = Image.new("1", (size[1], size[0])).rotate(angle, expand=True).size
    return height, width


@lru_cache(maxsize=16)  # both patches of a swap are turned alike
def turned_places(height: int, width: int, angle: float) -> np.ndarray:
    """(h, w) int32, read only: which pixel of a patch Pillow's rotation shows where.

    Pixels are counted from 1, row by row; 0 is a corner that the turned patch does not cover.
    """
    places = np.arange(1, height * width + 1, dtype=np.int32).reshape(height, width)
    return np.asarray(Image.fromarray(places).rotate(angle, expand=True))


def fitting_angle(size: Size, angle: float, image_size: Size) -> float:
    """The angle, or 0 where a patch turned by it is larger than the image.

    In an image of one or two rows even one pixel, turned, does not fit.
    """
    turned = rotated_size(size, angle)
    return 0.0 if any(t > s for t, s in zip(turned, image_size, strict=True)) else angle

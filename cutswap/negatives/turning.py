"""Turned patches: how much room they need, and when they cannot be turned."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from cutswap.negatives.anchors import Size


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

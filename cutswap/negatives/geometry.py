"""How large a patch or scar is: one rule for every method, so that they differ in nothing else."""

from __future__ import annotations

import numpy as np

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

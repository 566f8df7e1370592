"""A region painted as rectangles and polygons, in order: each is looked at, or hidden again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cutswap.errors import CutSwapError

Corner = tuple[float, float]


@dataclass(frozen=True)
class PaintedShape:
    """One area.

    Attributes:
        corners: (y, x) as shares of height and width, in [0, 1]: two opposite ones of a rectangle,
            or three and more of a polygon, which closes by itself.
        is_hidden: whether the area is hidden rather than looked at.
    """

    corners: tuple[Corner, ...]
    is_hidden: bool = False

    @property
    def polygon(self) -> tuple[Corner, ...]:
        """Its corners in order, a rectangle's four among them.

        Raises:
            CutSwapError: fewer than two corners.
        """
        if len(self.corners) < 2:
            raise CutSwapError(
                "painted area",
                expected="two corners of a rectangle, or three and more of a polygon",
                found=len(self.corners),
                fix="click another place",
            )
        if len(self.corners) > 2:
            return self.corners
        (top, left), (bottom, right) = self.corners
        return (top, left), (top, right), (bottom, right), (bottom, left)


def painted(base: np.ndarray, shapes: Sequence[PaintedShape]) -> np.ndarray:
    """A mask with areas painted over it, the later ones over the earlier ones.

    Args:
        base: (H, W) bool, where is looked without them.
        shapes: borders belong to the area.

    Returns:
        (H, W) bool, its own memory.

    Raises:
        CutSwapError: see `PaintedShape.polygon`.
    """
    import cv2  # it takes longer to load than all else here

    levels = base.astype(np.uint8)
    last = np.array(base.shape[::-1]) - 1  # x first, as OpenCV has it
    for shape in shapes:
        corners = np.rint(np.array(shape.polygon)[:, ::-1] * last).astype(np.int32)
        cv2.fillPoly(levels, [corners], 0 if shape.is_hidden else 1)
    return levels > 0

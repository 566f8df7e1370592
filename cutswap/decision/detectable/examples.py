"""What painted defects look like: one of each kind and size, cut out of its photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from cutswap.data.images import resize_photo
from cutswap.decision.detectable.measured import Measured
from cutswap.decision.detectable.painted_defect import paint_defect
from cutswap.utils.overlays import sheet

SIDE = 96  # pixels of an example
_AROUND, _FEWEST = 3, 24  # an example shows so many times the size, and so many pixels of the photo
_FRAME, _WIDTH = (0, 158, 115), 5


@dataclass(frozen=True)
class DefectExample:
    """One painted defect.

    Attributes:
        place: its number among the measured.
        kind: one of `DEFECT_KINDS`.
        size: pixels.
        picture: (SIDE, SIDE, 3) uint8, enlarged or reduced.
    """

    place: int
    kind: str
    size: int
    picture: np.ndarray


def examples(
    measured: Measured, contrast: int, photo_of: Callable[[int], np.ndarray]
) -> list[DefectExample]:
    """Of each kind the first defect of every size, those on the same photo where that can be.

    Args:
        measured: the painted defects.
        contrast: of those that are shown.
        photo_of: the photo (H, W, 3) uint8 of a number in `Measured.names`.

    Returns:
        Kind by kind, rising sizes.
    """
    found, sizes = [], measured.numbers["size"]
    for kind in [kind for kind, own in measured.designs if own == contrast]:
        chosen = measured.chosen(kind, contrast)
        for size in sorted(set(sizes[chosen].tolist())):
            place = int(np.flatnonzero(chosen & (sizes == size))[0])  # they rise by photo
            found.append(_example(measured, place, photo_of))
    return found


def example_sheet(shown: list[DefectExample], is_found: np.ndarray) -> np.ndarray:
    """All in rows of one kind, framed where the defect is found.

    Args:
        shown: see `examples`; every kind in the same number of sizes.
        is_found: (P,) bool, of the measured.

    Returns:
        (H, W, 3) uint8.
    """
    columns = max(1, len({one.size for one in shown}))
    tiles = []
    for one in shown:
        tile = one.picture.copy()
        if is_found[one.place]:
            cv2.rectangle(tile, (0, 0), (SIDE - 1, SIDE - 1), (255, 255, 255), _WIDTH + 4)
            cv2.rectangle(tile, (0, 0), (SIDE - 1, SIDE - 1), _FRAME, _WIDTH)
        tiles.append(tile)
    return sheet(tiles, columns, gap=6)


def _example(
    measured: Measured, place: int, photo_of: Callable[[int], np.ndarray]
) -> DefectExample:
    defect = measured.defect(place)
    photo = photo_of(defect.photo)
    painted = paint_defect(photo, defect).photo
    side = min(max(_FEWEST, _AROUND * defect.size), *photo.shape[:2])
    top, left = (
        min(max(0, at - side // 2), whole - side)
        for at, whole in zip(defect.at, photo.shape[:2], strict=True)
    )
    part = np.ascontiguousarray(painted[top : top + side, left : left + side])
    return DefectExample(place, defect.kind, defect.size, resize_photo(part, (SIDE, SIDE)))

"""The most similar normal thing that PatchCore has seen: a patch and where its neighbour came from.

A heatmap says where a photo is unlike all normal ones; the memory bank also knows which normal
patch came closest and from which training photo it is. The boxes are the patches' cells of the
grid; the network's view is wider than a cell, so the crops show some surroundings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cutswap.data.images import to_image
from cutswap.data.loading import load_photos
from cutswap.data.records import Record
from cutswap.errors import CutSwapError
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.memory_bank import MemoryBank, Prediction

CONTEXT = 4  # cells shown on each side of the patch
# Embeddings of one photo differ in the last bits with the batch it was in; a share of its length.
SAME = 1e-3

Place = tuple[float, float, float, float]


@dataclass(frozen=True)
class Crop:
    """A patch in its photo.

    Attributes:
        cell: (row, column) on the patch grid.
        box: (y, x, height, width) of the cell in the photo, pixels.
        photo: (h, w, 3) uint8, the patch with its surroundings.
        place: (y, x, height, width) of those in the photo, pixels.
        inner: (y, x, height, width) of the cell in the crop, pixels.
    """

    cell: tuple[int, int]
    box: Place
    photo: np.ndarray
    place: Place
    inner: Place


@dataclass(frozen=True)
class NearestNormal:
    """A test patch beside the normal patch that is most like it.

    Attributes:
        test: the patch of the test photo.
        normal: the patch it is compared with.
        record: the training photo that one is from.
        item: its number in the memory bank.
        distance: of the test patch to the bank, as the heatmap has it before it is smoothed:
            between the two, or the mean over several neighbours.
    """

    test: Crop
    normal: Crop
    record: Record
    item: int
    distance: float


def hottest_patch(prediction: Prediction, index: int = 0) -> tuple[int, int]:
    """(row, column) of the patch farthest from the bank, the first that the score is about."""
    distances = prediction.distances[index]
    row, column = np.unravel_index(int(distances.argmax()), distances.shape)
    return int(row), int(column)


def patch_at(place: tuple[float, float], grid: tuple[int, int]) -> tuple[int, int]:
    """(row, column) of the patch at (y, x), shares of the photo in [0, 1]; outside is clipped."""
    row, column = (
        min(max(int(share * count), 0), count - 1) for share, count in zip(place, grid, strict=True)
    )
    return row, column


def crop_patch(
    photo: np.ndarray, cell: tuple[int, int], grid: tuple[int, int], context: int = CONTEXT
) -> Crop:
    """Cut a patch out with its surroundings; at a border the window moves inwards, same in size.

    Args:
        photo: (H, W, 3) uint8.
        cell: (row, column) of the patch.
        grid: (h, w) patches of the photo.
        context: cells on each side.
    """
    box, window = [], []
    for at, count, length in zip(cell, grid, photo.shape[:2], strict=True):
        wide = min(2 * context + 1, count)
        first = min(max(at - context, 0), count - wide)
        box += [(at * length / count, length / count)]
        start, stop = round(first * length / count), round((first + wide) * length / count)
        window += [(start, stop)]
    (y, height), (x, width) = box
    (top, bottom), (left, right) = window
    return Crop(
        cell=(int(cell[0]), int(cell[1])),
        box=(y, x, height, width),
        photo=np.ascontiguousarray(photo[top:bottom, left:right]),
        place=(top, left, bottom - top, right - left),
        inner=(y - top, x - left, height, width),
    )


def nearest_normal(
    photo: np.ndarray,
    prediction: Prediction,
    bank: MemoryBank,
    train: Sequence[Record],
    *,
    index: int = 0,
    cell: tuple[int, int] | None = None,
    context: int = CONTEXT,
) -> NearestNormal:
    """Find the normal patch that a test patch was compared with, and prove that it is the one.

    Args:
        photo: (S, S, 3) uint8, the test photo as it was scored.
        prediction: what `bank.score` said about it.
        bank: the memory bank.
        train: the training photos it was fitted on, in order.
        index: of the photo in the prediction.
        cell: (row, column) of the patch; default: the hottest.
        context: cells shown on each side.

    Raises:
        CutSwapError: a cell outside the grid, or a training photo that is missing, unreadable or
            not the one the bank was fitted on.
    """
    grid = prediction.distances.shape[1:]
    cell = hottest_patch(prediction, index) if cell is None else cell
    if not all(0 <= at < count for at, count in zip(cell, grid, strict=True)):
        raise CutSwapError(
            "patch",
            expected=f"a cell of the {grid[0]} x {grid[1]} grid",
            found=cell,
            fix="choose a place inside the photo",
        )
    item = int(prediction.nearest[index][cell])
    image, row, column = (int(v) for v in bank.origin[item])
    if image >= len(train):
        raise _another(f"{len(train)} training photos", f"a patch of number {image + 1}")
    record = train[image]
    normal = load_photos([record], photo.shape[0])[0]
    patch = embed(bank.backbone, to_image(normal[None]), bank.settings.layers)[0, row, column]
    stored = bank.items[item]
    gap = float(np.linalg.norm(bank.comparable(patch) - stored))
    if gap > SAME * max(float(np.linalg.norm(stored)), 1e-6):
        raise _another(f"{record.name} as the bank was fitted on it", "a photo that differs")
    return NearestNormal(
        test=crop_patch(photo, cell, grid, context),
        normal=crop_patch(normal, (row, column), grid, context),
        record=record,
        item=item,
        distance=float(prediction.distances[index][cell]),
    )


def _another(expected: str, found: str) -> CutSwapError:
    return CutSwapError(
        "training photos", expected=expected, found=found, fix="evaluate again with today's photos"
    )

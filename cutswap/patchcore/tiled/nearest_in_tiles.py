"""The most similar normal patch of a place in a large photo, both cut out at their own resolution.

Only the tiles that the two patches are taken from are embedded, so that it is there at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from cutswap.data.images import read_photo, to_image
from cutswap.data.records import Record
from cutswap.errors import CutSwapError
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.nearest_normal import CONTEXT, SAME, Crop, NearestNormal
from cutswap.patchcore.tiled.tiled_bank import TiledBank, layout_of
from cutswap.patchcore.tiled.tiles import Span, TileLayout, patch_side


def nearest_in_tiles(
    photo: np.ndarray, place: tuple[float, float], bank: TiledBank, train: Sequence[Record]
) -> NearestNormal:
    """Find the normal patch nearest to a patch of a photo, and prove that it is the one.

    Args:
        photo: (H, W, 3) uint8.
        place: (y, x) in it, pixels; outside is clipped.
        bank: of tiles.
        train: the training photos it was fitted on, in order.

    Raises:
        CutSwapError: a training photo that is missing, unreadable or not the one it was fitted on.
    """
    patch, cell = _patch_at(photo, place, bank)
    said = bank.bank.score_patches(patch[None, None, None], (1, 1))
    item = int(said.nearest.item())
    image, *where = (int(value) for value in bank.bank.origin[item])
    if image >= len(train):
        raise _another(f"{len(train)} training photos", f"a patch of number {image + 1}")
    record = train[image]
    normal = read_photo(record.image, record.bits)
    side = _side(bank)
    centre = (where[0] + 0.5) * side, (where[1] + 0.5) * side
    again, normal_cell = _patch_at(normal, centre, bank)
    stored = bank.bank.items[item]
    gap = float(np.linalg.norm(bank.bank.comparable(again) - stored))
    if [*normal_cell] != where or gap > SAME * max(float(np.linalg.norm(stored)), 1e-6):
        raise _another(f"{record.name} as the bank was fitted on it", "a photo that differs")
    return NearestNormal(
        test=_crop(photo, cell, side),
        normal=_crop(normal, normal_cell, side),
        record=record,
        item=item,
        distance=float(said.distances.item()),
    )


def _patch_at(
    photo: np.ndarray, place: tuple[float, float], bank: TiledBank
) -> tuple[Tensor, tuple[int, int]]:
    """(D,) patch at a place, and its row and column in the photo's grid."""
    settings, own = bank.bank.settings, bank.bank
    layout = layout_of((photo.shape[0], photo.shape[1]), settings)
    side = _side(bank)
    row, column = (
        min(max(int(at // side), 0), (length - 1) // side)
        for at, length in zip(place, layout.photo, strict=True)
    )
    top = _tile_of(row, layout.rows, layout, side)
    left = _tile_of(column, layout.columns, layout, side)
    tile = layout.cut(photo, top, left)
    image = to_image(tile[None]).to(own.backbone.device)
    embedded = embed(own.backbone, image, settings.layers)[0]
    return embedded[row - top // side, column - left // side], (row, column)


def _tile_of(at: int, starts: Sequence[int], layout: TileLayout, side: int) -> int:
    """Where the tile starts that a row, or column, of the grid is taken from."""
    spans: tuple[Span, ...] = layout.own_spans(starts, side)
    (found,) = [
        start for start, (first, end) in zip(starts, spans, strict=True) if first <= at < end
    ]
    return found


def _side(bank: TiledBank) -> int:
    """Pixels a side of a patch."""
    return patch_side(bank.bank.settings.image_size, bank.cells)


def _crop(photo: np.ndarray, cell: tuple[int, int], side: int) -> Crop:
    """A patch with its surroundings; at a border the window moves inwards, same in size."""
    wide = (2 * CONTEXT + 1) * side
    window, box = [], []
    for at, length in zip(cell, photo.shape[:2], strict=True):
        first = min(max((at - CONTEXT) * side, 0), max(length - wide, 0))
        window += [(first, min(first + wide, length))]
        box += [(float(at * side), float(min(side, length - at * side)))]
    (top, bottom), (left, right) = window
    (y, height), (x, width) = box
    return Crop(
        cell=cell,
        box=(y, x, height, width),
        photo=np.ascontiguousarray(photo[top:bottom, left:right]),
        place=(top, left, bottom - top, right - left),
        inner=(y - top, x - left, height, width),
    )


def _another(expected: str, found: str) -> CutSwapError:
    return CutSwapError(
        "training photos", expected=expected, found=found, fix="evaluate again with today's photos"
    )

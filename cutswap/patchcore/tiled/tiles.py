"""A photo at its own resolution, seen by the network tile by tile, with one grid of patches.

What is promised. Tiles start at multiples of `TILE_ALIGN` pixels, so that their patches are those
of one pass over the whole photo, and each patch is taken from one tile alone: of two that overlap
the cut is in the middle. A patch therefore lies half the overlap or more inside its tile, but at
the photo's border. Where that is as wide as half of what the network sees at once, its embedding is
that of one pass over the photo. Where it is narrower, the zeros that the network pads a tile with
reach it, and it may differ; tiles of the same content still give the same patches.

What is measured (ResNet18, layer2 and layer3, tiles of 256, rendered leather): neighbouring patches
differ in distance across a cut as elsewhere from an overlap of 64 on (0.045 to 0.043), and by 1.7
times as much at 32 and below.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cutswap.config import PatchCoreSettings
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.embeddings import embed
from cutswap.utils.device_errors import FittingBatches
from cutswap.utils.devices import cache_sized

TILE_ALIGN = 32  # pixels: tiles start at its multiples, where every layer has a place
Span = tuple[int, int]  # first and one past the last


def need_tiles(settings: PatchCoreSettings) -> None:
    """Refuse settings that do not go together where photos are cut into tiles.

    Raises:
        CutSwapError: the first that does not.
    """
    side, overlap = settings.image_size, settings.tile_overlap
    wrong = {
        "--image-size": (side % TILE_ALIGN != 0, f"a multiple of {TILE_ALIGN} pixels", side),
        "--tile-overlap": (
            overlap is None or overlap > side - TILE_ALIGN,
            f"0 to {side - TILE_ALIGN} pixels, in tiles of {side}",
            overlap,
        ),
        "--shards": (settings.shards != 1, "1 where photos are cut into tiles", settings.shards),
        "--reweight": (
            settings.reweight != 1,
            "1 where photos are cut into tiles",
            settings.reweight,
        ),
    }
    for flag, (is_wrong, expected, found) in wrong.items():
        if is_wrong:
            fix = "change it, or leave out --tile-overlap"
            raise CutSwapError(flag, expected=expected, found=found, fix=fix)


@dataclass(frozen=True)
class TileLayout:
    """Where the tiles of a photo lie.

    What a tile has beside the photo continues the photo's edge: below and on the right of it, at
    most `TILE_ALIGN - 1` pixels, or more where the photo is smaller than a tile.

    Attributes:
        photo: its (height, width).
        size: side S of a tile, pixels; a multiple of `TILE_ALIGN`.
        overlap: pixels that neighbours share at least; 0 to S - `TILE_ALIGN`.
    """

    photo: tuple[int, int]
    size: int
    overlap: int

    @property
    def padded(self) -> tuple[int, int]:
        """(height, width) that the tiles cover: the photo's, up to the next multiples."""
        height, width = (
            max(self.size, math.ceil(side / TILE_ALIGN) * TILE_ALIGN) for side in self.photo
        )
        return height, width

    @property
    def rows(self) -> tuple[int, ...]:
        """First pixel rows of the tiles, rising, evenly spread."""
        return self._starts(self.padded[0])

    @property
    def columns(self) -> tuple[int, ...]:
        """The same of their pixel columns."""
        return self._starts(self.padded[1])

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.rows) * len(self.columns)

    def _starts(self, length: int) -> tuple[int, ...]:
        step = (self.size - self.overlap) // TILE_ALIGN
        free = (length - self.size) // TILE_ALIGN
        steps = math.ceil(free / step)
        return tuple(n * free // max(steps, 1) * TILE_ALIGN for n in range(steps + 1))

    def cut(self, photo: np.ndarray, row: int, column: int) -> np.ndarray:
        """The tile that starts there: of (H, W, 3) uint8 its own (S, S, 3) uint8."""
        part = photo[row : row + self.size, column : column + self.size]
        lacking = ((0, self.size - part.shape[0]), (0, self.size - part.shape[1]), (0, 0))
        return np.pad(part, lacking, mode="edge")

    def grid(self, patch: int) -> tuple[int, int]:
        """(h, w) patches of all tiles together, where a patch is `patch` pixels a side."""
        return self.padded[0] // patch, self.padded[1] // patch

    def own_spans(self, starts: Sequence[int], patch: int) -> tuple[Span, ...]:
        """Rows, or columns, of the grid that are taken from each tile: each from one.

        Args:
            starts: `rows` or `columns`.
            patch: pixels a side of a patch.
        """
        middles = [
            (first + self.size + second) // 2 // patch
            for first, second in zip(starts, starts[1:], strict=False)
        ]
        ends = [*middles, (starts[-1] + self.size) // patch]
        return tuple(zip([0, *middles], ends, strict=True))


@dataclass(frozen=True)
class OwnPatches:
    """What one tile gives to the grid of its photo.

    Attributes:
        rows: of the grid.
        columns: of the grid.
        grid: (h, w) of the whole photo.
        embedded: (h', w', D) float32, on the network's device.
    """

    rows: Span
    columns: Span
    grid: tuple[int, int]
    embedded: Tensor


def tiled_patches(
    backbone: Backbone,
    photo: np.ndarray,
    layout: TileLayout,
    layers: Sequence[str],
    batch_size: int,
) -> Iterator[OwnPatches]:
    """All patches of a photo, each once; of one batch of tiles at a time.

    Args:
        backbone: whose features are used.
        photo: (H, W, 3) uint8, of the layout's size.
        layout: where the tiles lie.
        layers: names, shallow to deep.
        batch_size: tiles a forward pass at most.

    Raises:
        CutSwapError: a network whose patches do not fit into the tiles' steps.
    """
    fitting = FittingBatches("tiles")
    places = [
        (row, column) for row in range(len(layout.rows)) for column in range(len(layout.columns))
    ]
    for start in range(0, len(places), batch_size):
        batch = places[start : start + batch_size]
        tiles = np.stack([layout.cut(photo, layout.rows[r], layout.columns[c]) for r, c in batch])
        image = to_image(tiles).to(backbone.device)
        embedded = [
            one
            for part in cache_sized(image)
            for parts in fitting.run(part, lambda some: embed(backbone, some, layers))
            for one in parts
        ]
        patch = patch_side(layout.size, embedded[0].shape[0])
        rows = layout.own_spans(layout.rows, patch)
        columns = layout.own_spans(layout.columns, patch)
        for (r, c), tile in zip(batch, embedded, strict=True):
            (top, bottom), (left, right) = rows[r], columns[c]
            above, before = layout.rows[r] // patch, layout.columns[c] // patch
            own = tile[top - above : bottom - above, left - before : right - before]
            yield OwnPatches(rows[r], columns[c], layout.grid(patch), own)


def patch_side(size: int, cells: int) -> int:
    """Pixels a side of a patch.

    Args:
        size: side of a tile, pixels.
        cells: patches a side of a tile.

    Raises:
        CutSwapError: tiles that start between two patches.
    """
    patch = size // cells
    if patch * cells != size or TILE_ALIGN % patch:
        raise CutSwapError(
            "--tile-overlap",
            expected=f"layers with a patch every 1, 2, 4, 8, 16 or {TILE_ALIGN} pixels",
            found=f"{cells} patches a side of {size} pixels",
            fix="choose other --layers, or leave it out",
        )
    return patch


def photo_patches(own: Iterator[OwnPatches]) -> Tensor:
    """(h, w, D) patches of a whole photo on the processor, for photos that are not large."""
    whole: Tensor | None = None
    for one in own:
        if whole is None:
            whole = torch.empty(*one.grid, one.embedded.shape[-1])
        whole[slice(*one.rows), slice(*one.columns)] = one.embedded.cpu()
    assert whole is not None  # noqa: S101 - a layout has a tile
    return whole

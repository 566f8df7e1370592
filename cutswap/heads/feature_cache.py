"""Features of photos and their negatives, computed once: phi stays as it is, so once is enough.

Kept in half precision, in memory or, where they are many, in a memory-mapped file: at 16 x 16
places of 384 numbers a photo takes 197 kB, so 200 photos with six negatives each 275 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from einops import rearrange
from torch import Tensor

from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.heads.discriminator import CHANGED
from cutswap.negatives.samples import Sample
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.embeddings import embed

IN_MEMORY = 1_000_000_000  # bytes of negatives' features; more go to a file
AT_ONCE = 8  # photos embedded together


@dataclass(frozen=True)
class HeadFeatures:
    """The cached features that a head learns from.

    Attributes:
        clean: (N, h, w, D) float16, of the N training photos.
        drawn: (N, M, h, w, D) float16, of M negatives of each photo; perhaps memory-mapped.
        changed: (N, M, h, w) float16 in [0, 1], share of each cell's pixels that changed.
    """

    clean: np.ndarray
    drawn: np.ndarray
    changed: np.ndarray

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) places."""
        return int(self.clean.shape[1]), int(self.clean.shape[2])

    @classmethod
    def of_photos(cls, clean: np.ndarray) -> HeadFeatures:
        """Without negatives, for a head that needs none.

        Args:
            clean: (N, h, w, D) float16.
        """
        drawn = np.zeros((len(clean), 0, *clean.shape[1:]), dtype=np.float16)
        return cls(clean, drawn, drawn[..., 0])


def embed_places(
    backbone: Backbone, photos: np.ndarray, layers: tuple[str, ...], grid: int
) -> Tensor:
    """Patch embeddings of (N, H, W, 3) uint8 at the head's places: (N, h, w, D) float32."""
    features = embed(backbone, to_image(photos).to(backbone.device), layers)
    return to_places(features, grid).cpu()


def to_places(embedded: Tensor, grid: int) -> Tensor:
    """(N, h, w, D) patch embeddings averaged to at most `grid` places a side, evenly."""
    h, w = embedded.shape[1:3]
    if max(h, w) <= grid:
        return embedded
    maps = rearrange(embedded, "n h w d -> n d h w")
    fewer = F.adaptive_avg_pool2d(maps, (min(h, grid), min(w, grid)))
    return rearrange(fewer, "n d h w -> n h w d")


def changed_cells(masks: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Share of each cell's pixels that are set: (N, H, W) bool to (N, h, w) float16 in [0, 1]."""
    share = F.adaptive_avg_pool2d(torch.from_numpy(masks.astype(np.float32))[:, None], grid)
    return share[:, 0].numpy().astype(np.float16)


def cache_features(
    backbone: Backbone,
    photos: np.ndarray,
    draw: Callable[[int], Sample],
    *,
    layers: tuple[str, ...],
    grid: int,
    draws: int,
    ways: int,
    clean: np.ndarray | None = None,
    file: Path | None = None,
    in_memory: int = IN_MEMORY,
    progress: Callable[[int, int], None] | None = None,
) -> HeadFeatures:
    """Embed every photo, and every negative of its draws, once.

    Args:
        backbone: whose features are used.
        photos: (N, H, W, 3) uint8.
        draw: sample by running number 0, 1, 2, ...; each N of them meet every photo once
            (`TrainingSamples.sample`).
        layers: names, shallow to deep.
        grid: places a side, at most.
        draws: of each photo.
        ways: 2 or 3 classes; a draw gives ways - 1 negatives.
        clean: (N, h, w, D) float16 of the photos, where they are known.
        file: where features beyond `in_memory` go; None keeps them in memory.
        in_memory: bytes.
        progress: called with (images embedded, images in all).

    Raises:
        CutSwapError: no negative changes more than half of any cell.
    """
    count, per_draw = len(photos), ways - 1
    total, done = count * (draws * per_draw + (clean is None)), 0

    def tick(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(done, total)

    if clean is None:
        clean = clean_features(backbone, photos, layers=layers, grid=grid, tick=tick)
    places = (int(clean.shape[1]), int(clean.shape[2]))
    drawn = _room((count, draws * per_draw, *clean.shape[1:]), file, in_memory)
    changed = np.zeros((count, draws * per_draw, *places), dtype=np.float16)
    for samples in _chunks(draw, draws * count, max(1, AT_ONCE // per_draw)):
        negatives = [(s.index, n) for _, s in samples for n in s.negatives]
        slots = [
            epoch * per_draw + kind
            for epoch, _ in ((number // count, s) for number, s in samples)
            for kind in range(per_draw)
        ]
        features = embed_places(backbone, np.stack([n.photo for _, n in negatives]), layers, grid)
        cells = changed_cells(np.stack([n.mask for _, n in negatives]), places)
        for (index, _), slot, one, share in zip(negatives, slots, features, cells, strict=True):
            drawn[index, slot], changed[index, slot] = one.numpy(), share
        tick(len(negatives))
    if not (changed > CHANGED).any():
        raise CutSwapError(
            "negatives",
            expected="patches that change more than half of at least one of the head's places",
            found=f"none in {changed.shape[0] * changed.shape[1]} negatives, at most"
            f" {float(changed.max()):.2f} of a place",
            fix="draw larger patches (--area) or use more places (--head-grid)",
        )
    return HeadFeatures(clean, drawn, changed)


def clean_features(
    backbone: Backbone,
    photos: np.ndarray,
    *,
    layers: tuple[str, ...],
    grid: int,
    tick: Callable[[int], None] = lambda _: None,
) -> np.ndarray:
    """Features of photos as they are: (N, H, W, 3) uint8 to (N, h, w, D) float16.

    Args:
        backbone: whose features are used.
        photos: the good training photos.
        layers: names, shallow to deep.
        grid: places a side, at most the layers' own.
        tick: called with the number of photos just embedded.
    """
    parts = []
    for start in range(0, len(photos), AT_ONCE):
        features = embed_places(backbone, photos[start : start + AT_ONCE], layers, grid)
        parts.append(features.half().numpy())
        tick(len(features))
    return np.concatenate(parts)


def _room(shape: tuple[int, ...], file: Path | None, in_memory: int) -> np.ndarray:
    """Zeros of float16, in the file where they are more than `in_memory` bytes."""
    if file is None or 2 * int(np.prod(shape, dtype=np.int64)) <= in_memory:
        return np.zeros(shape, dtype=np.float16)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        room: Any = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)
    except OSError as error:
        raise CutSwapError(
            file,
            expected="room for the negatives' features",
            found=error.strerror or error,
            fix="free disk space, or lower --head-draws",
        ) from error
    return room


def _chunks(
    draw: Callable[[int], Sample], count: int, size: int
) -> Iterator[list[tuple[int, Sample]]]:
    for start in range(0, count, size):
        yield [(n, draw(n)) for n in range(start, min(count, start + size))]

"""Anchor regions of a run's photos, a bit a pixel: found before training, shared by all who draw.

A region depends on a photo's saliency and on settings alone, so a run needs each once; a sample
then unpacks 8 KB in some microseconds, instead of scaling a map up and comparing it, 2 ms.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cutswap.config import ClusterSettings
from cutswap.errors import CutSwapError
from cutswap.negatives.regions import AnchorRegion, find_region
from cutswap.saliency.cache import SaliencyMaps
from cutswap.saliency.quick_clusters import clusters_for_regions
from cutswap.utils.shared_arrays import SharedArray

Pair = tuple[int, int]  # (photo, level)
FIXED = ("max-cluster", "min-cluster", "top-n")  # strategies whose region no draw decides
_THREADS = 8


class RegionStore:
    """Regions of pairs of photo and level.

    Args:
        pairs: whose regions are kept.
        saliency: of the photos.
        settings: of the clusters; a strategy of `FIXED`.
        progress: called with (done, total).
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        saliency: SaliencyMaps,
        settings: ClusterSettings,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._size = saliency.size
        self._row = {pair: row for row, pair in enumerate(pairs)}
        self._fallbacks: dict[Pair, tuple[str, ...]] = {}
        pixels = saliency.size[0] * saliency.size[1]
        packed = np.empty((len(pairs), -(-pixels // 8)), dtype=np.uint8)

        def find(pair: Pair) -> AnchorRegion:
            return fixed_region(saliency.at(*pair), settings)

        # NumPy sorts and sums without the interpreter's lock.
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
            for row, region in enumerate(threads.map(find, pairs)):
                packed[row] = np.packbits(region.mask)
                if region.fallbacks:
                    self._fallbacks[pairs[row]] = region.fallbacks
                if progress:
                    progress(row + 1, len(pairs))
        self._packed = SharedArray(packed)

    def __len__(self) -> int:
        return len(self._row)

    def get(self, pair: Pair) -> AnchorRegion | None:
        """The region; None where it is not kept."""
        row = self._row.get(pair)
        if row is None:
            return None
        bits = np.unpackbits(self._packed.values[row], count=self._size[0] * self._size[1])
        mask = bits.view(bool).reshape(self._size)
        return AnchorRegion(mask, self._fallbacks.get(pair, ()))


def fixed_region(saliency: np.ndarray, settings: ClusterSettings) -> AnchorRegion:
    """`find_region` of a strategy of `FIXED`, bit for bit, in less time."""
    clusters = None
    if settings.anchors != "top-n" and settings.k > 1:
        with contextlib.suppress(CutSwapError):  # find_region meets it again and records it
            clusters = clusters_for_regions(saliency, settings.k)
    return find_region(saliency, settings, _NO_DRAW, clusters)


_NO_DRAW = np.random.default_rng(0)  # a fixed strategy draws nothing

"""The clusters' boundaries in a third of the time, where they are sure to part the same pixels.

`cluster_saliency` starts scikit-learn's K-means from the best bins and lets it polish on all
65,536 values, 8 to 16 ms. In one dimension a cluster is a run of the sorted values, so the same
iterations are sums over a few slices. The two differ in the last bits of a centroid. That moves no
pixel unless a value lies next to a boundary, or a stopping rule is met by a hair: then we say so,
and scikit-learn decides.
"""

from __future__ import annotations

import numpy as np

from cutswap.saliency.clusters import (
    MAX_ITERATIONS,
    TOLERANCE,
    Clusters,
    best_start,
    cluster_saliency,
)

# Sums of 65,536 values in any order are off by 7e-12 of their size at most (n 2^-53), so nothing
# is decided within a hundred times that. Distances to two centroids, which scikit-learn compares,
# show the difference of a value from the boundary only down to 4e-16 over the centroids' gap.
_NEAR, _NARROW, _HAIR, _FLAT = 1e-9, 1e-6, 1e-3, 1e-6


def clusters_for_regions(saliency: np.ndarray, k: int) -> Clusters:
    """Clusters whose regions are those of `cluster_saliency`, pixel by pixel.

    Centroids and boundaries may differ from its in the last bits. Arguments and errors as there.
    """
    values = np.sort(np.asarray(saliency), axis=None)  # in single precision twice as fast
    if k < 2 or values.size == 0 or not np.isfinite(values[[0, -1]]).all():
        return cluster_saliency(saliency, k)
    values = values.astype(np.float64)
    is_first = np.append(True, np.diff(values) != 0)
    firsts = np.flatnonzero(is_first)
    distinct = values[firsts]
    if len(distinct) < k:
        return cluster_saliency(saliency, k)  # which says what is wrong
    counts = np.diff(np.append(firsts, len(values)))
    centroids = _polished(values, best_start(distinct, counts, k))
    if centroids is None:
        return cluster_saliency(saliency, k)
    return Clusters(centroids, (centroids[1:] + centroids[:-1]) / 2)


def _polished(values: np.ndarray, centroids: np.ndarray) -> np.ndarray | None:
    """Lloyd's iterations on sorted values as scikit-learn stops them; None where it must decide."""
    spread = float(values.var())
    if spread < _FLAT:
        return None
    before: np.ndarray | None = None
    for _ in range(MAX_ITERATIONS):
        cuts = _cuts(values, centroids)
        if cuts is None:
            return None
        edges = [0, *cuts.tolist(), len(values)]
        if min(b - a for a, b in zip(edges, edges[1:], strict=False)) == 0:
            return None  # scikit-learn moves an empty cluster elsewhere
        # Sums of slices are added in pairs: as good as exact.
        means = np.array([values[a:b].mean() for a, b in zip(edges, edges[1:], strict=False)])
        shift = float(((means - centroids) ** 2).sum()) / (TOLERANCE * spread)
        centroids = means
        if before is not None and np.array_equal(cuts, before):
            break
        if abs(shift - 1) < _HAIR:
            return None
        if shift < 1:
            break
        before = cuts
    return centroids if _cuts(values, centroids) is not None else None


def _cuts(values: np.ndarray, centroids: np.ndarray) -> np.ndarray | None:
    """(K-1,) how many sorted values lie below each boundary; None where a value is too near."""
    if (np.diff(centroids) < _NARROW).any():
        return None
    boundaries = (centroids[1:] + centroids[:-1]) / 2
    below = np.searchsorted(values, boundaries - _NEAR)
    return below if np.array_equal(below, np.searchsorted(values, boundaries + _NEAR)) else None

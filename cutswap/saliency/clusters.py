"""K-means on the scalar values of one saliency map, and the pixels that may anchor a patch.

One-dimensional clusters are intervals, so a clustering is K centroids and the K-1 boundaries
halfway between them: enough to draw the regions again at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cutswap.config import ClusterSettings
from cutswap.errors import CutSwapError

BINS = 256
TOLERANCE, MAX_ITERATIONS = 1e-6, 50  # of K-means


@dataclass(frozen=True)
class Clusters:
    """K intervals of saliency.

    Attributes:
        centroids: (K,) float64, rising.
        boundaries: (K-1,) float64, halfway between neighbouring centroids; a value exactly on a
            boundary belongs to the lower cluster.
    """

    centroids: np.ndarray
    boundaries: np.ndarray

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centroids)

    def regions(self, saliency: np.ndarray) -> np.ndarray:
        """Cluster of every pixel: (H, W) float to (H, W) int64 in 0 (least salient) to K-1."""
        regions = np.zeros(saliency.shape, dtype=np.int64)
        for boundary in self.boundaries:  # a few: searchsorted takes ten times as long
            regions += saliency > boundary
        return regions

    def region(self, saliency: np.ndarray, cluster: int) -> np.ndarray:
        """Pixels of one cluster: (H, W) float to (H, W) bool, `regions(saliency) == cluster`.

        Boundaries rise, so the two around the cluster decide.
        """
        above = saliency > self.boundaries[cluster - 1] if cluster else None
        below = saliency <= self.boundaries[cluster] if cluster < self.k - 1 else None
        if above is None or below is None:
            only = below if above is None else above
            return np.ones(saliency.shape, dtype=bool) if only is None else only
        return above & below


def cluster_saliency(saliency: np.ndarray, k: int) -> Clusters:
    """K-means (scikit-learn) of the values, positions ignored, started from the best bins.

    Lloyd's iterations only find the nearest local optimum, and random starts differ by up to
    0.01 in a centroid. The exact optimum on a few hundred groups costs some milliseconds in one
    dimension, and from there scikit-learn polishes on the values themselves. No seed is involved.

    Args:
        saliency: (H, W) float in [0, 1].
        k: number of clusters, >= 1.

    Returns:
        Clusters ordered by centroid.

    Raises:
        CutSwapError: fewer distinct values than clusters, or values that are not finite.
    """
    if k < 1:
        raise CutSwapError("k", expected="a whole number >= 1", found=k, fix="pass --k 4")
    values = np.asarray(saliency, dtype=np.float64).reshape(-1, 1)  # (H*W, 1)
    if not np.isfinite(values).all():
        raise CutSwapError(
            "saliency", expected="finite values", found="NaN or infinity", fix="check the weights"
        )
    if k == 1:
        return Clusters(values.mean(keepdims=True)[0], np.empty(0))
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < k:
        raise CutSwapError(
            "saliency map",
            expected=f"at least K={k} distinct values",
            found=f"{len(distinct)}" + (" (the map is blank)" if len(distinct) == 1 else ""),
            fix=f"lower --k to {len(distinct)} or choose another layer",
        )
    from sklearn.cluster import KMeans

    start = best_start(distinct, counts, k)
    fitted = KMeans(k, init=start.reshape(-1, 1), n_init=1, tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    fitted.fit(values)
    # Clipped because scikit-learn centres the values: a cluster of zeros comes back as -3e-18.
    centroids = np.sort(fitted.cluster_centers_[:, 0]).clip(distinct[0], distinct[-1])
    return Clusters(centroids, (centroids[1:] + centroids[:-1]) / 2)


def best_start(distinct: np.ndarray, counts: np.ndarray, k: int) -> np.ndarray:
    """(K,) rising: centroids of the exact 1-D optimum over groups (dynamic programming).

    Up to 2 * BINS distinct values are a group each and the optimum is exact. Beyond that a group
    ends at each of BINS equal steps of saliency and of rank: steps of saliency alone would hide
    the bulk of a map with a few bright spots in one bin.

    cost[j, i] is the squared error of groups i..j-1 as one cluster, from prefix sums; best[m][j]
    is the least error of the first j groups in m clusters.
    """
    group = np.arange(len(distinct))
    if len(distinct) > 2 * BINS:
        step = (_unit(distinct) * BINS).astype(np.int64)
        rank = group * BINS // len(distinct)
        starts = (np.diff(step) > 0) | (np.diff(rank) > 0)
        group = np.concatenate([[0], np.cumsum(starts)])
    weight = np.bincount(group, weights=counts)
    total = np.bincount(group, weights=counts * distinct)
    square = np.bincount(group, weights=counts * distinct**2)
    n, s, q = (np.concatenate([[0.0], np.cumsum(x)]) for x in (weight, total, square))
    # Transposed, cost[j, i], so that the search for the best i runs along memory; in place, since
    # new matrices of this size cost as much as what is computed.
    count = len(n)
    scratch = s[:, None] - s[None, :]
    np.square(scratch, out=scratch)
    cost = n[:, None] - n[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        scratch /= cost
    np.subtract(q[:, None], q[None, :], out=cost)
    cost -= scratch
    cost[np.tri(count, dtype=bool).T] = np.inf  # empty or reversed
    best, cuts = cost[:, 0], []
    for more in range(k - 2, -1, -1):
        part = cost if more else cost[-1:]  # the last cut is only asked of all groups together
        options = np.add(best, part, out=scratch[: len(part)])
        cut = options.argmin(axis=1)
        best = options[np.arange(len(part)), cut]
        cuts.append(cut)
    ends = [count - 1]
    for cut in reversed(cuts):
        ends.append(int(cut[ends[-1] - count]))  # counted from the end: the last has one entry
    ends.append(0)
    ends.reverse()
    return np.array([(s[b] - s[a]) / (n[b] - n[a]) for a, b in zip(ends, ends[1:], strict=False)])


def _unit(values: np.ndarray) -> np.ndarray:
    low = values.min()
    return (values - low) / (values.max() - low)


def anchor_region(
    saliency: np.ndarray,
    settings: ClusterSettings,
    rng: np.random.Generator,
    clusters: Clusters | None = None,
) -> np.ndarray:
    """The pixels anchors may be drawn from, under one of the strategies.

    Args:
        saliency: (H, W) float in [0, 1].
        settings: strategy, K and n.
        rng: used by `random-cluster` only.
        clusters: of this map at `settings.k`, where they are known already.

    Returns:
        (H, W) bool, at least one pixel.

    Raises:
        CutSwapError: see `cluster_saliency`; a top-n larger than the map.
    """
    if settings.anchors == "top-n":
        return _top(saliency, settings.top_n)
    if settings.anchors == "whole-image" or settings.k == 1:
        return np.ones(saliency.shape, dtype=bool)
    clusters = clusters or cluster_saliency(saliency, settings.k)
    if settings.anchors == "random-cluster":
        return clusters.region(saliency, int(rng.integers(clusters.k)))
    return clusters.region(saliency, 0 if settings.anchors == "min-cluster" else clusters.k - 1)


def _top(saliency: np.ndarray, count: int) -> np.ndarray:
    """The `count` most salient pixels; ties at the border go to the earlier pixel."""
    if count > saliency.size:
        raise CutSwapError(
            "top_n", expected=f"at most {saliency.size} pixels", found=count, fix="lower --top-n"
        )
    order = np.argsort(-saliency, axis=None, kind="stable")[:count]
    region = np.zeros(saliency.size, dtype=bool)
    region[order] = True
    return region.reshape(saliency.shape)

"""What can be said of one negative, and of many: edits, visibility, places in a feature grid."""

from __future__ import annotations

import numpy as np

from cutswap.errors import CutSwapError
from cutswap.negatives.record import NegativeRecord
from cutswap.saliency.clusters import cluster_saliency

EDITS = ("background_to_background", "background_to_foreground", "from_foreground")
CLUSTERS = 4
SSIM_SIGMA = 1.5  # Wang et al. 2004: 11 taps
SSIM_C1, SSIM_C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def foreground(saliency: np.ndarray) -> np.ndarray | None:
    """The pixels in the upper two of four clusters of a map, or None where it has too few values.

    A guess, not a segmentation: saliency marks what speaks for a class, so it may leave out an even
    part of the object and take in a striking piece of the ground; and a texture has no background.

    Args:
        saliency: (H, W) float in [0, 1].

    Returns:
        (H, W) bool.
    """
    try:
        clusters = cluster_saliency(saliency, CLUSTERS)
    except CutSwapError:
        return None
    return clusters.regions(saliency) >= CLUSTERS // 2


def edit_shares(record: NegativeRecord, front: np.ndarray) -> tuple[float, float, float]:
    """Which of a negative's moves are of which of `EDITS`: shares that sum to 1.

    A box is foreground where at least half of it is. A texture comes from nowhere: all NaN.

    Args:
        record: of the negative; both moves of a swap count by half.
        front: (H, W) bool, the foreground.
    """
    if not record.moves:
        return (np.nan,) * 3
    counts = np.zeros(3)
    for move in record.moves:
        source, target = (
            front[y : y + h, x : x + w].mean() >= 0.5
            for y, x, h, w in (move.source, (*move.target, *move.placed_size))
        )
        counts[2 if source else int(target)] += 1
    first, second, third = (float(c) / len(record.moves) for c in counts)
    return first, second, third


def mean_change(positive: np.ndarray, negative: np.ndarray, mask: np.ndarray) -> float:
    """Mean absolute difference over the changed pixels and channels, levels of 255."""
    return float(np.abs(positive[mask].astype(np.float64) - negative[mask]).mean())


def similarity(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """SSIM map of the grey photos (Wang et al. 2004, gaussian weights of sigma 1.5, L = 255).

    Args:
        positive: (H, W, 3) uint8.
        negative: (H, W, 3) uint8.

    Returns:
        (H, W) float64, at most 1; 1 where nothing near has changed.
    """
    import cv2

    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (positive, negative))

    def blur(values: np.ndarray) -> np.ndarray:
        taps = (11, 11)
        return np.asarray(cv2.GaussianBlur(values, taps, SSIM_SIGMA, borderType=cv2.BORDER_REFLECT))

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    return np.asarray(
        (2 * mean_a * mean_b + SSIM_C1)
        * (2 * covariance + SSIM_C2)
        / ((mean_a**2 + mean_b**2 + SSIM_C1) * (variance_a + variance_b + SSIM_C2))
    )


def cell_shares(mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """How the pixels of a mask fall into the cells of a feature grid.

    Args:
        mask: (H, W) bool with at least one pixel.
        grid: (h, w) of the features; pixel (y, x) lies in cell (y * h // H, x * w // W).

    Returns:
        (h, w) float64 that sum to 1.
    """
    y, x = np.nonzero(mask)
    counts = np.zeros(grid)
    np.add.at(counts, (y * grid[0] // mask.shape[0], x * grid[1] // mask.shape[1]), 1)
    return np.asarray(counts / counts.sum())


def photo_interval(values: np.ndarray, resamples: int) -> tuple[float, float] | None:
    """95% interval of the mean by bootstrap over photos (percentiles; always the same resamples).

    Args:
        values: (P,) float, one a photo: draws of one photo are no independent witnesses.
        resamples: how often P photos are drawn with replacement.

    Returns:
        Low and high end, or None for fewer than two photos.
    """
    if len(values) < 2:
        return None
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(resamples, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)

"""A photo's score from the distances of its patches: the mean of the highest, or the highest alone.

One patch is the maximum of a thousand noisy numbers; a defect covers several.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def highest_patches(distances: np.ndarray, count: int) -> np.ndarray:
    """(P,) distances to the (k,) positions of the highest, falling; of equal ones the first.

    k is `count`, or P where there are fewer.
    """
    return np.argsort(-distances, kind="stable")[:count]


def mean_of_highest(distances: np.ndarray, count: int) -> float:
    """Mean of the `count` highest of (P,) float32 distances, or of all where there are fewer."""
    return float(distances[highest_patches(distances, count)].mean(dtype=np.float64))


def reweighted_mean(
    distances: np.ndarray,
    patches: np.ndarray,
    nearest: np.ndarray,
    items: np.ndarray,
    around: Callable[[np.ndarray], np.ndarray],
    count: int,
) -> float:
    """The mean of the highest, each weighted by how dense the bank is where it landed.

    1. m_test are the `count` patches farthest from the bank, m* the nearest item of each, s* its
       distance.
    2. N_b(m*) are the b bank items nearest to m*, m* itself first.
    3. w = 1 - exp(s*) / sum over m in N_b of exp(||m_test - m||);  the score is the mean of w s*.

    Args:
        distances: (P,) float32.
        patches: (P, K) float32.
        nearest: (P,) int64, their nearest items.
        items: (M, K) float32, the bank.
        around: (k, K) items to the (k, b) int64 items nearest to each.
        count: how many patches.

    Source: Roth et al. 2022, equations 6 and 7, where `count` is 1.
    """
    worst = highest_patches(distances, count)
    centres = items[nearest[worst]]
    weighted = []
    for patch, centre, near in zip(worst, centres, around(centres), strict=True):
        far = np.linalg.norm(items[near] - patches[patch], axis=1)
        own = float(np.linalg.norm(centre - patches[patch]))
        # exp(own) / sum(exp(far)), shifted by the largest so that nothing overflows
        top = far.max()
        share = float(np.exp(own - top) / np.exp(far - top).sum())
        weighted.append((1.0 - share) * float(distances[patch]))
    return float(np.mean(weighted))

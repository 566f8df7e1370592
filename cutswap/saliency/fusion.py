"""Fused saliency, the paper's own future work: several levels as one more guidance map.

The paper draws each patch pair from one level. Fine levels know edges, deep ones objects; a
weighted mean asks for both. Each level is already stretched to [0, 1], so a weight means what it
says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cutswap.errors import CutSwapError

FUSED = "fused"  # where a level is chosen by name, this is the one that is none


def fuse(maps: np.ndarray, weights: Sequence[float] | None = None) -> np.ndarray:
    """Weighted mean of the levels, stretched to [0, 1] like each of them.

    Only ratios of weights matter, and one weight alone gives that level back, bit for bit.

    Args:
        maps: (L, H, W) float in [0, 1], each level scaled by itself.
        weights: (L,) >= 0, not all 0; default: equal.

    Returns:
        (H, W) float32 in [0, 1]; a constant mean becomes 0.

    Raises:
        CutSwapError: weights that do not fit.
    """
    shares = fusion_shares(weights, len(maps))
    mean = np.einsum("l,lhw->hw", shares, maps.astype(np.float64))
    low, span = mean.min(), np.ptp(mean)
    # As for a single level: rounding must not be stretched into structure.
    if span <= 1e-6 * (low + span):
        return np.zeros(mean.shape, dtype=np.float32)
    return ((mean - low) / span).astype(np.float32)


def fusion_shares(weights: Sequence[float] | None, levels: int) -> np.ndarray:
    """(L,) float64 that sum to 1.

    Raises:
        CutSwapError: another number of weights than levels, a negative one, or nothing but zeros.
    """
    given = np.ones(levels) if weights is None else np.asarray(weights, dtype=np.float64)
    sound = given.shape == (levels,) and np.isfinite(given).all() and (given >= 0).all()
    if not sound or given.max(initial=0) == 0:
        raise CutSwapError(
            "fusion weights",
            expected=f"{levels} numbers >= 0, one a level, not all 0",
            found=", ".join(f"{w:g}" for w in np.atleast_1d(given)) or "none",
            fix=f"pass for example --fusion {','.join(['1'] * levels)}",
        )
    scaled = given / given.max()  # so that huge and tiny weights have a sum
    return np.asarray(scaled / scaled.sum())

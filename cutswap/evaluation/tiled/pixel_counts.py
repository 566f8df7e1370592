"""Pixel figures of photos of any size, counted photo by photo: memory does not grow with them.

`metrics` sorts all pixels of a test set; 60 photos of 2,000 x 1,200 have 144 million. Here a
pixel's heat is put into one of a million bins, each as wide as 1/4096 of the power of two below it:
of equals and near equals it is not known which is higher, and they count as equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label as label_components

from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import EIGHT_NEIGHBOURS, FPR_LIMIT

_DROPPED = 11  # of the 23 bits of a float32's fraction
_BINS = 1 << (31 - _DROPPED)  # the sign is always 0


@dataclass(frozen=True)
class CountedFigures:
    """See `metrics.Metrics`; thresholds are the lower ends of bins."""

    auroc: float
    average_precision: float
    f1_max: float
    threshold: float
    aupro: float


class PixelCounts:
    """Pixels by heat, of defects and of what is none."""

    def __init__(self) -> None:
        self._good = np.zeros(_BINS, np.int64)
        self._defective = np.zeros(_BINS, np.int64)
        self._covered = np.zeros(_BINS)  # of a defect region its share, summed over regions
        self._regions = 0

    def add(self, heat: np.ndarray, mask: np.ndarray, region: np.ndarray | None = None) -> None:
        """Count one photo.

        Args:
            heat: (H, W) float32, finite, >= 0.
            mask: (H, W) bool, True on defects.
            region: (H, W) bool: pixels outside count nowhere, and of a defect only what lies
                inside; None: everywhere.

        Raises:
            CutSwapError: heat that is negative or not finite.
        """
        if not (heat.min() >= 0 and np.isfinite(heat).all()):
            raise CutSwapError(
                "heatmaps",
                expected="finite numbers >= 0",
                found="others",
                fix="check the weights",
            )
        bins = (np.ascontiguousarray(heat, np.float32) + np.float32(0)).view(np.uint32) >> _DROPPED
        seen = mask if region is None else mask & region
        unmarked = ~mask if region is None else ~mask & region
        self._good += np.bincount(bins[unmarked], minlength=_BINS)
        if not seen.any():
            return
        self._defective += np.bincount(bins[seen], minlength=_BINS)
        components, count = label_components(seen, structure=EIGHT_NEIGHBOURS)
        sizes = np.bincount(components.reshape(-1))
        weights = 1.0 / sizes[components[seen]]
        self._covered += np.bincount(bins[seen], weights, minlength=_BINS)
        self._regions += count

    def figures(self) -> CountedFigures | None:
        """All figures; None without a defective pixel, or without another one."""
        positives, negatives = int(self._defective.sum()), int(self._good.sum())
        if not positives or not negatives:
            return None
        kept = np.flatnonzero(self._defective + self._good)[::-1]  # falling
        hits, false = np.cumsum(self._defective[kept]), np.cumsum(self._good[kept])
        tpr = np.append(0.0, hits / positives)
        fpr = np.append(0.0, false / negatives)
        f1 = 2 * hits / (hits + false + positives)
        best = int(f1.argmax())
        edge = np.array([kept[best] << _DROPPED], np.uint32).view(np.float32)[0]
        pro = np.append(0.0, np.cumsum(self._covered[kept]) / self._regions)
        return CountedFigures(
            auroc=float(np.trapezoid(tpr, fpr)),
            average_precision=float((hits / (hits + false) * np.diff(tpr)).sum()),
            f1_max=float(f1[best]),
            threshold=float(edge),
            aupro=_up_to(fpr, pro, FPR_LIMIT),
        )


def _up_to(fpr: np.ndarray, pro: np.ndarray, limit: float) -> float:
    """Trapezoids to the limit, where the curve is cut between two points; divided by it."""
    kept = int(np.searchsorted(fpr, limit, side="right")) + 1
    fpr, pro = fpr[:kept].copy(), pro[:kept].copy()
    if fpr[-1] > limit:
        pro[-1] = np.interp(limit, fpr[-2:], pro[-2:])
        fpr[-1] = limit
    return float(np.trapezoid(pro, fpr) / fpr[-1])

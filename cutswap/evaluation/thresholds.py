"""Counts, rates and cost at any threshold, in far less than a millisecond.

All values are looked at once and kept as two running counts, so that moving a threshold is one
search in a sorted list. Images are few and kept exactly. Pixels are millions and kept in `BINS`
equal steps between their smallest and largest value: there a threshold acts as the next step at or
above it (`ThresholdCounts.acting`), off by less than 1/4096 of the range, and the counts at the
steps are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cutswap.errors import CutSwapError

BINS = 4096
CURVE_POINTS = 200  # more make a chart slow to draw and no prettier


@dataclass(frozen=True)
class Confusion:
    """Verdicts of the rule `value >= threshold` against the truth.

    Attributes:
        hits: defective and called so (TP).
        alarms: good but called defective (FP).
        missed: defective but called good (FN).
        passed: good and called so (TN).
    """

    hits: int
    alarms: int
    missed: int
    passed: int

    @property
    def precision(self) -> float | None:
        """Hits among all that is called defective; None where nothing is called so."""
        return _share(self.hits, self.hits + self.alarms)

    @property
    def recall(self) -> float | None:
        """Hits among all that is defective; None where nothing is."""
        return _share(self.hits, self.hits + self.missed)

    @property
    def alarm_rate(self) -> float | None:
        """Alarms among all that is good (FPR); None where nothing is."""
        return _share(self.alarms, self.alarms + self.passed)

    @property
    def f1(self) -> float:
        """2TP / (2TP + FP + FN); 0 where nothing is defective and nothing called so."""
        return _share(2 * self.hits, 2 * self.hits + self.alarms + self.missed) or 0.0

    def cost(self, miss_price: float, alarm_price: float) -> float:
        """What these mistakes cost."""
        return miss_price * self.missed + alarm_price * self.alarms


@dataclass(frozen=True)
class Prices:
    """What mistakes cost, in one unit.

    Attributes:
        miss: a defective part called good.
        alarm: a good part called defective.
    """

    miss: float
    alarm: float


@dataclass(frozen=True)
class CurvePoint:
    """A point of a curve and the threshold that leads to it."""

    x: float
    y: float
    threshold: float


@dataclass(frozen=True)
class ThresholdCounts:
    """Values of known truth, ready for any threshold; made by `of_images` or `of_pixels`.

    Attributes:
        steps: (K,) float64 rising, the thresholds at which a count can change, and one above all
            values, at which nothing is called defective.
        defective: (K,) int64, defective values at or above each step.
        good: (K,) int64, good values at or above each step.
        is_exact: whether the steps are all the values there are.
    """

    steps: np.ndarray
    defective: np.ndarray
    good: np.ndarray
    is_exact: bool

    @classmethod
    def of_images(cls, scores: np.ndarray, labels: np.ndarray) -> ThresholdCounts:
        """Of (N,) float scores and (N,) bool labels, True for defective; exact.

        Raises:
            CutSwapError: shapes that differ, no value, or numbers that are not finite.
        """
        scores, labels = np.asarray(scores, np.float64), np.asarray(labels).astype(bool)
        if scores.ndim != 1 or scores.shape != labels.shape or not len(scores):
            _refuse("one label a score", f"shapes {scores.shape} and {labels.shape}")
        if not np.isfinite(scores).all():
            _refuse("finite scores", "NaN or infinity")
        steps, place = np.unique(scores, return_inverse=True)
        defective = np.bincount(place[labels], minlength=len(steps))
        good = np.bincount(place[~labels], minlength=len(steps))
        return cls._closed(steps, defective, good, is_exact=True)

    @classmethod
    def of_pixels(
        cls,
        heatmaps: np.ndarray,
        masks: np.ndarray,
        bins: int = BINS,
        region: np.ndarray | None = None,
    ) -> ThresholdCounts:
        """Of (N, H, W) float32 heatmaps and bool masks, read image by image.

        Args:
            heatmaps: distances, in memory or mapped from a file.
            masks: True on defects.
            bins: equal steps between the smallest and the largest value.
            region: (H, W) bool, where to look: other pixels do not count; None: everywhere.

        Raises:
            CutSwapError: shapes that differ, no value, or numbers that are not finite.
        """
        if heatmaps.ndim != 3 or heatmaps.shape != masks.shape or not heatmaps.size:
            _refuse("one (N, H, W) for both", f"shapes {heatmaps.shape} and {masks.shape}")
        # One photo at a time: the inside of all at once would be a second copy of all maps.
        inside = slice(None) if region is None else region
        low = float(np.min([m[inside].min() for m in heatmaps]))  # NaN spreads through numpy's min
        high = float(np.max([m[inside].max() for m in heatmaps]))
        if not math.isfinite(low + high):
            _refuse("finite heatmaps", "NaN or infinity")
        if low == high:
            positive = int(sum(mask[inside].sum() for mask in masks))
            pixels = len(masks) * masks[0][inside].size
            counts = (np.array([positive]), np.array([pixels - positive]))
            return cls._closed(np.array([low]), *counts, is_exact=True)
        edges = np.linspace(low, high, bins + 1)
        defective, good = np.zeros(bins, np.int64), np.zeros(bins, np.int64)
        for heat, mask in zip(heatmaps, masks, strict=True):
            # float64, or numpy would round the edges and the counts at them be off by a few
            values, truth = heat[inside].astype(np.float64), mask[inside].astype(bool)
            defective += np.histogram(values[truth], bins, (low, high))[0]
            good += np.histogram(values[~truth], bins, (low, high))[0]
        return cls._closed(edges[:-1], defective, good, is_exact=False, top=high)

    @classmethod
    def _closed(
        cls,
        steps: np.ndarray,
        defective: np.ndarray,
        good: np.ndarray,
        *,
        is_exact: bool,
        top: float | None = None,
    ) -> ThresholdCounts:
        """From counts in each step to counts at or above it, with the step above all values."""
        highest = float(steps[-1]) if top is None else top
        beyond = highest + max((highest - float(steps[0])) / 100, 1e-6 * abs(highest), 1e-9)
        above = [np.append(np.cumsum(c[::-1])[::-1], 0) for c in (defective, good)]
        return cls(np.append(steps, beyond), above[0], above[1], is_exact)

    @property
    def low(self) -> float:
        """The smallest value: there everything is called defective."""
        return float(self.steps[0])

    @property
    def beyond(self) -> float:
        """Above the largest value: there nothing is called defective."""
        return float(self.steps[-1])

    def acting(self, threshold: float) -> float:
        """The step that a threshold acts as: the next one at or above it."""
        return float(self.steps[self._place(threshold)])

    def at(self, threshold: float) -> Confusion:
        """Counts of the rule `value >= acting(threshold)`.

        Raises:
            CutSwapError: the threshold is NaN.
        """
        return self._confusion(self._place(threshold))

    def best_f1(self) -> float:
        """The step of the best F1; the highest among equals, as `metrics.f1_max`.

        Without a defective value F1 is 0 everywhere, and nothing is called defective.
        """
        return self._first_best(-self._f1())

    def cheapest(self, miss_price: float, alarm_price: float) -> float:
        """The step at which the mistakes cost least; the highest among equals.

        Args:
            miss_price: of a defective one called good, >= 0.
            alarm_price: of a good one called defective, >= 0.

        Raises:
            CutSwapError: a price that is negative or not finite.
        """
        for name, price in (("missed defect", miss_price), ("false alarm", alarm_price)):
            if not (math.isfinite(price) and price >= 0):
                raise CutSwapError(
                    f"price of a {name}", expected="a number >= 0", found=price, fix="enter 1"
                )
        missed = self.defective[0] - self.defective
        return self._first_best(miss_price * missed + alarm_price * self.good)

    def roc(self) -> list[CurvePoint]:
        """Alarm rate and recall from the highest threshold down: (0, 0) to (1, 1).

        At most `CURVE_POINTS` points: the two ends, the best F1, and others evenly along the way.
        None where one of the two kinds is absent.
        """
        if not (self.defective[0] and self.good[0]):
            return []
        places = np.arange(len(self.steps))[::-1]
        return self._thinned(self.good / self.good[0], self.defective / self.defective[0], places)

    def precision_recall(self) -> list[CurvePoint]:
        """Recall and precision from the highest threshold that calls anything down; as `roc`."""
        if not (self.defective[0] and self.good[0]):
            return []
        called = self.defective + self.good
        places = np.flatnonzero(called)[::-1]
        return self._thinned(
            self.defective / self.defective[0], self.defective / np.maximum(called, 1), places
        )

    def _place(self, threshold: float) -> int:
        if math.isnan(threshold):
            _refuse("a threshold", "NaN")
        return min(int(np.searchsorted(self.steps, threshold)), len(self.steps) - 1)

    def _confusion(self, place: int) -> Confusion:
        hits, alarms = int(self.defective[place]), int(self.good[place])
        return Confusion(hits, alarms, int(self.defective[0]) - hits, int(self.good[0]) - alarms)

    def _f1(self) -> np.ndarray:
        called = self.defective + self.good
        return 2 * self.defective / np.maximum(called + self.defective[0], 1)

    def _first_best(self, cost: np.ndarray) -> float:
        # argmin gives the first of equals; turned round, that is the highest step
        return float(self.steps[len(cost) - 1 - int(np.argmin(cost[::-1]))])

    def _thinned(self, x: np.ndarray, y: np.ndarray, places: np.ndarray) -> list[CurvePoint]:
        x, y, steps = x[places], y[places], self.steps[places]
        moved = np.append(True, (np.diff(x) != 0) | (np.diff(y) != 0))
        kept = np.flatnonzero(moved)  # a step that changes no count is no point of its own
        if len(kept) > CURVE_POINTS:
            length = np.append(0.0, np.cumsum(np.hypot(np.diff(x[kept]), np.diff(y[kept]))))
            even = np.searchsorted(length, np.linspace(0, length[-1], CURVE_POINTS - 1))
            kept = kept[even]
        best = int(np.flatnonzero(steps == self.best_f1())[0])
        kept = np.unique(np.append(kept, best))
        return [CurvePoint(float(x[i]), float(y[i]), float(steps[i])) for i in kept]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _refuse(expected: str, found: str) -> None:
    raise CutSwapError(
        "values and their truth", expected=expected, found=found, fix="evaluate again"
    )

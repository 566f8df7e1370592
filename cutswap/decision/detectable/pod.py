r"""Probability of detection (POD) by size, from hits and misses, as inspectors state it.

MIL-HDBK-1823A's model of hit/miss data, with the logit link:

    log(POD(a) / (1 - POD(a))) = b0 + b1 log(a)

fitted by maximum likelihood. a90 is the size that is found with a probability of 0.9; a90/95 is the
size of which that can be said with a confidence of 95%: where the lower confidence bound of POD(a)
reaches 0.9. Bounds are by the likelihood ratio, one-sided: at a size a the lowest p for which

    2 (max log L - max over b1 of log L given POD(a) = p) <= 2.706, chi-square's 90% point

Where sizes part hits from misses no such curve exists (the steepest is the likeliest): then sizes
are counted one by one with the exact bound of Clopper and Pearson, by which 29 of 29 found, and no
fewer, prove 90% with 95% confidence.

Sources: MIL-HDBK-1823A (2009), appendix G; Albert and Anderson 1984 (when the maximum exists).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PROBABILITY, CONFIDENCE = 0.9, 0.95
POINTS = 33  # of a drawn curve
_STEEPEST = 60.0  # slope by log size beyond which a curve is a step
_TURNS = 30  # halvings: bounds to eight digits
_FLAT = 12.0  # logits beyond which a probability is drawn as 0 or 1


@dataclass(frozen=True)
class PodFit:
    """Hits and misses by size, and what follows from them.

    Attributes:
        sizes: (K,) rising.
        found: (K,) of each size.
        count: (K,) painted of each.
        intercept: b0; None where no curve exists.
        slope: b1 > 0, by the natural logarithm of the size; None likewise.
        a90: size found with probability 0.9, as far as these data tell; the smallest painted also
            where it is less; None: larger than the largest painted, or no such size.
        a90_95: the same with 95% confidence.
        how: `curve`, or `count` where sizes were counted one by one.
    """

    sizes: tuple[int, ...]
    found: tuple[int, ...]
    count: tuple[int, ...]
    intercept: float | None
    slope: float | None
    a90: float | None
    a90_95: float | None
    how: str

    def pod(self, sizes: np.ndarray) -> np.ndarray | None:
        """POD of (M,) sizes, (M,) in (0, 1); None without a curve."""
        if self.intercept is None or self.slope is None:
            return None
        return np.asarray(_logistic(self.intercept + self.slope * np.log(sizes)))

    def lower(self, sizes: np.ndarray) -> np.ndarray | None:
        """Its lower confidence bound, (M,) in [0, 1]; None without a curve."""
        if self.intercept is None or self.slope is None:
            return None
        data = _Data(np.log(self.sizes), np.array(self.found), np.array(self.count))
        x = np.log(sizes)
        high = self.intercept + self.slope * x
        low = np.full_like(high, -_FLAT) + np.minimum(high, 0)
        bar = data.likelihood(self.intercept + self.slope * data.x) - _allowed()
        for _ in range(_TURNS):
            middle = (low + high) / 2
            is_likely = data.profile(x, middle) >= bar
            high, low = np.where(is_likely, middle, high), np.where(is_likely, low, middle)
        return np.asarray(_logistic(high))

    def drawn(self) -> np.ndarray:
        """(POINTS,) sizes from the smallest to the largest painted, evenly by their logarithm."""
        return np.geomspace(self.sizes[0], self.sizes[-1], POINTS)

    def remark(self) -> str:
        """`sentence` where a90 and a90/95 do not tell it all; else empty."""
        is_told = self.how == "curve" and self.a90_95 is not None and self.a90_95 > self.sizes[0]
        return "" if is_told else self.sentence()

    def sentence(self) -> str:
        """What it comes to, in one line."""
        found, count = sum(self.found), sum(self.count)
        small, large = self.sizes[0], self.sizes[-1]
        if not found:
            top = upper_bound(0, self.count[-1])
            return (
                f"none of {count} found; of {large} px at most {top:.0%} are (95% confidence):"
                " nothing that small is seen"
            )
        if self.how == "curve":
            if self.a90 is None:
                return f"a90 lies above {large} px, the largest painted"
            text = f"a90 {self.a90:.3g} px"
            if self.a90_95 is None:
                return (
                    f"{text}; a90/95 lies above {large} px, the largest painted: more places tell"
                )
            return f"{text}, a90/95 {self.a90_95:.3g} px"
        if found == count and self.a90_95 == small:
            return f"all {count} found: a90/95 is {small} px, the smallest painted, or less"
        if self.a90 is None:
            return f"no size is found nine times in ten, up to {large} px; no curve fits the counts"
        text = f"counted by size, as no curve fits: {self._at(self.a90)}"
        if self.a90_95 is None:
            return f"{text}; for 95% confidence at least 29 of 29 must be found at a size"
        return f"{text}; a90/95 {self.a90_95:g} px or less: {self._at(self.a90_95)}"

    def _at(self, size: float) -> str:
        place = self.sizes.index(round(size))
        return f"{self.found[place]} of {self.count[place]} found at {self.sizes[place]} px"


def fit_pod(sizes: Sequence[int], found: Sequence[int], count: Sequence[int]) -> PodFit:
    """Fit hits and misses.

    Args:
        sizes: rising, > 0, K of them.
        found: hits of each.
        count: painted of each, >= 1.

    Raises:
        ValueError: lengths that differ, sizes that do not rise, or hits beyond what was painted.
    """
    x = np.array(sizes, dtype=float)
    y, n = np.array(found, dtype=float), np.array(count, dtype=float)
    if not (len(x) == len(y) == len(n) >= 1 and (np.diff(x) > 0).all() and x[0] > 0):
        raise ValueError("sizes that rise, with hits and counts of each")
    if not ((y >= 0) & (y <= n) & (n >= 1)).all():
        raise ValueError("hits between none and all that were painted")
    kept = (_whole(sizes), _whole(found), _whole(count))
    data = _Data(np.log(x), y, n)
    if not data.has_maximum:
        return PodFit(*kept, None, None, *_counted(kept), "count")
    intercept, slope = data.fit()
    if slope <= 0:
        return PodFit(*kept, None, None, *_counted(kept), "count")
    logit = math.log(PROBABILITY / (1 - PROBABILITY))
    first, last = float(data.x[0]), float(data.x[-1])
    place = (logit - intercept) / slope
    if place > last:
        return PodFit(*kept, intercept, slope, None, None, "curve")
    a90 = math.exp(max(place, first))  # nothing is said of sizes that were not painted
    bound = None
    bar = float(data.likelihood(intercept + slope * data.x)) - _allowed()
    if data.profile_at(last, logit) < bar:
        low, high = place, last
        for _ in range(_TURNS):
            middle = (low + high) / 2
            if data.profile_at(middle, logit) >= bar:
                low = middle
            else:
                high = middle
        bound = math.exp(max(high, first))
    return PodFit(*kept, intercept, slope, a90, bound, "curve")


def lower_bound(found: int, count: int) -> float:
    """Clopper and Pearson's exact one-sided 95% lower bound of a share."""
    from scipy.stats import beta

    return float(beta.ppf(1 - CONFIDENCE, found, count - found + 1)) if found else 0.0


def upper_bound(found: int, count: int) -> float:
    """The same from above."""
    from scipy.stats import beta

    return float(beta.ppf(CONFIDENCE, found + 1, count - found)) if found < count else 1.0


def _counted(kept: Sequence[Sequence[int]]) -> tuple[float | None, float | None]:
    """The smallest size from which on every size is found nine times in ten; and provably."""
    shares: list[float] = []
    bounds: list[float] = []
    for found, count in zip(kept[1], kept[2], strict=True):
        shares.append(found / count)
        bounds.append(lower_bound(found, count))
    return _from_on(kept[0], shares), _from_on(kept[0], bounds)


def _from_on(sizes: Sequence[int], values: Sequence[float]) -> float | None:
    first = None
    for size, value in zip(reversed(sizes), reversed(values), strict=True):
        if value < PROBABILITY:
            break
        first = float(size)
    return first


def _allowed() -> float:
    """Log likelihood that a one-sided bound may give up."""
    from scipy.stats import chi2

    return float(chi2.ppf(2 * CONFIDENCE - 1, 1)) / 2


class _Data:
    """Grouped hits and misses, and their likelihood."""

    def __init__(self, x: np.ndarray, y: np.ndarray, n: np.ndarray) -> None:
        self.x, self.y, self.n = x, y, n

    @property
    def has_maximum(self) -> bool:
        """Whether hits and misses overlap on both sides, so that a likeliest curve exists."""
        hits, misses = self.x[self.y > 0], self.x[self.y < self.n]
        if not len(hits) or not len(misses):
            return False
        return bool(hits.min() < misses.max() and misses.min() < hits.max())

    def likelihood(self, logits: np.ndarray) -> np.ndarray:
        """Log likelihood of (..., K) logits, (...)."""
        return np.asarray((self.y * logits - self.n * np.logaddexp(0, logits)).sum(axis=-1))

    def fit(self) -> tuple[float, float]:
        """Intercept and slope of the maximum, by Newton's steps."""
        middle = self.x.mean()
        design = np.stack([np.ones_like(self.x), self.x - middle], axis=1)  # (K, 2)
        share = (self.y.sum() + 0.5) / (self.n.sum() + 1)
        beta = np.array([math.log(share / (1 - share)), 0.0])
        best = self.likelihood(design @ beta)
        for _ in range(100):
            p = _logistic(design @ beta)
            slope = design.T @ (self.y - self.n * p)
            curve = (design * (self.n * p * (1 - p))[:, None]).T @ design
            step = np.linalg.solve(curve + 1e-12 * np.eye(2), slope)
            while self.likelihood(design @ (beta + step)) < best - 1e-12:  # too far
                step = step / 2
            beta = beta + step
            best = self.likelihood(design @ beta)
            if np.abs(step).max() < 1e-10:
                break
        return float(beta[0] - beta[1] * middle), float(beta[1])

    def profile(self, x: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Highest log likelihood of curves through (M,) given logits at (M,) log sizes, (M,)."""
        d = self.x - x[:, None]  # (M, K)
        low, high = np.full(len(x), -_STEEPEST), np.full(len(x), _STEEPEST)
        for _ in range(_TURNS):  # the likelihood is concave in the slope: halve where it turns
            slope = (low + high) / 2
            p = _logistic(logits[:, None] + slope[:, None] * d)
            is_rising = ((self.y - self.n * p) * d).sum(axis=1) > 0
            low, high = np.where(is_rising, slope, low), np.where(is_rising, high, slope)
        return self.likelihood(logits[:, None] + low[:, None] * d)

    def profile_at(self, x: float, logit: float) -> float:
        """The same of one."""
        return float(self.profile(np.array([x]), np.array([logit]))[0])


def _pixels(size: float, smallest: int) -> str:
    return f"{size:.3g} px" + (" or less" if size <= smallest * (1 + 1e-9) else "")


def _whole(values: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _logistic(values: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return np.asarray(expit(values))

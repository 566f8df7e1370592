"""A threshold from good photos alone: conformal p-values, and what they promise.

Good photos are scored by a detector that has not seen them. A new photo's p-value is the share of
them, itself counted, that score at least as high:

    p = (1 + number of good scores >= its score) / (n + 1)

Where the new photo is good and exchangeable with those n (any order of the n + 1 photos is as
likely as any other: the same parts, camera, light and handling), P(p <= a) <= a for every a,
whatever the scores' distribution. So the rule "defective where p <= a" calls at most a share a of
good photos defective, on average over the n photos that happened to be taken. Given those n, the
rate has a Beta(m, n + 1 - m) distribution with m = floor(a (n + 1)); its ends are the interval.

Sources: Vovk, Gammerman, Shafer 2005 (p-values); Vovk 2012 (the Beta distribution); Vovk 2015
(cross-conformal: `cutswap.decision.held_out`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cutswap.errors import CutSwapError

LEVEL = 0.95  # of the interval
DRIFTED = 0.01  # p-value below which new photos are said to differ from the good ones
_ROUNDING = 1e-9  # 0.07 * 100 is 7.000000000000001, and 0.29 * 100 is 28.999999999999996


@dataclass(frozen=True)
class PromisedThreshold:
    """A threshold with the false-alarm rate that it promises.

    Attributes:
        asked: false-alarm rate that was asked for, in (0, 1).
        photos: good photos it comes from, n.
        needed: the fewest good photos with which that rate can be promised.
        threshold: a score at or above it is called defective; a float32 number.
        expected: mean of the rate that it gives, floor(asked (n + 1)) / (n + 1) <= asked.
        low: lower end of the 95% interval of that rate.
        high: its upper end.
    """

    asked: float
    photos: int
    needed: int
    threshold: float
    expected: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)

    def text(self) -> str:
        """One line: what was asked, and what it gives."""
        return (
            f"false alarms at most {share_text(self.asked)}: threshold {self.threshold:.4g} from"
            f" {self.photos} good photos alone ({self.needed} needed); it gives"
            f" {share_text(self.expected)} on average, 95% interval {share_text(self.low)} to"
            f" {share_text(self.high)}"
        )


@dataclass(frozen=True)
class Drift:
    """Whether new photos score as the good ones did.

    Attributes:
        photos: new photos.
        p_value: of the two-sample Kolmogorov-Smirnov test, in [0, 1].
        is_higher: whether most score higher than the good ones did; else lower.
    """

    photos: int
    p_value: float
    is_higher: bool

    @property
    def is_drift(self) -> bool:
        """Whether that is too odd for chance: once in a hundred times it is chance."""
        return self.p_value < DRIFTED

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "is_drift": self.is_drift}

    def text(self) -> str:
        """One line about it."""
        if not self.is_drift:
            return f"no drift: {self.photos} new photos score as the good ones did"
        what = (
            "many are defective, or parts, light or focus have changed"
            if self.is_higher
            else "parts, light or focus have changed (a blurred photo hides defects)"
        )
        return (
            f"drift: {self.photos} new photos score {'higher' if self.is_higher else 'lower'} than"
            f" the good ones did (Kolmogorov-Smirnov p = {self.p_value:.2g}): {what}. Where they"
            " have, the promise does not hold: take new good photos and evaluate again"
        )


def photos_needed(rate: float) -> int:
    """The fewest good photos with which a false-alarm rate can be promised: ceil(1 / rate) - 1.

    With fewer, even a score above all of theirs has p > rate.

    Raises:
        CutSwapError: no rate in (0, 1).
    """
    _need_rate(rate)
    return math.ceil(1 / rate - _ROUNDING) - 1


def need_photos(rate: float, photos: int, *, fix: str = "") -> None:
    """Refuse a rate for which there are too few good photos.

    Args:
        rate: asked for, in (0, 1).
        photos: that there are.
        fix: another way out, put before the rest.

    Raises:
        CutSwapError: too few; the message says how many are wanted.
    """
    needed = photos_needed(rate)
    if photos < needed:
        smallest = f", or ask for {_rounded_up(1 / (photos + 1))} or more" if photos > 1 else ""
        raise CutSwapError(
            "--false-alarms",
            expected=f"at least {needed} good photos that were held out for a rate of {rate:g}",
            found=photos,
            fix=f"{fix}add {needed - photos} good photos{smallest}",
        )


def p_values(good: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Share of good photos that score at least as high, the photo itself counted.

    Args:
        good: (n,) float, scores of good photos by a detector that has not seen them.
        scores: (N,) float, of new photos.

    Returns:
        (N,) float64 in [1 / (n + 1), 1].

    Raises:
        CutSwapError: no good score, or one that is not finite.
    """
    rising = np.sort(_need_scores(good))
    below = np.searchsorted(rising, np.asarray(scores, dtype=np.float64), side="left")
    return (1 + len(rising) - below) / (len(rising) + 1)


def promised_threshold(good: np.ndarray, rate: float) -> PromisedThreshold:
    """The lowest threshold that calls at most a share of good photos defective.

    `score >= threshold` and `p_values(good, score) <= rate` say the same of every float32 score.

    Args:
        good: (n,) float32, scores of good photos by a detector that has not seen them.
        rate: asked for, in (0, 1).

    Raises:
        CutSwapError: too few good photos, or a score that is not finite.
    """
    from scipy.stats import beta

    scores = np.sort(_need_scores(good))
    need_photos(rate, len(scores))
    above = math.floor(rate * (len(scores) + 1) + _ROUNDING)  # m: the photo itself is one of them
    highest_passed = np.float32(scores[len(scores) - above])
    low, high = beta.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], above, len(scores) + 1 - above)
    return PromisedThreshold(
        asked=float(rate),
        photos=len(scores),
        needed=photos_needed(rate),
        threshold=float(np.nextafter(highest_passed, np.float32(np.inf))),
        expected=above / (len(scores) + 1),
        low=float(low),
        high=float(high),
    )


def drift(good: np.ndarray, new: np.ndarray) -> Drift:
    """Whether new photos' scores could be more of the good ones'.

    Two samples are compared (Kolmogorov-Smirnov). To ask whether the new p-values are uniform is
    the same question, but the one-sample test takes the n good scores for the whole truth: with 100
    of each it called 15% of sound batches drift at a level of 1%, this one 0.4% (500 seeds).

    Args:
        good: (n,) float, scores of good photos by a detector that has not seen them.
        new: (N,) float, of new photos, most of them thought good.

    Raises:
        CutSwapError: no score, or one that is not finite.
    """
    from scipy.stats import ks_2samp

    good, new = _need_scores(good), _need_scores(new)
    found = ks_2samp(good, new)
    return Drift(len(new), float(found.pvalue), bool(p_values(good, new).mean() < 0.5))


def share_text(share: float) -> str:
    """A share as a percentage of two significant digits: `0.95%`."""
    return f"{100 * share:.2g}%"


def _rounded_up(rate: float) -> str:
    """Two significant digits, never below it."""
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return f"{math.ceil(rate / step - _ROUNDING) * step:.2g}"


def _need_rate(rate: float) -> None:
    if not 0 < rate < 1:  # NaN is neither
        raise CutSwapError(
            "--false-alarms", expected="a rate above 0 and below 1", found=rate, fix="pass 0.01"
        )


def _need_scores(values: np.ndarray) -> np.ndarray:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise CutSwapError(
            "scores of photos",
            expected="at least one, all of them finite",
            found=f"shape {scores.shape}"
            if scores.ndim != 1 or not len(scores)
            else "NaN or infinity",
            fix="evaluate again",
        )
    return scores

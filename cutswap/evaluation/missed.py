"""Which defects are missed: recall by type and by area, with counts and intervals.

The rule is the app's: an image is called defective where `score >= threshold`. The threshold that
an evaluation stores is the best F1 of the very test images, so recall at it is on the kind side; a
threshold of your own is as honest as you are. Types of a few images say little, hence the intervals
(Wilson's, 95%: Wilson, J. Am. Stat. Assoc. 22, 1927; fit for small counts and for 0 and 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cutswap.data.records import GOOD, natural_key
from cutswap.errors import CutSwapError

Z = 1.959963984540054  # of 95%, two sides
# Shares of the image's area. Fixed, so that two networks or two categories can be compared.
AREAS = (0.005, 0.02, 0.1)
_ALARMS = "good, called defective"
_AREA_NAMES = ("area under 0.5%", "area 0.5% to 2%", "area 2% to 10%", "area from 10%")


@dataclass(frozen=True)
class Recall:
    """How many of one kind are found.

    Attributes:
        name: the type of defect, or the band of areas.
        found: images called defective; a mean over seeds may be no whole number.
        count: images of that kind.
    """

    name: str
    found: float
    count: int

    @property
    def recall(self) -> float:
        """Share found, in [0, 1]."""
        return self.found / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of the recall, in [0, 1]."""
        return wilson(self.found, self.count)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        low, high = self.interval
        return {
            "name": self.name,
            "found": self.found,
            "count": self.count,
            "recall": round(self.recall, 6),
            "low": round(low, 6),
            "high": round(high, 6),
        }

    def text(self) -> str:
        """`3 of 10: 0.30 (0.11 to 0.60)`."""
        low, high = self.interval
        shown = f"{self.found:.1f}".removesuffix(".0")
        return f"{shown} of {self.count}: {self.recall:.2f} ({low:.2f} to {high:.2f})"


@dataclass(frozen=True)
class Missed:
    """Recall of one test set at one threshold.

    Attributes:
        threshold: scores at or above it are called defective.
        by_type: in natural order of their names.
        by_area: from small to large, bands without an image left out; empty without masks.
        alarms: good images called defective: what the recall costs.
    """

    threshold: float
    by_type: tuple[Recall, ...]
    by_area: tuple[Recall, ...]
    alarms: Recall | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "threshold": self.threshold,
            "by_type": [r.to_dict() for r in self.by_type],
            "by_area": [r.to_dict() for r in self.by_area],
            "alarms": [self.alarms.to_dict()] if self.alarms else [],
        }


def wilson(successes: float, count: int) -> tuple[float, float]:
    """95% interval of a share.

    Args:
        successes: successes, 0 to `count`.
        count: tries, at least 1.

    Returns:
        Lower and upper end in [0, 1].

    Raises:
        CutSwapError: no try, or more successes than tries.
    """
    if count < 1 or not 0 <= successes <= count:
        raise CutSwapError(
            "a share",
            expected="0 to n successes of n >= 1 tries",
            found=f"{successes} of {count}",
            fix="count again",
        )
    share, z2 = successes / count, Z * Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def missed_defects(
    defects: Sequence[str],
    scores: np.ndarray,
    threshold: float,
    masks: np.ndarray | None,
    seen: float = 1.0,
) -> Missed:
    """Count found and missed defects.

    Args:
        defects: type of each test image, `good` for none.
        scores: (N,) float, of the same images.
        threshold: scores at or above it are called defective.
        masks: (N, H, W) bool, True on defects; None where the data marks none.
        seen: share of the masks that shows the photo, whose areas are told: `seen_share`.

    Raises:
        CutSwapError: lengths that differ.
    """
    areas = None if masks is None else np.array([mask.mean() for mask in masks]) / seen
    return missed_by_area(defects, scores, threshold, areas)


def missed_by_area(
    defects: Sequence[str], scores: np.ndarray, threshold: float, areas: np.ndarray | None
) -> Missed:
    """The same where the areas are known.

    Args:
        defects: type of each test image, `good` for none.
        scores: (N,) float, of the same images.
        threshold: scores at or above it are called defective.
        areas: (N,) float in [0, 1], share of the photo that is defective; None where the data
            marks none.

    Raises:
        CutSwapError: lengths that differ.
    """
    if len(defects) != len(scores) or (areas is not None and len(areas) != len(scores)):
        lengths = (len(defects), len(scores), None if areas is None else len(areas))
        raise CutSwapError(
            "defects, scores and masks",
            expected="one each an image",
            found=lengths,
            fix="evaluate again",
        )
    called = np.asarray(scores) >= threshold
    types = np.array(list(defects), dtype=object)
    is_bad = types != GOOD
    by_type = [
        Recall(name, int(called[types == name].sum()), int((types == name).sum()))
        for name in sorted(set(types[is_bad]), key=natural_key)
    ]
    by_area: list[Recall] = []
    if areas is not None:
        band = np.digitize(areas, AREAS)
        for place, name in enumerate(_AREA_NAMES):
            own = is_bad & (band == place)
            if own.any():
                by_area.append(Recall(name, int(called[own].sum()), int(own.sum())))
    good = int((~is_bad).sum())
    alarms = Recall(_ALARMS, int(called[~is_bad].sum()), good) if good else None
    return Missed(float(threshold), tuple(by_type), tuple(by_area), alarms)


def over_seeds(results: Sequence[dict[str, Any]], kind: str) -> tuple[Recall, ...]:
    """Mean recall of several evaluations of the same images.

    The seeds share their images, so the count stays that of the images and the interval with it.

    Args:
        results: what `Missed.to_dict` gave, one a seed; others count as not there.
        kind: `by_type`, `by_area` or `alarms`.
    """
    by_name: dict[str, list[tuple[float, int]]] = {}
    for result in results:
        rows = result.get(kind) if isinstance(result, dict) else None
        for row in rows if isinstance(rows, list) else ():
            if _is_row(row):
                by_name.setdefault(row["name"], []).append((float(row["found"]), row["count"]))
    names = [*_AREA_NAMES] if kind == "by_area" else sorted(by_name, key=natural_key)
    return tuple(
        Recall(name, sum(f for f, _ in by_name[name]) / len(by_name[name]), by_name[name][0][1])
        for name in names
        if name in by_name and len({count for _, count in by_name[name]}) == 1
    )


def _is_row(row: object) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        return False
    count, found = row.get("count"), row.get("found")
    is_count = isinstance(count, int) and not isinstance(count, bool) and count >= 1
    is_found = isinstance(found, (int, float)) and not isinstance(found, bool)
    return is_count and is_found and 0 <= found <= count  # type: ignore[operator]

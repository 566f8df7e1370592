"""Verdicts on photos by the rule `score >= threshold`, and which of them to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from cutswap.errors import CutSwapError


class Verdict(StrEnum):
    """What the rule says of one photo, against the truth where somebody knows it."""

    FOUND = "found"
    MISSED = "missed"
    FALSE_ALARM = "false alarm"
    PASSED = "passed"
    CALLED_DEFECTIVE = "called defective"  # the truth is not known, as in the next two
    CALLED_GOOD = "called good"
    UNDECIDED = "no threshold yet"

    @property
    def text(self) -> str:
        """In words and with a mark, readable without colour."""
        return f"{_MARKS[self]} {self.value}"

    @property
    def is_mistake(self) -> bool:
        """Whether it contradicts the truth."""
        return self in (Verdict.MISSED, Verdict.FALSE_ALARM)


_MARKS = {
    Verdict.FOUND: "✔",
    Verdict.MISSED: "✖",
    Verdict.FALSE_ALARM: "✖",
    Verdict.PASSED: "✔",
    Verdict.CALLED_DEFECTIVE: "●",
    Verdict.CALLED_GOOD: "○",
    Verdict.UNDECIDED: "–",
}
# What people ask for, and the verdicts in it.
LABELLED_GROUPS = {
    "missed": (Verdict.MISSED,),
    "falsely called": (Verdict.FALSE_ALARM,),
    "right": (Verdict.FOUND, Verdict.PASSED),
}
UNLABELLED_GROUPS = {
    "called defective": (Verdict.CALLED_DEFECTIVE,),
    "called good": (Verdict.CALLED_GOOD,),
}
MOST_WRONG, HIGHEST, LOWEST = "most wrong first", "highest score first", "lowest score first"
ORDERS = (MOST_WRONG, HIGHEST, LOWEST)


def verdict_of(is_defective: bool | None, score: float, threshold: float | None) -> Verdict:
    """The verdict on one photo.

    Args:
        is_defective: the truth; None where nobody knows it.
        score: of the photo.
        threshold: scores at or above it are called defective; None: nothing is called anything.
    """
    if threshold is None:
        return Verdict.UNDECIDED
    is_called = score >= threshold
    if is_defective is None:
        return Verdict.CALLED_DEFECTIVE if is_called else Verdict.CALLED_GOOD
    if is_defective:
        return Verdict.FOUND if is_called else Verdict.MISSED
    return Verdict.FALSE_ALARM if is_called else Verdict.PASSED


def verdicts_of(
    scores: np.ndarray, labels: np.ndarray | None, threshold: float | None
) -> tuple[Verdict, ...]:
    """The verdict on each of N photos.

    Args:
        scores: (N,) float.
        labels: (N,) bool, True for defective; None where nobody knows.
        threshold: see `verdict_of`.
    """
    truth = [None] * len(scores) if labels is None else [bool(label) for label in labels]
    return tuple(
        verdict_of(known, float(score), threshold)
        for known, score in zip(truth, scores, strict=True)
    )


def in_order(
    scores: np.ndarray,
    labels: np.ndarray | None,
    threshold: float | None,
    order: str = MOST_WRONG,
) -> list[int]:
    """Numbers of photos, those to look at first in front; equals keep their order.

    The most wrong are the mistakes, the farthest from the threshold first; then come the right
    ones, the closest to it first. Without labels or threshold that is the highest score first.

    Args:
        scores: (N,) float.
        labels: (N,) bool, True for defective; None where nobody knows.
        threshold: scores at or above it are called defective.
        order: one of `ORDERS`.

    Raises:
        CutSwapError: an order that is none.
    """
    if order not in ORDERS:
        raise CutSwapError(
            "order", expected=f"one of {', '.join(ORDERS)}", found=order, fix="choose one of them"
        )
    if order == LOWEST:
        return [int(i) for i in np.argsort(scores, kind="stable")]
    if order == HIGHEST or labels is None or threshold is None:
        return [int(i) for i in np.argsort(-scores, kind="stable")]
    wrongness = np.where(labels, threshold - scores, scores - threshold)
    # A good one exactly at the threshold is a false alarm; a defective one there is found.
    is_wrong = (scores >= threshold) != labels
    return [int(i) for i in np.lexsort((-wrongness, ~is_wrong))]


def chosen(
    order: Sequence[int],
    verdicts: Sequence[Verdict],
    defects: Sequence[str] | None,
    *,
    wanted: Sequence[Verdict] = (),
    defect: str | None = None,
) -> list[int]:
    """Those of some verdicts and of one type of defect, in their order.

    Args:
        order: numbers of photos.
        verdicts: of all photos.
        defects: type of defect of all photos, `good` for none; None where nobody knows.
        wanted: verdicts kept; none: all.
        defect: type kept; None: all.
    """
    return [
        i
        for i in order
        if (not wanted or verdicts[i] in wanted)
        and (defect is None or defects is None or defects[i] == defect)
    ]

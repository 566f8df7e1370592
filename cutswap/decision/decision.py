"""What an evaluation folder says of its threshold: `decision.json`, for all that gives verdicts.

It holds the good photos' scores, so that another rate can be asked for later and every new photo
gets its p-value.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import SCORES
from cutswap.decision.conformal import PromisedThreshold, promised_threshold
from cutswap.errors import CutSwapError
from cutswap.utils.files import read_json, write_json
from cutswap.utils.folder_names import DECISION

FORMAT = "cutswap decision 1"
ASSUMPTION = (
    "good photos to come are exchangeable with these: the same parts, camera, light and handling"
)


@dataclass(frozen=True)
class Decision:
    """Scores of good photos held out, and the threshold that they promise.

    Attributes:
        category: whose parts they show.
        score: whose scores they are, one of `SCORES`.
        good: (n,) float32 rising.
        promise: the threshold and its rate.
        how: one line on how the photos were held out.
    """

    category: str
    score: str
    good: np.ndarray
    promise: PromisedThreshold
    how: str

    @classmethod
    def of(cls, category: str, score: str, good: np.ndarray, rate: float, how: str) -> Decision:
        """From (n,) scores of good photos by a detector that has not seen them.

        Args:
            category: whose parts they show.
            score: whose scores they are.
            good: in any order.
            rate: false alarms asked for.
            how: see the class.

        Raises:
            CutSwapError: see `promised_threshold`.
        """
        rising = np.sort(np.asarray(good, dtype=np.float32))
        return cls(category, score, rising, promised_threshold(rising, rate), how)

    def at(self, rate: float) -> Decision:
        """The same scores with the threshold of another rate.

        Raises:
            CutSwapError: too few good photos for it.
        """
        return Decision.of(self.category, self.score, self.good, rate, self.how)

    def to_dict(self) -> dict[str, Any]:
        """What result.json holds of it: all but the scores."""
        return {
            **self.promise.to_dict(),
            "score": self.score,
            "how": self.how,
            "assumption": ASSUMPTION,
        }


def how_by_folds(count: int, folds: int) -> str:
    """How `held_out_by_folds` came by its scores, in one line."""
    return (
        f"cross-conformal: {count} good photos in {min(count, folds)} folds, each scored by a bank"
        " of the others; the detector's is another bank, so rates stray about twice as far as the"
        " interval says (docs/decisions.md); --calibration apart is exact, of fewer photos"
    )


def how_apart(count: int, *, is_tuned: bool) -> str:
    """How photos kept apart came by their scores, in one line."""
    tuned = "; the network was tuned on them too, which the promise does not cover"
    return f"split conformal: {count} good photos that the detector's bank has not seen" + (
        tuned if is_tuned else ""
    )


def how_of_head(score: str, count: int) -> str:
    """How `held_out_of_head` came by its scores, in one line."""
    bank = "" if score == "head" else ", by a bank without them, joined by the detector's weight"
    return (
        f"approximated: the {count} good photos that the head's training held out, by a head that"
        f" was trained without them{bank}; the detector's own has seen all"
    )


def write_decision(decision: Decision, out: Path, **more: Any) -> None:
    """Write decision.json.

    Args:
        decision: what it holds.
        out: the evaluation's folder.
        **more: JSON values beside it, for example the defects it misses.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    values = {
        "format": FORMAT,
        "category": decision.category,
        **decision.to_dict(),
        **more,
        "good_scores": [float(value) for value in decision.good],
    }
    write_json(out / DECISION, values)


def read_decision(folder: Path) -> Decision | None:
    """Read back what `write_decision` wrote; None where there is none.

    Raises:
        CutSwapError: a damaged file, or a threshold that does not follow from its scores.
    """
    path = folder / DECISION
    if not path.exists():
        return None
    return decision_from(read_json(path), path)


def decision_from(values: Any, path: Path) -> Decision:
    """Rebuild a decision, checked as from a stranger.

    Args:
        values: as read from JSON.
        path: the file, for the message.

    Raises:
        CutSwapError: other values than `write_decision` writes, or a threshold that does not
            follow from its scores.
    """
    try:
        if values["format"] != FORMAT:
            raise ValueError(f"the format {values['format']!r}"[:100])
        texts = [values[name] for name in ("category", "score", "how")]
        if not all(isinstance(text, str) for text in texts) or texts[1] not in SCORES:
            raise ValueError("names that are not text")
        numbers = values["good_scores"]
        if not isinstance(numbers, list) or {type(n) for n in numbers} - {float, int}:
            raise ValueError("scores that are not numbers")
        if type(values["asked"]) not in (float, int):
            raise ValueError("a rate that is no number")
        decision = Decision.of(texts[0], texts[1], np.array(numbers), values["asked"], texts[2])
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        found = error.found if isinstance(error, CutSwapError) else str(error)
        raise _changed(path, found or type(error).__name__) from error
    if decision.promise.threshold != values.get("threshold"):
        raise _changed(path, "a threshold that does not follow from its good scores")
    return decision


def _changed(path: Path, found: object) -> CutSwapError:
    return CutSwapError(
        path,
        expected="the decision that evaluate wrote",
        found=found,
        fix="evaluate again, or choose another rate with --false-alarms",
    )

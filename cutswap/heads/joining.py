"""How a bank's and a head's score become one, weighed without any test image.

    joined = (1 - weight) * bank + weight * unit * head

`unit` makes an average good patch (or photo) score the same by both, so the sum is in the bank's
unit; at weight 0 it is the bank's score, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from cutswap.errors import CutSwapError

WEIGHTS = (0.0, 0.1, 0.2, 1 / 3, 0.5, 2 / 3, 0.8, 1.0)
# Made-up defects are what heads learn from, real ones need not be: what they say of the last fifth
# of a gain does not pay for trusting the head twice as much (docs/heads.md).
ENOUGH = 0.8


@dataclass(frozen=True)
class Join:
    """How much the head counts, and in which unit.

    Attributes:
        weight: the head's share in [0, 1].
        image_unit: mean of the bank's image scores of held-out good photos over the head's.
        patch_unit: the same of patch scores.
    """

    weight: float
    image_unit: float
    patch_unit: float

    def images(self, bank: np.ndarray, head: np.ndarray) -> np.ndarray:
        """(N,) image scores of both to (N,) float32."""
        return _sum(bank, head, self.weight, self.image_unit)

    def patches(self, bank: np.ndarray, head: np.ndarray) -> np.ndarray:
        """(N, h, w) patch scores of both to (N, h, w) float32."""
        return _sum(bank, head, self.weight, self.patch_unit)

    def to_dict(self) -> dict[str, float]:
        """JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any, subject: object) -> Join:
        """Rebuild from `to_dict`.

        Args:
            values: as read from a file.
            subject: what it is about, for the message.

        Raises:
            CutSwapError: other names, or numbers out of range.
        """
        names = ("weight", "image_unit", "patch_unit")
        sound = isinstance(values, dict) and set(values) == set(names)
        sound = sound and all(type(values[n]) in (int, float) for n in names)
        if not sound or not (
            all(math.isfinite(values[n]) and values[n] >= 0 for n in names)
            and values["weight"] <= 1
        ):
            raise CutSwapError(
                subject,
                expected="a weight in [0, 1] and two units >= 0",
                found=str(values)[:80],
                fix="evaluate the run again",
            )
        return cls(**{n: float(values[n]) for n in names})


@dataclass(frozen=True)
class ValidationScores:
    """Scores of the validation set, by the bank or by the head.

    Attributes:
        good: (G,) image scores of held-out good photos.
        made_up: (M,) image scores of made-up defects.
        patch: mean patch score of the good photos.
    """

    good: np.ndarray
    made_up: np.ndarray
    patch: float


def fit_join(bank: ValidationScores, head: ValidationScores) -> tuple[Join, dict[float, float]]:
    """How much the head counts, by telling made-up defects from held-out good photos.

    The smallest weight that gains `ENOUGH` of what the best one gains over the bank alone: the
    head must earn its say.

    Args:
        bank: the bank's scores, of photos it does not hold.
        head: the head's, of photos it did not learn from.

    Returns:
        The join, and the AUROC of each of `WEIGHTS`.

    Raises:
        CutSwapError: the two were not asked about the same photos.
    """
    if len(bank.good) != len(head.good) or len(bank.made_up) != len(head.made_up):
        raise CutSwapError(
            "validation set",
            expected=f"the head's {len(head.good)} good photos and {len(head.made_up)} defects",
            found=f"{len(bank.good)} and {len(bank.made_up)}",
            fix="train the head again with this version",
        )
    image_unit = _ratio(float(np.mean(bank.good)), float(np.mean(head.good)))
    told = {
        weight: _auroc(
            _sum(bank.good, head.good, weight, image_unit),
            _sum(bank.made_up, head.made_up, weight, image_unit),
        )
        for weight in WEIGHTS
    }
    wanted = told[0.0] + ENOUGH * (max(told.values()) - told[0.0])
    weight = min(w for w, value in told.items() if value >= wanted)
    return Join(weight, image_unit, _ratio(bank.patch, head.patch)), told


def _sum(bank: np.ndarray, head: np.ndarray, weight: float, unit: float) -> np.ndarray:
    joined = np.float32(1 - weight) * bank + np.float32(weight * unit) * head
    return np.asarray(joined, dtype=np.float32)


def _ratio(bank: float, head: float) -> float:
    """One over the other; 1 where the head is nothing but zeros."""
    return bank / head if head > 0 else 1.0


def _auroc(good: np.ndarray, bad: np.ndarray) -> float:
    ranks = rankdata(np.concatenate([good, bad]))[len(good) :]
    return float((ranks.sum() - len(bad) * (len(bad) + 1) / 2) / (len(good) * len(bad)))

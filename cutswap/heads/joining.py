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
# Standard errors of its AUROC's difference that a weight may be below the best one. For a tiny bank
# the rule of one standard error (Breiman et al., 1984, for pruning trees). A larger bank is
# overruled by what is proven alone, as two-sided intervals of 95% have it: made-up defects are what
# heads learn from, and at a coreset of 0.01 little is left to win.
TIED, PROVEN = 1.0, 1.96


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


def fit_join(
    bank: ValidationScores, head: ValidationScores, margin: float = TIED
) -> tuple[Join, dict[float, float]]:
    """How much the head counts, by telling made-up defects from held-out good photos.

    The smallest weight that the best one is not ahead of by more than `margin` standard errors
    (DeLong et al., Biometrics 1988, both asked about the same photos): the head must earn its say,
    and few held-out photos cannot give it much. A weight that says the same as the best is tied
    with it.

    Args:
        bank: the bank's scores, of photos it does not hold.
        head: the head's, of photos it did not learn from.
        margin: standard errors; `TIED` of a tiny bank, `PROVEN` of others.

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
    shares = {
        weight: _shares(
            _sum(bank.good, head.good, weight, image_unit),
            _sum(bank.made_up, head.made_up, weight, image_unit),
        )
        for weight in WEIGHTS
    }
    told = {weight: float(good.mean()) for weight, (good, _) in shares.items()}
    best = shares[max(told, key=lambda w: (told[w], -w))]
    weight = min(w for w, own in shares.items() if _behind(own, best) <= margin)
    return Join(weight, image_unit, _ratio(bank.patch, head.patch)), told


def _sum(bank: np.ndarray, head: np.ndarray, weight: float, unit: float) -> np.ndarray:
    joined = np.float32(1 - weight) * bank + np.float32(weight * unit) * head
    return np.asarray(joined, dtype=np.float32)


def _ratio(bank: float, head: float) -> float:
    """One over the other; 1 where the head is nothing but zeros."""
    return bank / head if head > 0 else 1.0


def _shares(good: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each good photo the share of defects above it, and for each defect of good ones below.

    A tie counts half; the mean of either is the AUROC.
    """
    together = rankdata(np.concatenate([good, bad]))
    below = together[: len(good)] - rankdata(good)  # defects below, ties half
    above = together[len(good) :] - rankdata(bad)
    return 1 - below / len(bad), above / len(good)


def _behind(own: tuple[np.ndarray, np.ndarray], best: tuple[np.ndarray, np.ndarray]) -> float:
    """Standard errors that one AUROC is below another of the same photos."""
    apart = [b - o for o, b in zip(own, best, strict=True)]
    gain = float(apart[0].mean())
    if gain <= 0:
        return 0.0
    variance = sum(float(a.var(ddof=1)) / len(a) if len(a) > 1 else np.inf for a in apart)
    return gain / math.sqrt(variance) if variance > 0 else math.inf

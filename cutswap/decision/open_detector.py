"""A detector read from its folder, ready for photos: bank, perhaps head, threshold and p-values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.data.images import resize_mask, to_image
from cutswap.data.reading import ReadingSettings
from cutswap.decision.conformal import p_values
from cutswap.decision.decision import Decision, read_decision
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import ScoredSet, read_scored
from cutswap.evaluation.tiled.evaluate_tiles import recorded_region, shown_heat
from cutswap.evaluation.unlabelled import read_unlabelled
from cutswap.heads.detector import HeadDetector
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.patchcore.tiled.tiled_bank import TiledBank
from cutswap.utils.files import read_json, sha256_of
from cutswap.utils.folder_names import (
    BANK,
    DECISION,
    DETECTOR,
    PADIM_FILE,
    RESULT,
    UNLABELLED,
)

GOOD, DEFECTIVE = "good", "defective"
BY_F1 = "best F1 of the evaluation's test images"
GIVEN = "given by --threshold"
# (N, S, S, 3) uint8 photos to (N,) float32 scores and (N, S, S) float32 heatmaps
Scores = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
# (H, W, 3) uint8 photo to its score and its (S, S) float32 heatmap, in the square of `FIT`
WholeScore = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class OpenDetector:
    """What scores photos and calls them good or defective.

    Attributes:
        folder: where it was read from.
        identity: changes with whatever changes a score or a verdict.
        category: whose parts it knows.
        image_size: side S of the square photos it takes, pixels.
        reading: bits that the camera fills, and how photos become squares.
        threshold: a score at or above it is called defective; a float32 number.
        how: one line on how that was chosen.
        decision: scores of good photos, for p-values; None where there are none.
        range: smallest and largest heatmap value of the photos it was tried on.
        scores_of: scores and heatmaps of square photos.
        region: (S, S) bool, where it looks; None: everywhere.
        of_whole: score and heatmap of a photo that is cut into tiles; None: photos become squares.
    """

    folder: Path
    identity: str
    category: str
    image_size: int
    reading: ReadingSettings
    threshold: float
    how: str
    decision: Decision | None
    range: tuple[float, float]
    scores_of: Scores
    region: np.ndarray | None = None
    of_whole: WholeScore | None = None

    def p_values(self, scores: np.ndarray) -> np.ndarray | None:
        """(N,) conformal p-values of (N,) scores; None without good photos' scores."""
        return None if self.decision is None else p_values(self.decision.good, scores)

    def verdict(self, score: float) -> str:
        """`good` or `defective`."""
        return DEFECTIVE if score >= self.threshold else GOOD


@dataclass(frozen=True)
class EvaluatedDetector:
    """The detector in a folder that `evaluate` wrote, with its parts.

    Attributes:
        opened: ready for photos.
        bank: the memory bank.
        detector: bank and head; None without a head.
        score: whose scores count, one of `SCORES`.
    """

    opened: OpenDetector
    bank: MemoryBank
    detector: HeadDetector | None
    score: str


def read_evaluated(
    folder: Path,
    *,
    rate: float | None = None,
    threshold: float | None = None,
    device: str = "cpu",
) -> EvaluatedDetector:
    """Read the detector of an evaluation.

    Args:
        folder: that `evaluate` wrote.
        rate: false alarms asked for, in place of the rate it was evaluated with.
        threshold: in place of any other.
        device: where the network computes.

    Raises:
        CutSwapError: no such evaluation or a damaged one, a rate without good photos' scores, or
            no threshold at all.
    """
    need_detector(folder)
    decision = read_decision(folder)
    summary: dict[str, Any] = {}
    scored = None
    if (folder / RESULT).exists():
        scored = read_scored(folder)
        summary, span = scored.summary, scored.range
    else:
        span = read_unlabelled(folder).range
    score = str(summary.get("score", "bank"))
    if decision is not None and decision.score != score:
        raise CutSwapError(
            folder / DECISION,
            expected=f"good photos' scores of the {score}, as the evaluation's",
            found=decision.score,
            fix="evaluate again",
        )
    told = (float(summary["threshold"]), BY_F1) if summary else None
    used, how, own = choose_threshold(folder, decision, told, rate=rate, threshold=threshold)
    detector = None
    file = folder / BANK
    if "score" in summary:
        file = folder / DETECTOR
        detector = HeadDetector.load(file, device=device)
    bank = detector.bank if detector else MemoryBank.load(file, device=device)
    is_tiled = bank.settings.is_tiled
    opened = OpenDetector(
        folder=folder,
        identity=f"{sha256_of(file)[:16]} {score} {used!r}",
        category=str(summary.get("category", decision.category if decision else "")),
        image_size=scored.size if is_tiled and scored else bank.settings.image_size,
        reading=_reading(folder, summary),
        threshold=used,
        how=how,
        decision=own,
        range=span,
        scores_of=scores_by(bank, detector, score),
        region=bank.region_pixels,
        of_whole=by_tiles(bank, scored) if is_tiled and scored else None,
    )
    return EvaluatedDetector(opened, bank, detector, score)


def need_detector(folder: Path) -> None:
    """Refuse a folder without a bank before anything of it is read.

    Raises:
        CutSwapError: no evaluation, or one by PaDiM.
    """
    if (folder / PADIM_FILE).exists() and not (folder / BANK).exists():
        raise CutSwapError(
            folder,
            expected="an evaluation by PatchCore, whose scores photos are judged by",
            found="one by PaDiM",
            fix="evaluate again without --detector padim",
        )
    if not (folder / BANK).exists():
        raise CutSwapError(
            folder,
            expected="a detector: a folder that evaluate or export detector wrote",
            found=f"no {BANK}" if folder.is_dir() else "no such folder",
            fix="pass the --out of evaluate",
        )


def choose_threshold(
    folder: Path,
    decision: Decision | None,
    told: tuple[float, str] | None,
    *,
    rate: float | None,
    threshold: float | None,
) -> tuple[float, str, Decision | None]:
    """The threshold that counts: given, of a rate asked for, of the decision, or the one told.

    Args:
        folder: the detector's, for messages.
        decision: scores of good photos, where there are some.
        told: a threshold beside it, and how it was chosen.
        rate: false alarms asked for, in place of the decision's.
        threshold: given, in place of any other.

    Returns:
        The threshold, a float32 number; how it was chosen; the decision, at the rate asked for.

    Raises:
        CutSwapError: a rate without good photos' scores, too few of them, a threshold that is no
            number, or none at all.
    """
    if rate is not None and decision is None:
        raise CutSwapError(
            folder,
            expected=f"scores of good photos held out ({DECISION}), for a rate of false alarms",
            found="none",
            fix=f"run its evaluate again with --false-alarms {rate:g}",
        )
    own = decision if decision is None or rate is None else decision.at(rate)
    if threshold is not None:
        if not math.isfinite(threshold):
            raise CutSwapError(
                "--threshold", expected="a finite number", found=threshold, fix="pass a score"
            )
        return float(np.float32(threshold)), GIVEN, own
    if own is not None:
        return own.promise.threshold, own.promise.text(), own
    if told is None:
        raise CutSwapError(
            folder,
            expected=f"a threshold in {RESULT} or {DECISION}",
            found=f"{UNLABELLED} alone",
            fix="run its evaluate again with --false-alarms 0.01, or pass --threshold",
        )
    return float(np.float32(told[0])), told[1], None


def scores_by(bank: MemoryBank, detector: HeadDetector | None, score: str) -> Scores:
    """What scores square photos: the bank, or one of `SCORES` of bank and head."""

    def scores_of(photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        image = to_image(photos)
        one = bank.score(image) if detector is None else detector.score(image).by(score)
        return one.scores, one.heatmaps

    return scores_of


def by_tiles(bank: MemoryBank, scored: ScoredSet) -> WholeScore:
    """What scores photos that are cut into tiles, as their evaluation did.

    Args:
        bank: of tiles.
        scored: the evaluation.

    Raises:
        CutSwapError: a region that is not there any more, or another one.
    """
    tiled, region = TiledBank(bank), recorded_region(scored.summary)

    def of_whole(photo: np.ndarray) -> tuple[float, np.ndarray]:
        where = None if region is None else resize_mask(region, (photo.shape[0], photo.shape[1]))
        said = tiled.score(photo, where)
        return said.score, shown_heat(said.heatmap, scored.size)

    return of_whole


def _reading(folder: Path, summary: dict[str, Any]) -> ReadingSettings:
    """How the photos of the category are read.

    Raises:
        CutSwapError: no number of bits, or an unknown way to a square.
    """
    data = summary.get("data")
    told = data.get("reading") if isinstance(data, dict) else None
    if not summary:
        for name in (DECISION, UNLABELLED):
            if told is None and (folder / name).exists():
                values = read_json(folder / name)
                told = values.get("reading", values) if isinstance(values, dict) else None
    return photo_reading(told if isinstance(told, dict) else {})


def photo_reading(values: dict[str, Any]) -> ReadingSettings:
    """Of some values those that say how a single photo is read.

    Raises:
        CutSwapError: no number of bits, or an unknown way to a square.
    """
    names = ("bits", "resize")
    return ReadingSettings.from_dict({name: values[name] for name in names if name in values})

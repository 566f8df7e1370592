"""From good photos to a decision, and what it means on photos whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cutswap.config import FalseAlarmSettings, PatchCoreSettings
from cutswap.data.loading import CheckedCategory
from cutswap.data.records import GOOD, Record
from cutswap.decision.conformal import Drift, drift, need_photos
from cutswap.decision.decision import Decision, how_apart, how_by_folds, how_of_head
from cutswap.decision.held_out import deal, held_out_by_folds, held_out_of_head
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import batches
from cutswap.evaluation.missed import Missed, missed_defects
from cutswap.heads.detector import HeadDetector
from cutswap.heads.patch_head import PatchHead
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.progress import Notify


@dataclass(frozen=True)
class OnTestPhotos:
    """What a threshold means on labelled test photos, which took no part in it.

    Attributes:
        missed: recall by type and area at it; None without a defective photo.
        drift: whether the good ones score as those did that it comes from; None without one.
        alarms: good ones called defective.
        good: good ones.
    """

    missed: Missed | None
    drift: Drift | None
    alarms: int
    good: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "missed": self.missed.to_dict() if self.missed else None,
            "drift": self.drift.to_dict() if self.drift else None,
            "test_good": self.good,
            "test_alarms": self.alarms,
        }

    def text(self) -> str:
        """One line; empty where there is no labelled photo."""
        parts = [f"{self.alarms} of {self.good} good called defective"] if self.good else []
        if self.missed:
            found = sum(r.found for r in self.missed.by_type)
            count = sum(r.count for r in self.missed.by_type)
            parts.append(f"{count - found:g} of {count} defects missed")
        return f"test photos at that threshold: {', '.join(parts)}" if parts else ""


def need_enough_photos(
    asked: FalseAlarmSettings, checked: CheckedCategory, head: PatchHead | None, score: str
) -> None:
    """Refuse, before the work, a rate for which there are too few good photos.

    Args:
        asked: the rate; none is always fine.
        checked: the category.
        head: of the detector to come.
        score: whose scores count.

    Raises:
        CutSwapError: too few, and the message says how many are wanted; or settings of a rate
            without one.
    """
    if asked.false_alarms is None:
        if asked != FalseAlarmSettings():
            raise CutSwapError(
                "--folds and --calibration",
                expected="--false-alarms beside them",
                found="no rate",
                fix="pass --false-alarms 0.05, or leave them out",
            )
        return
    count, fix = len(checked.category.train), ""
    if asked.calibration == "apart":
        if head is not None:
            raise CutSwapError(
                "--calibration apart",
                expected="a run without a head, whose own training has held photos out",
                found="one with a head",
                fix="leave --calibration out",
            )
        count = -(-count // asked.folds)  # the first fold is never the smaller one
        fix = "pass --folds 2 to keep half apart, or leave --calibration out to use all, "
    elif head is not None and score != "bank":
        count = len(head.origin.held_out)
        fix = "pass --score bank, which holds out every good photo in turn, "
    need_photos(asked.false_alarms, count, fix=fix)


def set_apart(
    checked: CheckedCategory, asked: FalseAlarmSettings, seed: int
) -> tuple[CheckedCategory, tuple[Record, ...]]:
    """The category without the good photos that are kept out of the bank, and those photos.

    Args:
        checked: the category, with enough photos (`need_enough_photos`).
        asked: the rate, the folds, and whether one is kept apart.
        seed: of the deal.

    Returns:
        The category as it was and nothing where no photo is kept apart.
    """
    if asked.false_alarms is None or asked.calibration != "apart":
        return checked, ()
    train = checked.category.train
    kept = set(deal(len(train), asked.folds, seed)[0].tolist())
    rest = tuple(record for place, record in enumerate(train) if place not in kept)
    less = replace(checked, category=replace(checked.category, train=rest))
    return less, tuple(train[place] for place in sorted(kept))


def decide_apart(
    name: str,
    bank: MemoryBank,
    apart: tuple[Record, ...],
    asked: FalseAlarmSettings,
    *,
    is_tuned: bool,
) -> Decision:
    """The threshold that good photos promise which the detector's bank has not seen.

    Args:
        name: of the category.
        bank: the detector's own.
        apart: good photos, see `set_apart`.
        asked: the rate.
        is_tuned: whether the network itself has learnt from them.

    Raises:
        CutSwapError: an unreadable photo.
    """
    if asked.false_alarms is None:
        raise ValueError("without a rate there is nothing to decide")
    found = [bank.score(image).scores for image in batches(apart, bank.settings)]
    how = how_apart(len(apart), is_tuned=is_tuned)
    return Decision.of(name, "bank", np.concatenate(found), asked.false_alarms, how)


def decide(
    checked: CheckedCategory,
    backbone: Backbone,
    settings: PatchCoreSettings,
    asked: FalseAlarmSettings,
    *,
    detector: HeadDetector | None = None,
    score: str = "bank",
    seed: int = 0,
    notify: Notify | None = None,
) -> Decision | None:
    """Score good photos held out and take the threshold that they promise.

    Args:
        checked: the category; its good training photos are used.
        backbone: of the detector.
        settings: PatchCore's, of the detector.
        asked: the rate and the folds; without a rate there is nothing to decide.
        detector: bank and head, where there is one.
        score: whose scores count.
        seed: of the deal into folds and of their banks.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: too few good photos, or anything the stages refuse.
    """
    if asked.false_alarms is None:
        return None
    need_enough_photos(asked, checked, detector.head if detector else None, score)
    return decide_on(
        checked.category.train,
        checked.category.name,
        backbone,
        settings,
        asked.false_alarms,
        asked.folds,
        region=checked.region_at(settings.image_size),
        detector=detector,
        score=score,
        seed=seed,
        notify=notify,
    )


def decide_on(
    train: tuple[Record, ...],
    name: str,
    backbone: Backbone,
    settings: PatchCoreSettings,
    rate: float,
    folds: int,
    *,
    region: np.ndarray | None = None,
    detector: HeadDetector | None = None,
    score: str = "bank",
    seed: int = 0,
    notify: Notify | None = None,
) -> Decision:
    """The same of good photos that are enough.

    Args:
        train: the good training photos.
        name: of their category.
        backbone: of the detector.
        settings: PatchCore's, of the detector.
        rate: false alarms asked for.
        folds: banks that each leave out a part of the photos.
        region: (S, S) bool, where the detector looks; None: everywhere.
        detector: bank and head, where there is one.
        score: whose scores count.
        seed: of the deal into folds and of their banks.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: too few good photos, or anything the stages refuse.
    """
    if detector is None or score == "bank":
        good = held_out_by_folds(
            train, backbone, settings, folds, region=region, seed=seed, notify=notify
        )
        how = how_by_folds(len(good), folds)
    else:
        good = held_out_of_head(
            train,
            backbone,
            settings,
            detector.head,
            detector.join,
            score,
            region=region,
            seed=seed,
            notify=notify,
        )
        how = how_of_head(score, len(good))
    return Decision.of(name, score, good, rate, how)


def on_test_photos(
    decision: Decision,
    defects: Sequence[str],
    scores: np.ndarray,
    masks: np.ndarray | None,
    seen: float = 1.0,
) -> OnTestPhotos:
    """Alarms, missed defects and drift of test photos at the decision's threshold.

    Args:
        decision: whose threshold it is.
        defects: type of each photo, `good` for none.
        scores: (N,) float, of the same photos.
        masks: (N, H, W) bool, True on defects; None where the data marks none.
        seen: see `missed_defects`.
    """
    threshold = decision.promise.threshold
    good = np.asarray(scores)[[defect == GOOD for defect in defects]]
    missed = missed_defects(defects, scores, threshold, masks, seen)
    return OnTestPhotos(
        missed=missed if missed.by_type else None,
        drift=drift(decision.good, good) if len(good) else None,
        alarms=int((good >= threshold).sum()),
        good=len(good),
    )

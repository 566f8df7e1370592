"""Scores of good photos that are cut into tiles, each by a bank that has not seen it.

As `held_out` does for photos that become squares; here photos are read and embedded anew for every
fold, since the patches of all do not fit in memory: five folds take five times as long as a bank.
"""

from __future__ import annotations

import numpy as np

from cutswap.config import FalseAlarmSettings
from cutswap.decision.conformal import need_photos
from cutswap.decision.decision import Decision, how_by_folds
from cutswap.decision.held_out import deal
from cutswap.errors import CutSwapError
from cutswap.evaluation.tiled.evaluate_tiles import LargeCategory, photos_of
from cutswap.patchcore.tiled.tiled_bank import TiledBank
from cutswap.utils.progress import Notify, tick


def need_enough_large_photos(asked: FalseAlarmSettings, large: LargeCategory) -> None:
    """Refuse, before the work, what cannot be had of these photos.

    Args:
        asked: the rate; none is always fine.
        large: the category.

    Raises:
        CutSwapError: too few good photos, folds without a rate, or photos kept apart.
    """
    if asked.calibration == "apart" or (asked.false_alarms is None and asked.folds != _FOLDS):
        raise CutSwapError(
            "--calibration and --folds",
            expected="a rate, --false-alarms, and folds, where photos are cut into tiles",
            found="no rate" if asked.false_alarms is None else "apart",
            fix="pass --false-alarms 0.05, or leave them out",
        )
    if asked.false_alarms is not None:
        need_photos(asked.false_alarms, len(large.train))


_FOLDS = FalseAlarmSettings().folds


def decide_by_tiles(
    large: LargeCategory,
    bank: TiledBank,
    asked: FalseAlarmSettings,
    notify: Notify | None = None,
) -> Decision | None:
    """Score good photos held out and take the threshold that they promise.

    Args:
        large: the category; its good training photos are used.
        bank: of all of them: those of the folds have as many items, and its settings and seed.
        asked: the rate and the folds; without a rate there is nothing to decide.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: too few good photos, or one that cannot be read.
    """
    if asked.false_alarms is None:
        return None
    need_enough_large_photos(asked, large)
    records, own = large.checked.category.train, bank.bank
    scores, done = np.full(len(records), np.nan, np.float32), 0
    tell = tick(notify, "held-out photos")
    for fold in deal(len(records), asked.folds, own.seed):
        others = np.setdiff1d(np.arange(len(records)), fold)
        without = TiledBank.fit(
            own.backbone,
            photos_of([records[i] for i in others]),
            [large.train[i] for i in others],
            own.settings,
            seed=own.seed,
            region_at=large.region_at,
            keep=own.size,
        )
        for place, photo in zip(fold, photos_of([records[i] for i in fold]), strict=True):
            region = large.region_at(large.train[place])
            scores[place] = without.score(photo, region).score
            done += 1
            tell(done, len(records))
    how = how_by_folds(len(scores), asked.folds)
    name = large.checked.category.name
    return Decision.of(name, "bank", scores, asked.false_alarms, how)

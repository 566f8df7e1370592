"""Unlabelled photos: scored against normal ones, without metrics.

AUROC and thresholds need test photos of both kinds. Without them a heatmap still shows where a
photo is unlike the normal ones, and scores can be put in order. Where there are no test photos at
all, the photos that were learnt from are scored: they look normal to the bank by construction.

bank.safetensors   the fitted memory bank
unlabelled.json    scores and the range of the heatmaps; written last
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import PatchCoreSettings
from cutswap.data.records import Category, Record
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import batches
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.files import read_json, write_json
from cutswap.utils.folder_names import BANK, UNLABELLED
from cutswap.utils.progress import Notify, tick


@dataclass(frozen=True)
class UnlabelledSet:
    """Scored photos without a truth to compare with.

    Attributes:
        folder: where it was read from.
        names: of the photos, N of them.
        scores: (N,) float64.
        range: smallest and largest heatmap value of them all.
        learnt: whether these are the photos the bank was fitted on.
        seconds: it took.
    """

    folder: Path
    names: tuple[str, ...]
    scores: np.ndarray
    range: tuple[float, float]
    learnt: bool
    seconds: float

    @property
    def bank_file(self) -> Path:
        """The fitted memory bank."""
        return self.folder / BANK


def is_labelled(category: Category) -> bool:
    """Whether there are test photos of both kinds, so that figures can be had."""
    good = sum(record.is_good for record in category.test)
    return 0 < good < len(category.test)


def score_unlabelled(
    category: Category,
    backbone: Backbone,
    settings: PatchCoreSettings,
    out: Path,
    *,
    seed: int = 0,
    notify: Notify | None = None,
) -> None:
    """Fit a bank on the training photos and score the test photos, or those themselves.

    Args:
        category: its labels are not looked at.
        backbone: its features are used as they are.
        settings: PatchCore's.
        out: folder to write into.
        seed: of the projection and the first coreset pick.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: an unreadable photo, an unknown layer, or a folder that cannot be written.
    """
    began = time.perf_counter()

    bank = MemoryBank.fit(
        backbone,
        batches(category.train, settings),
        settings,
        seed=seed,
        count=len(category.train),
        progress=tick(notify, "memory bank"),
    )
    photos = _scored_photos(category)
    scores: dict[str, float] = {}
    low, high = math.inf, -math.inf
    done = 0
    for image in batches(photos, settings):
        prediction = bank.score(image)
        for record, score in zip(photos[done:], prediction.scores, strict=False):
            scores[record.name] = float(score)
        low, high = (
            min(low, float(prediction.heatmaps.min())),
            max(high, float(prediction.heatmaps.max())),
        )
        done += len(prediction.scores)
        tick(notify, "scoring")(done, len(photos))
    bank.save(out / BANK)
    seconds = round(time.perf_counter() - began, 2)
    write_json(
        out / UNLABELLED,
        {
            "scores": scores,
            "low": low,
            "high": high,
            "learnt": not category.test,
            "seconds": seconds,
        },
    )


def read_unlabelled(folder: Path) -> UnlabelledSet:
    """Read back what `score_unlabelled` wrote.

    Raises:
        CutSwapError: missing or damaged.
    """
    values: Any = read_json(folder / UNLABELLED)
    try:
        scores = {str(name): float(score) for name, score in values["scores"].items()}
        span = float(values["low"]), float(values["high"])
        unlabelled = UnlabelledSet(
            folder=folder,
            names=tuple(scores),
            scores=np.array(list(scores.values())),
            range=span,
            learnt=bool(values["learnt"]),
            seconds=float(values["seconds"]),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, error) from error
    if not (scores and np.isfinite([*unlabelled.scores, *span]).all()):
        raise _damaged(folder, "no score, or one that is not finite")
    return unlabelled


def _scored_photos(category: Category) -> tuple[Record, ...]:
    return category.test or category.train


def _damaged(folder: Path, found: object) -> CutSwapError:
    return CutSwapError(
        folder / UNLABELLED, expected="scores by photo", found=found, fix="delete the folder"
    )

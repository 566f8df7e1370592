"""Unlabelled photos: scored against normal ones, without metrics.

AUROC and thresholds need test photos of both kinds. Without them a heatmap still shows where a
photo is unlike the normal ones, and scores can be put in order. Where there are no test photos at
all, the photos that were learnt from are scored: they look normal to the bank by construction.

bank.safetensors   the fitted memory bank
heatmaps.npy       (N, S, S) float32 in the order of the scores
unlabelled.json    scores and the range of the heatmaps; written last
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import PatchCoreSettings
from cutswap.data.loading import CheckedCategory
from cutswap.data.records import Category, Record
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import batches
from cutswap.evaluation.scored_set import USUAL
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.files import is_own_file, read_json, write_json, write_with
from cutswap.utils.folder_names import BANK, HEATMAPS, UNLABELLED
from cutswap.utils.progress import Notify, tick


@dataclass(frozen=True)
class UnlabelledSet:
    """Scored photos without a truth to compare with.

    Attributes:
        folder: where it was read from.
        names: of the photos, N of them.
        scores: (N,) float64.
        heatmaps: (N, S, S) float32, mapped from the file, read only.
        range: smallest and largest heatmap value of them all.
        learnt: whether these are the photos the bank was fitted on.
        seconds: it took.
    """

    folder: Path
    names: tuple[str, ...]
    scores: np.ndarray
    heatmaps: np.ndarray
    range: tuple[float, float]
    learnt: bool
    seconds: float

    @property
    def bank_file(self) -> Path:
        """The fitted memory bank."""
        return self.folder / BANK

    def usual_heat(self) -> float:
        """Value that 99 of 100 pixels keep below in the less unusual half of the photos.

        Nobody knows which of them are good; that half are those with the lower scores.
        """
        half = np.flatnonzero(self.scores <= np.median(self.scores))
        # Smoothed over 4 pixels and more: every fourth says the same.
        return float(np.quantile(self.heatmaps[half, ::4, ::4], USUAL))


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
        region=CheckedCategory(category, ()).region_at(settings.image_size),
        progress=tick(notify, "memory bank"),
    )
    photos = _scored_photos(category)
    scores: dict[str, float] = {}
    size = settings.image_size
    heatmaps = np.empty((len(photos), size, size), dtype=np.float32)
    done = 0
    for image in batches(photos, settings):
        prediction = bank.score(image)
        for record, score in zip(photos[done:], prediction.scores, strict=False):
            scores[record.name] = float(score)
        stop = done + len(prediction.scores)
        heatmaps[done:stop], done = prediction.heatmaps, stop
        tick(notify, "scoring")(done, len(photos))
    bank.save(out / BANK)
    region = bank.region_pixels
    looked_at = heatmaps if region is None else heatmaps[:, region]
    write_with(out / HEATMAPS, lambda f: np.save(f, heatmaps, allow_pickle=False))
    seconds = round(time.perf_counter() - began, 2)
    write_json(
        out / UNLABELLED,
        {
            "scores": scores,
            "low": float(looked_at.min()),
            "high": float(looked_at.max()),
            "learnt": not category.test,
            "seconds": seconds,
            "reading": category.reading.to_dict(),
        },
    )


def read_unlabelled(folder: Path) -> UnlabelledSet:
    """Read back what `score_unlabelled` wrote.

    Raises:
        CutSwapError: missing or damaged.
    """
    values: Any = read_json(folder / UNLABELLED)
    heatmaps = _read_heatmaps(folder)
    try:
        scores = {str(name): float(score) for name, score in values["scores"].items()}
        span = float(values["low"]), float(values["high"])
        unlabelled = UnlabelledSet(
            folder=folder,
            names=tuple(scores),
            scores=np.array(list(scores.values())),
            heatmaps=heatmaps,
            range=span,
            learnt=bool(values["learnt"]),
            seconds=float(values["seconds"]),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, error) from error
    if not (scores and np.isfinite([*unlabelled.scores, *span]).all()):
        raise _damaged(folder, "no score, or one that is not finite")
    if len(heatmaps) != len(scores):
        raise _damaged(folder, f"{len(heatmaps)} heatmaps of {len(scores)} photos")
    return unlabelled


def _read_heatmaps(folder: Path) -> np.ndarray:
    path = folder / HEATMAPS
    if not is_own_file(path):
        raise _damaged(folder, f"no {HEATMAPS} beside it")
    try:
        heatmaps = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy parses its header, and raises almost anything
        # Its own words advise to allow pickles.
        raise _damaged(folder, "damaged or foreign heatmaps") from error
    if heatmaps.ndim != 3 or heatmaps.dtype != np.float32:
        raise _damaged(folder, f"heatmaps of shape {heatmaps.shape} {heatmaps.dtype}")
    return heatmaps


def _scored_photos(category: Category) -> tuple[Record, ...]:
    return category.test or category.train


def _damaged(folder: Path, found: object) -> CutSwapError:
    return CutSwapError(
        folder / UNLABELLED, expected="scores by photo", found=found, fix="delete the folder"
    )

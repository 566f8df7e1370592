"""From a category and a network to PaDiM heatmaps and AUROC, in a folder like PatchCore's.

`padim.safetensors` stands in the place of the memory bank, and result.json has `detector` and
`padim` in that of `bank_size` and `patchcore`; all else is `evaluate`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cutswap.config import PADIM, PadimSettings
from cutswap.data.loading import CheckedCategory, load_masks, need_test_images, seen_share
from cutswap.data.records import Record
from cutswap.evaluation.evaluate import (
    ScoredPhotos,
    batches,
    evaluation_files,
    origin_of,
    region_record,
    score_photos,
    write_scored,
)
from cutswap.evaluation.metrics import summarise
from cutswap.evaluation.missed import missed_defects
from cutswap.networks.backbone import Backbone
from cutswap.padim.detector import PadimDetector
from cutswap.padim.gaussians import memory_of
from cutswap.utils.folder_names import PADIM_FILE
from cutswap.utils.progress import Notify, tick


@dataclass(frozen=True)
class PadimEvaluation(ScoredPhotos):
    """A test set scored by PaDiM.

    Attributes:
        detector: as fitted.
    """

    detector: PadimDetector


def evaluate_padim(
    checked: CheckedCategory,
    backbone: Backbone,
    settings: PadimSettings,
    *,
    seed: int = 0,
    notify: Notify | None = None,
    say: Callable[[str], None] | None = None,
) -> PadimEvaluation:
    """Fit gaussians on the good training images and score the test images.

    Args:
        checked: the category.
        backbone: its features are used as they are.
        settings: PaDiM's.
        seed: of the choice of channels.
        notify: called with (stage, done, total).
        say: called once with how much memory it takes.

    Raises:
        CutSwapError: no good or no defective test images, or anything the stages refuse.
    """
    need_test_images(checked.category)
    began = time.perf_counter()
    train, test, size = checked.category.train, checked.category.test, settings.image_size
    detector = PadimDetector.fit(
        backbone,
        batches(train, settings),
        settings,
        count=len(train),
        seed=seed,
        region=checked.region_at(size),
        say=say,
        progress=tick(notify, "gaussians"),
    )
    scores, heatmaps = score_photos(test, settings, detector, notify)
    masks = load_masks(test, size)
    labels = np.array([not record.is_good for record in test])
    metrics = summarise(scores, labels, heatmaps, masks, backbone.device, detector.region_pixels)
    defects, seen = [r.defect for r in test], seen_share(test)
    missed = missed_defects(defects, scores, metrics.threshold, masks, seen)
    height, width = detector.grid
    most, kept = memory_of(len(train), height * width, len(detector.channels))
    summary = {
        **metrics.to_dict(),
        "missed": missed.to_dict(),
        "detector": PADIM,
        **origin_of(checked, backbone, seed, time.perf_counter() - began),
        PADIM: detector.settings.to_dict(),
        "memory": {"fitting_bytes": most, "kept_bytes": kept},
        **region_record(checked, masks, size),
    }
    return PadimEvaluation(
        records=test,
        scores=scores,
        heatmaps=heatmaps,
        masks=masks,
        metrics=metrics,
        summary=summary,
        detector=detector,
    )


def padim_files(records: Sequence[Record], *, has_region: bool = False) -> tuple[str, ...]:
    """Names of what `write_padim` writes.

    Args:
        records: the test images.
        has_region: whether there is one.
    """
    return evaluation_files(records, has_region=has_region, fitted=PADIM_FILE)


def write_padim(evaluation: PadimEvaluation, out: Path, notify: Notify | None = None) -> None:
    """Write everything listed in `evaluate` into `out`, with the gaussians for the bank.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    write_scored(evaluation, out, PADIM_FILE, evaluation.detector, notify)

"""Another detector on a category: the same photos, masks, figures and files as PatchCore's.

detector.json            figures, settings, weights, seed: also what `--json` writes
detector_scores.csv      one line a test image
anomaly_maps/            float32 TIFFs in the layout of the MVTec AD evaluation script

The names differ from an evaluation's, which has a memory bank that pages open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.data.images import photo_size
from cutswap.data.loading import CheckedCategory, load_masks, load_photos, need_test_images
from cutswap.data.reading import FIT
from cutswap.data.records import Record
from cutswap.errors import CutSwapError
from cutswap.evaluation.anomalib_models import Detector
from cutswap.evaluation.detector_settings import DETECTORS, INTRA, DetectorSettings
from cutswap.evaluation.metrics import summarise
from cutswap.evaluation.missed import missed_defects
from cutswap.evaluation.tiff_maps import enlarged, map_files, write_map
from cutswap.intra.detector import IntraDetector
from cutswap.intra.settings import IntraSettings
from cutswap.networks.backbone import Backbone
from cutswap.utils.csv_text import CsvText, guarded
from cutswap.utils.files import write_json, write_text
from cutswap.utils.progress import Notify

_FROM_NOTHING = ("draem", INTRA)  # what uses no backbone
_PHOTOS_AT_ONCE = 8  # read together where no setting says how many


@dataclass(frozen=True)
class DetectorEvaluation:
    """A test set scored by another detector.

    Attributes:
        records: the test images, N of them.
        scores: (N,) float32.
        maps: (N, S, S) float32.
        summary: what detector.json holds.
    """

    records: tuple[Record, ...]
    scores: np.ndarray
    maps: np.ndarray
    summary: dict[str, Any]


def evaluate_detector(
    checked: CheckedCategory,
    name: str,
    backbone: Backbone | None,
    settings: DetectorSettings | IntraSettings,
    *,
    device: str = "cpu",
    seed: int = 0,
    notify: Notify | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> DetectorEvaluation:
    """Train on the good photos, score the test photos.

    Args:
        checked: the category.
        name: of `DETECTORS`.
        backbone: features of STFPM's teacher and of PaDiM; DRAEM and InTra have none.
        settings: how long it learns; InTra's own where it is the one.
        device: where it computes, without a backbone; else where that is.
        seed: of everything drawn.
        notify: called with (stage, done, total).
        stop: asked after every update.

    Raises:
        CutSwapError: anomalib is missing, no good or no defective test images.
        Stopped: it was asked to.
    """
    need_test_images(checked.category)
    if checked.category.reading.resize == FIT:
        raise CutSwapError(
            checked.category.root,
            expected=f"photos that fill the square, as {name} scores all of it",
            found="--resize fit",
            fix="pass --resize squash or crop",
        )
    if checked.region is not None:
        raise CutSwapError(
            checked.region.path,
            expected=f"no region, as {name} scores whole photos",
            found="one",
            fix="pass --region none, or take the region away",
        )
    tick = notify or (lambda _stage, _done, _total: None)
    began = time.perf_counter()
    train, test, size = checked.category.train, checked.category.test, settings.image_size
    detector = _detector(name, backbone, settings, seed, device)
    photos = load_photos(train, size, lambda d, t: tick("reading images", d, t))
    detector.fit(photos, lambda d, t: tick(f"training {DETECTORS[name]}", d, t), stop)
    trained = time.perf_counter() - began
    scores = np.empty(len(test), dtype=np.float32)
    maps = np.empty((len(test), size, size), dtype=np.float32)
    at_once = settings.batch_size if isinstance(settings, DetectorSettings) else _PHOTOS_AT_ONCE
    for start in range(0, len(test), at_once):
        chunk = test[start : start + at_once]
        place = slice(start, start + len(chunk))
        scores[place], maps[place] = detector.score(load_photos(chunk, size))
        tick("scoring", start + len(chunk), len(test))
    masks = load_masks(test, size)
    metrics = summarise(scores, np.array([not r.is_good for r in test]), maps, masks)
    missed = missed_defects([r.defect for r in test], scores, metrics.threshold, masks)
    used = None if name in _FROM_NOTHING else backbone
    no_weights = "none: it learns from random values"
    summary = {
        **metrics.to_dict(),
        "missed": missed.to_dict(),
        "detector": name,
        "row": DETECTORS[name],
        "n_train": len(train),
        "n_test": len(test),
        "n_defective": int(sum(not r.is_good for r in test)),
        "training_seconds": round(trained, 2),
        "seconds": round(time.perf_counter() - began, 2),
        "seed": seed,
        "category": checked.category.name,
        "data": {"root": str(checked.category.root), **checked.to_dict()},
        "backbone": None if used is None else used.name,
        "weights": no_weights if used is None else used.report.to_dict(),
        "settings": settings.to_dict(),
    }
    return DetectorEvaluation(test, scores, maps, summary)


def _detector(
    name: str,
    backbone: Backbone | None,
    settings: DetectorSettings | IntraSettings,
    seed: int,
    device: str,
) -> Detector | IntraDetector:
    if isinstance(settings, IntraSettings):
        return IntraDetector(settings, seed, device)
    if backbone is None:
        raise CutSwapError(
            name, expected="a network whose features it takes", found="none", fix="load one"
        )
    return Detector(name, backbone, settings, seed, str(backbone.device))


def detector_files(category: str, records: Sequence[Record]) -> tuple[str, ...]:
    """Names of what `write_detector` writes: a map an image, the table, the figures.

    Args:
        category: its name.
        records: the test images.
    """
    maps = map_files(category, [record.name for record in records])
    return (*maps, "detector_scores.csv", "detector.json")


def write_detector(evaluation: DetectorEvaluation, out: Path) -> None:
    """Write everything listed at the top of this module into `out`.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    table = CsvText(end="\r\n")
    table.row(["image", "defect", "is_defective", "score", "called_defective"])
    *places, table_file, about_file = detector_files(
        evaluation.summary["category"], evaluation.records
    )
    (out / about_file).unlink(missing_ok=True)  # never old figures beside new maps
    rows = zip(places, evaluation.records, evaluation.scores, evaluation.maps, strict=True)
    for place, record, score, values in rows:
        called = int(score >= evaluation.summary["threshold"])
        is_bad = int(not record.is_good)
        names = guarded(record.name), guarded(record.defect)
        table.row([*names, is_bad, f"{score:.9g}", called])
        write_map(out / place, enlarged(values, photo_size(record.image)))
    write_text(out / table_file, table.text())
    write_json(out / about_file, evaluation.summary)

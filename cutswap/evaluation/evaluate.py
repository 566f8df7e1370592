"""From a category and a network to PatchCore heatmaps and AUROC, in a folder.

result.json        metrics, settings, weights, seed: also what `--json` writes
environment.json   versions and machine
scores.csv         one line a test image
heatmaps.npy       (N, H, W) float32, pixels in the order of scores.csv, raw distances
heatmaps/*.png     the same over each photo, one colour range for the category; see `heatmap_names`
bank.safetensors   the fitted memory bank with its network and settings
region.png         where was looked, H x W; only where that is not everywhere; outside it heat is 0
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from cutswap.config import PATCHCORE, PadimSettings, PatchCoreSettings
from cutswap.data.images import read_photo, save_png, to_image
from cutswap.data.loading import (
    CheckedCategory,
    load_masks,
    load_photos,
    need_test_images,
    seen_share,
)
from cutswap.data.reading import SQUASH
from cutswap.data.records import Record
from cutswap.data.regions.frame import Frame
from cutswap.evaluation.metrics import Metrics, summarise
from cutswap.evaluation.missed import missed_defects
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.csv_text import CsvText, guarded
from cutswap.utils.environment import environment
from cutswap.utils.files import write_json, write_text, write_with
from cutswap.utils.folder_names import (
    BANK,
    ENVIRONMENT,
    HEATMAPS,
    PICTURES,
    REGION,
    RESULT,
    SCORES,
)
from cutswap.utils.overlays import blend, colourise, outline, veil
from cutswap.utils.progress import Notify, tick

MAX_HEATMAP_NAME = 200  # bytes of 255, which a place in scores.csv and the suffix go beyond


@dataclass(frozen=True)
class ScoredPhotos:
    """A test set as any detector scores it.

    Attributes:
        records: the test images, N of them.
        scores: (N,) float32, image anomaly scores, unbounded above.
        heatmaps: (N, H, W) float32, distances to what is normal, smoothed.
        masks: (N, H, W) bool, or None where the data has no ground truth.
        metrics: image- and pixel-level figures.
        summary: what result.json holds.
    """

    records: tuple[Record, ...]
    scores: np.ndarray
    heatmaps: np.ndarray
    masks: np.ndarray | None
    metrics: Metrics
    summary: dict[str, Any]


@dataclass(frozen=True)
class Evaluation(ScoredPhotos):
    """The same by PatchCore.

    Attributes:
        bank: the fitted memory bank.
    """

    bank: MemoryBank


def evaluate(
    checked: CheckedCategory,
    backbone: Backbone,
    settings: PatchCoreSettings,
    *,
    seed: int = 0,
    notify: Notify | None = None,
) -> Evaluation:
    """Fit a bank on the good training images and score the test images.

    Args:
        checked: the category.
        backbone: its features are used as they are.
        settings: PatchCore's.
        seed: of the projection and the first coreset pick.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: no good or no defective test images, or anything the stages refuse.
    """
    need_test_images(checked.category)
    backbone.resolve(settings.layers)
    began = time.perf_counter()
    train, region = checked.category.train, checked.region_at(settings.image_size)

    bank = MemoryBank.fit(
        backbone,
        batches(train, settings),
        settings,
        seed=seed,
        count=len(train),
        region=region,
        progress=tick(notify, "memory bank"),
    )
    return evaluation_by(bank, checked, began=began, notify=notify)


def evaluation_by(
    bank: MemoryBank,
    checked: CheckedCategory,
    *,
    began: float | None = None,
    notify: Notify | None = None,
) -> Evaluation:
    """Score the test images by a bank that is there.

    Args:
        bank: fitted on the category's good photos.
        checked: the category.
        began: `time.perf_counter()` at the beginning of all; None: now.
        notify: called with (stage, done, total).
    """
    began = time.perf_counter() if began is None else began
    test, settings, size = checked.category.test, bank.settings, bank.settings.image_size
    scores, heatmaps = score_photos(test, settings, bank, notify)
    masks = load_masks(test, size)
    labels = np.array([not r.is_good for r in test])
    device = bank.backbone.device
    metrics = summarise(scores, labels, heatmaps, masks, device, bank.region_pixels)
    defects, seen = [r.defect for r in test], seen_share(test)
    missed = missed_defects(defects, scores, metrics.threshold, masks, seen)
    summary = {
        **metrics.to_dict(),
        "missed": missed.to_dict(),
        **setup_of(checked, bank, time.perf_counter() - began),
        **region_record(checked, masks, size),
    }
    return Evaluation(
        records=test,
        scores=scores,
        heatmaps=heatmaps,
        masks=masks,
        metrics=metrics,
        bank=bank,
        summary=summary,
    )


class Predicted(Protocol):
    """What a detector says about a batch."""

    @property
    def scores(self) -> np.ndarray:
        """(N,) float32."""

    @property
    def heatmaps(self) -> np.ndarray:
        """(N, H, W) float32."""


class Fitted(Protocol):
    """A detector that has seen the good photos of a category."""

    @property
    def region_pixels(self) -> np.ndarray | None:
        """(S, S) bool, True where it looks; None: everywhere."""

    def score(self, image: Tensor) -> Predicted:
        """Score a batch of (N, 3, H, W) float, ImageNet-normalised images."""

    def save(self, path: Path) -> None:
        """Write it into one file."""


def score_photos(
    records: tuple[Record, ...],
    settings: PatchCoreSettings | PadimSettings,
    fitted: Fitted,
    notify: Notify | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N,) and heatmaps (N, S, S), float32, of photos.

    Args:
        records: N photos.
        settings: their size and how many at once.
        fitted: the detector.
        notify: called with (stage, done, total).
    """
    size = settings.image_size
    scores = np.empty(len(records), dtype=np.float32)
    heatmaps = np.empty((len(records), size, size), dtype=np.float32)
    done = 0
    for image in batches(records, settings):
        prediction = fitted.score(image)
        stop = done + len(prediction.scores)
        scores[done:stop], heatmaps[done:stop] = prediction.scores, prediction.heatmaps
        done = stop
        tick(notify, "scoring")(done, len(records))
    return scores, heatmaps


def setup_of(checked: CheckedCategory, bank: MemoryBank, seconds: float) -> dict[str, Any]:
    """What of a summary says how it came about: data, network, settings.

    Args:
        checked: the category.
        bank: as fitted.
        seconds: that all took.
    """
    return {
        "bank_size": bank.size,
        **origin_of(checked, bank.backbone, bank.seed, seconds),
        PATCHCORE: bank.settings.to_dict(),
    }


def origin_of(
    checked: CheckedCategory, backbone: Backbone, seed: int, seconds: float
) -> dict[str, Any]:
    """The same without the detector's own: data and network.

    Args:
        checked: the category.
        backbone: whose features were used.
        seed: of every draw.
        seconds: that all took.
    """
    category = checked.category
    return {
        "n_train": len(category.train),
        "n_test": len(category.test),
        "n_defective": sum(not record.is_good for record in category.test),
        "seconds": round(seconds, 2),
        "seed": seed,
        "category": category.name,
        "data": {"root": str(category.root), **checked.to_dict()},
        "backbone": backbone.name,
        "weights": backbone.report.to_dict(),
        "fingerprint": backbone.fingerprint,
    }


def region_record(checked: CheckedCategory, masks: np.ndarray | None, size: int) -> dict[str, Any]:
    """What of a summary says where was looked, and which defects lie wholly outside.

    Args:
        checked: the category.
        masks: (N, size, size) bool, True on defects, of its test photos; None without any.
        size: side of the photos, pixels.

    Returns:
        Nothing where all of every photo was looked at.
    """
    region = checked.region_at(size)
    if region is None:
        return {}
    outside = []
    if masks is not None:
        pairs = zip(checked.category.test, masks, strict=True)
        outside = [r.name for r, mask in pairs if mask.any() and not (mask & region).any()]
    about = {"hides": not bool(region.all()), "defects_outside": outside}
    own = {} if checked.region is None else checked.region.to_dict()  # else beside photos alone
    return {"region": {**own, **about}}


def write_evaluation(evaluation: Evaluation, out: Path, notify: Notify | None = None) -> None:
    """Write everything listed at the top of this module into `out`.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    write_scored(evaluation, out, BANK, evaluation.bank, notify)


def write_scored(
    evaluation: ScoredPhotos, out: Path, file: str, fitted: Fitted, notify: Notify | None = None
) -> None:
    """The same of any detector.

    Args:
        evaluation: what it says of the test photos.
        out: folder to write.
        file: name of the detector's own file there.
        fitted: the detector.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: the folder cannot be written.
    """
    records, heatmaps, metrics = evaluation.records, evaluation.heatmaps, evaluation.metrics
    (out / RESULT).unlink(missing_ok=True)  # never an old result beside new heatmaps
    write_json(out / ENVIRONMENT, environment())
    write_with(out / HEATMAPS, lambda f: np.save(f, heatmaps, allow_pickle=False))
    write_text(out / SCORES, scores_table(records, evaluation.scores, metrics.threshold))
    fitted.save(out / file)
    region = fitted.region_pixels
    if region is not None:
        save_png(out / REGION, region)
    looked_at = heatmaps if region is None else heatmaps[:, region]
    span = float(looked_at.min()), float(looked_at.max())
    for index, (record, name) in enumerate(zip(records, heatmap_names(records), strict=True)):
        mask = None if evaluation.masks is None else evaluation.masks[index]
        picture = heatmap_picture(record, heatmaps[index], span, mask, region)
        save_png(out / PICTURES / f"{name}.png", picture)
        if notify:
            notify("writing heatmaps", index + 1, len(records))
    write_json(out / RESULT, evaluation.summary)


def heatmap_picture(
    record: Record,
    values: np.ndarray,
    span: tuple[float, float],
    mask: np.ndarray | None,
    region: np.ndarray | None,
) -> np.ndarray:
    """A heatmap over its photo, with the outline of the defect, in the photo's shape.

    Args:
        record: the photo.
        values: (S, S) float32 heatmap.
        span: values shown black and bright yellow.
        mask: (S, S) bool, True on defects; None where nothing is marked.
        region: (S, S) bool, where was looked; None: everywhere.

    Returns:
        (H, W, 3) uint8; of a squashed photo (S, S, 3).

    Raises:
        CutSwapError: the photo cannot be read.
    """
    whole = read_photo(record.image, record.bits)
    frame = Frame((whole.shape[0], whole.shape[1]), values.shape[0], record.resize)
    photo = frame.of_photo(whole)
    picture = blend(photo, colourise(values, *span))
    if region is not None:
        picture = veil(picture, photo, region)
    if mask is not None and mask.any():
        picture = outline(picture, mask)
    return picture if record.resize == SQUASH else frame.shown(picture)


def heatmap_names(records: Sequence[Record]) -> tuple[str, ...]:
    """File names of the test images' heatmaps without their suffix, all different, case aside.

    Args:
        records: the test images, in the order of scores.csv.

    Returns:
        `crack_003`; where several images would share that, or it is too long for a file's name,
        `crack_003-17`, of the 17th image in scores.csv.
    """
    flat = [record.name.removeprefix("test/").replace("/", "_") for record in records]
    times = Counter(name.casefold() for name in flat)
    names, taken = [], set(times)
    for place, name in enumerate(flat, start=1):
        unique = name
        if times[name.casefold()] > 1 or len(os.fsencode(name)) > MAX_HEATMAP_NAME:
            cut = os.fsencode(name)[:MAX_HEATMAP_NAME].decode("utf-8", "ignore")
            unique = f"{cut}-{place}"
            while unique.casefold() in taken:
                unique += "-"
            taken.add(unique.casefold())
        names.append(unique)
    return tuple(names)


def evaluation_files(
    records: Sequence[Record], *, has_region: bool = False, fitted: str = BANK
) -> tuple[str, ...]:
    """Names of what `write_evaluation` writes.

    Args:
        records: the test images.
        has_region: whether there is one.
        fitted: the detector's own file.
    """
    pictures = [f"{PICTURES}/{name}.png" for name in heatmap_names(records)]
    region = (REGION,) if has_region else ()
    return (ENVIRONMENT, HEATMAPS, SCORES, fitted, *region, *pictures, RESULT)


def scores_table(records: Sequence[Record], scores: np.ndarray, threshold: float) -> str:
    """CSV text: one line a test image, with its score and what the threshold calls it.

    Args:
        records: the test images, N of them.
        scores: (N,) float32.
        threshold: scores at or above it are called defective.
    """
    table = CsvText(end="\r\n")
    table.row(["image", "defect", "is_defective", "score", "called_defective"])
    for record, score in zip(records, scores, strict=True):
        called = int(score >= threshold)
        names = guarded(record.name), guarded(record.defect)
        table.row([*names, int(not record.is_good), f"{score:.9g}", called])
    return table.text()


def batches(
    records: tuple[Record, ...], settings: PatchCoreSettings | PadimSettings
) -> Iterable[Tensor]:
    """Images of records as (n, 3, S, S) normalised batches, read anew whenever asked for."""
    return _Batches(records, settings)


@dataclass(frozen=True)
class _Batches:
    records: tuple[Record, ...]
    settings: PatchCoreSettings | PadimSettings

    def __iter__(self) -> Iterator[Tensor]:
        size = self.settings.batch_size
        for start in range(0, len(self.records), size):
            chunk = self.records[start : start + size]
            yield to_image(load_photos(chunk, self.settings.image_size))

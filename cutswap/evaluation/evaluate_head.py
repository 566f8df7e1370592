"""From a category and a run's head to scores of the bank, of the head, and of both joined.

Beside what `evaluate` writes, of the score that counts:

detector.safetensors   bank, network, head and join in one file
by_score/NAME/         scores.csv and heatmaps.npy of each of bank, head and both
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from cutswap.config import SCORES, PatchCoreSettings
from cutswap.data.loading import (
    CheckedCategory,
    load_masks,
    load_photos,
    need_test_images,
    seen_share,
)
from cutswap.data.records import Record
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import (
    Evaluation,
    batches,
    evaluation_files,
    region_record,
    scores_table,
    setup_of,
    write_evaluation,
)
from cutswap.evaluation.metrics import summarise
from cutswap.evaluation.missed import missed_defects
from cutswap.heads.detector import HeadDetector, embedded_photos
from cutswap.heads.patch_head import PatchHead
from cutswap.heads.validation import ValidationSet, make_validation_set
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.files import write_text, write_with
from cutswap.utils.folder_names import BY_SCORE, DETECTOR, HEATMAPS
from cutswap.utils.folder_names import SCORES as SCORES_FILE
from cutswap.utils.progress import Notify, tick


@dataclass(frozen=True)
class HeadEvaluation:
    """A test set scored three ways.

    Attributes:
        by_score: one evaluation each of `SCORES`.
        counts: which of them is the result.
        detector: bank, head and how they join.
    """

    by_score: dict[str, Evaluation]
    counts: str
    detector: HeadDetector

    @property
    def result(self) -> Evaluation:
        """The one that counts."""
        return self.by_score[self.counts]


def evaluate_head(
    checked: CheckedCategory,
    backbone: Backbone,
    head: PatchHead,
    settings: PatchCoreSettings,
    *,
    score: str = "both",
    seed: int = 0,
    notify: Notify | None = None,
) -> HeadEvaluation:
    """Fit a bank, weigh it against the head without test images, score the test images.

    Args:
        checked: the category the head was trained on.
        backbone: the network it was trained on.
        head: as trained.
        settings: PatchCore's; layers and image size must be the head's.
        score: one of `SCORES`, whose figures are the result's.
        seed: of the projection and the first coreset pick.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: another category, other layers, another size or another network than the
            head's, or anything the stages refuse.
    """
    (evaluation,) = evaluate_head_banks(
        checked, backbone, head, settings, (seed,), score=score, notify=notify
    )
    return evaluation


def evaluate_head_banks(
    checked: CheckedCategory,
    backbone: Backbone,
    head: PatchHead,
    settings: PatchCoreSettings,
    seeds: Sequence[int],
    *,
    score: str = "both",
    notify: Notify | None = None,
) -> list[HeadEvaluation]:
    """`evaluate_head` with a bank of each seed; every photo is embedded once.

    Args:
        checked: see `evaluate_head`.
        backbone: see `evaluate_head`.
        head: see `evaluate_head`.
        settings: see `evaluate_head`; one shard, where there are several seeds.
        seeds: at least one.
        score: see `evaluate_head`.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: see `evaluate_head`.
    """
    need_test_images(checked.category)
    backbone.resolve(settings.layers)
    train, test = checked.category.train, checked.category.test
    need_same_category(head, checked)
    head.need_match(settings.layers, settings.image_size, backbone.name, backbone.fingerprint)
    held_out = [i for i in head.origin.held_out if i < len(train)]
    if len(held_out) != len(head.origin.held_out):
        raise CutSwapError(
            "training photos",
            expected=f"those the head was trained on, at least {max(head.origin.held_out) + 1}",
            found=len(train),
            fix="train the head again on the photos that are there now",
        )
    began = time.perf_counter()

    region = checked.region_at(settings.image_size)
    images, tell = batches(train, settings), tick(notify, "memory bank")
    if len(seeds) == 1:
        banks = [
            MemoryBank.fit(
                backbone,
                images,
                settings,
                seed=seeds[0],
                count=len(train),
                region=region,
                progress=tell,
            )
        ]
    else:
        banks = MemoryBank.fit_each(
            backbone, images, settings, seeds, count=len(train), region=region, progress=tell
        )
    size = settings.image_size
    tick(notify, "weighing bank and head")(0, 1)
    good = load_photos([train[i] for i in held_out], size)
    fitted = _weighed(banks, head, make_validation_set(good, head.origin.family, region))
    tick(notify, "weighing bank and head")(1, 1)
    scores = [{n: np.empty(len(test), dtype=np.float32) for n in SCORES} for _ in banks]
    heatmaps = [
        {n: np.empty((len(test), size, size), dtype=np.float32) for n in SCORES} for _ in banks
    ]
    done = 0
    for image in batches(test, settings):
        embedded, stop = fitted[0][0].embed(image), done + len(image)
        for (detector, _), own_scores, own_maps in zip(fitted, scores, heatmaps, strict=True):
            prediction = detector.score_patches(embedded, (size, size))
            for name in SCORES:
                one = prediction.by(name)
                own_scores[name][done:stop], own_maps[name][done:stop] = one.scores, one.heatmaps
        done = stop
        tick(notify, "scoring")(done, len(test))
    masks, seconds = load_masks(test, size), time.perf_counter() - began
    return [
        _evaluation(checked, detector, told, own_scores, own_maps, masks, score, seconds)
        for (detector, told), own_scores, own_maps in zip(fitted, scores, heatmaps, strict=True)
    ]


def _weighed(
    banks: Sequence[MemoryBank], head: PatchHead, validation_set: ValidationSet
) -> list[tuple[HeadDetector, dict[float, float]]]:
    """`HeadDetector.fit` of each bank; for several the set is embedded once and kept."""
    if len(banks) == 1:
        return [HeadDetector.fit(banks[0], head, validation_set)]
    good = list(embedded_photos(banks[0], validation_set.good))
    made_up = list(embedded_photos(banks[0], validation_set.made_up))
    return [HeadDetector.fit_embedded(bank, head, good, made_up) for bank in banks]


def _evaluation(
    checked: CheckedCategory,
    detector: HeadDetector,
    told: dict[float, float],
    scores: dict[str, np.ndarray],
    heatmaps: dict[str, np.ndarray],
    masks: np.ndarray | None,
    counts: str,
    seconds: float,
) -> HeadEvaluation:
    """Figures of one bank with its head, by score (N,) and heatmaps (N, S, S)."""
    test = checked.category.test
    labels = np.array([not r.is_good for r in test])
    region = detector.bank.region_pixels
    metrics = {n: summarise(scores[n], labels, heatmaps[n], masks, region=region) for n in SCORES}
    shared = {
        **setup_of(checked, detector.bank, seconds),
        "head": {
            **detector.head.about(),
            "join": detector.join.to_dict(),
            "weights_tried": [{"weight": w, "made_up_auroc": v} for w, v in told.items()],
        },
        "scores": {n: m.to_dict() for n, m in metrics.items()},
        **region_record(checked, masks, detector.bank.settings.image_size),
    }
    defects, seen = [r.defect for r in test], seen_share(test)
    by_score = {
        n: Evaluation(
            records=test,
            scores=scores[n],
            heatmaps=heatmaps[n],
            masks=masks,
            metrics=metrics[n],
            bank=detector.bank,
            summary={
                **metrics[n].to_dict(),
                "missed": missed_defects(
                    defects, scores[n], metrics[n].threshold, masks, seen
                ).to_dict(),
                "score": n,
                **shared,
            },
        )
        for n in SCORES
    }
    return HeadEvaluation(by_score, counts, detector)


def head_evaluation_files(
    records: Sequence[Record], *, has_region: bool = False
) -> tuple[str, ...]:
    """Names of what `write_head_evaluation` writes.

    Args:
        records: the test images.
        has_region: whether there is one.
    """
    by_score = [f"{BY_SCORE}/{name}/{file}" for name in SCORES for file in (SCORES_FILE, HEATMAPS)]
    return (DETECTOR, *by_score, *evaluation_files(records, has_region=has_region))


def write_head_evaluation(
    evaluation: HeadEvaluation, out: Path, notify: Notify | None = None
) -> None:
    """Write everything listed at the top of this module into `out`, result.json last.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    evaluation.detector.save(out / DETECTOR)
    for name, one in evaluation.by_score.items():
        write_text(
            out / BY_SCORE / name / SCORES_FILE,
            scores_table(one.records, one.scores, one.metrics.threshold),
        )
        write_with(out / BY_SCORE / name / HEATMAPS, partial(_save, one.heatmaps))
    write_evaluation(evaluation.result, out, notify)


def _save(array: np.ndarray, file: IO[bytes]) -> None:
    np.save(file, array, allow_pickle=False)


def need_same_category(head: PatchHead, checked: CheckedCategory) -> None:
    """Refuse to score a category with a head trained on another.

    Raises:
        CutSwapError: their names differ.
    """
    if head.origin.category != checked.category.name:
        raise CutSwapError(
            "head",
            expected=f"the category it was trained on, {head.origin.category}",
            found=checked.category.name,
            fix=f"pass --category {head.origin.category}, or train a head on"
            f" {checked.category.name}",
        )

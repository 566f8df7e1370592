"""Scores of good photos by a detector that has not seen them, without giving up a photo.

Cross-conformal (Vovk 2015): the good photos are dealt into k folds, and each fold is scored by a
bank fitted on the others, with as many patches as the detector's, which learns from all of them.
That the detector's bank is another one than the folds' is an approximation: banks of few patches
differ from each other, and all scores of one move together. docs/decisions.md has how far rates
stray by it: about twice as far as the interval says.

A head is not trained k times. Its training held out some photos and was repeated without them to
weigh bank and head (`cutswap.heads.validation`): those photos alone are scored, by that trained
head and by one bank of the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from cutswap.config import PatchCoreSettings
from cutswap.data.records import Record
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import batches
from cutswap.heads.joining import Join
from cutswap.heads.patch_head import PatchHead
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.embeddings import collect_patches
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.devices import tf32
from cutswap.utils.progress import Notify, tick

_STAGE = "scoring good photos held out"
_DEAL = 7  # second entry of the seed tuple: folds are dealt by a stream of their own
AT_ONCE = 8  # photos scored together


def deal(count: int, folds: int, seed: int) -> list[np.ndarray]:
    """Positions of `count` photos in folds whose sizes differ by at most one, each rising.

    Args:
        count: photos.
        folds: at most; there are never more than photos.
        seed: of the deal.
    """
    order = np.random.default_rng((seed, _DEAL)).permutation(count)
    return [np.sort(part) for part in np.array_split(order, max(1, min(folds, count)))]


def held_out_by_folds(
    records: tuple[Record, ...],
    backbone: Backbone,
    settings: PatchCoreSettings,
    folds: int,
    *,
    region: np.ndarray | None = None,
    seed: int = 0,
    notify: Notify | None = None,
) -> np.ndarray:
    """Image scores of good photos, each by a bank fitted without its fold.

    Args:
        records: the good training photos, N >= 2 of them.
        backbone: as of the detector.
        settings: PatchCore's, as of the detector.
        folds: k; more cost more and come closer to the detector's own bank.
        region: (S, S) bool, where the detector looks; None: everywhere.
        seed: of the deal and of every bank.
        notify: called with (stage, done, total).

    Returns:
        (N,) float32, in the order of the records.

    Raises:
        CutSwapError: fewer than two photos, or anything the bank refuses.
    """
    dealt = deal(len(records), folds, seed)
    return _scored(records, backbone, settings, dealt, seed, notify, region)


def held_out_of_head(
    records: tuple[Record, ...],
    backbone: Backbone,
    settings: PatchCoreSettings,
    head: PatchHead,
    join: Join,
    score: str,
    *,
    region: np.ndarray | None = None,
    seed: int = 0,
    notify: Notify | None = None,
) -> np.ndarray:
    """Image scores of the photos that a head's training held out, by a detector without them.

    The join was weighed with these photos too, one number of eight; it is taken as it is.

    Args:
        records: the good training photos that the head was trained on.
        backbone: as of the detector.
        settings: PatchCore's, as of the detector.
        head: with its scores of the validation set.
        join: how bank and head become one.
        score: `head` or `both`.
        region: see `held_out_by_folds`; the head's own scores are of whole photos.
        seed: of the bank.
        notify: called with (stage, done, total).

    Returns:
        (G,) float32, in the order in which they were held out.

    Raises:
        CutSwapError: a head without those scores, or photos that are not there any more.
    """
    held_out = np.array(head.origin.held_out, dtype=int)
    if head.validation is None or len(head.validation.good) != len(held_out):
        raise CutSwapError(
            "head",
            expected="a finished one, with its scores of the photos held out",
            found="none",
            fix="train it to the end with finetune",
        )
    if score == "head":
        return np.asarray(head.validation.good, dtype=np.float32)
    of_bank = _scored(records, backbone, settings, [held_out], seed, notify, region)[held_out]
    return join.images(of_bank, head.validation.good)


def _scored(
    records: tuple[Record, ...],
    backbone: Backbone,
    settings: PatchCoreSettings,
    folds: list[np.ndarray],
    seed: int,
    notify: Notify | None,
    region: np.ndarray | None,
) -> np.ndarray:
    """(N,) float32; NaN where a photo is in no fold."""
    count = len(records)
    if count < 2 or any(len(fold) >= count for fold in folds):
        raise CutSwapError(
            "training photos",
            expected="at least 2 good ones, one to learn from and one held out",
            found=count,
            fix="add good photos",
        )
    total = sum(len(fold) for fold in folds)
    scores, done = np.full(count, np.nan, dtype=np.float32), 0
    tell = tick(notify, _STAGE)
    tell(0, total)
    if settings.shards == 1:
        with tf32(settings.tf32):
            patches, grid = collect_patches(
                backbone, batches(records, settings), settings.layers, count, None, stay=True
            )
        embedded = patches.view(count, -1, patches.shape[1])
        return scores_by_folds(
            backbone, embedded, grid, settings, folds, seed, lambda done: tell(done, total), region
        )
    for fold in folds:  # all do not fit in memory, and are embedded once a fold
        others, own = _others(fold, count, settings)
        rest, asked = (tuple(records[i] for i in part) for part in (others, fold))
        bank = MemoryBank.fit(
            backbone, batches(rest, own), own, seed=seed, count=len(rest), region=region
        )
        scores[fold] = np.concatenate([bank.score(image).scores for image in batches(asked, own)])
        done += len(fold)
        tell(done, total)
    return scores


def scores_by_folds(
    backbone: Backbone,
    embedded: torch.Tensor,
    grid: tuple[int, int],
    settings: PatchCoreSettings,
    folds: list[np.ndarray],
    seed: int,
    tell: Callable[[int], None] = lambda _done: None,
    region: np.ndarray | None = None,
) -> np.ndarray:
    """Image scores of photos that are embedded already, each by a bank without its fold.

    Args:
        backbone: whose features they are.
        embedded: (N, h * w, D) float32.
        grid: (h, w).
        settings: PatchCore's, of the bank of all.
        folds: positions of photos.
        seed: of every bank.
        tell: called with the number of photos scored.
        region: see `held_out_by_folds`.

    Returns:
        (N,) float32; NaN where a photo is in no fold.
    """
    scores, done = np.full(len(embedded), np.nan, dtype=np.float32), 0
    for fold in folds:
        others, own = _others(fold, len(embedded), settings)
        seen = embedded[torch.from_numpy(others)].flatten(0, 1)
        bank = MemoryBank.choose(backbone, seen, grid, own, seed=seed, region=region)
        scores[fold] = np.concatenate(
            [
                bank.score_patches(embedded[part].unflatten(1, grid), (1, 1)).scores
                for part in torch.from_numpy(fold).split(AT_ONCE)
            ]
        )
        done += len(fold)
        tell(done)
    return scores


def _others(
    fold: np.ndarray, count: int, settings: PatchCoreSettings
) -> tuple[np.ndarray, PatchCoreSettings]:
    """Photos outside a fold, and settings that keep as many of their patches as of all."""
    others = np.setdiff1d(np.arange(count), fold)
    share = min(1.0, settings.coreset * count / len(others))
    # Decided before the share grows: banks of the folds are of the kind that the whole bank is.
    return others, settings.replace(coreset=share, whiten=settings.whitening)

"""What the Inspect page keeps between reruns: read evaluations, counts, banks, single images.

Everything is keyed by folder and time of change, so that a folder written anew is read anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st

from app.shared import caches
from app.shared.caches import PhotoKey, changed
from app.shared.picture_memory import kept
from app.shared.workspace import is_inside
from cutswap.data.records import Category, Record
from cutswap.decision.open_detector import WholeScore, read_evaluated
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import ScoredSet, read_scored
from cutswap.evaluation.thresholds import ThresholdCounts
from cutswap.evaluation.unlabelled import UnlabelledSet, read_unlabelled
from cutswap.heads.detector import HeadDetector, Predictions
from cutswap.networks.backbone import Backbone
from cutswap.padim.detector import PadimDetector, PadimPrediction
from cutswap.patchcore.memory_bank import MemoryBank, Prediction
from cutswap.patchcore.nearest_normal import NearestNormal, nearest_normal
from cutswap.patchcore.tiled.nearest_in_tiles import nearest_in_tiles
from cutswap.patchcore.tiled.tiled_bank import TiledBank
from cutswap.utils.folder_names import RESULT, UNLABELLED

IN_MEMORY = 100_000_000  # bytes of heatmaps copied: a mapped file cut short kills the process


@dataclass(frozen=True)
class Truth:
    """Marked defects of a test set and the counts of its pixels.

    Attributes:
        masks: (N, S, S) bool; None where the data marks none.
        tally: counts of pixel verdicts; None where nothing, or everything, is marked.
    """

    masks: np.ndarray | None
    tally: ThresholdCounts | None


@dataclass(frozen=True)
class BankKey:
    """A memory bank on disk.

    Attributes:
        path: its file.
        modified: time of change, nanoseconds; 0 where it is gone.
    """

    path: Path
    modified: int

    @classmethod
    def of(cls, path: Path) -> BankKey:
        """The file as it is now."""
        return cls(path, changed(path))


@dataclass(frozen=True)
class Scoring:
    """Settings that score one image, which may differ from its bank's own.

    Attributes:
        neighbours: bank items averaged.
        reweight: neighbours in the image score.
        image_patches: highest patches averaged in the image score.
        sigma: smoothing, pixels.
    """

    neighbours: int
    reweight: int
    image_patches: int
    sigma: float


def scored(folder: Path, category: Category, score: str | None = None) -> ScoredSet:
    """An evaluation folder; of bank and head the one of three scores.

    Raises:
        CutSwapError: see `read_scored`.
    """
    return _scored(folder, changed(folder / RESULT), len(category.test), score, category)


@st.cache_resource(max_entries=6, show_spinner="Reading the evaluation")
def _scored(
    folder: Path, modified: int, count: int, score: str | None, _category: Category
) -> ScoredSet:
    del modified, count
    scored = read_scored(folder, _category, score)
    if scored.records and not all(is_inside(r.image, _category.root) for r in scored.records):
        # The folder says where its photos are; only those of the category on screen are shown.
        lost = CutSwapError(
            folder.name,
            expected=f"photos of {_category.name}",
            found="photos elsewhere",
            fix="choose the category it was made from",
        )
        scored = replace(scored, records=None, lost=lost)
    if scored.heatmaps.nbytes <= IN_MEMORY:
        scored = replace(scored, heatmaps=np.array(scored.heatmaps))
    return scored


def unlabelled(folder: Path) -> UnlabelledSet:
    """Scores of photos without labels.

    Raises:
        CutSwapError: see `read_unlabelled`.
    """
    return _unlabelled(folder, changed(folder / UNLABELLED))


def usual_unlabelled(found: UnlabelledSet) -> float:
    """`UnlabelledSet.usual_heat`."""
    return _usual_unlabelled(found.folder, changed(found.folder / UNLABELLED), found)


@st.cache_resource(max_entries=12, show_spinner=False)
def _usual_unlabelled(folder: Path, modified: int, _found: UnlabelledSet) -> float:
    del folder, modified
    return _found.usual_heat()


@st.cache_resource(max_entries=6, show_spinner=False)
def _unlabelled(folder: Path, modified: int) -> UnlabelledSet:
    del modified
    found = read_unlabelled(folder)
    if found.heatmaps.nbytes <= IN_MEMORY:
        found = replace(found, heatmaps=np.array(found.heatmaps))
    return found


def source_of(scored: ScoredSet) -> tuple[object, ...]:
    """What tells its heatmaps from others: folder, time of change, score."""
    return scored.folder, changed(scored.folder / RESULT), scored.summary.get("score")


def image_tally(scored: ScoredSet) -> ThresholdCounts:
    """Counts of image verdicts."""
    modified = changed(scored.folder / RESULT)
    return _image_tally(scored.folder, modified, scored.summary.get("score"), scored)


@st.cache_resource(max_entries=12, show_spinner=False)
def _image_tally(
    folder: Path, modified: int, score: str | None, _found: ScoredSet
) -> ThresholdCounts:
    del folder, modified, score
    return ThresholdCounts.of_images(_found.scores, _found.labels)


def usual_heat(scored: ScoredSet) -> float | None:
    """`ScoredSet.usual_heat`."""
    modified = changed(scored.folder / RESULT)
    return _usual_heat(scored.folder, modified, scored.summary.get("score"), scored)


@st.cache_resource(max_entries=12, show_spinner=False)
def _usual_heat(folder: Path, modified: int, score: str | None, _found: ScoredSet) -> float | None:
    del folder, modified, score
    return _found.usual_heat()


def truth(scored: ScoredSet) -> Truth:
    """Masks and pixel counts.

    Raises:
        CutSwapError: a mask that cannot be read.
    """
    modified = changed(scored.folder / RESULT)
    return _truth(scored.folder, modified, scored.summary.get("score"), scored)


@st.cache_resource(max_entries=6, show_spinner="Reading the masks")
def _truth(folder: Path, modified: int, score: str | None, _found: ScoredSet) -> Truth:
    del folder, modified, score
    masks = _found.masks()
    if masks is None or not masks.any() or masks.all():
        return Truth(masks, None)
    return Truth(masks, ThresholdCounts.of_pixels(_found.heatmaps, masks, region=_found.region))


@st.cache_resource(max_entries=4, show_spinner="Loading the memory bank")
def bank(key: BankKey, _backbone: Backbone | None = None) -> MemoryBank:
    """A memory bank with its network.

    Raises:
        CutSwapError: missing or damaged.
    """
    return MemoryBank.load(key.path, _backbone)


@st.cache_resource(max_entries=2, show_spinner="Loading the gaussians")
def gaussians(key: BankKey) -> PadimDetector:
    """PaDiM with its network.

    Raises:
        CutSwapError: missing or damaged.
    """
    return PadimDetector.load(key.path)


@kept()
def by_gaussians(key: BankKey, photo: PhotoKey) -> PadimPrediction:
    """What PaDiM says of one photo.

    Args:
        key: of its file.
        photo: at the side it was fitted at.

    Raises:
        CutSwapError: a missing or damaged file, or an unreadable photo.
    """
    from cutswap.data.images import to_image

    return gaussians(key).score(to_image(caches.photo(photo)[None]))


@st.cache_resource(max_entries=2, show_spinner="Loading the memory bank")
def _whole_scorer(folder: Path, modified: int) -> WholeScore:
    del modified
    found = read_evaluated(folder).opened.of_whole
    assert found is not None  # noqa: S101 - its evaluation was made by tiles
    return found


def nearest_by_tiles(
    key: BankKey, photo: PhotoKey, place: tuple[float, float], train: Sequence[Record]
) -> NearestNormal:
    """The normal patch nearest to the one at (y, x), pixels of a photo at its own size.

    Raises:
        CutSwapError: see `nearest_in_tiles`.
    """
    return _nearest_by_tiles(key, photo, place, len(train), train)


@st.cache_resource(max_entries=100, show_spinner=False)
def _nearest_by_tiles(
    key: BankKey,
    photo: PhotoKey,
    place: tuple[float, float],
    count: int,
    _train: Sequence[Record],
) -> NearestNormal:
    from cutswap.data.images import read_photo

    del count
    return nearest_in_tiles(read_photo(photo.path, photo.bits), place, TiledBank(bank(key)), _train)


@kept("Scoring the photo tile by tile")
def by_tiles(folder: Path, modified: int, photo: PhotoKey) -> tuple[float, np.ndarray]:
    """Score and (S, S) float32 heatmap of one photo, which is cut into tiles.

    Args:
        folder: of an evaluation by tiles.
        modified: time of change of its result, nanoseconds.
        photo: read at its own size.

    Raises:
        CutSwapError: a damaged evaluation, a region that is gone, or an unreadable photo.
    """
    from cutswap.data.images import read_photo

    return _whole_scorer(folder, modified)(read_photo(photo.path, photo.bits))


@kept()
def prediction(key: BankKey, photo: PhotoKey, scoring: Scoring | None = None) -> Prediction:
    """A bank's prediction for one photo.

    Raises:
        CutSwapError: a missing or damaged bank, or an unreadable photo.
    """
    from cutswap.data.images import to_image

    whole = bank(key)
    if scoring is not None:
        whole = whole.with_settings(**vars(scoring))
    return whole.score(to_image(caches.photo(photo)[None]))


@st.cache_resource(max_entries=2, show_spinner="Loading bank and head")
def detector(key: BankKey) -> HeadDetector:
    """Bank and head with their network.

    Args:
        key: of detector.safetensors.

    Raises:
        CutSwapError: missing or damaged.
    """
    return HeadDetector.load(key.path)


@kept()
def predictions(key: BankKey, photo: PhotoKey) -> Predictions:
    """Predictions of bank, head and both for one photo.

    Args:
        key: of detector.safetensors.
        photo: at the side that the detector wants.

    Raises:
        CutSwapError: a missing or damaged detector, or an unreadable photo.
    """
    from cutswap.data.images import to_image

    return detector(key).score(to_image(caches.photo(photo)[None]))


def nearest(
    key: BankKey, photo: PhotoKey, train: Sequence[Record], cell: tuple[int, int] | None
) -> NearestNormal:
    """The normal patch nearest to a patch of a photo, default the hottest.

    Raises:
        CutSwapError: see `nearest_normal`.
    """
    return _nearest(key, photo, cell, len(train), train)


@st.cache_resource(max_entries=400, show_spinner=False)
def _nearest(
    key: BankKey,
    photo: PhotoKey,
    cell: tuple[int, int] | None,
    count: int,
    _train: Sequence[Record],
) -> NearestNormal:
    del count
    return nearest_normal(caches.photo(photo), prediction(key, photo), bank(key), _train, cell=cell)

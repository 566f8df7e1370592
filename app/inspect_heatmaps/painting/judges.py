"""Who judges the painted photo: a bank, bank and head, or PaDiM; asked for one photo at a time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps.caches import BankKey
from app.inspect_heatmaps.heads import MEANINGS
from app.shared import caches, public
from app.shared.caches import PhotoKey
from app.shared.heads import SCORES
from app.shared.picture_memory import kept
from cutswap.config import PADIM
from cutswap.data.images import to_image
from cutswap.data.records import Category
from cutswap.evaluation.scored_set import ScoredSet, scores_in
from cutswap.heads.detector import HeadDetector, Predictions
from cutswap.padim.detector import PadimDetector, PadimPrediction
from cutswap.patchcore.memory_bank import MemoryBank, Prediction
from cutswap.utils.folder_names import DETECTOR

BESIDE = ("bank", "head")  # of the three scores of an evaluation with a head
ALONE = "alone"  # a bank without a head

_Said = Prediction | Predictions | PadimPrediction


@dataclass(frozen=True)
class JudgeKey:
    """What has to be loaded; equal keys judge equally.

    Attributes:
        file: of the detector.
        kind: `bank` or `head` of a detector with both, `PADIM`, or `ALONE`.
    """

    file: BankKey
    kind: str


@dataclass(frozen=True)
class PaintingJudge:
    """One detector, or one of the scores of bank and head.

    Attributes:
        name: on the screen.
        scored: its evaluation, which has the range of colours, the threshold, and good photos.
        key: of what is asked.
    """

    name: str
    scored: ScoredSet
    key: JudgeKey

    @property
    def meaning(self) -> str:
        """What its heat is."""
        return MEANINGS.get(self.key.kind, MEANINGS["bank"])


def judges_of(name: str, scored: ScoredSet, category: Category) -> tuple[PaintingJudge, ...]:
    """One judge of an evaluation, or bank and head.

    Args:
        name: of the weights or run on the screen.
        scored: its evaluation.
        category: that it is of.

    Raises:
        CutSwapError: a damaged evaluation.
    """
    kinds = scores_in(scored.summary)
    if not kinds:
        kind = PADIM if scored.is_padim else ALONE
        return (PaintingJudge(name, scored, JudgeKey(BankKey.of(scored.bank_file), kind)),)
    file = BankKey.of(scored.folder / DETECTOR)
    return tuple(
        PaintingJudge(
            f"{name}, {SCORES[kind].lower()}",
            inspect_caches.scored(scored.folder, category, kind),
            JudgeKey(file, kind),
        )
        for kind in BESIDE
        if kind in kinds
    )


def judged(keys: Sequence[JudgeKey], photo: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Heat (S, S) float32 and score of a photo by each; what two have in common is asked once.

    Two networks look at the same time, on a core each; in public mode one after another, for the
    cores are everybody's.

    Args:
        keys: of detectors of photos of this size.
        photo: (S, S, 3) uint8.

    Raises:
        CutSwapError: a missing or damaged detector.
    """
    image = to_image(photo[None])
    # Loaded here: Streamlit's caches belong to its own threads.
    detectors = {key.file: _loaded(key) for key in keys}
    said: dict[BankKey, _Said] = {}
    if public.is_public() or len(detectors) == 1:
        for file, detector in detectors.items():
            with _turn(detector, len(photo)):
                said[file] = detector.score(image)
    else:
        with ThreadPoolExecutor(len(detectors)) as pool:
            every = pool.map(lambda detector: detector.score(image), detectors.values())
            said = dict(zip(detectors, every, strict=True))
    return [_one(said[key.file], key.kind) for key in keys]


def _loaded(key: JudgeKey) -> MemoryBank | HeadDetector | PadimDetector:
    if key.kind == PADIM:
        return inspect_caches.gaussians(key.file)
    return (inspect_caches.bank if key.kind == ALONE else inspect_caches.detector)(key.file)


def _turn(
    detector: MemoryBank | HeadDetector | PadimDetector, size: int
) -> AbstractContextManager[None]:
    own = detector.bank if isinstance(detector, HeadDetector) else detector
    return public.turn(own.backbone.name, own.settings.layers or (), size)


def _one(said: _Said, kind: str) -> tuple[np.ndarray, float]:
    if isinstance(said, Predictions):
        said = said.by(kind)
    return said.heatmaps[0], float(said.scores[0])


@kept()
def clean_scores(keys: tuple[JudgeKey, ...], photo: PhotoKey) -> tuple[float, ...]:
    """Score of a photo as it is, by each.

    Raises:
        CutSwapError: see `judged`, or an unreadable photo.
    """
    return tuple(score for _, score in judged(keys, caches.photo(photo)))

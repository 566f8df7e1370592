"""Scores of good photos held out: read where `evaluate` left them, or computed here, and kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps.caches import BankKey
from app.shared import public
from app.shared.background import Work, begin, tasks
from cutswap.config import FalseAlarmSettings
from cutswap.data.records import Record
from cutswap.decision.deciding import decide_on
from cutswap.decision.decision import Decision, read_decision, write_decision
from cutswap.errors import CutSwapError
from cutswap.heads.detector import HeadDetector
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.files import cache_folder
from cutswap.utils.folder_names import DECISION
from cutswap.utils.progress import Notify

FOLDS = FalseAlarmSettings().folds


@dataclass(frozen=True)
class GoodPhotos:
    """The good photos of an evaluation, and what scores them.

    Attributes:
        folder: of the evaluation.
        category: its name.
        train: what its bank has learnt from, at the beginning.
        bank: its file.
        detector: file of bank and head; None of a bank alone.
        score: whose scores count: bank, head or both.
        cannot: why they cannot be held out here; empty where they can.
    """

    folder: Path
    category: str
    train: tuple[Record, ...]
    bank: BankKey
    detector: BankKey | None
    score: str
    cannot: str = ""

    @property
    def key(self) -> str:
        """Hex name; another one whenever a score would be another."""
        names = [str(record.image) for record in self.train]
        parts = (self.folder, self.bank, self.detector, self.score, FOLDS, names)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    @property
    def kept(self) -> Path:
        """Folder of the scores that were computed here; need not be there."""
        return cache_folder() / "held_out" / self.key

    def count(self) -> int:
        """Photos that can be held out.

        Raises:
            CutSwapError: a damaged head.
        """
        if self.detector is None or self.score == "bank":
            return len(self.train)
        return len(inspect_caches.detector(self.detector).head.origin.held_out)


def decision_of(good: GoodPhotos) -> Decision | None:
    """The good photos' scores with the threshold they were asked for; None where there are none.

    Raises:
        CutSwapError: a damaged file.
    """
    for folder in (good.folder, good.kept):
        if (folder / DECISION).is_file():
            found = _read(folder, (folder / DECISION).stat().st_mtime_ns)
            if found is not None and found.score == good.score:
                return found
    return None


@st.cache_resource(max_entries=12, show_spinner=False)
def _read(folder: Path, modified: int) -> Decision | None:
    del modified
    return read_decision(folder)


def work_on(good: GoodPhotos) -> Work | None:
    """What holds them out, running or ended."""
    return tasks().of(good.key)


def start(good: GoodPhotos, rate: float) -> None:
    """Hold them out in a thread.

    Args:
        good: the photos.
        rate: false alarms asked for; others can be asked of the same scores.

    Raises:
        CutSwapError: in public mode.
    """
    public.need_private("scoring good photos held out")
    begin(good.key, "scoring good photos", lambda notify: _compute(good, rate, notify))


def _compute(good: GoodPhotos, rate: float, notify: Notify) -> Decision:
    if good.cannot:
        raise CutSwapError(
            good.folder.name, expected="a bank of squares", found=good.cannot, fix="evaluate anew"
        )
    detector = None if good.detector is None else HeadDetector.load(good.detector.path)
    bank = MemoryBank.load(good.bank.path) if detector is None else detector.bank
    found = decide_on(
        good.train,
        good.category,
        bank.backbone,
        bank.settings,
        rate,
        FOLDS,
        region=bank.region_pixels,
        detector=detector,
        score=good.score,
        seed=bank.seed,
        notify=notify,
    )
    good.kept.mkdir(parents=True, exist_ok=True)
    write_decision(found, good.kept)
    return found

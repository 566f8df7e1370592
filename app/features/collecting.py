"""What the Features page shows of a run: found on disk, or collected once in a thread.

As with evaluations (`shared.evaluations`), the page's script may end at any moment, so the work is
a thread's and its result lies on disk under a key of everything it depends on: features in the
cache folder, the history of a run beside its weights.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import streamlit as st

from app.shared.background import Work
from app.shared.caches import changed
from cutswap.analysis.feature_collection import collect_features, features_key, recorded_settings
from cutswap.analysis.feature_projection import Projection, project
from cutswap.analysis.feature_separation import SeparationMetrics, figures
from cutswap.analysis.feature_set import ABOUT, FeatureSet, read_features, write_features
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.analysis.over_time.collection import collect_history, history_key, is_kept
from cutswap.analysis.over_time.history import ABOUT as HISTORY
from cutswap.analysis.over_time.history import TrainingHistory, read_history, write_history
from cutswap.data.loading import CheckedCategory
from cutswap.data.problems import find_problems, usable
from cutswap.data.records import Category
from cutswap.errors import CutSwapError
from cutswap.runs.folder import RunFolder
from cutswap.utils.files import cache_folder

KEPT = 12  # sets in the cache folder; each is 4 to 10 MB

_log = logging.getLogger(__name__)
_one_at_a_time = threading.Lock()


class Collected(Protocol):
    """What can be asked for: known by its key, and made where it is not there."""

    @property
    def key(self) -> str:
        """Hex name; another one whenever anything it depends on changes."""

    @property
    def is_done(self) -> bool:
        """Whether it is there, as far as its last file tells."""

    def make(self, work: Work) -> None:
        """Collect and keep it."""


@dataclass(frozen=True)
class WantedFeatures:
    """A requested set of features.

    Attributes:
        run: the run folder.
        category: what it has learnt from.
        settings: of the draws; projection and folds are not part of the set.
    """

    run: Path
    category: Category
    settings: FeatureSettings

    @property
    def key(self) -> str:
        """Hex name; another one whenever the run or a photo changes."""
        return features_key(RunFolder(self.run), self.category, self.settings)

    @property
    def folder(self) -> Path:
        """Where it is, or will be."""
        return cache_folder() / "features" / self.key

    @property
    def is_done(self) -> bool:
        """Whether it is there, as far as its last file tells."""
        return (self.folder / ABOUT).is_file()

    def make(self, work: Work) -> None:
        """Collect and keep them.

        Raises:
            CutSwapError: see `collect_features`.
        """
        checked = _checked(self.run, self.category, work)
        features = collect_features(RunFolder(self.run), checked, self.settings, work.notify)
        write_features(features, self.folder)
        _prune(self.folder.parent)


@dataclass(frozen=True)
class WantedHistory:
    """A requested history of a run.

    Attributes:
        run: the run folder, which keeps it.
        category: what it has learnt from.
    """

    run: Path
    category: Category

    @property
    def key(self) -> str:
        """Hex name; another one whenever the run, a snapshot or a photo changes."""
        return history_key(RunFolder(self.run), self.category)

    @property
    def is_done(self) -> bool:
        """Whether it is there and nothing has changed since, whatever its number of draws."""
        return is_kept(RunFolder(self.run), self.key)

    def forget(self) -> None:
        """Remove what is kept, where it cannot be read."""
        (self.run / HISTORY).unlink(missing_ok=True)

    def make(self, work: Work) -> None:
        """Collect and keep it.

        Raises:
            CutSwapError: see `collect_history`.
        """
        checked = _checked(self.run, self.category, work)
        run = RunFolder(self.run)
        write_history(collect_history(run, checked, FeatureSettings(), work.notify), self.run)


class FeatureWorkshop:
    """All that is on its way in this process; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: dict[str, Work] = {}

    def of(self, key: str) -> Work | None:
        """The work on a key, running, done or failed."""
        return self._works.get(key)

    def start(self, wanted: Collected) -> None:
        """Start collecting unless a thread is doing so."""
        key = wanted.key
        with self._lock:
            work = self._works.get(key)
            if work is None or not work.is_running:
                work = Work("waiting for another set to finish")
                work.thread = threading.Thread(
                    target=self._run,
                    args=(work, wanted),
                    daemon=True,
                    name=f"features {key[:8]}",
                )
                self._works[key] = work
                work.thread.start()

    def _run(self, work: Work, wanted: Collected) -> None:
        with _one_at_a_time:
            try:
                if not wanted.is_done:
                    wanted.make(work)
            except CutSwapError as error:
                work.error = error
            except Exception as error:  # the thread's own last words; the page shows the sentence
                _log.exception("collecting features failed")
                work.error = CutSwapError(
                    "the features",
                    expected="to be collected",
                    found=type(error).__name__,
                    fix="see the app's log, then try again or choose another run",
                )


@st.cache_resource(show_spinner=False)
def feature_workshop() -> FeatureWorkshop:
    """The process's one."""
    return FeatureWorkshop()


def features_of(folder: Path) -> FeatureSet:
    """A finished set, read again when it was written anew.

    Raises:
        CutSwapError: see `read_features`.
    """
    return _features(folder, changed(folder / ABOUT))


@st.cache_resource(max_entries=6, show_spinner=False)
def _features(folder: Path, modified: int) -> FeatureSet:
    del modified
    return read_features(folder)


def history_of(run: Path) -> TrainingHistory:
    """A run's history, read again when it was written anew.

    Raises:
        CutSwapError: see `read_history`.
    """
    return _history(run, changed(run / HISTORY))


@st.cache_resource(max_entries=4, show_spinner=False)
def _history(run: Path, modified: int) -> TrainingHistory:
    del modified
    return read_history(run)


def projection_of(folder: Path, settings: FeatureSettings, seed: int) -> Projection:
    """Places of all points.

    Raises:
        CutSwapError: see `project`.
    """
    return _projection(folder, changed(folder / ABOUT), settings, seed)


@st.cache_resource(max_entries=30, show_spinner="Flattening")
def _projection(folder: Path, modified: int, settings: FeatureSettings, seed: int) -> Projection:
    return project(_features(folder, modified), settings, seed)


def figures_of(folder: Path, settings: FeatureSettings, seed: int) -> SeparationMetrics:
    """The numbers, which no projection changes."""
    return _figures(folder, changed(folder / ABOUT), settings.folds, settings.resamples, seed)


@st.cache_resource(max_entries=12, show_spinner="Counting")
def _figures(
    folder: Path, modified: int, folds: int, resamples: int, seed: int
) -> SeparationMetrics:
    settings = FeatureSettings(folds=folds, resamples=resamples)
    return figures(_features(folder, modified), settings, seed)


def _checked(folder: Path, category: Category, work: Work) -> CheckedCategory:
    """The photos that a run can use."""
    problems = find_problems(
        category,
        train_size=recorded_settings(RunFolder(folder))[0].training.image_size,
        progress=lambda done, total: work.notify("checking photos", done, total),
    )
    return CheckedCategory(*usable(category, problems, skip_bad=True))


def _prune(folder: Path) -> None:
    """Remove the oldest sets beyond `KEPT`."""
    aged = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            aged.append((-path.stat().st_mtime, path))
    for _, path in sorted(aged)[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)

"""A run over its updates, as an object and as two files beside its weights.

over_time.npz   updates, places, distances, scores
over_time.json  written last: the points, curves and figures, and the hash of over_time.npz
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.analysis.feature_separation import Estimate
from cutswap.analysis.feature_set import DEFECT, GOOD_TEST, MAX_IMAGE, FeaturePoint
from cutswap.data.decoding import MIN_SIDE
from cutswap.errors import CutSwapError
from cutswap.patchcore.heatmaps import to_heatmap
from cutswap.utils.array_files import read_sealed, write_sealed
from cutswap.utils.files import read_json, write_json
from cutswap.utils.folder_names import OVER_TIME

ARRAYS, ABOUT = OVER_TIME
MAKE_AGAIN = "delete both files; `features --over-time` makes them anew"


@dataclass(frozen=True)
class TrainingHistory:
    """What T states of one run's phi say of the same pictures.

    Attributes:
        updates: (T,) int64, rising from 0 to the run's last.
        points: P of them: unseen draws first, then the M test photos.
        places: (T, P, 2) float32, (x, y) of the pooled features on axes that all states share;
            the mean of a state's draws is its origin.
        distances: (T, M, h, w) float16, of every patch of a test photo to the state's bank.
        scores: (T, M) float32, image scores of the test photos.
        accuracy: updates, and by class the share classified rightly over the last updates before;
            of an objective without classes one row of what it tells instead.
        aurocs: T image AUROCs of the test photos with their intervals; None where they show only
            one kind of photo.
        change: last AUROC minus first, on the same resamples; None likewise.
        about: run, category, image_size, axes, heat (both ends of its colours for all states),
            samples, sigma, batch_size, has_classes, key (of all that it depends on).
    """

    updates: np.ndarray
    points: tuple[FeaturePoint, ...]
    places: np.ndarray
    distances: np.ndarray
    scores: np.ndarray
    accuracy: tuple[tuple[int, tuple[float, ...]], ...]
    aurocs: tuple[Estimate, ...] | None
    change: Estimate | None
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def photos(self) -> tuple[FeaturePoint, ...]:
        """The M test photos."""
        return self.points[len(self.points) - self.scores.shape[1] :]

    def position(self, name: str) -> int | None:
        """Index of a test photo by its name; None where it is not among them."""
        return next((i for i, p in enumerate(self.photos) if p.name == name), None)

    def heatmap(self, state: int, photo: int) -> np.ndarray:
        """(S, S) float32: smoothed distances of a test photo to a state's bank.

        Args:
            state: index among the updates.
            photo: index among the test photos.
        """
        size = int(self.about["image_size"])
        grid = self.distances[state, photo][None].astype(np.float32)
        return np.asarray(to_heatmap(grid, (size, size), float(self.about["sigma"]))[0])

    def above_good(self, state: int, photo: int) -> tuple[int, int]:
        """(good test photos that score below a photo, all other good ones) by a state."""
        kinds = [p.kind for p in self.photos]
        good = [i for i, kind in enumerate(kinds) if kind == GOOD_TEST and i != photo]
        return int((self.scores[state, good] < self.scores[state, photo]).sum()), len(good)

    def accuracy_at(self, update: int) -> tuple[float, ...] | None:
        """By class, up to an update; None before the first."""
        before = [values for step, values in self.accuracy if step <= update]
        return before[-1] if before else None

    def answer(self) -> str:
        """What the AUROCs say of the training, with their interval."""
        if self.aurocs is None or self.change is None:
            return "No AUROC: that takes good and defective test photos."
        good = sum(p.kind == GOOD_TEST for p in self.photos)
        bad = sum(p.kind == DEFECT for p in self.photos)
        said = (
            "rose"
            if self.change.low > 0
            else "fell"
            if self.change.high < 0
            else "has not been shown to change"
        )
        return (
            f"From the first update to the last PatchCore's image AUROC {said}:"
            f" {self.aurocs[0].text()}, then {self.aurocs[-1].text()}, change"
            f" {self.change.text('+')}, on {good} good and {bad} defective test photos."
        )


def write_history(history: TrainingHistory, folder: Path) -> None:
    """Write both files; the second says that both are there.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    arrays = {name: getattr(history, name) for name in ("updates", "places", "distances", "scores")}
    (folder / ABOUT).unlink(missing_ok=True)  # never an old description beside new arrays
    aurocs, change = history.aurocs, history.change
    about = {
        "sha256": write_sealed(folder / ARRAYS, arrays),
        "about": history.about,
        "accuracy": [[step, list(values)] for step, values in history.accuracy],
        "aurocs": None if aurocs is None else [_numbers(one) for one in aurocs],
        "change": None if change is None else _numbers(change),
        "points": [p.to_dict() for p in history.points],
    }
    write_json(folder / ABOUT, about)


def _numbers(one: Estimate) -> list[float]:
    return [one.value, one.low, one.high]


def read_history(folder: Path) -> TrainingHistory:
    """Read what `write_history` wrote.

    Raises:
        CutSwapError: missing, cut short, edited, or files of two different writings.
    """
    written = read_json(folder / ABOUT)
    try:
        arrays = read_sealed(folder / ARRAYS, written["sha256"])
        aurocs, change = written["aurocs"], written["change"]
        history = TrainingHistory(
            points=tuple(FeaturePoint.from_dict(p) for p in written["points"]),
            accuracy=tuple(
                (int(step), tuple(float(v) for v in values)) for step, values in written["accuracy"]
            ),
            aurocs=None if aurocs is None else tuple(_estimate(one) for one in aurocs),
            change=None if change is None else _estimate(change),
            about=dict(written["about"]),
            **arrays,
        )
        _need_whole(history)
    except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise CutSwapError(
            folder,
            expected=f"{ARRAYS} and {ABOUT} as they were written",
            found=getattr(error, "strerror", None) or error,
            fix=MAKE_AGAIN,
        ) from error
    return history


def _estimate(values: Sequence[float]) -> Estimate:
    value, low, high = (float(v) for v in values)
    return Estimate(value, low, high)


def _need_whole(history: TrainingHistory) -> None:
    states, count = len(history.updates), len(history.points)
    photos = history.scores.shape[-1]
    shapes = {
        "updates": (history.updates, 1, (states,)),
        "places": (history.places, 3, (states, count, 2)),
        "scores": (history.scores, 2, (states, photos)),
        "distances": (history.distances, 4, (states, photos)),
    }
    for name, (array, axes, shape) in shapes.items():
        if array.ndim != axes or array.shape[: len(shape)] != shape:
            raise ValueError(f"{name} of shape {shape} wanted, {array.shape} found")
        if not np.isfinite(array).all():
            raise ValueError(f"finite {name} wanted")
    if states < 2 or photos > count or not (np.diff(history.updates) > 0).all():
        raise ValueError("two states or more wanted, in the order of their updates")
    if history.aurocs is not None and len(history.aurocs) != states:
        raise ValueError(f"{states} AUROCs wanted")
    side = history.about["image_size"]
    if type(side) is not int or not MIN_SIDE <= side <= MAX_IMAGE:
        raise ValueError(
            f"an image_size of {MIN_SIDE} to {MAX_IMAGE} pixels wanted, {side!r} found"
        )
    axes, (low, high), sigma = (history.about[name] for name in ("axes", "heat", "sigma"))
    if len(axes) != 2 or not all(isinstance(v, (int, float)) for v in (low, high, sigma)):
        raise ValueError("two axes, and numbers as heat and sigma wanted")

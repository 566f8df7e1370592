"""Loss and accuracy of a run as numbers to draw: smoothed, thinned, over updates or seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class RunSeries:
    """The updates of one run, oldest first.

    Attributes:
        steps: (N,) int64, from 1; a file edited by hand may skip some.
        seconds: (N,) float64, time spent in updates up to and including each; None where the
            updates do not tell their speed.
        loss: (N,) float64.
        accuracy: (N,) float64 in [0, 1].
        speed: (N,) float64, samples a second; not a number where it is not told.
    """

    steps: np.ndarray
    seconds: np.ndarray | None
    loss: np.ndarray
    accuracy: np.ndarray
    speed: np.ndarray


def run_series(lines: Sequence[Mapping[str, Any]], samples: int) -> RunSeries:
    """Columns of a training curve.

    metrics.jsonl holds samples a second and no clock, so time is what the updates took: loading,
    checkpoints, and pauses between a stop and its resumption are not in it.

    Args:
        lines: as `MetricsTail.read` gives them.
        samples: an update sees, all classes counted: batch size times classes.
    """
    speed = np.array([_number(line.get("images_per_second")) for line in lines], dtype=np.float64)
    is_timed = samples > 0 and bool(len(lines)) and bool(np.all(speed > 0))
    return RunSeries(
        np.array([line["step"] for line in lines], dtype=np.int64),
        np.cumsum(samples / speed) if is_timed else None,
        np.array([line["loss"] for line in lines], dtype=np.float64),
        np.array([line["accuracy"] for line in lines], dtype=np.float64),
        speed,
    )


def centred_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Moving average over `width` neighbours, half before and half after.

    Near the ends the window is as much narrower on both sides, so that it stays centred and does
    not drag a falling loss behind.

    Args:
        values: (N,).
        width: odd, at least 1; 1 changes nothing.

    Returns:
        (N,) float64.
    """
    count = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    at = np.arange(count)
    half = np.minimum(np.minimum(at, count - 1 - at), width // 2)
    return (sums[at + half + 1] - sums[at - half]) / (2 * half + 1)


def outline_of(values: np.ndarray, points: int) -> np.ndarray:
    """Indices that keep a long line's look: of each stretch the smallest and the largest.

    Args:
        values: (N,).
        points: how many indices at most, at least 4.

    Returns:
        (M,) int64, increasing, with the first and the last; all where N <= points.
    """
    count = len(values)
    if count <= points:
        return np.arange(count)
    edges = np.linspace(0, count, (points - 2) // 2 + 1).astype(np.int64)
    kept = {0, count - 1}
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        piece = values[start:stop]
        kept |= {int(start + piece.argmin()), int(start + piece.argmax())}
    return np.array(sorted(kept), dtype=np.int64)


def _number(value: object) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else float("nan")  # type: ignore[arg-type]

"""Metrics of a running run: each read parses only the new lines.

metrics.jsonl only grows, but a resumed run replaces it by a shorter one (`rewind_metrics`). So a
reader keeps how far it has read, and begins anew when the file is another one, has shrunk, has
changed without growing, or no longer holds its last line where that was.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.errors import CutSwapError
from cutswap.runs.states import need_update
from cutswap.utils.files import MAX_LINE, is_own_file, unreadable
from cutswap.utils.folder_names import METRICS


class MetricsTail:
    """Reads one run's metrics.jsonl again and again; safe for threads.

    The answer is that of `states.training_curve`, as are the refusals. Not noticed is a change of
    earlier lines that came together with new ones: nothing writes such a file.

    Args:
        run: the run folder; need not exist yet.
    """

    def __init__(self, run: Path) -> None:
        self.file = run / METRICS
        self._lock = threading.Lock()
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._seen: tuple[int, ...] = ()
        self._offset = 0  # bytes of the lines that are kept
        self._last = b""  # the last of them, with its line break
        self._lines: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        """All complete updates up to now, each with a whole `step`, finite `loss` and `accuracy`.

        Returns:
            A list of its own; the lines are shared and must not be written to.

        Raises:
            CutSwapError: the file cannot be read, or was edited into something else.
        """
        with self._lock:
            if not is_own_file(self.file):
                self._forget()
                return []
            try:
                with self.file.open("rb") as file:
                    seen = _stamp(os.fstat(file.fileno()))
                    if seen == self._seen:
                        return list(self._lines)
                    if not self._goes_on(seen, file):
                        self._forget()
                    file.seek(self._offset)
                    new = self._lines_of(file)
            except OSError as error:
                self._forget()
                raise unreadable(self.file, error) from error
            self._take(new)
            self._seen = seen
            return list(self._lines)

    def _forget(self) -> None:
        self._seen, self._offset, self._last = (), 0, b""
        self._lines = []

    def _goes_on(self, seen: tuple[int, ...], file: Any) -> bool:
        """Whether the file is the one that was read, and has only grown."""
        if not self._seen or seen[:2] != self._seen[:2] or seen[2] <= self._seen[2]:
            return False
        file.seek(self._offset - len(self._last))
        return bool(file.read(len(self._last)) == self._last)

    def _lines_of(self, file: Any) -> bytes:
        """The rest of the file; a line without end is refused before it fills the memory."""
        lines: list[bytes] = []
        while line := file.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                number = len(self._lines) + len(lines) + 1
                raise CutSwapError(
                    f"{self.file}, line {number}",
                    expected="one JSON object a line",
                    found=line[:80].decode("utf-8", errors="replace"),
                    fix="remove that line or restore the file",
                )
            lines.append(line)
        return b"".join(lines)

    def _take(self, new: bytes) -> None:
        """Parse, check, and only then keep."""
        pieces = new.rstrip(b"\n").split(b"\n")
        first = len(self._lines) + 1
        values: list[Any] = []
        for number, piece in enumerate(pieces, start=first):
            text = piece.decode("utf-8", errors="replace")
            try:
                values.append(json.loads(text))
            except (ValueError, RecursionError):
                if number < first + len(pieces) - 1:
                    raise CutSwapError(
                        f"{self.file}, line {number}",
                        expected="one JSON object a line",
                        found=text[:80],
                        fix="remove that line or restore the file",
                    ) from None
        for number, value in enumerate(values, start=first):
            need_update(self.file, number, value)
        if values:  # a last line without its break counts with it: where another byte comes,
            # `_goes_on` sees that the line is not what was kept
            self._lines += [self._slim(value) for value in values]
            self._last = pieces[len(values) - 1] + b"\n"
            self._offset += sum(len(piece) + 1 for piece in pieces[: len(values)])

    def _slim(self, line: dict[str, Any]) -> dict[str, Any]:
        """The same with names that all lines share: the parser makes new ones for every line."""
        names = tuple(line)
        return dict(zip(self._names.setdefault(names, names), line.values(), strict=True))


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


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
        steps=np.array([line["step"] for line in lines], dtype=np.int64),
        seconds=np.cumsum(samples / speed) if is_timed else None,
        loss=np.array([line["loss"] for line in lines], dtype=np.float64),
        accuracy=np.array([line["accuracy"] for line in lines], dtype=np.float64),
        speed=speed,
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

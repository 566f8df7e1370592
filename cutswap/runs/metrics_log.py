"""Metrics of a running run: each read parses only the new lines.

metrics.jsonl only grows, but a resumed run replaces it by a shorter one (`rewind_metrics`). So a
reader keeps how far it has read, and begins anew when the file is another one, has shrunk, has
changed without growing, or no longer holds its last line where that was.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from cutswap.errors import CutSwapError
from cutswap.runs.states import need_update
from cutswap.utils.files import MAX_LINE, is_own_file, open_own, unreadable
from cutswap.utils.folder_names import METRICS

WHOLE = 20_000  # lines that are kept; of a run with more every second, fourth, eighth ... one
RECENT = 1000  # of the newest lines that are kept whatever there are before them


class MetricsTail:
    """Reads one run's metrics.jsonl again and again; safe for threads.

    The answer is that of `states.training_curve`, as are the refusals, up to `WHOLE` lines. Of a
    longer file the last `RECENT` are read and the rest is thinned: a million lines took 37 s and
    2.6 GB. Lines left out are not checked. Not noticed is a change of earlier lines that came
    together with new ones: nothing writes such a file.

    Args:
        run: the run folder; need not exist yet.
    """

    def __init__(self, run: Path) -> None:
        self.file = run / METRICS
        self._lock = threading.Lock()
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._seen: tuple[int, ...] = ()
        self._offset = 0  # bytes of the lines that were read
        self._last = b""  # the last of them, with its line break
        self._count = 0  # of those lines
        self._stride = 1  # each so many lines one is kept for good
        self._kept: dict[int, dict[str, Any]] = {}  # these, by the line's number, from 1
        self._newest: dict[int, dict[str, Any]] = {}  # the last `RECENT`
        self._lines: list[dict[str, Any]] = []  # what `read` gives

    def read(self) -> list[dict[str, Any]]:
        """All complete updates up to now, each with a whole `step`, finite `loss` and `accuracy`.

        Returns:
            A list of its own, oldest first, thinned where there are more than `WHOLE`; the lines
            are shared and must not be written to.

        Raises:
            CutSwapError: the file cannot be read, or was edited into something else.
        """
        with self._lock:
            if not is_own_file(self.file):
                self._forget()
                return []
            try:
                with open_own(self.file) as file:
                    seen = _stamp(os.fstat(file.fileno()))
                    if seen == self._seen:
                        return list(self._lines)
                    if not self._goes_on(seen, file):
                        self._forget()
                    file.seek(self._offset)
                    self._take(file)
            except OSError as error:
                self._forget()
                raise unreadable(self.file, error) from error
            self._seen = seen
            return list(self._lines)

    def _forget(self) -> None:
        self._seen, self._offset, self._last = (), 0, b""
        self._count, self._stride = 0, 1
        self._kept, self._newest, self._lines = {}, {}, []

    def _goes_on(self, seen: tuple[int, ...], file: IO[bytes]) -> bool:
        """Whether the file is the one that was read, and has only grown."""
        if not self._seen or seen[:2] != self._seen[:2] or seen[2] <= self._seen[2]:
            return False
        file.seek(self._offset - len(self._last))
        return bool(file.read(len(self._last)) == self._last)

    def _take(self, file: IO[bytes]) -> None:
        """Read the rest of the file; parse, check, and only then keep."""
        new: dict[int, Any] = {}
        recent: deque[tuple[int, bytes, int]] = deque(maxlen=RECENT)  # number, text, where it ends
        stride, number, end = self._stride, self._count, self._offset
        broken: tuple[int, bytes] | None = None  # forgiven where it is the last one: cut short
        while piece := file.readline(MAX_LINE + 1):
            text = piece.removesuffix(b"\n")
            if broken is not None and text:
                raise self._foreign(*broken)
            if broken is not None:
                continue
            number, end = number + 1, end + len(text) + 1
            if len(piece) > MAX_LINE:  # before it fills the memory
                raise self._foreign(number, text)
            if not text or (number - 1) % stride == 0:
                try:
                    new[number] = _parsed(text)
                except (ValueError, RecursionError):
                    broken = number, text
                    continue
            recent.append((number, text, end))
            if len(self._kept) + len(new) > WHOLE:
                stride *= 2
                new = {n: value for n, value in new.items() if (n - 1) % stride == 0}
                self._kept = {n: v for n, v in self._kept.items() if (n - 1) % stride == 0}
        self._stride = stride
        for place, text, _ in tuple(recent):
            if place in new:
                continue
            try:
                new[place] = _parsed(text)
            except (ValueError, RecursionError):
                if broken is not None or place != recent[-1][0]:
                    raise self._foreign(place, text) from None
                recent.pop()
        for place in sorted(new):
            need_update(self.file, place, new[place])
        if recent:  # a last line without its break counts with it: where another byte comes,
            # `_goes_on` sees that the line is not what was kept
            self._count, text, self._offset = recent[-1]
            self._last = text + b"\n"
            self._keep({place: self._slim(new[place]) for place in sorted(new)})

    def _keep(self, new: dict[int, dict[str, Any]]) -> None:
        """Join checked lines, by their number, with those there are."""
        first = self._count - RECENT + 1  # of the newest ones
        self._newest = {n: v for n, v in {**self._newest, **new}.items() if n >= first}
        self._kept |= {n: v for n, v in new.items() if (n - 1) % self._stride == 0}
        earlier = [value for n, value in self._kept.items() if n < first]
        self._lines = [*earlier, *self._newest.values()]

    def _foreign(self, number: int, text: bytes) -> CutSwapError:
        return CutSwapError(
            f"{self.file}, line {number}",
            expected="one JSON object a line",
            found=text.decode("utf-8", errors="replace")[:80],
            fix="remove that line or restore the file",
        )

    def _slim(self, line: dict[str, Any]) -> dict[str, Any]:
        """The same with names that all lines share: the parser makes new ones for every line."""
        names = tuple(line)
        return dict(zip(self._names.setdefault(names, names), line.values(), strict=True))


def _parsed(text: bytes) -> Any:
    return json.loads(text.decode("utf-8", errors="replace"))


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
    checkpoints, and pauses between a stop and its resumption are not in it. An update that is
    missing in between counts as long as the next one.

    Args:
        lines: as `MetricsTail.read` gives them.
        samples: an update sees, all classes counted: batch size times classes.
    """
    speed = np.array([_number(line.get("images_per_second")) for line in lines], dtype=np.float64)
    is_timed = samples > 0 and bool(len(lines)) and bool(np.all(speed > 0))
    steps = np.array([line["step"] for line in lines], dtype=np.int64)
    # Of a thinned curve each line stands for those left out before it.
    stands_for = np.maximum(1, np.diff(steps, prepend=steps[:1] - 1))
    return RunSeries(
        steps=steps,
        seconds=np.cumsum(stands_for * samples / speed) if is_timed else None,
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

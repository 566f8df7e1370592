"""What one comparison found, and the timers that find it: ours and the plain way in turns.

Other work on the machine slows both sides of a turn alike, so ratios are taken turn by turn and
survive what absolute times do not. On a busy machine the `processor` clock with one thread comes
closest to what an idle one would show.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_EVERY = 0.002  # seconds between two looks


Step = Callable[[], Any]
Seconds = tuple[float, ...]
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@dataclass(frozen=True)
class Measurement:
    """One line of the table.

    Attributes:
        name: short and unique, for example `coreset`.
        what: what was done, with its sizes.
        ours: median seconds of ours; None where seconds are not what counts.
        baseline: median seconds of the plain way; None where there is none.
        figure: what is held against the target, in `unit`; None when skipped.
        unit: `times faster`, `times the cost`, `times the memory`, `s`, or another unit.
        target: the figure wanted; None where none was set.
        at_least: whether the figure must reach the target, or stay within it.
        repetitions: turns measured.
        spread: smallest and largest figure of a single turn.
        more: further figures by name, for the JSON file.
        skipped: why nothing was measured.
    """

    name: str
    what: str
    ours: float | None = None
    baseline: float | None = None
    figure: float | None = None
    unit: str = "s"
    target: float | None = None
    at_least: bool = False
    repetitions: int = 0
    spread: tuple[float, float] | None = None
    more: dict[str, Any] = field(default_factory=dict)
    skipped: str | None = None

    @property
    def ratio(self) -> float | None:
        """Seconds of the plain way over ours: how many times faster ours is."""
        if self.ours is None or self.baseline is None:
            return None
        return self.baseline / self.ours

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without a figure or a target."""
        if self.figure is None or self.target is None:
            return None
        return self.figure >= self.target if self.at_least else self.figure <= self.target

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        fields = (
            "name",
            "what",
            "ours",
            "baseline",
            "ratio",
            "figure",
            "unit",
            "target",
            "at_least",
            "met",
            "repetitions",
            "skipped",
        )
        values = {name: _rounded(getattr(self, name)) for name in fields}
        values["spread"] = [_rounded(v) for v in self.spread] if self.spread else None
        return {**values, "more": _rounded(self.more)}


def in_turns(
    ours: Step, baseline: Step, repetitions: int, *, warm_up: bool = True, clock: str = "wall"
) -> tuple[Seconds, Seconds]:
    """Time two ways of doing the same in turns, who begins alternating.

    Args:
        ours: one way.
        baseline: the other.
        repetitions: turns, at least 1.
        warm_up: run both once before, untimed; leave out where one run takes minutes.
        clock: one of `CLOCKS`.

    Returns:
        Seconds of ours and of the baseline, turn by turn.
    """
    if warm_up:
        baseline()
        ours()
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repetitions):
        order = (0, 1) if turn % 2 else (1, 0)
        for side in order:
            times[side].append(seconds(baseline if side else ours, clock))
    return tuple(times[0]), tuple(times[1])


def seconds(step: Step, clock: str = "wall") -> float:
    """Time of one call by one of `CLOCKS`."""
    read = CLOCKS[clock]
    began = read()
    step()
    return read() - began


def times_faster(
    name: str,
    what: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    target: float | None,
    **more: Any,
) -> Measurement:
    """Baseline over ours, at least the target; seconds turn by turn."""
    figures = [b / o for o, b in zip(ours, baseline, strict=True)]
    return _compared(name, what, ours, baseline, figures, "times faster", target, True, more)


def times_the_cost(
    name: str,
    what: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    target: float | None,
    **more: Any,
) -> Measurement:
    """Ours over baseline, at most the target; seconds turn by turn."""
    figures = [o / b for o, b in zip(ours, baseline, strict=True)]
    return _compared(name, what, ours, baseline, figures, "times the cost", target, False, more)


def within(
    name: str, what: str, ours: Sequence[float], target: float | None, **more: Any
) -> Measurement:
    """Median seconds, at most the target."""
    return Measurement(
        name,
        what,
        ours=statistics.median(ours),
        figure=statistics.median(ours),
        target=target,
        repetitions=len(ours),
        spread=(min(ours), max(ours)),
        more=more,
    )


def skipped(name: str, what: str, why: str) -> Measurement:
    """A comparison that could not be made here."""
    return Measurement(name, what, skipped=why)


def _compared(
    name: str,
    what: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    figures: Sequence[float],
    unit: str,
    target: float | None,
    at_least: bool,
    more: dict[str, Any],
) -> Measurement:
    # The median of the turns' ratios: within a turn both sides met the same other work.
    return Measurement(
        name,
        what,
        ours=statistics.median(ours),
        baseline=statistics.median(baseline),
        figure=statistics.median(figures),
        unit=unit,
        target=target,
        at_least=at_least,
        repetitions=len(figures),
        spread=(min(figures), max(figures)),
        more=more,
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {str(k): _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return value


def extra_memory(step: Callable[[], Any]) -> float | None:
    """Largest resident memory during a call above that before it, bytes; None outside Linux.

    Freed memory is given back to the system first: otherwise the allocator would serve the step
    from what earlier steps left behind, and nothing would show.
    """
    if not _STATUS.exists():
        return None
    gc.collect()
    _trim()
    before, highest = _resident(), 0
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, _resident())
            time.sleep(_EVERY)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        step()
    finally:
        done.set()
        watcher.join()
    return float(max(0, highest - before))


def _resident() -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _trim() -> None:
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
        if trim:
            trim(0)

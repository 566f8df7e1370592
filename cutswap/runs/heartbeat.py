"""heartbeat.json of a run folder: who works on it, on what, and when it last said so.

A process that ends by itself writes how it ended; one that is killed leaves its last beat behind,
and the lock that it held is gone. So the folder alone tells a run at work from one that was
interrupted, also after a restart of the machine, also for runs started in a terminal, and also from
another container, where a process number means nothing.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cutswap.errors import CutSwapError, DeviceLostError
from cutswap.utils.files import read_json, write_json
from cutswap.utils.folder_names import HEARTBEAT, LOCK
from cutswap.utils.processes import PATIENCE, Process, is_held, this_process

EVERY = 2.0  # seconds between beats: as often as a page looks
_LARGEST = 2**31  # of process numbers and of units of work
SILENT = 60.0  # seconds without a beat after which a living process is said to be silent
WORKING, STOPPED, FAILED, DONE = "working", "stopped", "failed", "done"
MOST_SKEW = 2 * 24 * 3600.0  # seconds that two machines' clocks may differ; beyond it a beat is old
_first_seen: dict[Hashable, tuple[object, float]] = {}  # of a folder: the last beat, and since when
_seeing = threading.Lock()
_MOST_SEEN = 10_000  # folders
# What a reader concludes from it.
AT_WORK, QUIET, ELSEWHERE, INTERRUPTED = "at work", "silent", "at work elsewhere", "interrupted"


@dataclass(frozen=True)
class Beat:
    """One heartbeat.

    Attributes:
        by: the process.
        at: when, seconds since 1970.
        how: working, or how it ended: stopped, failed, interrupted (its device went) or done.
        doing: the stage, or the reason of a failure.
        done: units of the stage done.
        total: units in all; 0 when unknown.
        held: whether a process held the run folder's lock when this was read; None where that
            could not be told, and the process's number has to do.
        unchanged: seconds that this very beat has been the last one, by the reader's own clock, for
            another machine's may differ. None where nobody has listened.
    """

    by: Process
    at: float
    how: str
    doing: str
    done: int = 0
    total: int = 0
    held: bool | None = None
    unchanged: float | None = None

    def state(self, now: float | None = None) -> str:
        """`AT_WORK`, `QUIET`, `ELSEWHERE`, `INTERRUPTED`, or how it ended."""
        if self.how != WORKING:
            return self.how
        age = (time.time() if now is None else now) - self.at
        fresh = age < SILENT
        if self.held or (self.held is None and self.by.is_alive()):
            return AT_WORK if fresh else QUIET
        # Another machine's processes cannot be asked, and its locks perhaps not be seen: it can
        # only be heard. A container's host has a name of its own, but its locks are seen here.
        here = self.by.host == this_process().host
        is_known = here if self.held is None else self.by.is_of_this_system()
        if self.unchanged is not None and age < MOST_SKEW:  # its clock may be ahead or behind
            fresh = self.unchanged < SILENT
        return ELSEWHERE if fresh and not is_known else INTERRUPTED


@dataclass
class Heart:
    """Beats while a process works on a run folder.

    Attributes:
        folder: the run folder.
        by: the process.
        ended: whether it has said how it ended.
    """

    folder: Path
    by: Process = field(default_factory=this_process)
    ended: bool = False
    _last: float = field(default=0.0, init=False)

    def beat(self, doing: str, done: int = 0, total: int = 0) -> None:
        """Write a heartbeat, every `EVERY` seconds at most; one that cannot be written is lost."""
        now = time.monotonic()
        if self._last and now - self._last < EVERY and done != total:
            return
        self._last = now
        self._write(WORKING, doing, done, total)

    def end(self, how: str, doing: str = "") -> None:
        """Say how it ended: `STOPPED`, `FAILED`, `INTERRUPTED` or `DONE`."""
        self.ended = True
        self._write(how, doing, 0, 0)

    def _write(self, how: str, doing: str, done: int, total: int) -> None:
        beat = {**self.by.to_dict(), "at": round(time.time(), 3), "how": how, "doing": doing}
        with contextlib.suppress(CutSwapError):  # a full disk is told where results are written
            write_json(self.folder / HEARTBEAT, {**beat, "done": done, "total": total})


@contextlib.contextmanager
def beating(folder: Path) -> Iterator[Heart]:
    """A heart for as long as the block lasts; how it ended is written at its end."""
    heart = Heart(folder)
    heart.beat("starting")
    try:
        yield heart
    except (KeyboardInterrupt, GeneratorExit):
        heart.end(STOPPED, "before the first update was done or between two")
        raise
    except DeviceLostError as error:  # nothing is wrong with the run itself
        heart.end(INTERRUPTED, str(error))
        raise
    except BaseException as error:
        heart.end(FAILED, str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise
    if not heart.ended:
        heart.end(DONE)


def read_beat(folder: Path) -> Beat | None:
    """The last beat; None where there is none or it was edited into something else."""
    path = folder / HEARTBEAT
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 10_000:
            return None
        v: dict[str, Any] = read_json(path)
        by = Process(int(v["pid"]), str(v["marker"]), str(v["host"]))
        how, at = str(v["how"]), float(v["at"])
        done, total = int(v["done"]), int(v["total"])
        if how not in (WORKING, STOPPED, FAILED, DONE, INTERRUPTED) or not math.isfinite(at):
            return None
        if not 0 < by.pid < _LARGEST or not 0 <= min(done, total) <= max(done, total) < _LARGEST:
            return None
        doing = str(v["doing"])[:500]
        held = is_held(folder / LOCK)
        return Beat(
            by=by,
            at=at,
            how=how,
            doing=doing,
            done=done,
            total=total,
            held=held,
            unchanged=_unchanged(folder, (by, at, how, doing, done, total)),
        )
    except (CutSwapError, OSError, LookupError, TypeError, ValueError, OverflowError):
        return None


def is_awaited(folder: Path, by: Process, since: float | None) -> bool:
    """Whether another machine's process may yet say its first word on a run.

    Python and torch take seconds to start. By this process's own clock it gets `SILENT` of them.

    Args:
        folder: the run folder.
        by: the process.
        since: when it began, by its own clock, which may differ by `MOST_SKEW`; None: unknown.
    """
    if since is not None and time.time() - since > MOST_SKEW:
        return False
    return _unchanged((folder, "first word"), by) < SILENT


def _unchanged(key: Hashable, seen: object) -> float:
    """Seconds since this process first saw this of a folder; 0 at the first sight."""
    now = time.monotonic()
    with _seeing:
        last, since = _first_seen.get(key, (None, now))
        if last != seen:
            since = now
        _first_seen[key] = seen, since
        while len(_first_seen) > _MOST_SEEN:
            del _first_seen[next(iter(_first_seen))]
    return now - since


@contextlib.contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Hold the run folder's lock: no other process writes into it.

    The lock is the operating system's: it is gone with the process, also after `kill -9`.

    Raises:
        CutSwapError: somebody is at work there, or nothing can be written.
    """
    # Who only asks whether somebody is at work holds it for a moment, see `is_held`.
    lock = FileLock(folder / LOCK, timeout=PATIENCE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        beat = read_beat(folder)
        who = f"process {beat.by.pid} at work on it" if beat else "a process at work on it"
        raise CutSwapError(
            folder,
            expected="a run folder that nobody else writes",
            found=who,
            fix="wait for it or stop it; two processes would spoil each other's run",
        ) from None
    except OSError as error:
        raise CutSwapError(
            folder,
            expected="to be able to write the run folder",
            found=error.strerror or error,
            fix="free disk space, check its permissions, or choose another --out",
        ) from error
    try:
        yield
    finally:
        lock.release()

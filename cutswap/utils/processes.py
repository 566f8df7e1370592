"""Identify a process by number, start time and boot, and tell whether it lives by its lock.

Process numbers are given out again, and after a restart of the machine so are start times counted
from boot; the three together name one process for ever. But a number says nothing to another
container, so a process that others ask for holds a lock file (`hold_life`) in a folder that they
all see: `<folder>/.alive/`. The operating system lets go of it with the process, also after
`kill -9`, and answers everybody who can open the file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutswap.utils import windows

_STAT = "/proc/{}/stat"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
ALIVE = ".alive"  # folder of the lock files of processes that live
PATIENCE = 0.5  # seconds for a lock that may be held for a moment by who only asks
_PAUSE = 0.02
_LIFE = re.compile(r"[0-9a-f]{32}\.lock")
_HELD_BY_OTHERS = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK)
_lives: dict[Path, int] = {}  # lock files of this process: open until it ends
_lives_lock = threading.Lock()


@dataclass(frozen=True)
class Process:
    """One process, alive or not.

    Attributes:
        pid: its number.
        marker: boot and start in the system's own words; empty when it could not be told.
        host: the machine's name.
    """

    pid: int
    marker: str
    host: str

    def is_alive(self) -> bool:
        """Whether it can be seen to run; one of another machine or container cannot."""
        return self.host == platform.node() and bool(self.marker) and self.marker == mark(self.pid)

    def is_of_this_system(self) -> bool:
        """Whether this operating system would know of its locks, in whatever container it ran."""
        boot = _boot()
        return self.host == platform.node() or (boot != "" and self.marker.startswith(f"{boot} "))

    def lives(self, folder: Path) -> bool | None:
        """Whether it runs, asked by its lock in `folder`, see `hold_life`.

        Returns:
            None: of another machine, whose locks may not be seen from here.
        """
        held = is_held(life_file(folder, self))
        if held or self.is_alive():
            return True
        if held is None:  # of an older version, or a disk without locks: its number is all there is
            return False if self.host == platform.node() else None
        return False if self.is_of_this_system() else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {"pid": self.pid, "marker": self.marker, "host": self.host}


def process(pid: int) -> Process:
    """The process that has this number now."""
    return Process(pid, mark(pid) or "", platform.node())


def this_process() -> Process:
    """The one that asks."""
    return process(os.getpid())


def mark(pid: int) -> str | None:
    """Boot and start of a living process; None for a dead, unreaped or impossible one."""
    # A damaged file must never name init or a group of everything. In a container the process
    # that asks may be number 1 itself.
    if pid < 1 or (pid == 1 and os.getpid() != 1):
        return None
    if Path(_STAT.format("self")).exists():
        try:
            line = Path(_STAT.format(pid)).read_text(encoding="utf-8", errors="replace")
            # The name in brackets may hold anything; state is the first word after it, and the
            # start, in clock ticks since boot, the twentieth.
            words = line.rpartition(")")[2].split()
            boot = _boot()
            return None if not boot or words[0] in "ZX" else f"{boot} {words[19]}"
        except (OSError, IndexError):
            return None
    if sys.platform == "win32":
        created = windows.created(pid)
        return None if created is None else str(created)
    listing = subprocess.run(  # noqa: S603 - macOS has no /proc
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    return None if not listing or listing[0].startswith("Z") else " ".join(listing[1:])


def end(pid: int, *, by_force: bool) -> None:
    """Ask a process to end, or kill its whole group; one that has gone is no error.

    On Windows nobody can be asked without a console in common: there it ends at once either way.

    Args:
        pid: of a process that `is_alive` has just said is ours.
        by_force: do not ask.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            windows.end_tree(pid)
        elif by_force and os.getpgid(pid) == pid:  # never somebody else's
            os.killpg(pid, signal.SIGKILL)
        else:
            # Its main process alone: helpers that draw samples are to finish theirs.
            os.kill(pid, signal.SIGKILL if by_force else signal.SIGTERM)


def detached() -> dict[str, Any]:
    """Arguments of `Popen` for a process that outlives its parent and the terminal."""
    return windows.detached() if sys.platform == "win32" else {"start_new_session": True}


def hold_life(folder: Path, *, over_exec: bool = False) -> None:
    """Hold this process's lock file in `<folder>/.alive/` until it ends; twice is no error.

    Where no lock can be had (a disk without locks, a folder of somebody else) others have only the
    process's number to go by, as `Process.lives` does.

    Args:
        folder: one that those who will ask can read.
        over_exec: hold it also for the program that this process becomes.
    """
    if sys.platform == "win32":
        return
    path = life_file(folder, this_process())
    with _lives_lock, contextlib.suppress(OSError):
        if path in _lives and _is_at(_lives[path], path):
            os.set_inheritable(_lives[path], over_exec or os.get_inheritable(_lives[path]))
            return
        if path in _lives:  # somebody deleted the file
            os.close(_lives.pop(path))
        if path.parent.is_symlink():  # perhaps to somebody else's files
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        latest = time.monotonic() + PATIENCE
        while time.monotonic() < latest:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                # A sweep may have taken the file away between the two: then a new one is needed.
                if _locked(handle, exclusive=True) and _is_at(handle, path):
                    os.set_inheritable(handle, over_exec)
                    _lives[path] = handle
                    return
            finally:
                if path not in _lives:
                    os.close(handle)
            time.sleep(_PAUSE)


def is_held(lock: Path) -> bool | None:
    """Whether a process, of whatever container, holds a lock file; nothing is made or written.

    Returns:
        None: it cannot be told: no such file, not readable, or a disk without locks.
    """
    if sys.platform == "win32":
        return None
    try:
        # Not blocking: it might be a FIFO, which would wait for a writer.
        handle = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        # Shared, so that those who ask do not find each other.
        is_file = stat.S_ISREG(os.fstat(handle).st_mode)
        return not _locked(handle, exclusive=False) if is_file else None
    except OSError:
        return None
    finally:
        os.close(handle)  # this lets go of the lock, too


def sweep_lives(folder: Path) -> None:
    """Delete the lock files of processes that have ended."""
    if sys.platform == "win32":
        return
    place = folder / ALIVE
    with contextlib.suppress(OSError):
        if place.is_symlink():
            return
        for path in place.iterdir():
            if not _LIFE.fullmatch(path.name):
                continue
            with contextlib.suppress(OSError):  # somebody else's, or another sweep was first
                handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if _locked(handle, exclusive=True) and _is_at(handle, path):
                        path.unlink()
                finally:
                    os.close(handle)


def life_file(folder: Path, of: Process) -> Path:
    """The lock file by which others know that a process lives; it need not exist."""
    words = f"{of.host}\n{of.pid}\n{of.marker}".encode(errors="backslashreplace")
    return folder / ALIVE / f"{hashlib.sha256(words).hexdigest()[:32]}.lock"


def _locked(handle: int, *, exclusive: bool) -> bool:
    """Take a lock, unless somebody else holds one that forbids it.

    Raises:
        OSError: there are no locks here.
    """
    if sys.platform == "win32":  # there processes are known by number and start alone
        raise OSError(errno.ENOLCK, "no locks of this kind")
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_BY_OTHERS:
            return False
        raise
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one that its name leads to."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _boot() -> str:
    """The machine's present run in the system's own words; empty where it has none."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""

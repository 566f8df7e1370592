"""Identify a process by number, start time and boot, so that a reused number is noticed.

Process numbers are given out again, and after a restart of the machine so are start times counted
from boot; the three together name one process for ever.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutswap.utils import windows

_STAT = "/proc/{}/stat"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


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
        """Whether it still runs; a process of another machine is never alive here."""
        return self.host == platform.node() and bool(self.marker) and self.marker == mark(self.pid)

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
    if pid <= 1:  # a damaged file must never name init or a group of everything
        return None
    if Path(_STAT.format("self")).exists():
        try:
            stat = Path(_STAT.format(pid)).read_text(encoding="utf-8", errors="replace")
            # The name in brackets may hold anything; state is the first word after it, and the
            # start, in clock ticks since boot, the twentieth.
            words = stat.rpartition(")")[2].split()
            boot = _BOOT.read_text(encoding="ascii").strip()
            return None if words[0] in "ZX" else f"{boot} {words[19]}"
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

"""Fine-tuning in a process of its own: started, found again and stopped by the app.

Beside the run folder `runs/bolt` lies `runs/bolt.log`, what the process says; which process it is,
says `runs/bolt.job.json` (of a nested run `runs/demo.run.job.json`, so that one look finds all).
How far a run has come is read from the run folder alone (`cutswap.runs`); here is only told
whether somebody is at work on it. A process is known by its number and the time it began, since
numbers are given out again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from cutswap.errors import CutSwapError
from cutswap.files import read_json, write_json

_ROOT = Path(__file__).resolve().parents[1]  # so that -m finds the package in a bare clone
_NICENESS = 10
_JOB = ".job.json"
_LOG = ".log"
_LOG_BYTES = 40_000  # of the log's end that are read: progress bars fill it


@dataclass(frozen=True)
class Job:
    """A process at work on a run, or that was.

    Attributes:
        run: the run folder.
        command: its argument list.
        pid: its process number, also of its process group.
        marker: when the operating system says it began.
        began: the same on our clock, seconds since 1970.
    """

    run: Path
    command: tuple[str, ...]
    pid: int
    marker: str
    began: float


class Jobs:
    """Starts and finds jobs of one runs folder; safe for threads and for several apps.

    Args:
        folder: the runs folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, run: Path, command: Sequence[str]) -> Job:
        """Start a command in a session of its own, so that it outlives the app.

        Args:
            run: the run folder it writes, inside the runs folder; need not exist.
            command: argument list, no shell.

        Raises:
            CutSwapError: another job is at work, or nothing can be started or written.
        """
        with self._lock, self._alone():
            busy = self.working()
            if busy is not None:
                raise CutSwapError(
                    "fine-tuning",
                    expected="a free machine: one run at a time",
                    found=f"{busy.run.name} at work",
                    fix="wait for it, or stop it; its checkpoint stays",
                )
            try:
                with log_file(run).open("ab") as log:
                    child = subprocess.Popen(  # noqa: S603 - our own interpreter, a list
                        list(command),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                        close_fds=True,
                        cwd=_ROOT,
                    )
            except OSError as error:
                raise CutSwapError(
                    run,
                    expected="to be able to start a process that writes there",
                    found=error.strerror or error,
                    fix="free disk space, or set CUTSWAP_RUNS to a folder that you can write",
                ) from error
            with contextlib.suppress(OSError):  # the pages come first
                os.setpriority(os.PRIO_PROCESS, child.pid, _NICENESS)
            self._children[child.pid] = child
            job = Job(run, tuple(command), child.pid, _marker(child.pid) or "", time.time())
            inside = run.relative_to(self.folder).as_posix()  # the folder may be moved later
            values: dict[str, Any] = {**asdict(job), "run": inside}
            write_json(self._file(run), values)
            return job

    def all(self) -> list[Job]:
        """The last job of every run that ever had one; damaged files are passed over."""
        found = [_read(path) for path in sorted(self.folder.glob(f"*{_JOB}"))]
        return [job for job in found if job is not None]

    def working(self) -> Job | None:
        """The job at work, also one that an earlier app started; None when all is quiet."""
        return next((job for job in self.all() if self.is_alive(job)), None)

    def is_alive(self, job: Job) -> bool:
        """Whether its process still runs; one that has ended and nobody asked for is reaped."""
        child = self._children.get(job.pid)
        if child is not None:
            return child.poll() is None
        return bool(job.marker) and _marker(job.pid) == job.marker

    def stop(self, job: Job, *, by_force: bool = False) -> None:
        """Ask a job's whole process group to end; the run folder keeps its last checkpoint.

        Args:
            job: one that is perhaps alive.
            by_force: do not ask (SIGKILL).
        """
        if self.is_alive(job):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(job.pid) == job.pid:  # never the group of somebody else
                    os.killpg(job.pid, signal.SIGKILL if by_force else signal.SIGTERM)

    def of(self, run: Path) -> Job | None:
        """The last job on a run, at work or not."""
        job = _read(self._file(run))
        return job if job is not None and job.run == run else None

    def _file(self, run: Path) -> Path:
        return self.folder / (".".join(run.relative_to(self.folder).parts) + _JOB)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else looks and starts at the same moment, in any process."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / ".jobs.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise CutSwapError(
                self.folder,
                expected="to be able to write the runs folder",
                found=error.strerror or error,
                fix="free disk space, or set CUTSWAP_RUNS to a folder that you can write",
            ) from error


@st.cache_resource(show_spinner=False)
def jobs_of(folder: Path) -> Jobs:
    """One registry a process: it must outlive reruns, or ended children stay zombies."""
    return Jobs(folder)


def log_file(run: Path) -> Path:
    """Where a run's process writes what it has to say."""
    return run.with_name(run.name + _LOG)


def log_tail(run: Path, lines: int = 20) -> list[str]:
    """The log's last lines; of a progress bar, drawn over itself, its last state. None: none."""
    try:
        with log_file(run).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOG_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    kept = []
    for line in text.split("\n"):
        pieces = [piece for piece in line.split("\r") if piece.strip()]
        if pieces:
            kept.append("".join(c for c in pieces[-1] if c.isprintable()).rstrip())
    return kept[-lines:]


def _read(path: Path) -> Job | None:
    """A job file's content; None where there is none or it is damaged."""
    try:
        values = read_json(path)
        inside = Path(values["run"])
        if inside.is_absolute() or ".." in inside.parts or not inside.parts:
            return None
        return Job(
            path.parent / inside,
            tuple(str(part) for part in values["command"]),
            int(values["pid"]),
            str(values["marker"]),
            float(values["began"]),
        )
    except (CutSwapError, LookupError, TypeError, ValueError):
        return None


def _marker(pid: int) -> str | None:
    """When a living process began, in the system's own words; None for a dead or unreaped one."""
    if pid <= 1:  # a damaged file must never name init or a group of everything
        return None
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The name in brackets may hold anything; state is the first word after it, and the
            # start, in clock ticks since boot, the twentieth.
            words = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return None if words[0] in "ZX" else words[19]
        except (OSError, IndexError):
            return None
    found = subprocess.run(  # noqa: S603 - macOS has no /proc
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    return None if not found or found[0].startswith("Z") else " ".join(found[1:])

"""The job queue of a runs folder: waiting and running jobs, their order and device.

Kept in `<runs>/.queue.sqlite3` (SQLite, in WAL mode on disks of this machine), so that several
pages, apps and terminals see the same and no two of them start the same job. The database holds
order and processes only; how far a run has come is in its own folder, and whether a process lives,
the operating system says.

    queued -> claimed by a worker -> running in a process of its own -> ended

A job moves from claimed to running when its own process writes itself down (`register`): whatever
dies in between, it is started exactly once. Next to the run folder `bolt` lies `bolt.log`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from cutswap.errors import CutSwapError
from cutswap.runs.find import network_disk
from cutswap.runs.heartbeat import ELSEWHERE, is_awaited, read_beat
from cutswap.utils.processes import Process, end, hold_life, sweep_lives, this_process

DATABASE = ".queue.sqlite3"
QUEUED, CLAIMED, RUNNING, ENDED = "queued", "claimed", "running", "ended"
SLOTS = "CUTSWAP_JOBS_PER_DEVICE"  # environment: jobs at once on one device
_WAIT = 30.0  # seconds for somebody else's transaction, which takes milliseconds
_PAUSE = 0.02
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL, command TEXT NOT NULL, device TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'claimed', 'running', 'ended')),
    added REAL NOT NULL, began REAL, ended REAL, code INTEGER,
    pid INTEGER, marker TEXT, host TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS one_active_job_a_run ON jobs (run) WHERE state != 'ended';
CREATE INDEX IF NOT EXISTS jobs_by_run ON jobs (run, id);
CREATE TABLE IF NOT EXISTS workers (
    device TEXT NOT NULL, slot INTEGER NOT NULL, pid INTEGER, marker TEXT, host TEXT,
    PRIMARY KEY (device, slot)
);
"""
_COLUMNS = (
    "id",
    "run",
    "command",
    "device",
    "state",
    "added",
    "began",
    "ended",
    "code",
    "pid",
    "marker",
    "host",
)


@dataclass(frozen=True)
class Job:
    """One entry of the queue.

    Attributes:
        number: in the order of adding.
        run: the run folder.
        command: everything after `python -m cutswap`.
        device: what it waits for: cpu, mps, cuda:0, ...
        state: queued, claimed, running or ended.
        added: seconds since 1970.
        began: when its process wrote itself down; None before.
        ended: when it was seen to have ended; None before.
        code: exit status; None where nobody was there to see it.
        by: the process at work, or the worker that has claimed it.
    """

    number: int
    run: Path
    command: tuple[str, ...]
    device: str
    state: str
    added: float
    began: float | None
    ended: float | None
    code: int | None
    by: Process | None

    @property
    def is_active(self) -> bool:
        """Waiting or running."""
        return self.state != ENDED


class JobQueue:
    """All operations on one runs folder; each is one transaction, safe for threads and processes.

    Args:
        folder: the runs folder; made when the first job is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, run: Path, command: Sequence[str], device: str) -> Job:
        """Put a job at the end of its device's line.

        Args:
            run: the run folder it writes, inside the runs folder.
            command: everything after `python -m cutswap`.
            device: what it shall wait for.

        Raises:
            CutSwapError: the run is outside, or waits or is at work already, or nothing can be
                written.
        """
        inside = self._inside(run)
        with self._transaction() as db:
            self._reap(db)
            try:
                cursor = db.execute(
                    "INSERT INTO jobs (run, command, device, state, added) VALUES (?, ?, ?, ?, ?)",
                    (inside, json.dumps(list(command)), device, QUEUED, time.time()),
                )
            except sqlite3.IntegrityError:
                raise CutSwapError(
                    inside,
                    expected="a run that neither waits nor is at work",
                    found="it is in the queue already",
                    fix="choose another name, or wait",
                ) from None
            return self._job(db, "id = ?", cursor.lastrowid)  # type: ignore[return-value]

    def active(self) -> list[Job]:
        """Running and waiting jobs, in their order."""
        jobs = self._seen("state != 'ended' ORDER BY state = 'queued', id")
        return [job for job in jobs if job.is_active]

    def last_of_all(self) -> list[Job]:
        """The last job of every run that ever had one."""
        return self._seen("id IN (SELECT MAX(id) FROM jobs GROUP BY run) ORDER BY id")

    def of(self, run: Path) -> Job | None:
        """The last job of a run, ended or not; None outside the runs folder."""
        if not run.is_relative_to(self.folder):
            return None
        inside = run.relative_to(self.folder).as_posix()
        return next(iter(self._seen("run = ? ORDER BY id DESC LIMIT 1", inside)), None)

    def stop(self, run: Path, *, by_force: bool = False) -> bool:
        """Remove a waiting job, or ask a running one to end after its update.

        Args:
            run: the run folder.
            by_force: do not ask: kill its whole process group.

        Returns:
            Whether there was anything to stop.

        Raises:
            CutSwapError: it works in another container or on another machine.
        """
        with self._transaction() as db:
            self._reap(db)
            job = self._job(db, "run = ? AND state != 'ended'", self._inside(run))
            if job is None:
                return False
            if job.state != RUNNING:
                # A claimed one's process finds its entry ended and goes away.
                db.execute(
                    "UPDATE jobs SET state = 'ended', ended = ? WHERE id = ?",
                    (time.time(), job.number),
                )
                return True
        if job.by is not None and not job.by.is_alive() and job.by.lives(self.folder) is not False:
            raise CutSwapError(
                self._inside(run),
                expected="a job of this machine and container",
                found=f"one of another, process {job.by.pid} of {job.by.host}",
                fix="stop it there: signals do not reach it from here",
            )
        if job.by is not None and job.by.is_alive():
            end(job.by.pid, by_force=by_force)
        return True

    def forget(self, run: Path) -> None:
        """Drop a run's entries, after it was deleted.

        Raises:
            CutSwapError: it waits or is at work.
        """
        if not self._only_idle(run):
            return
        with self._transaction() as db:
            db.execute("DELETE FROM jobs WHERE run = ?", (self._inside(run),))

    def rename(self, run: Path, new: Path) -> None:
        """Let a run's entries follow its folder.

        Raises:
            CutSwapError: it waits or is at work.
        """
        if not self._only_idle(run):
            return
        with self._transaction() as db:
            pair = (self._inside(new), self._inside(run))
            db.execute("UPDATE jobs SET run = ? WHERE run = ?", pair)

    def _seen(self, where: str, *values: Any) -> list[Job]:
        """Jobs as they are now; what has changed is noted where the file can be written."""
        if not (self.folder / DATABASE).exists():
            return []
        try:
            with self._transaction() as db:
                self._reap(db)
                return self._jobs(db, where, *values)
        except CutSwapError as error:
            # A full disk, a folder that may only be read: looking needs neither.
            if not isinstance(error.__cause__, (sqlite3.OperationalError, PermissionError)):
                raise
            try:
                return self._read_only(where, *values)
            except sqlite3.Error:
                raise error from None

    def _read_only(self, where: str, *values: Any) -> list[Job]:
        """The same of a file that cannot be written."""
        file = (self.folder / DATABASE).absolute().as_uri()
        # With the journal where there is one; it takes a file beside it, which a read-only folder
        # may lack: then as if nobody wrote, and nobody can.
        for way in ("mode=ro", "mode=ro&immutable=1"):
            with (
                contextlib.suppress(sqlite3.OperationalError),
                contextlib.closing(sqlite3.connect(f"{file}?{way}", uri=True)) as db,
            ):
                db.row_factory = sqlite3.Row
                found = db.execute(f"SELECT * FROM jobs WHERE {where}", values)  # noqa: S608
                return [self._as_it_is(row) for row in found.fetchall()]
        raise sqlite3.OperationalError("it cannot be read")

    def _as_it_is(self, row: sqlite3.Row) -> Job:
        """What `_reap` would write down."""
        job = self._read(row)
        if job.state not in (CLAIMED, RUNNING) or self._is_at_work(row):
            return job
        return replace(job, state=QUEUED if job.state == CLAIMED else ENDED)

    # What workers and job processes do

    def hire(self, device: str, worker: Process) -> bool:
        """Write a worker down, if the device has a free place and something waits for it."""
        with self._transaction() as db:
            self._reap(db)
            sweep_lives(self.folder)  # after the jobs were asked for
            if not self._jobs(db, "device = ? AND state = 'queued' LIMIT 1", device):
                return False
            taken = {}
            for row in db.execute("SELECT * FROM workers WHERE device = ?", (device,)):
                taken[row["slot"]] = _process(row)
            for slot in range(slots()):
                there = taken.get(slot)
                if there is None or not there.lives(self.folder):
                    db.execute(
                        "INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?, ?)",
                        (device, slot, worker.pid, worker.marker, worker.host),
                    )
                    return True
            return False

    def claim(self, device: str, worker: Process) -> Job | None:
        """The next job of a device, if a place is free; it is then this worker's."""
        with self._transaction() as db:
            self._reap(db)
            at_work = self._jobs(db, "device = ? AND state IN ('claimed', 'running')", device)
            if len(at_work) >= slots():
                return None
            waiting = self._job(db, "device = ? AND state = 'queued' ORDER BY id LIMIT 1", device)
            if waiting is None:
                return None
            db.execute(
                "UPDATE jobs SET state = 'claimed', pid = ?, marker = ?, host = ? WHERE id = ?",
                (worker.pid, worker.marker, worker.host, waiting.number),
            )
            return self._job(db, "id = ?", waiting.number)

    def retire(self, device: str, worker: Process) -> bool:
        """Let a worker go, unless something waits for its device."""
        with self._transaction() as db:
            if self._jobs(db, "device = ? AND state = 'queued' LIMIT 1", device):
                return False
            db.execute(
                "DELETE FROM workers WHERE device = ? AND pid = ? AND host = ?",
                (device, worker.pid, worker.host),
            )
            return True

    def register(self, number: int) -> Job | None:
        """A job's own process writes itself down; None if the job is not to be started (again).

        From before that to its end it holds a lock, also as the command that it becomes.
        """
        me = this_process()
        hold_life(self.folder, over_exec=True)
        with self._transaction() as db:
            began = db.execute(
                "UPDATE jobs SET state = 'running', began = ?, pid = ?, marker = ?, host = ?"
                " WHERE id = ? AND state = 'claimed'",
                (time.time(), me.pid, me.marker, me.host, number),
            )
            return self._job(db, "id = ?", number) if began.rowcount == 1 else None

    def finish(self, number: int, code: int) -> None:
        """Note a job's exit status, unless it is another machine's meanwhile.

        To one that sees no locks a slow start looks like a dead worker: it may have taken the job
        and be at work on it. Within a machine a job stays with its worker while that lives.
        """
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state = 'ended', ended = COALESCE(ended, ?), code = ?"
                " WHERE id = ? AND state != 'queued' AND host = ?",
                (time.time(), code, number, this_process().host),
            )

    def _reap(self, db: sqlite3.Connection) -> None:
        """Mark jobs whose process is gone as ended; requeue those whose worker died before that."""
        at_work = "SELECT * FROM jobs WHERE state IN ('claimed', 'running')"
        for row in db.execute(at_work).fetchall():
            if self._is_at_work(row):
                continue
            if row["state"] == CLAIMED:
                db.execute(
                    "UPDATE jobs SET state = 'queued', pid = NULL, marker = NULL, host = NULL"
                    " WHERE id = ?",
                    (row["id"],),
                )
            else:
                now = time.time()
                db.execute(
                    "UPDATE jobs SET state = 'ended', ended = ? WHERE id = ?", (now, row["id"])
                )

    def _is_at_work(self, row: sqlite3.Row) -> bool:
        there = _process(row)
        lives = there.lives(self.folder) if there is not None else False
        if lives is not None or there is None:
            return bool(lives)
        job = self._read(row)  # another machine's can only be heard
        beat = read_beat(job.run)
        if beat is not None and beat.by == there:
            return beat.state() == ELSEWHERE
        return is_awaited(job.run, there, job.began)

    def _only_idle(self, run: Path) -> bool:
        """Whether there is anything to change."""
        job = self.of(run)
        if job is not None and job.is_active:
            raise CutSwapError(
                self._inside(run),
                expected="a run that neither waits nor is at work",
                found=job.state,
                fix="stop it first",
            )
        return job is not None

    def _inside(self, run: Path) -> str:
        try:
            inside = run.relative_to(self.folder)
        except ValueError:
            inside = Path()
        if not inside.parts or ".." in inside.parts:
            raise CutSwapError(
                run,
                expected=f"a folder inside {self.folder}",
                found="one outside",
                fix="choose a run of this runs folder",
            )
        return inside.as_posix()  # relative: the runs folder may be moved later

    def _job(self, db: sqlite3.Connection, where: str, *values: Any) -> Job | None:
        return next(iter(self._jobs(db, where, *values)), None)

    def _jobs(self, db: sqlite3.Connection, where: str, *values: Any) -> list[Job]:
        rows = db.execute(f"SELECT * FROM jobs WHERE {where}", values)  # noqa: S608 - our own words
        return [self._read(row) for row in rows]

    def _read(self, row: sqlite3.Row) -> Job:
        """Parse one row; a queue file from elsewhere may hold anything, and its commands are run.

        Raises:
            sqlite3.DatabaseError: a folder outside, or a command that is none of ours.
        """
        if not set(_COLUMNS) <= set(row.keys()):
            raise sqlite3.DatabaseError("a table of jobs without all its columns")
        try:
            command = json.loads(row["command"])
            run = PurePosixPath(row["run"])
        except (TypeError, ValueError, RecursionError):
            command, run = None, PurePosixPath()
        is_ours = isinstance(command, list) and all(isinstance(word, str) for word in command)
        if not is_ours or not command or command[0].startswith("-"):
            raise sqlite3.DatabaseError(f"job {row['id']} is no command that is ever queued")
        if not run.parts or run.is_absolute() or ".." in run.parts:
            raise sqlite3.DatabaseError(f"job {row['id']} writes outside the runs folder")
        times = row["added"], row["began"], row["ended"]
        if not all(value is None or isinstance(value, (int, float)) for value in times):
            raise sqlite3.DatabaseError(f"job {row['id']} has times that are none")
        code = row["code"]
        if code is not None and type(code) is not int:
            raise sqlite3.DatabaseError(f"job {row['id']} has an exit status that is none")
        if not isinstance(row["device"], str):
            raise sqlite3.DatabaseError(f"job {row['id']} has a device that is none")
        return Job(
            number=row["id"],
            run=self.folder / run,
            command=tuple(command),
            device=row["device"],
            state=row["state"],
            added=times[0],
            began=times[1],
            ended=times[2],
            code=code,
            by=_process(row),
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: who comes second waits, and sees what the first has done."""
        path = self.folder / DATABASE
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                raise OSError("a link, perhaps to somebody else's file")
            with contextlib.closing(
                sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
            ) as db:
                db.row_factory = sqlite3.Row
                _make(db, self.folder)
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
        except (sqlite3.Error, OSError, UnicodeError) as error:  # the last in a damaged message
            raise CutSwapError(
                path,
                expected="a queue that can be read and written",
                found=getattr(error, "strerror", None) or error,
                fix="free disk space and check permissions; if it is damaged, delete this file:"
                " runs are kept, only the order of waiting jobs is lost",
            ) from error


def _make(db: sqlite3.Connection, folder: Path) -> None:
    """Make the tables of a new file; of two who try at once one waits for the other.

    A write-ahead log needs memory that all its readers share, so between machines it breaks:
    https://sqlite.org/wal.html, "does not work over a network filesystem".

    SQLite's own waiting (`timeout`) does not cover the change of the journal's mode.
    """
    end = time.monotonic() + _WAIT
    while db.execute("PRAGMA user_version").fetchone()[0] != 1:
        try:
            db.execute(f"PRAGMA journal_mode = {'DELETE' if network_disk(folder) else 'WAL'}")
            made = f"{_SCHEMA} {_first_number()} PRAGMA user_version = 1;"
            db.executescript(f"BEGIN IMMEDIATE; {made} COMMIT;")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > end:
                raise
            time.sleep(_PAUSE)


def _first_number() -> str:
    """The order by which numbers of a new file begin at the seconds since 1970.

    Somebody may delete the file while jobs run, and a worker of then says at the end that its
    number has ended: beginning at 1 again, that would be another job.
    """
    now = time.time_ns() // 10**9
    none_yet = "NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'jobs')"
    return f"INSERT INTO sqlite_sequence (name, seq) SELECT 'jobs', {now} WHERE {none_yet};"  # noqa: S608


def slots() -> int:
    """Jobs at once on one device: the variable CUTSWAP_JOBS_PER_DEVICE, 1 by default.

    Raises:
        CutSwapError: it is not a number from 1 to 64.
    """
    text = os.environ.get(SLOTS) or "1"
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise CutSwapError(SLOTS, expected="1 to 64", found=text, fix="mend or unset the variable")
    return int(text)


def _process(row: sqlite3.Row) -> Process | None:
    if row["pid"] is None:
        return None
    if type(row["pid"]) is not int or not 0 < row["pid"] < 2**31:
        raise sqlite3.DatabaseError(f"a process {row['pid']!r}")
    names = row["marker"] or "", row["host"] or ""
    if not all(isinstance(name, str) for name in names):
        raise sqlite3.DatabaseError("a process with names that are none")
    return Process(row["pid"], *names)

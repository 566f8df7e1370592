"""The job queue for pages: add, look up, stop.

Nothing is kept here. Jobs are processes of their own (`cutswap.runs.queue`, `cutswap.runs.worker`);
another tab, a restarted app and the command line see the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from app.shared import public, workspace
from app.shared.selection import found_runs
from cutswap.runs.devices import device_for
from cutswap.runs.heartbeat import read_beat
from cutswap.runs.queue import Job, JobQueue
from cutswap.runs.states import FoundRun, read_run
from cutswap.runs.status import RunStatus, has_ended, jobs_ahead, status_of, statuses
from cutswap.runs.worker import wake

LEAVING = 10.0  # seconds that a process which has said its last word may take to go


def queue() -> JobQueue:
    """The queue of the runs folder.

    Raises:
        CutSwapError: the mode is public.
    """
    public.need_private("the queue")
    return JobQueue(workspace.runs_folder())


def enqueue(run: Path, command: Sequence[str], device: str) -> Job:
    """Add a command to its device's queue, and start a worker if there is none.

    Waits up to `LEAVING` seconds for the run's last process, where that has said its last word.

    Args:
        run: the folder it writes, inside the runs folder.
        command: everything after `python -m cutswap`.
        device: as in the settings: auto, cpu, mps, cuda or cuda:N.

    Raises:
        CutSwapError: it is queued already, there is no such device, nothing can be written, or the
            mode is public.
    """
    public.need_private("jobs")
    line = queue()
    patience = time.monotonic() + LEAVING
    while is_leaving(line.of(run)) and time.monotonic() < patience:
        time.sleep(0.1)  # the page offers Resume as soon as the last word is said
    job = line.add(run, command, device_for(device, line))
    wake(line)
    return job


def everything() -> list[tuple[FoundRun, RunStatus]]:
    """All runs, running and waiting ones first; a queue without a worker gets one.

    Raises:
        CutSwapError: the runs folder or its queue cannot be read.
    """
    folder = workspace.runs_folder()
    wake(queue())
    return statuses(folder, found_runs(folder).runs)


def look(path: Path, name: str) -> tuple[FoundRun, RunStatus]:
    """One run as it is now."""
    line = queue()
    run, job = read_run(path, name), line.of(path)
    return run, status_of(run, job, jobs_ahead(job, line.active()) if job else 0)


def is_busy(path: Path) -> bool:
    """Whether a run is waiting or running."""
    return look(path, path.name)[1].is_active


def ahead_on(device: str) -> int:
    """Jobs that a new one on this device would wait for.

    Raises:
        CutSwapError: there is no such device.
    """
    line = queue()
    lane = device_for(device, line)
    return sum(job.device == lane and not is_leaving(job) for job in line.active())


def ahead_of(job: Job) -> int:
    """Jobs before this one in the line of its device."""
    return jobs_ahead(job, queue().active())


def is_leaving(job: Job | None) -> bool:
    """Whether the queue still has a job that the pages show as ended."""
    return job is not None and job.is_active and has_ended(job, read_beat(job.run))

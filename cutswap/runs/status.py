"""Status of a run in one word, from its folder, its heartbeat and the queue.

Nothing is remembered: the folder says how far it came, the heartbeat who works on it, the folder's
lock whether that process lives, the queue whether it waits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutswap.runs import heartbeat
from cutswap.runs.find import find_runs
from cutswap.runs.heartbeat import Beat, read_beat
from cutswap.runs.queue import ENDED, QUEUED, Job, JobQueue
from cutswap.runs.states import BROKEN, DONE, FoundRun, read_run
from cutswap.utils.folder_names import LOCK, SETTINGS
from cutswap.utils.processes import is_held

WAITING, STARTING, AT_WORK, SILENT = "waiting", "starting", "at work", "silent"
ELSEWHERE, STOPPED, INTERRUPTED, FAILED = "at work elsewhere", "stopped", "interrupted", "failed"
ACTIVE = (WAITING, STARTING, AT_WORK, SILENT, ELSEWHERE)
RESUMABLE = (STOPPED, INTERRUPTED, FAILED)


@dataclass(frozen=True)
class RunStatus:
    """Status of a run.

    Attributes:
        word: one of the states of this module, `done` or `broken`.
        why: more on it, for people; empty when there is nothing to add.
        job: the run's last entry in the queue.
        beat: the last heartbeat.
    """

    word: str
    why: str = ""
    job: Job | None = None
    beat: Beat | None = None

    @property
    def is_active(self) -> bool:
        """Waiting or running, here or elsewhere."""
        return self.word in ACTIVE


def status_of(run: FoundRun, job: Job | None, ahead: int = 0) -> RunStatus:
    """Judge one run.

    Args:
        run: what its files say.
        job: its last entry in the queue, if it ever had one.
        ahead: jobs before it in its device's line.
    """
    beat = read_beat(run.path)
    word, why = _judge(run, job, beat, ahead)
    return RunStatus(word, why, job, beat)


def jobs_ahead(job: Job, active: Iterable[Job]) -> int:
    """Running and waiting jobs of the same device before this one."""
    return sum(
        one.device == job.device and (one.state != QUEUED or one.number < job.number)
        for one in active
        if one.number != job.number
    )


def statuses(
    folder: Path, runs: Iterable[FoundRun] | None = None
) -> list[tuple[FoundRun, RunStatus]]:
    """All runs of a folder and its queue: running, waiting, then the last changed.

    Args:
        folder: the runs folder.
        runs: what lies there, where it is known already.

    Raises:
        CutSwapError: the folder or its queue cannot be read.
    """
    queue = JobQueue(folder)
    last = {job.run: job for job in queue.last_of_all()}
    active = [job for job in last.values() if job.is_active]
    by_path = {run.path: run for run in (find_runs(folder).runs if runs is None else runs)}
    for path, job in last.items():  # also those that ended before their first word
        if job.command and job.command[0] == "finetune":
            by_path.setdefault(path, read_run(path, path.relative_to(folder).as_posix()))
    pairs = []
    for path, run in by_path.items():
        job_of = last.get(path)
        ahead = jobs_ahead(job_of, active) if job_of else 0
        pairs.append((run, status_of(run, job_of, ahead)))

    def order(pair: tuple[FoundRun, RunStatus]) -> tuple[Any, ...]:
        run, stands = pair
        if stands.is_active:
            return 0, ACTIVE.index(stands.word) == 0, stands.job.number if stands.job else 0
        return 1, False, -max(run.changed, stands.job.added if stands.job else 0.0)

    return sorted(pairs, key=order)


def _judge(run: FoundRun, job: Job | None, beat: Beat | None, ahead: int) -> tuple[str, str]:
    state = beat.state() if beat else ""
    if state == heartbeat.ELSEWHERE and beat:
        return ELSEWHERE, f"on {beat.by.host}"
    if beat and state == heartbeat.QUIET:
        quiet = time.time() - beat.at
        return SILENT, f"process {beat.by.pid} lives, but has said nothing for {quiet:.0f} s"
    if beat and state == heartbeat.AT_WORK:
        return AT_WORK, beat.doing
    if beat is None and (job is None or job.state == ENDED) and is_held(run.path / LOCK):
        return SILENT, "a process holds its folder, but has written no heartbeat"
    if job is not None and job.state == QUEUED:
        return WAITING, f"for {job.device}, {ahead} before it" if ahead else f"for {job.device}"
    if job is not None and job.state != ENDED and not has_ended(job, beat):
        return STARTING, ""
    if run.state == DONE:
        return DONE, ""
    if job is not None and job.began is None and not run.path.is_dir():
        return STOPPED, "taken out of the queue before it began"
    if not run.path.is_dir() or (run.state == BROKEN and beat and beat.how == heartbeat.FAILED):
        return FAILED, beat.doing if beat else "it ended before its first word; see the log"
    was_cut_off = job is not None and job.began is not None
    if run.state == BROKEN and was_cut_off and not os.path.lexists(run.path / SETTINGS):
        return INTERRUPTED, "it was killed before it had written its settings"
    if run.state == BROKEN:
        return BROKEN, run.reason
    if state == heartbeat.FAILED and beat:
        return FAILED, beat.doing
    if state == heartbeat.STOPPED and beat:
        return STOPPED, beat.doing
    if beat and beat.how == heartbeat.INTERRUPTED:
        return INTERRUPTED, beat.doing
    return INTERRUPTED, "its process was killed, or the machine restarted"


def has_ended(job: Job, beat: Beat | None) -> bool:
    """Whether the job's own process has said its last word, and is only about to go.

    The queue calls such a job active until the process is gone, a second or more later.

    Args:
        job: one that the queue calls active.
        beat: the last heartbeat of its run.
    """
    is_own = beat is not None and job.by is not None and beat.by.pid == job.by.pid
    return is_own and beat is not None and beat.how != heartbeat.WORKING

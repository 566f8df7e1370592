"""The worker of a device: starts its waiting jobs one after another, and goes when none is left.

    python -m cutswap.runs.worker RUNS DEVICE            hired by `wake`
    python -m cutswap.runs.worker RUNS DEVICE --job N    the process of job N, started by a worker

Both live in sessions of their own, so they outlive the page, the app and the terminal. A worker
imports no torch and sleeps while its job runs. If it is killed its job goes on; whoever looks at
the queue next hires another.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cutswap.errors import CutSwapError
from cutswap.installation.shipped import checkout
from cutswap.runs.queue import QUEUED, Job, JobQueue
from cutswap.runs.states import log_file
from cutswap.utils.files import append_own
from cutswap.utils.processes import detached, hold_life, this_process

_NICENESS = 10  # the pages come first
_PAUSE = 1.0  # seconds between looks while an orphaned job holds the device
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_hired: list[subprocess.Popen[bytes]] = []  # polled now and then, or they stay zombies


def wake(queue: JobQueue) -> None:
    """Hire workers for the devices that jobs wait for; cheap when there is nothing to do.

    Raises:
        CutSwapError: no process can be started.
    """
    _hired[:] = [child for child in _hired if child.poll() is None]
    for device in dict.fromkeys(job.device for job in queue.active() if job.state == QUEUED):
        try:
            # More than needed may come: `hire` lets one in for every place and sends the others
            # away, so two that wake at the same moment do no harm.
            _hired.append(_start([str(queue.folder), device], subprocess.DEVNULL))
        except OSError as error:
            raise CutSwapError(
                "the queue",
                expected="to be able to start a process",
                found=error.strerror or error,
                fix="free memory, or start the job in a terminal with the command shown",
            ) from error


def work(queue: JobQueue, device: str) -> None:
    """A worker's life."""
    me = this_process()
    hold_life(queue.folder)  # so that another container's pages know of it
    if not queue.hire(device, me):
        return
    while True:
        job = queue.claim(device, me)
        if job is not None:
            queue.finish(job.number, _run(queue, job))
        elif queue.retire(device, me):
            return
        else:
            time.sleep(_PAUSE)


def become(queue: JobQueue, number: int) -> int:
    """Turn this process into the job's command; returns only if it is not to be started."""
    job = queue.register(number)
    if job is None:
        return 0
    if sys.platform == "win32":  # there a process cannot turn into another and keep its number
        sys.argv = ["cutswap", *job.command]
        runpy.run_module("cutswap", run_name="__main__", alter_sys=True)
    os.execv(sys.executable, _python("cutswap", *job.command))  # noqa: S606


def _run(queue: JobQueue, job: Job) -> int:
    """Start a job's process and wait for its exit status."""
    try:
        log = log_file(job.run)
        log.parent.mkdir(parents=True, exist_ok=True)
        with append_own(log) as output:
            child = _start(
                [str(queue.folder), job.device, "--job", str(job.number)],
                output.fileno(),
                _environment(job.device),
            )
        return child.wait()
    except OSError:
        return 127  # as shells say of what cannot be started


def _start(
    arguments: list[str], output: int, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter, a list
        _python("cutswap.runs.worker", *arguments),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        **detached(),
        cwd=checkout() or arguments[0],
        env=environment,
    )


def _python(module: str, *arguments: str) -> list[str]:
    """How to run one of our modules in a process of its own.

    In a bare clone -m finds it in the current folder, which is the clone. Installed it is found
    anyway, and -P keeps Python from looking in the runs folder, where a file may have any name.
    """
    return [sys.executable, *([] if checkout() else ["-P"]), "-m", module, *arguments]


def _environment(device: str) -> dict[str, str] | None:
    """Ours, with only the job's CUDA device to be seen: its settings may go on saying `auto`."""
    if not device.startswith("cuda:"):
        return None
    index = int(device.removeprefix("cuda:"))
    seen = [name for name in os.environ.get(_VISIBLE, "").split(",") if name.strip()]
    return {**os.environ, _VISIBLE: seen[index] if index < len(seen) else str(index)}


def main(arguments: Sequence[str] | None = None) -> int:
    """One worker, or one job."""
    parser = argparse.ArgumentParser(prog="cutswap.runs.worker")
    parser.add_argument("runs", type=Path)
    parser.add_argument("device")
    parser.add_argument("--job", type=int)
    options = parser.parse_args(arguments)
    queue = JobQueue(options.runs)
    try:
        if options.job is not None:
            return become(queue, options.job)
        with contextlib.suppress(OSError, AttributeError):  # Windows has none
            os.nice(_NICENESS)
        work(queue, options.device)
    except CutSwapError as error:
        print(f"cutswap: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Cells on processes of this machine, without any further package.

Each worker holds one end of a pipe. Whoever dies is known by its own pipe, so its task alone is
tried again and a new process takes its place; when the driver dies the workers see it and leave.

A worker needs 2.5 s to load torch. A command may start its workers as its first act, so that they
load while it loads itself and lays out the work (`early_workers`).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from cutswap.sweeps.engines import Outcome, Task, load_all, run_task, words_of
from cutswap.utils.signals import stop_on_signals

_LOOK = 0.2  # seconds between two looks at `stop`
_PATIENCE = 60.0  # seconds a worker has to leave after a stop: one update and a checkpoint


@dataclass(eq=False)
class Worker:
    """A worker process, the driver's end of its pipe, and its current task."""

    process: multiprocessing.process.BaseProcess
    pipe: Connection
    task: Task | None = None


class LocalEngine:
    """Keeps some processes busy.

    Args:
        workers: how many processes.
        retries: further attempts of a task that failed or whose process died.
        early: workers to begin with, of `early_workers`; further ones are started.
    """

    def __init__(self, workers: int, retries: int, early: Sequence[Worker] = ()) -> None:
        self._count, self._retries, self._early = workers, retries, early

    def run(self, tasks: Sequence[Task], stop: Callable[[], bool]) -> Iterator[Outcome]:
        """See `engines.Engine`."""
        waiting = deque(tasks)
        attempts: dict[Task, int] = {}
        count = min(self._count, len(waiting))
        workers = list(self._early[:count])
        workers += [_start() for _ in range(count - len(workers))]
        try:
            while not stop() and (waiting or any(w.task for w in workers)):
                for place, worker in enumerate(workers):
                    if worker.task is None and waiting:
                        if not worker.process.is_alive():
                            worker = workers[place] = _start()
                        _give(worker, waiting.popleft(), attempts)
                for worker in _ready(workers):
                    task, error = worker.task, _result(worker)
                    worker.task = None
                    if task is None:
                        continue
                    if error is None:
                        yield Outcome(task, attempts=attempts[task])
                    elif attempts[task] <= self._retries and not stop():
                        waiting.append(task)
                    elif not stop():
                        yield Outcome(task, error, attempts[task])
        finally:
            _end(workers)


@contextlib.contextmanager
def early_workers(count: int) -> Iterator[list[Worker]]:
    """Processes that load what cells need; those that got no task are ended at once.

    Args:
        count: how many.
    """
    workers = [_start() for _ in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            if worker.process.is_alive():  # the engine has ended those that it used
                worker.process.kill()
            worker.process.join()


def _start() -> Worker:
    # Spawned: a forked torch may hang in its threads, and CUDA cannot be forked.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there,))
    process.start()
    there.close()
    return Worker(process, here)


def _give(worker: Worker, task: Task, attempts: dict[Task, int]) -> None:
    attempts[task] = attempts.get(task, 0) + 1
    worker.task = task
    with contextlib.suppress(OSError):  # died just now: its closed pipe says so at the next look
        worker.pipe.send_bytes(task.to_json().encode())


def _ready(workers: Sequence[Worker]) -> list[Worker]:
    busy = [w for w in workers if w.task]
    ready = wait([w.pipe for w in busy], _LOOK)
    return [w for w in busy if w.pipe in ready]


def _result(worker: Worker) -> str | None:
    """None where the task is done, else why not."""
    try:
        return worker.pipe.recv_bytes().decode() or None
    except (EOFError, OSError):
        worker.process.join(5)
        code = worker.process.exitcode
        return f"its process died (exit code {code}); of memory, or killed from outside"


def _end(workers: Sequence[Worker]) -> None:
    """Ask busy workers to stop, end the idle ones."""
    for worker in workers:
        worker.pipe.close()  # idle ones leave at this
        if worker.task and worker.process.is_alive():
            worker.process.terminate()
    for worker in workers:
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()


def _work(pipe: Connection) -> None:
    """A worker's life: tasks in, an empty text or an error out."""
    threading.Thread(target=_leave_with_the_driver, daemon=True).start()
    load_all()
    with stop_on_signals() as stop:
        stop.gently = True
        while not stop.asked:
            try:
                text = pipe.recv_bytes().decode()
            except (EOFError, OSError, KeyboardInterrupt):
                return
            try:
                done = run_task(text, lambda: stop.asked)
                said = "" if done else "stopped"
            except Exception as error:  # whatever it is, the driver decides
                said = words_of(error)
            try:
                pipe.send_bytes(said.encode())
            except OSError:
                return


def _leave_with_the_driver() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

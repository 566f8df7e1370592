"""Runs folders of machines whose clocks differ, full disks, and files deleted at work."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cutswap.errors import CutSwapError
from cutswap.runs import heartbeat as hb
from cutswap.runs import status as js
from cutswap.runs.edits import delete_run, rename_run
from cutswap.runs.heartbeat import exclusive_lock, read_beat
from cutswap.runs.queue import DATABASE, JobQueue
from cutswap.runs.states import read_run
from cutswap.utils.folder_names import HEARTBEAT, LOCK
from cutswap.utils.processes import Process, this_process
from tests.helpers.runs import write_run

AWAY = Process(4711, "another-boot 1", "another-machine")
DAY = 24 * 3600.0


def beat_of_another(run: Path, ahead: float, done: int = 1) -> None:
    """What another machine writes whose clock is `ahead` seconds ahead of ours."""
    beat = {**AWAY.to_dict(), "at": time.time() + ahead, "how": hb.WORKING, "doing": "fine-tuning"}
    (run / HEARTBEAT).write_text(json.dumps({**beat, "done": done, "total": 10}))


def word(run: Path) -> str:
    return js.status_of(read_run(run), None).word


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """Lets this machine's own clock go on."""
    passed = [0.0]
    real = time.monotonic
    monkeypatch.setattr(hb.time, "monotonic", lambda: real() + passed[0])
    hb._first_seen.clear()

    def go_on(seconds: float) -> None:
        passed[0] += seconds

    return go_on


@pytest.mark.parametrize("ahead", [0, -90, 90, -DAY, DAY, 365 * DAY])
def test_another_machine_is_heard_by_its_beats_not_by_its_clock(
    tmp_path: Path, ahead: float, clock
):
    """A clock 90 s off let a run in training be deleted; one of next year lived for ever."""
    run = write_run(tmp_path / "run", 4, finished=False)
    for done in range(1, 4):
        beat_of_another(run, ahead, done)
        assert word(run) == js.ELSEWHERE
        clock(hb.SILENT - 5)
        assert word(run) == js.ELSEWHERE
    clock(10)  # no beat for longer than a minute of ours
    assert word(run) == js.INTERRUPTED
    delete_run(tmp_path, run, lambda path: word(path) == js.ELSEWHERE)
    assert not run.exists()


@pytest.mark.usefixtures("clock")
def test_a_beat_of_last_week_is_old_at_the_first_sight(tmp_path: Path):
    run = write_run(tmp_path / "run", 4, finished=False)
    beat_of_another(run, -7 * DAY)
    assert word(run) == js.INTERRUPTED


WRITES = """
import sys, time
from pathlib import Path
from cutswap.runs.heartbeat import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(600)
"""


CHANGES = {
    "delete": lambda folder, run: delete_run(folder, run, lambda _: False),
    "rename": lambda folder, run: rename_run(folder, run, "other", lambda _: False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_whose_lock_is_held_is_neither_deleted_nor_renamed(tmp_path: Path, change: str):
    """Whoever asked for it believed that nobody is at work."""
    run = write_run(tmp_path / "run", 4, finished=False)
    child = subprocess.Popen([sys.executable, "-c", WRITES, str(run)], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"in\n"
        with pytest.raises(CutSwapError, match="nobody else writes"):
            CHANGES[change](tmp_path, run)
        assert (run / "settings.json").is_file()
    finally:
        child.kill()
        child.wait()
    CHANGES[change](tmp_path, run)
    assert not run.exists()
    assert [p for p in tmp_path.iterdir() if p.name != "other"] == []


def test_a_run_killed_in_its_first_seconds_is_interrupted_and_resumable(tmp_path: Path):
    """Its folder holds a lock and a beat, and no settings yet; the queue knows its command."""
    queue, run = JobQueue(tmp_path), tmp_path / "run"
    job = queue.add(run, ["finetune", "--out", "run"], "cpu")
    queue.claim("cpu", this_process())
    queue.register(job.number)
    with exclusive_lock(run):
        hb.Heart(run, dataclasses.replace(this_process(), marker="gone")).beat("starting")
    queue.finish(job.number, -9)
    stands = js.status_of(read_run(run), queue.of(run))
    assert stands.word == js.INTERRUPTED
    assert stands.word in js.RESUMABLE
    assert stands.job is not None
    assert stands.job.command == ("finetune", "--out", "run")
    (run / "settings.json").write_text("{")  # torn by hand: that is broken
    assert js.status_of(read_run(run), queue.of(run)).word == "broken"


def test_numbers_never_repeat_though_the_queue_file_is_deleted(tmp_path: Path, monkeypatch):
    queue = JobQueue(tmp_path)
    first = [queue.add(tmp_path / f"a{i}", ["finetune"], "cpu").number for i in range(3)]
    queue.claim("cpu", this_process())
    for path in tmp_path.glob(f"{DATABASE}*"):
        path.unlink()
    real = time.time_ns
    monkeypatch.setattr("cutswap.runs.queue.time.time_ns", lambda: real() + 10 * 10**9)
    second = [queue.add(tmp_path / f"b{i}", ["finetune"], "cpu").number for i in range(3)]
    assert not set(first) & set(second)
    queue.claim("cpu", this_process())
    queue.finish(first[0], 0)  # the worker of before
    assert [job.run.name for job in queue.active()] == ["b0", "b1", "b2"]


READS = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from cutswap.runs.queue import JobQueue
from cutswap.runs.status import statuses
folder = Path(sys.argv[1])
queue = JobQueue(folder)
print([(j.run.name, j.state) for j in queue.last_of_all()], [j.run.name for j in queue.active()])
print(queue.of(folder / "b").state, sorted((r.name, s.word) for r, s in statuses(folder)))
try:
    queue.add(folder / "c", ["finetune"], "cpu")
except Exception as error:
    print(type(error).__name__)
"""


def test_all_runs_are_shown_though_nothing_can_be_written(tmp_path: Path):
    """By a reader that can write no byte; a job's process has died, which it cannot note down."""
    queue = JobQueue(tmp_path)
    write_run(tmp_path / "done")
    job = queue.add(tmp_path / "a", ["finetune"], "cpu")
    queue.claim("cpu", this_process())
    register = [sys.executable, "-c", REGISTERS, str(tmp_path), str(job.number)]
    subprocess.run(register, check=True)
    queue.add(tmp_path / "b", ["finetune"], "cpu")
    found = subprocess.run(
        [sys.executable, "-c", READS, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert found[0] == "[('a', 'ended'), ('b', 'queued')] ['b']"
    assert "('done', 'done')" in found[1]
    assert found[2] == "CutSwapError"


REGISTERS = """
import sys
from pathlib import Path
from cutswap.runs.queue import JobQueue
assert JobQueue(Path(sys.argv[1])).register(int(sys.argv[2])) is not None
"""


def test_looking_leaves_no_trace_of_its_lock(tmp_path: Path):
    run = write_run(tmp_path / "run", 4, finished=False)
    assert read_beat(run) is None
    assert not (run / LOCK).exists()


# Two machines on one queue, which see each other's files and none of each other's locks

MACHINE = """
import json, os, platform, sys, time
from pathlib import Path
from cutswap.utils import processes

folder, name, ahead, dies = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4]
real = time.time
platform.node = lambda: name
processes._boot = lambda: f"boot-of-{name}"
processes.is_held = lambda lock: None
time.time = lambda: real() + ahead

from cutswap.runs import heartbeat, queue

heartbeat.is_held = lambda lock: None
heartbeat.SILENT = 1.0  # seconds; a minute in life
line, me = queue.JobQueue(folder), processes.this_process()
print("in", flush=True)
sys.stdin.readline()
line.hire("cpu", me)
while any(job.state == "queued" or job.by.host != name for job in line.active()):
    job = line.claim("cpu", me)
    if job is None or line.register(job.number) is None:
        time.sleep(0.01)
        continue
    if job.number == int(dies):
        os._exit(9)
    with heartbeat.beating(job.run):  # makes the folder
        with (folder / "done").open("a") as file:
            file.write(f"{job.run.name} {name}\\n")
        time.sleep(0.03)
    line.finish(job.number, 0)
    time.sleep(0.02)
"""


@pytest.mark.parametrize("ahead", [-DAY, DAY])
def test_two_machines_with_clocks_a_day_apart_do_each_job_once(tmp_path: Path, ahead: float):
    """One of them dies with a job in its hands: that one is interrupted, the others are done."""
    queue = JobQueue(tmp_path)
    jobs = [queue.add(tmp_path / f"r{i}", ["finetune"], "cpu") for i in range(12)]
    lost = jobs[5].number
    with contextlib.ExitStack() as stack:
        machines = []
        for name, skew in (("one", 0.0), ("other", ahead)):
            command = [sys.executable, "-c", MACHINE, tmp_path, name, skew, lost]
            child = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.callback(child.wait)
            stack.callback(child.kill)
            machines.append(child)
        for child in machines:
            assert child.stdout is not None
            assert child.stdout.readline() == "in\n"
        for child in machines:
            child.stdin.write("\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
        codes = sorted(child.wait(timeout=60) for child in machines)
    assert codes == [0, 9]
    done = [line.split() for line in (tmp_path / "done").read_text().splitlines()]
    assert sorted(name for name, _ in done) == sorted(j.run.name for j in jobs if j.number != lost)
    ended = {job.run.name: (job.state, job.code) for job in queue.last_of_all()}
    assert ended == {job.run.name: ("ended", None if job.number == lost else 0) for job in jobs}


@pytest.mark.parametrize("as_far_as", ["claimed", "running"])
@pytest.mark.parametrize("ahead", [0, -DAY, DAY])
def test_a_job_that_another_machine_is_starting_is_left_to_it(
    tmp_path: Path, as_far_as: str, ahead: float, clock
):
    """Before its first heartbeat it was ended, or taken, at the first look of another machine."""
    queue, run = JobQueue(tmp_path), tmp_path / "a"
    job = queue.add(run, ["finetune"], "cpu")
    _taken_by_another(queue, job.number, as_far_as, time.time() + ahead)
    assert [j.state for j in queue.active()] == [as_far_as]
    clock(hb.SILENT - 5)
    assert queue.claim("cpu", this_process()) is None
    clock(10)
    left = queue.of(run)
    assert left is not None
    assert left.state == ("queued" if as_far_as == "claimed" else "ended")


def test_a_worker_does_not_end_what_another_machine_has_taken_from_it(tmp_path: Path):
    queue, run = JobQueue(tmp_path), tmp_path / "a"
    job = queue.add(run, ["finetune"], "cpu")
    assert queue.claim("cpu", this_process()) is not None
    _taken_by_another(queue, job.number, "running", time.time())
    queue.finish(job.number, 0)  # its own process found the job taken, and went
    assert [j.state for j in queue.active()] == ["running"]


def _taken_by_another(queue: JobQueue, number: int, state: str, began: float) -> None:
    with contextlib.closing(sqlite3.connect(queue.folder / DATABASE)) as db, db:
        db.execute(
            "UPDATE jobs SET state = ?, pid = ?, marker = ?, host = ?, began = ? WHERE id = ?",
            (
                state,
                AWAY.pid,
                AWAY.marker,
                AWAY.host,
                began if state == "running" else None,
                number,
            ),
        )

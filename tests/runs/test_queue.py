"""The queue: order, one at a time, each exactly once, whoever dies in between."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cutswap.commands import jobs as job_commands
from cutswap.data.images import save_png
from cutswap.errors import CutSwapError
from cutswap.runs import worker as job_worker
from cutswap.runs.queue import CLAIMED, DATABASE, ENDED, QUEUED, RUNNING, SLOTS, JobQueue
from cutswap.runs.states import log_file, log_tail, read_run
from cutswap.runs.status import status_of
from cutswap.utils.processes import Process, mark, process, this_process
from tests.helpers.containers import container
from tests.helpers.runs import write_run
from tests.helpers.small_photos import photo_of
from tests.helpers.waiting import until

# A process that writes itself down as the job and stays; deaf to SIGTERM if told so.
STAYS = """
import signal, sys, time
from pathlib import Path
from cutswap.runs.queue import JobQueue
if sys.argv[3] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(JobQueue(Path(sys.argv[1])).register(int(sys.argv[2])) is not None, flush=True)
time.sleep(600)
"""
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAD = Process(2**22 - 5, "never", this_process().host)


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path / "runs")


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[str]]]:
    made: list[subprocess.Popen[str]] = []
    yield made
    for child in made:
        child.kill()
        child.wait()


def stay(queue: JobQueue, number: int, children: list, how: str = "") -> subprocess.Popen[str]:
    """Start the job's process and wait until it has written itself down."""
    child = subprocess.Popen(
        [sys.executable, "-c", STAYS, str(queue.folder), str(number), how],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children.append(child)
    assert child.stdout is not None
    assert child.stdout.readline() == "True\n"
    return child


def state(queue: JobQueue, name: str) -> str:
    job = queue.of(queue.folder / name)
    assert job is not None
    return job.state


def test_first_in_first_out_on_each_device(queue: JobQueue):
    for name, device in (("a", "cpu"), ("b", "cuda:0"), ("c", "cpu"), ("d", "cuda:0")):
        queue.add(queue.folder / name, ["finetune", name], device)
    me = this_process()
    claimed = queue.claim("cpu", me)
    assert claimed is not None
    assert (claimed.run.name, claimed.command, claimed.state) == ("a", ("finetune", "a"), CLAIMED)
    assert queue.claim("cpu", me) is None  # its place is taken
    assert queue.claim("cuda:0", me).run.name == "b"  # another device's is not
    assert [j.run.name for j in queue.active()] == ["a", "b", "c", "d"]
    queue.finish(claimed.number, 0)
    assert queue.claim("cpu", me).run.name == "c"
    assert queue.of(queue.folder / "a").code == 0
    assert queue.of(queue.folder / "e") is None


def test_places_a_device(queue: JobQueue, monkeypatch):
    monkeypatch.setenv(SLOTS, "2")
    for name in "abc":
        queue.add(queue.folder / name, ["x"], "cpu")
    me = this_process()
    assert [queue.claim("cpu", me) is not None for _ in range(3)] == [True, True, False]
    for wrong in ("0", "-1", "two", "65"):
        monkeypatch.setenv(SLOTS, wrong)
        with pytest.raises(CutSwapError, match="1 to 64"):
            queue.claim("cpu", me)


def test_a_run_is_queued_once_and_again_when_it_has_ended(queue: JobQueue):
    job = queue.add(queue.folder / "a", ["x"], "cpu")
    with pytest.raises(CutSwapError, match="in the queue already"):
        queue.add(queue.folder / "a", ["x"], "cuda:0")
    assert queue.stop(job.run)
    assert state(queue, "a") == ENDED
    assert not queue.stop(job.run)
    assert queue.add(queue.folder / "a", ["x"], "cpu").number > job.number
    assert len(queue.last_of_all()) == 1


@pytest.mark.parametrize("name", ["..", "../x", "/etc", ""])
def test_nothing_outside_the_runs_folder(queue: JobQueue, name: str):
    with pytest.raises(CutSwapError, match="inside"):
        queue.add(queue.folder / name, ["x"], "cpu")


def test_of_many_claims_at_once_one_wins(queue: JobQueue):
    for number in range(3):
        queue.add(queue.folder / str(number), ["x"], "cpu")
    won: list[object] = []
    me = this_process()
    threads = [
        threading.Thread(target=lambda: won.append(JobQueue(queue.folder).claim("cpu", me)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 8
    assert sum(job is not None for job in won) == 1


def test_a_claim_whose_worker_died_is_given_back(queue: JobQueue):
    queue.add(queue.folder / "a", ["x"], "cpu")
    queue.claim("cpu", DEAD)
    assert state(queue, "a") == QUEUED


def test_a_job_registers_once(queue: JobQueue):
    job = queue.add(queue.folder / "a", ["x"], "cpu")
    assert queue.register(job.number) is None  # nobody has claimed it
    queue.claim("cpu", this_process())
    registered = queue.register(job.number)
    assert registered is not None
    assert registered.state == RUNNING
    assert queue.register(job.number) is None  # a second process of the same job
    assert queue.register(job.number + 1) is None


def test_a_job_that_was_stopped_before_its_process_came_is_not_started(queue: JobQueue):
    job = queue.add(queue.folder / "a", ["x"], "cpu")
    queue.claim("cpu", this_process())
    assert queue.stop(job.run)
    assert queue.register(job.number) is None


def test_a_killed_job_is_at_work_no_more(queue: JobQueue, children: list):
    job = queue.add(queue.folder / "a", ["x"], "cpu")
    queue.claim("cpu", this_process())
    child = stay(queue, job.number, children)
    assert state(queue, "a") == RUNNING
    assert queue.of(job.run).by.pid == child.pid
    queue.add(queue.folder / "b", ["x"], "cpu")
    assert queue.claim("cpu", this_process()) is None
    child.kill()
    until(lambda: state(queue, "a") == ENDED)  # a zombie until we ask: not alive either
    assert queue.of(job.run).code is None
    assert queue.claim("cpu", this_process()).run.name == "b"


def test_stop_asks_and_force_does_not(queue: JobQueue, children: list):
    for name, how in (("polite", ""), ("stubborn", "deaf")):
        job = queue.add(queue.folder / name, ["x"], name)
        queue.claim(name, this_process())
        child = stay(queue, job.number, children, how)
        assert queue.stop(job.run)
        if how:
            assert child.poll() is None
            assert queue.stop(job.run, by_force=True)
        until(lambda made=child: made.poll() is not None)
        assert child.returncode == -(signal.SIGKILL if how else signal.SIGTERM)


def test_force_takes_the_helpers_along(queue: JobQueue, children: list, tmp_path: Path):
    job = queue.add(queue.folder / "a", ["x"], "cpu")
    queue.claim("cpu", this_process())
    with_helper = STAYS.replace(
        "time.sleep(600)",
        "import subprocess\n"
        "helper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"Path({str(tmp_path / 'helper')!r}).write_text(str(helper.pid))\n"
        "time.sleep(600)",
    )
    child = subprocess.Popen(
        [sys.executable, "-c", with_helper, str(queue.folder), str(job.number), ""],
        start_new_session=True,
        text=True,
    )
    children.append(child)
    until(lambda: (tmp_path / "helper").exists() and (tmp_path / "helper").read_text())
    helper = process(int((tmp_path / "helper").read_text()))
    assert helper.is_alive()
    queue.stop(job.run, by_force=True)
    until(lambda: not helper.is_alive())
    assert child.wait() == -signal.SIGKILL


def test_a_stop_spares_a_stranger_with_the_same_number(queue: JobQueue, children: list):
    stranger = subprocess.Popen(SLEEP, start_new_session=True, text=True)
    children.append(stranger)
    job = queue.add(queue.folder / "a", ["x"], "cpu")
    queue.claim("cpu", this_process())
    queue.register(job.number)
    with sqlite3.connect(queue.folder / DATABASE) as db:
        db.execute("UPDATE jobs SET pid = ?, marker = 'long ago'", (stranger.pid,))
    assert state(queue, "a") == ENDED
    assert not queue.stop(job.run, by_force=True)
    assert stranger.poll() is None


def test_a_worker_a_place(queue: JobQueue):
    me = this_process()
    assert not queue.hire("cpu", me)  # nothing waits
    queue.add(queue.folder / "a", ["x"], "cpu")
    assert queue.hire("cpu", DEAD)
    assert queue.hire("cpu", me)  # the dead one's place
    assert not queue.hire("cpu", me)
    assert not queue.retire("cpu", me)  # something waits
    queue.stop(queue.folder / "a")
    assert queue.retire("cpu", me)


def test_entries_follow_a_renamed_run_and_go_with_a_deleted_one(queue: JobQueue):
    run, new = queue.folder / "a", queue.folder / "b"
    queue.add(run, ["x"], "cpu")
    for change in (lambda: queue.rename(run, new), lambda: queue.forget(run)):
        with pytest.raises(CutSwapError, match="stop it first"):
            change()
    queue.stop(run)
    queue.rename(run, new)
    assert queue.of(run) is None
    assert state(queue, "b") == ENDED
    queue.forget(new)
    assert queue.last_of_all() == []


def test_a_damaged_queue_says_how_to_go_on(queue: JobQueue):
    queue.add(queue.folder / "a", ["x"], "cpu")
    for file in queue.folder.glob(f"{DATABASE}*"):
        file.unlink()
    (queue.folder / DATABASE).write_bytes(b"no database" * 1000)
    with pytest.raises(CutSwapError, match="delete this file"):
        queue.active()
    (queue.folder / DATABASE).unlink()
    assert queue.active() == []


def test_a_runs_folder_that_is_a_file(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CutSwapError, match="queue that can be read and written"):
        JobQueue(tmp_path / "file").add(tmp_path / "file" / "a", ["x"], "cpu")


# Workers


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for split in ("train/good", "test/good"):
        save_png(tmp_path / "data/part" / split / "0.png", photo_of(0, (64, 64)))
    return tmp_path / "data"


def check(data: Path, out: Path) -> list[str]:
    """A quick command that leaves its start and end in a file."""
    return ["check-data", "--data", str(data), "--json", str(out)]


def test_whoever_finds_another_making_the_file_waits(tmp_path: Path):
    """SQLite's own waiting does not cover the change of the journal's mode."""
    folder = tmp_path / "runs"
    folder.mkdir()
    other = sqlite3.connect(folder / DATABASE, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        added = pool.submit(JobQueue(folder).add, folder / "a", ["check-data"], "cpu")
        time.sleep(0.3)  # it tries meanwhile; where it has not yet, the test says less
        assert not added.done()
        other.execute("COMMIT")
        assert added.result().run == folder / "a"
    other.close()
    assert [job.run.name for job in JobQueue(folder).active()] == ["a"]


def test_ten_jobs_from_two_sides_run_one_at_a_time_each_once(queue: JobQueue, data: Path):
    sides = (queue, JobQueue(queue.folder))

    def side(which: int) -> None:
        for number in range(5):
            name = f"{which}{number}"
            command = check(data, queue.folder / f"{name}.json")
            sides[which].add(queue.folder / name, command, "cpu")
            job_worker.wake(sides[which])

    threads = [threading.Thread(target=side, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: all(job.code is not None for job in queue.last_of_all()), 120)
    done = queue.last_of_all()
    assert len(done) == 10
    assert [job.code for job in done] == [0] * 10
    assert len(list(queue.folder.glob("*.json"))) == 10
    for job in done:
        said = log_file(job.run).read_text()
        assert said.count("training needs no more") == 1, said
    spans = sorted((job.began, job.ended) for job in done)
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:], strict=False))
    assert [j.run.name for j in sorted(done, key=lambda j: j.began)] == [
        j.run.name for j in sorted(done, key=lambda j: j.number)
    ]


def test_a_worker_outlives_whoever_woke_it(queue: JobQueue, data: Path):
    code = (
        "import sys; from pathlib import Path; from cutswap.runs.worker import wake;"
        "from cutswap.runs.queue import JobQueue; q = JobQueue(Path(sys.argv[1]));"
        f"[q.add(q.folder / n, {check(data, queue.folder / 'x.json')!r}, 'cpu') for n in 'ab'];"
        "wake(q)"
    )
    subprocess.run([sys.executable, "-c", code, str(queue.folder)], check=True)
    # Its code may come a moment after its end was seen.
    until(lambda: [job.code for job in queue.last_of_all()] == [0, 0])


def test_a_command_that_fails_says_so_and_the_next_goes_on(queue: JobQueue, data: Path):
    queue.add(queue.folder / "bad", ["check-data", "--data", "/nowhere"], "cpu")
    queue.add(queue.folder / "good", check(data, queue.folder / "x.json"), "cpu")
    job_worker.work(queue, "cpu")  # in this process: it ends when the queue is empty
    assert [job.code for job in queue.last_of_all()] == [2, 0]
    assert "/nowhere" in log_tail(queue.folder / "bad")[-1]


@pytest.mark.journey
def test_a_killed_worker_leaves_its_job_and_the_next_worker_waits(
    queue: JobQueue, data: Path, children: list
):
    first = queue.add(queue.folder / "a", ["x"], "cpu")
    queue.claim("cpu", this_process())
    orphan = stay(queue, first.number, children)
    queue.add(queue.folder / "b", check(data, queue.folder / "x.json"), "cpu")
    job_worker.wake(queue)
    until(lambda: any(child.poll() is None for child in job_worker._hired))
    assert state(queue, "b") == QUEUED
    orphan.kill()
    until(lambda: state(queue, "b") == ENDED)
    until(lambda: queue.of(queue.folder / "b").code == 0)


def test_a_job_sees_its_own_cuda_device(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert job_worker._environment("cpu") is None
    assert job_worker._environment("cuda:1")["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    assert job_worker._environment("cuda:1")["CUDA_VISIBLE_DEVICES"] == "GPU-b"


# Other containers

IN_A_CONTAINER = """
import sys, time
from pathlib import Path
from cutswap.runs import worker
from cutswap.runs.heartbeat import beating, exclusive_lock
from cutswap.runs.queue import JobQueue
from cutswap.utils.processes import hold_life, this_process
queue, as_far_as = JobQueue(Path(sys.argv[1])), sys.argv[2]
hold_life(queue.folder)
assert queue.hire("cpu", this_process())
job = queue.claim("cpu", this_process())
if as_far_as != "claimed":
    assert queue.register(job.number)
if as_far_as == "becoming":  # what the worker starts, from there on: no run folder, no heartbeat
    import os
    print("in", flush=True)
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"])
if as_far_as == "at work":
    with exclusive_lock(job.run), beating(job.run):
        print("in", flush=True)
        time.sleep(600)
print("in", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("as_far_as", "word", "after"),
    [
        ("claimed", "starting", QUEUED),
        ("registered", "starting", ENDED),
        ("becoming", "starting", ENDED),
        ("at work", "at work", ENDED),
    ],
)
def test_a_job_of_another_container_is_at_work_until_it_is_killed(
    queue: JobQueue, as_far_as: str, word: str, after: str, capsys
):
    run = queue.add(queue.folder / "a", ["finetune"], "cpu").run
    queue.add(queue.folder / "b", ["finetune"], "cpu")
    write_run(run, 4, finished=False)
    with container(IN_A_CONTAINER, queue.folder, as_far_as) as (_, said):
        assert said == "in"
        assert state(queue, "a") == (CLAIMED if as_far_as == "claimed" else RUNNING)
        assert status_of(read_run(run, "a"), queue.of(run)).word == word
        assert not queue.hire("cpu", this_process())  # its worker has the place
        assert queue.claim("cpu", this_process()) is None  # and its job the device
        with pytest.raises(CutSwapError, match="in the queue already"):
            queue.add(run, ["finetune"], "cpu")
        if as_far_as != "claimed":
            with pytest.raises(CutSwapError, match="stop it there"):
                queue.stop(run)
        job_commands._list(queue.folder)
        assert "interrupted" not in capsys.readouterr().out
    assert state(queue, "a") == after
    rest = "interrupted" if after == ENDED else "waiting"
    assert status_of(read_run(run, "a"), queue.of(run)).word == rest
    assert queue.hire("cpu", this_process())


@pytest.mark.parametrize("age", [0, 120, -86_400])
def test_a_job_of_another_machine_is_at_work_as_long_as_it_is_heard(
    queue: JobQueue, age: float, monkeypatch: pytest.MonkeyPatch
):
    """Whatever its clock says; by ours, a minute without a new beat is the end."""
    away = Process(7, "another boot 1", "another machine")
    run = queue.add(queue.folder / "a", ["finetune"], "cpu").run
    queue.claim("cpu", this_process())
    with sqlite3.connect(queue.folder / DATABASE) as db:
        values = (away.pid, away.marker, away.host)
        db.execute("UPDATE jobs SET state = 'running', pid = ?, marker = ?, host = ?", values)
    run.mkdir()
    beat = {**away.to_dict(), "at": time.time() - age, "how": "working", "doing": "x"}
    (run / "heartbeat.json").write_text(json.dumps({**beat, "done": 1, "total": 2}))
    assert state(queue, "a") == RUNNING
    real = time.monotonic
    monkeypatch.setattr("cutswap.runs.heartbeat.time.monotonic", lambda: real() + 61)
    assert state(queue, "a") == ENDED


# Processes and logs


def test_processes_are_known_by_more_than_their_number():
    me = this_process()
    assert me.is_alive()
    assert not Process(me.pid, "", me.host).is_alive()
    assert not Process(me.pid, me.marker + "0", me.host).is_alive()
    assert not Process(me.pid, me.marker, "elsewhere").is_alive()
    assert [mark(pid) for pid in (1, 0, -1)] == [None] * 3
    child = subprocess.Popen(SLEEP)
    known = process(child.pid)
    assert known.is_alive()
    child.kill()
    until(lambda: not known.is_alive())  # a zombie: nobody has asked yet
    child.wait()
    assert json.loads(json.dumps(known.to_dict())) == known.to_dict()
    assert os.getpid() == me.pid


def test_log_tails(tmp_path: Path):
    run = tmp_path / "a"
    assert log_tail(run) == []
    log_file(run).write_bytes(b"one\n\rbar 1%\rbar 2%\r\n\n\x1b[31mred\xff\nlast")
    assert log_tail(run) == ["one", "bar 2%", "[31mred�", "last"]
    assert log_tail(run, 1) == ["last"]
    log_file(run).write_text("x" * 100_000 + "\nend\n")
    assert log_tail(run)[-1] == "end"


def test_a_queue_file_that_is_a_link_is_not_followed(tmp_path: Path):
    """It may lead to any database of the user, which would get our tables, or to another queue."""
    other = JobQueue(tmp_path / "others")
    other.add(other.folder / "a", ["jobs"], "cpu")
    before = (other.folder / DATABASE).read_bytes()
    mine = JobQueue(tmp_path / "mine")
    mine.folder.mkdir()
    (mine.folder / DATABASE).symlink_to(other.folder / DATABASE)
    for ask in (
        mine.active,
        mine.last_of_all,
        lambda: mine.of(mine.folder / "a"),
        lambda: mine.add(mine.folder / "b", ["jobs"], "cpu"),
        lambda: mine.claim("cpu", this_process()),
    ):
        with pytest.raises(CutSwapError, match="a link"):
            ask()
    assert (other.folder / DATABASE).read_bytes() == before


def test_a_damaged_queue_file_is_a_refusal_whatever_is_damaged(tmp_path: Path):
    """Bytes changed in 200 ways: sqlite's own message about them is not always text."""
    queue = JobQueue(tmp_path / "runs")
    for number in range(3):
        queue.add(queue.folder / f"run{number}", ["jobs", "--json", "x.json"], "cpu")
    claimed = queue.claim("cpu", this_process())
    assert claimed is not None
    file = queue.folder / DATABASE
    sound = file.read_bytes()
    dice = random.Random(0)  # noqa: S311 - which bytes, no secret
    ends = set()
    for _ in range(200):
        changed = bytearray(sound)
        for _ in range(dice.choice((1, 4, 40))):
            # The beginning, with the schema, and the tables' ends, where their rows are.
            page = 4096 * dice.randrange(len(sound) // 4096)
            place = page + dice.choice((dice.randrange(1200), 4095 - dice.randrange(400)))
            changed[place] = dice.choice((0, 0x80, 0xFF, dice.randrange(256)))
        for extra in ("-wal", "-shm"):
            (queue.folder / (DATABASE + extra)).unlink(missing_ok=True)
        file.write_bytes(changed)
        for ask in (queue.last_of_all, queue.active, lambda: queue.of(queue.folder / "run1")):
            try:
                ask()
                ends.add("read")
            except CutSwapError:
                ends.add("refused")
    assert ends == {"read", "refused"}


@pytest.mark.parametrize("column", ["marker", "host", "code", "run", "device", "command", "began"])
@pytest.mark.parametrize("value", [b"\xff\xfe", b"", 3.5, "x"])
def test_a_value_of_another_kind_is_read_or_refused(tmp_path: Path, column: str, value: object):
    queue = JobQueue(tmp_path / "runs")
    queue.add(queue.folder / "run", ["jobs"], "cpu")
    queue.claim("cpu", this_process())
    with sqlite3.connect(queue.folder / DATABASE) as db:
        db.execute(f"UPDATE jobs SET {column} = ?", (value,))  # noqa: S608 - our own words
        if isinstance(value, bytes):
            db.execute(f"UPDATE jobs SET {column} = CAST(? AS TEXT)", (value,))  # noqa: S608
    for ask in (queue.last_of_all, queue.active, lambda: queue.hire("cpu", this_process())):
        with contextlib.suppress(CutSwapError):
            ask()

"""Heartbeats, locks and signals of a run folder, and what is concluded from them."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cutswap.errors import CutSwapError
from cutswap.runs import heartbeat as hb
from cutswap.runs import status as js
from cutswap.runs.heartbeat import Beat, Heart, beating, exclusive_lock, read_beat
from cutswap.runs.queue import JobQueue
from cutswap.runs.states import read_run
from cutswap.utils.folder_names import HEARTBEAT, LOCK
from cutswap.utils.processes import Process, is_held, this_process
from cutswap.utils.signals import stop_on_signals
from tests.helpers.containers import container
from tests.helpers.runs import write_run

ME = this_process()
GONE = Process(ME.pid, "an earlier boot 1", ME.host)


def beat_of(by: Process = ME, *, age: float = 0.0, how: str = hb.WORKING) -> Beat:
    return Beat(by, time.time() - age, how, "fine-tuning", 3, 10)


AWAY = Process(7, "x", "another machine")


@pytest.mark.parametrize(
    ("by", "age", "how", "state"),
    [
        (ME, 0, hb.WORKING, hb.AT_WORK),
        (ME, 120, hb.WORKING, hb.QUIET),
        (GONE, 0, hb.WORKING, hb.INTERRUPTED),
        (GONE, 1e6, hb.WORKING, hb.INTERRUPTED),
        (AWAY, 0, hb.WORKING, hb.ELSEWHERE),
        (AWAY, 120, hb.WORKING, hb.INTERRUPTED),
        (ME, 0, hb.STOPPED, hb.STOPPED),
        (GONE, 0, hb.DONE, hb.DONE),
    ],
)
def test_what_a_beat_says(by: Process, age: float, how: str, state: str):
    assert beat_of(by, age=age, how=how).state() == state


def test_beats_are_written_and_read(tmp_path: Path):
    heart = Heart(tmp_path)
    assert read_beat(tmp_path) is None
    heart.beat("saliency", 1, 10)
    heart.beat("saliency", 2, 10)  # too soon: not written
    found = read_beat(tmp_path)
    assert found is not None
    assert (found.by, found.doing, found.done, found.total) == (ME, "saliency", 1, 10)
    heart.beat("saliency", 10, 10)  # the last of a stage always is
    assert read_beat(tmp_path).done == 10
    heart.end(hb.STOPPED, "after update 3")
    assert read_beat(tmp_path).state() == hb.STOPPED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"pid": "x"}',
        "9" * 20_000,
        '{"pid": 1e999, "marker": "", "host": "", "at": 0, "how": "working", "doing": "",'
        ' "done": 0, "total": 0}',
        '{"pid": 3, "marker": "", "host": "", "at": 0, "how": "?", "doing": "", "done": 0,'
        ' "total": 0}',
    ],
)
def test_a_damaged_beat_is_none(tmp_path: Path, text: str):
    (tmp_path / HEARTBEAT).write_text(text)
    assert read_beat(tmp_path) is None


def test_how_it_ended_is_written(tmp_path: Path):
    with beating(tmp_path):
        assert read_beat(tmp_path).state() == hb.AT_WORK
    assert read_beat(tmp_path).how == hb.DONE
    with pytest.raises(CutSwapError), beating(tmp_path):
        raise CutSwapError("disk", expected="room", found="none", fix="make some")
    assert read_beat(tmp_path).how == hb.FAILED
    assert "disk: expected room" in read_beat(tmp_path).doing
    with pytest.raises(KeyboardInterrupt), beating(tmp_path):
        raise KeyboardInterrupt
    assert read_beat(tmp_path).how == hb.STOPPED


def test_a_run_folder_is_written_by_one_process(tmp_path: Path):
    run = tmp_path / "run"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from cutswap.runs.heartbeat import exclusive_lock, beating\n"
        "with exclusive_lock(Path(sys.argv[1])), beating(Path(sys.argv[1])):\n"
        "    print('in', flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"in\n"
        with pytest.raises(CutSwapError, match=f"process {child.pid} at work"), exclusive_lock(run):
            pass
    finally:
        child.kill()
        child.wait()
    with exclusive_lock(run):  # the lock went with the process
        pass
    assert read_beat(run).state() == hb.INTERRUPTED


WORKS = """
import sys, time; from pathlib import Path
from cutswap.runs.heartbeat import Heart, exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    if sys.argv[2] != "none":
        Heart(Path(sys.argv[1])).beat("fine-tuning", 4, 10)
    print("in", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("fresh", js.AT_WORK),
        ("old", js.SILENT),
        ("of tomorrow", js.AT_WORK),  # somebody set the clock
        ("by another host", js.AT_WORK),  # a container's name is its own
        ("none", js.SILENT),  # a full disk: the lock alone says that somebody is at work
        ("damaged", js.SILENT),
    ],
)
def test_a_run_of_a_container_is_at_work_until_it_is_killed(tmp_path: Path, said: str, word: str):
    run = write_run(tmp_path / "run", 4, finished=False)
    with container(WORKS, run, said) as (_, first):
        assert first == "in"
        if said not in ("fresh", "none"):
            beat = json.loads((run / HEARTBEAT).read_text())
            beat["at"] += {"old": -3600, "of tomorrow": 86_400}.get(said, 0)
            beat["host"] = "b2c3" if said == "by another host" else beat["host"]
            (run / HEARTBEAT).write_text("{" if said == "damaged" else json.dumps(beat))
        assert (stands(run).word, stands(run).is_active) == (word, True)
        with pytest.raises(CutSwapError, match="at work on it"), exclusive_lock(run):
            pass
    assert stands(run).word == js.INTERRUPTED


@pytest.mark.parametrize("age", [0, 120, -86_400])
@pytest.mark.parametrize("by", [ME, GONE, dataclasses.replace(ME, pid=1, host="b2c3")])
def test_who_let_go_of_the_lock_is_not_at_work(tmp_path: Path, by: Process, age: float):
    with exclusive_lock(tmp_path):
        pass
    beat = {**by.to_dict(), "at": time.time() - age, "how": hb.WORKING, "doing": ""}
    (tmp_path / HEARTBEAT).write_text(json.dumps({**beat, "done": 1, "total": 2}))
    assert read_beat(tmp_path).held is False
    assert read_beat(tmp_path).state() == hb.INTERRUPTED


@pytest.mark.parametrize(
    ("by", "state"), [(ME, hb.AT_WORK), (GONE, hb.INTERRUPTED), (AWAY, hb.ELSEWHERE)]
)
def test_without_a_lock_file_the_number_has_to_do(tmp_path: Path, by: Process, state: str):
    Heart(tmp_path, by).beat("fine-tuning", 4, 10)
    assert read_beat(tmp_path).state() == state
    assert [path.name for path in tmp_path.iterdir()] == [HEARTBEAT]  # asking makes no lock file


def test_another_machines_lock_may_not_be_seen_but_it_is_heard(tmp_path: Path):
    (tmp_path / LOCK).touch()
    Heart(tmp_path, AWAY).beat("fine-tuning", 4, 10)
    assert read_beat(tmp_path).state() == hb.ELSEWHERE


def test_who_only_asks_keeps_nobody_out(tmp_path: Path):
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            is_held(tmp_path / LOCK)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(50):
            with exclusive_lock(tmp_path):
                assert is_held(tmp_path / LOCK)
    finally:
        over.set()
        for asker in askers:
            asker.join()


def test_a_run_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    wanted = pytest.raises(CutSwapError, match="able to write the run folder")
    with wanted, exclusive_lock(tmp_path / "file"):
        pass


# Signals


def test_the_first_signal_asks_and_the_second_insists():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        stop.gently = True
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_before_the_first_update_one_signal_is_enough():
    with stop_on_signals() as stop:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked


# Standings


def stands(path: Path, queue: JobQueue | None = None) -> js.RunStatus:
    job = queue.of(path) if queue else None
    return js.status_of(read_run(path), job)


def test_standings_of_folders_alone(tmp_path: Path):
    done, torn = write_run(tmp_path / "done"), write_run(tmp_path / "torn")
    (torn / "settings.json").write_text("{")
    assert stands(done).word == "done"
    assert (stands(torn).word, "settings.json" in stands(torn).why) == ("broken", True)
    run = write_run(tmp_path / "run", 4, finished=False)
    assert stands(run).word == js.INTERRUPTED
    heart = Heart(run)
    heart.beat("fine-tuning", 4, 10)
    assert (stands(run).word, stands(run).why) == (js.AT_WORK, "fine-tuning")
    heart.end(hb.STOPPED, "after update 4 of 10")
    assert (stands(run).word, stands(run).why) == (js.STOPPED, "after update 4 of 10")
    heart.end(hb.FAILED, "no room")
    assert (stands(run).word, stands(run).why) == (js.FAILED, "no room")
    old = {**GONE.to_dict(), "at": 0, "how": "working", "doing": "x", "done": 1, "total": 2}
    (run / HEARTBEAT).write_text(json.dumps(old))
    assert stands(run).word == js.INTERRUPTED
    (run / HEARTBEAT).write_text(json.dumps({**old, **ME.to_dict()}))
    assert stands(run).word == js.SILENT
    assert stands(run).is_active


def test_standings_in_the_queue(tmp_path: Path):
    queue = JobQueue(tmp_path)
    run = tmp_path / "run"
    job = queue.add(run, ["finetune"], "cpu")
    assert (stands(run, queue).word, stands(run, queue).why) == (js.WAITING, "for cpu")
    queue.claim("cpu", ME)
    assert stands(run, queue).word == js.STARTING
    queue.register(job.number)
    assert stands(run, queue).word == js.STARTING  # alive, but no word yet
    queue.finish(job.number, 2)
    assert stands(run, queue).word == js.FAILED
    write_run(run, 4, finished=False)
    Heart(run, GONE).beat("fine-tuning", 4, 10)
    assert stands(run, queue).word == js.INTERRUPTED
    again = queue.add(run, ["finetune"], "cpu")
    assert stands(run, queue).word == js.WAITING  # resumed: the old beat does not count
    queue.claim("cpu", ME)
    queue.register(again.number)
    assert stands(run, queue).word == js.STARTING
    Heart(run).end(hb.DONE)
    write_run(run)
    assert stands(run, queue).word == "done"  # its process is only about to go


def test_a_run_taken_out_of_the_queue_did_not_fail(tmp_path: Path):
    queue = JobQueue(tmp_path)
    queue.add(tmp_path / "run", ["finetune"], "cpu")
    queue.stop(tmp_path / "run")
    assert stands(tmp_path / "run", queue).word == js.STOPPED


def test_places_in_line(tmp_path: Path):
    queue = JobQueue(tmp_path)
    made = [
        queue.add(tmp_path / n, ["x"], d) for n, d in (("a", "cpu"), ("b", "mps"), ("c", "cpu"))
    ]
    queue.claim("cpu", ME)
    active = queue.active()
    assert [js.jobs_ahead(job, active) for job in made] == [0, 0, 1]
    assert [job.number for job in made] == [made[0].number + n for n in range(3)]

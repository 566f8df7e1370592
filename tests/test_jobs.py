"""Jobs: one at a time, found again after a restart, never taken for a dead one, stopped whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import jobs as module
from app.jobs import Jobs, log_file, log_tail
from cutswap.errors import CutSwapError

SLEEP = [sys.executable, "-c", "print('here', flush=True); import time; time.sleep(600)"]
QUICK = [sys.executable, "-c", "print('done')"]


def until(true: Callable[[], object]) -> None:
    """Wait; a busy machine may take its time, a broken one fails."""
    for _ in range(1500):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it never came true")


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(tmp_path / "runs")
    yield made
    for child in made._children.values():
        if child.poll() is None:
            child.kill()
        child.wait()


def test_a_job_is_at_work_until_it_ends(jobs: Jobs):
    assert jobs.working() is None
    job = jobs.start(jobs.folder / "a", QUICK)
    until(lambda: not jobs.is_alive(job))
    assert jobs.working() is None
    assert jobs.of(jobs.folder / "a") == job
    assert log_tail(job.run) == ["done"]
    # reaped, not a zombie
    assert not Path(f"/proc/{job.pid}").exists()


def test_one_at_a_time(jobs: Jobs):
    job = jobs.start(jobs.folder / "a", SLEEP)
    assert jobs.working() == job
    with pytest.raises(CutSwapError, match="a at work"):
        jobs.start(jobs.folder / "b", QUICK)
    assert not log_file(jobs.folder / "b").exists()
    jobs.stop(job)
    until(lambda: jobs.working() is None)
    jobs.start(jobs.folder / "b", QUICK)


def test_of_many_starts_at_once_one_wins(jobs: Jobs):
    others = [jobs, Jobs(jobs.folder)]  # as two apps on one runs folder would
    refused: list[CutSwapError] = []

    def start(number: int) -> None:
        try:
            others[number % 2].start(jobs.folder / f"r{number}", SLEEP)
        except CutSwapError as error:
            refused.append(error)

    threads = [threading.Thread(target=start, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len(refused) == 7
        assert len(list(jobs.folder.glob("*.job.json"))) == 1
    finally:
        for one in others:
            for child in one._children.values():
                child.kill()
                child.wait()


def test_a_restarted_app_finds_and_stops_the_job(jobs: Jobs):
    job = jobs.start(jobs.folder / "a", SLEEP)
    later = Jobs(jobs.folder)
    assert later.working() == job
    later.stop(job)
    until(lambda: not later.is_alive(job))  # it is a zombie until its parent asks
    until(lambda: not jobs.is_alive(job))


def test_a_stop_takes_the_whole_group(jobs: Jobs, tmp_path: Path):
    code = (
        "import subprocess, sys, time;"
        "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(c.pid)); time.sleep(600)"
    )
    job = jobs.start(jobs.folder / "a", [sys.executable, "-c", code])
    until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())
    assert module._marker(child)
    jobs.stop(job)
    until(lambda: not jobs.is_alive(job))
    until(lambda: module._marker(child) is None)


def test_a_nested_run_is_seen_too(jobs: Jobs):
    (jobs.folder / "demo").mkdir(parents=True)
    job = jobs.start(jobs.folder / "demo" / "run", SLEEP)
    assert Jobs(jobs.folder).working() == job
    assert jobs.of(jobs.folder / "demo" / "run") == job
    assert jobs.of(jobs.folder / "demo.run") is None  # its job file would have the same name
    assert log_file(job.run).parent == jobs.folder / "demo"


@pytest.mark.parametrize("run", ["../x", "/etc", "", 3])
def test_a_job_file_names_no_run_outside(jobs: Jobs, run: object):
    jobs.folder.mkdir()
    marker = module._marker(os.getpid())
    record = {"run": run, "command": ["x"], "pid": os.getpid(), "marker": marker, "began": 0}
    (jobs.folder / "a.job.json").write_text(json.dumps(record))
    assert jobs.all() == []
    (jobs.folder / "a.job.json").write_text(json.dumps({**record, "run": "a"}))
    assert len(jobs.all()) == 1


def test_a_stubborn_job_is_stopped_by_force(jobs: Jobs):
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(600)"
    )
    job = jobs.start(jobs.folder / "a", [sys.executable, "-c", code])
    until(lambda: log_tail(job.run))
    jobs.stop(job)
    assert jobs.is_alive(job)
    jobs.stop(job, by_force=True)
    until(lambda: not jobs.is_alive(job))


def test_a_number_given_out_again_is_not_the_job(jobs: Jobs):
    stranger = subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        jobs.folder.mkdir()
        record = {"run": "a", "command": ["x"], "pid": stranger.pid, "marker": "1", "began": 0.0}
        (jobs.folder / "a.job.json").write_text(json.dumps(record))
        job = jobs.of(jobs.folder / "a")
        assert job is not None
        assert jobs.working() is None
        jobs.stop(job)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_stop_spares_a_group_that_is_not_the_job_s(jobs: Jobs):
    member = subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL)  # in our own group
    try:
        marker = module._marker(member.pid) or ""
        job = module.Job(jobs.folder / "a", ("x",), member.pid, marker, 0.0)
        assert jobs.is_alive(job)
        jobs.stop(job)
        assert member.poll() is None
    finally:
        member.kill()
        member.wait()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"run": "a", "command": [], "pid": "x", "marker": "", "began": 0}',
     '{"run": "a", "command": ["x"], "pid": 1, "marker": "1", "began": 0}',
     '{"run": "a", "command": ["x"], "pid": -1, "marker": "1", "began": 0}',
     '{"run": "a", "command": ["x"], "pid": 0, "marker": "", "began": 0}'],
)  # fmt: skip
def test_a_damaged_job_file_is_no_job_at_work(jobs: Jobs, text: str):
    jobs.folder.mkdir()
    (jobs.folder / "a.job.json").write_text(text)
    assert jobs.working() is None
    jobs.start(jobs.folder / "b", QUICK)


def test_a_command_that_is_none_and_a_folder_that_is_a_file_are_told(jobs: Jobs, tmp_path: Path):
    with pytest.raises(CutSwapError, match="start a process"):
        jobs.start(jobs.folder / "a", [str(tmp_path / "no-such-program")])
    (tmp_path / "file").write_text("")
    with pytest.raises(CutSwapError, match="runs folder"):
        Jobs(tmp_path / "file").start(tmp_path / "file" / "a", QUICK)


def test_a_child_gets_no_input_and_runs_below_the_pages(jobs: Jobs):
    code = "import os, sys; print(repr(sys.stdin.read()), os.nice(0))"
    wait = f"import time; time.sleep(0.3); {code}"  # priority is set just after the start
    job = jobs.start(jobs.folder / "a", [sys.executable, "-c", wait])
    until(lambda: not jobs.is_alive(job))
    assert log_tail(job.run) == [f"'' {min(19, os.nice(0) + 10)}"]


def test_log_tails(tmp_path: Path):
    run = tmp_path / "a"
    assert log_tail(run) == []
    log_file(run).write_bytes(b"one\n\rbar 1%\rbar 2%\r\n\n\x1b[31mred\xff\nlast")
    assert log_tail(run) == ["one", "bar 2%", "[31mred�", "last"]
    assert log_tail(run, 1) == ["last"]
    log_file(run).write_text("x" * 100_000 + "\nend\n")
    assert log_tail(run)[-1] == "end"

"""Locks by which processes are known to live, whoever asks."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cutswap.utils.processes import (
    ALIVE,
    Process,
    hold_life,
    is_held,
    mark,
    sweep_lives,
    this_process,
)
from tests.helpers.containers import container, free_lock

ME = this_process()
# It says who it is, perhaps becomes another program, and stays.
HOLDS = """
import json, os, sys, time
from pathlib import Path
from cutswap.utils.processes import hold_life, this_process
for _ in range(2):  # twice is no error
    hold_life(Path(sys.argv[1]), over_exec=bool(sys.argv[2:]))
print(json.dumps(this_process().to_dict()), flush=True)
if sys.argv[2:]:
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"])
time.sleep(600)
"""


def process_of(said: str) -> Process:
    return Process(**json.loads(said))


@pytest.mark.parametrize("how", [[], ["exec"]])
def test_a_process_of_a_container_lives_until_it_is_killed(tmp_path: Path, how: list[str]):
    with container(HOLDS, tmp_path, *how) as (_, said):
        there = process_of(said)
        assert there.pid == 1
        assert not there.is_alive()  # its number says nothing here
        assert there.lives(tmp_path)
        sweep_lives(tmp_path)
        assert there.lives(tmp_path)
        # A container with a host name of its own is asked in the same way.
        free_lock(tmp_path, dataclasses.replace(there, host="b2c3"))
        assert dataclasses.replace(there, host="b2c3").lives(tmp_path) is False
    assert there.lives(tmp_path) is False
    sweep_lives(tmp_path)
    assert not list((tmp_path / ALIVE).iterdir())


@pytest.mark.parametrize("how", [[], ["exec"]])
def test_a_killed_process_is_gone(tmp_path: Path, how: list[str]):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path), *how], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        there = process_of(child.stdout.readline())
        assert there.lives(tmp_path)
        child.kill()
    assert there.lives(tmp_path) is False


@pytest.mark.parametrize(
    ("who", "has_lock", "lives"),
    [
        (ME, False, True),  # an older version, which held none
        (ME, True, True),
        (dataclasses.replace(ME, marker="an earlier start"), True, False),  # number given again
        (dataclasses.replace(ME, marker="an earlier start"), False, False),
        (dataclasses.replace(ME, host="a container"), True, False),  # of this system
        (dataclasses.replace(ME, host="a container"), False, None),
        (Process(1, "boot 1", "elsewhere"), True, None),
        (Process(1, "", ME.host), False, False),
        (Process(7, "\ud800", "\ud800"), False, None),
    ],
)
def test_who_lives(tmp_path: Path, who: Process, has_lock: bool, lives: bool | None):
    if has_lock:
        free_lock(tmp_path, who)
    before = sorted(tmp_path.rglob("*"))
    assert who.lives(tmp_path) is lives
    assert sorted(tmp_path.rglob("*")) == before  # asking makes no files


def test_process_1_is_known_to_itself_only(monkeypatch):
    assert mark(1) is None
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert mark(1)
    assert this_process().is_alive()
    assert [mark(pid) for pid in (0, -1)] == [None] * 2


@pytest.mark.parametrize("kind", ["none", "folder", "fifo", "link", "nul"])
def test_what_is_no_lock_file_is_not_held(tmp_path: Path, kind: str):
    path = tmp_path / ("a\0b" if kind == "nul" else ".lock")
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/etc/passwd")
    assert is_held(path) is None
    assert os.path.lexists(tmp_path / ".lock") == (kind not in ("none", "nul"))


def test_a_disk_without_locks_leaves_the_number(tmp_path: Path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def none(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    hold_life(tmp_path)
    assert this_process().lives(tmp_path)
    assert dataclasses.replace(ME, marker="gone").lives(tmp_path) is False
    sweep_lives(tmp_path)


def test_a_linked_folder_of_locks_is_left_alone(tmp_path: Path):
    (tmp_path / "theirs").mkdir()
    theirs = tmp_path / "theirs" / f"{'0' * 32}.lock"
    theirs.touch()
    (tmp_path / ALIVE).symlink_to("theirs")
    hold_life(tmp_path)
    sweep_lives(tmp_path)
    assert list((tmp_path / "theirs").iterdir()) == [theirs]


def test_a_lock_is_held_again_after_somebody_deleted_it(tmp_path: Path):
    hold_life(tmp_path)
    (lock,) = (tmp_path / ALIVE).iterdir()
    lock.unlink()
    hold_life(tmp_path)
    assert is_held(lock)
    (tmp_path / ALIVE / "notes.txt").touch()
    sweep_lives(tmp_path)
    assert {path.name for path in (tmp_path / ALIVE).iterdir()} == {lock.name, "notes.txt"}


def test_sweeps_do_not_take_the_lock_of_a_starting_process(tmp_path: Path):
    over = threading.Event()

    def sweep() -> None:
        while not over.is_set():
            sweep_lives(tmp_path)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for number in range(50):
            hold_life(tmp_path / str(number))
            hold_life(tmp_path)
            (lock,) = (tmp_path / ALIVE).iterdir()
            assert is_held(lock)
            lock.unlink()
    finally:
        over.set()
        sweeper.join()

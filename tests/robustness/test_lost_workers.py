"""Processes that draw and fail: one line that says what to do, nobody left behind, a whole run.

Each test runs the command as a user does; what the processes draw fails in its own way.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cutswap.commands.parser import main
from cutswap.negatives.draw import UnchangedError
from cutswap.negatives.samples import TrainingSamples
from cutswap.runs.folder import RunFolder
from cutswap.training import finetuning
from tests.helpers.datasets import build_category

TINY = [
    *("--image-size", "64", "--weights", "random", "--saliency-backbone", "squeezenet1_0"),
    *("--saliency-weights", "random", "--epochs", "1", "--steps-per-epoch", "3"),
    *("--batch-size", "2", "--hidden", "8", "--device", "cpu", "--precision", "float32", "--quiet"),
]


class Damaged(TrainingSamples):
    """An error of Python's."""

    def __getitem__(self, number: int) -> np.ndarray:
        raise IndexError("first line\nsecond line")


class Short(TrainingSamples):
    """No room: the batch cannot be put together."""

    def __getitem__(self, number: int) -> np.ndarray:
        raise OSError(errno.ENOSPC, "No space left on device")


class Uneven(TrainingSamples):
    """Fails where a batch is made of samples, as it does without shared memory."""

    def __getitem__(self, number: int) -> np.ndarray:
        return np.zeros(number + 1, np.uint8)


class Refused(TrainingSamples):
    """One of our own errors, which names the photo."""

    def __getitem__(self, number: int) -> np.ndarray:
        raise UnchangedError("train/good/001", expected="a change", found="none", fix="look at it")


class Killed(TrainingSamples):
    """As a system short of memory does it."""

    def __getitem__(self, number: int) -> np.ndarray:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(number)


class Left(TrainingSamples):
    """A library that ends its process."""

    def __getitem__(self, number: int) -> np.ndarray:
        os._exit(3)


WORKERS_0 = "pass --workers 0, with which the trainer draws itself"


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (Damaged, ("IndexError in one of them: first line second line.", WORKERS_0)),
        pytest.param(
            Short, ("No space left on device", WORKERS_0, "--shm-size"), marks=pytest.mark.journey
        ),
        pytest.param(Uneven, ("in one of them", WORKERS_0), marks=pytest.mark.journey),
        pytest.param(
            Refused,
            ("train/good/001: expected a change, found none. To fix it: look at it.",),
            marks=pytest.mark.journey,
        ),
        pytest.param(
            Killed, ("DataLoader worker (pid", WORKERS_0, "memory"), marks=pytest.mark.journey
        ),
        pytest.param(Left, ("DataLoader worker (pid", WORKERS_0), marks=pytest.mark.journey),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_failing_worker_is_one_line(samples, words, tmp_path: Path, monkeypatch, capfd):
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(finetuning, "TrainingSamples", samples)
    data, out = build_category(tmp_path / "bolt", train=3), tmp_path / "run"
    run = ["finetune", "--data", str(data), "--out", str(out), *TINY]
    assert main([*run, "--workers", "1"]) == 2
    said = capfd.readouterr().err
    assert "Traceback" not in said
    told = [line for line in said.splitlines() if line.startswith("cutswap: ")]
    assert len(told) == 1
    assert [w for w in words if w not in told[0]] == []
    assert multiprocessing.active_children() == []  # at exit each would cost a traceback
    if samples is Killed:
        monkeypatch.undo()
        monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
        assert main([*run, "--workers", "0"]) == 0  # what the line advises
        assert RunFolder(out).result_file.exists()


@pytest.mark.journey
@pytest.mark.parametrize(
    ("room", "found"),
    [
        ("size=64k", "unable to allocate shared memory"),
        ("size=16k", "none could be started"),
        ("nr_inodes=1", "none could be started"),
    ],
    ids=["none for photos", "not for every lock", "not for one"],
)
def test_a_machine_without_shared_memory(room: str, found: str, tmp_path: Path):
    """As a container has it; needs a user who may mount."""
    unshare = shutil.which("unshare")
    mount = f"mount -t tmpfs -o {room} tmpfs /dev/shm"
    if (
        unshare is None
        or subprocess.run([unshare, "-m", "sh", "-c", mount], check=False).returncode
    ):
        pytest.skip("this user may not mount")
    data = build_category(tmp_path / "bolt", train=3)
    words = ["finetune", "--data", data, "--out", tmp_path / "run", *TINY, "--workers", "1"]
    ended = subprocess.run(
        [unshare, "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]
        + [sys.executable, "-m", "cutswap", *words],
        env={**os.environ, "CUTSWAP_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert found in ended.stderr
    assert "--workers 0" in ended.stderr

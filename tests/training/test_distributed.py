"""Two processes under torchrun are one process at the same total batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cutswap.errors import CutSwapError
from cutswap.training.distributed import Team, join_team
from tests.helpers.datasets import build_category


def run(data: Path, out: Path, processes: int, *more: str) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m"]
    if processes > 1:
        # --standalone: a free port of its own on this machine
        start += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    arguments = [
        "cutswap",
        "finetune",
        "--data",
        str(data),
        "--out",
        str(out),
        "--image-size",
        "64",
        "--weights",
        "random",
        "--saliency-backbone",
        "squeezenet1_0",
        "--saliency-weights",
        "random",
        "--layers",
        "4,12",
        "--batch-size",
        "4",
        "--epochs",
        "1",
        "--steps-per-epoch",
        "4",
        "--device",
        "cpu",
        "--precision",
        "float32",
        "--quiet",
        *more,
    ]
    env = {**os.environ, "CUTSWAP_CACHE": str(out.parent / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*start, *arguments], env=env, capture_output=True, text=True, check=False
    )


def metrics(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.journey
def test_two_processes_make_the_run_of_one(tmp_path: Path):
    build_category(tmp_path / "bolt", train=6)
    # Without batch norm in training mode there is nothing that a share sees otherwise.
    exact = ("--hidden=", "--frozen", "layer4")
    for name, processes in (("one", 1), ("two", 2)):
        done = run(tmp_path / "bolt", tmp_path / name, processes, *exact)
        assert done.returncode == 0, done.stderr
    one, two = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert [line["step"] for line in two] == [1, 2, 3, 4]
    for left, right in zip(one, two, strict=True):
        assert right["loss"] == pytest.approx(left["loss"], rel=1e-4)
        assert right["class_accuracy"] == left["class_accuracy"]
        assert right["micro_batch"] == 2
    environment = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert environment["processes"] == 2


def test_a_share_of_a_batch():
    assert [Team(rank, 4).share(8) for rank in range(4)] == [(0, 2), (2, 4), (4, 6), (6, 8)]
    assert Team().share(5) == (0, 5)
    with pytest.raises(CutSwapError, match="multiple of the 4 processes"):
        Team(0, 4).share(10)


def test_an_environment_that_makes_no_sense(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(CutSwapError, match="torchrun"), join_team():
        pass
    monkeypatch.setenv("WORLD_SIZE", "1")
    with join_team() as team:
        assert team == Team()

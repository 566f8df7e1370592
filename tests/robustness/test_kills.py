"""kill -9 at random moments: resumed each time, the run is the unbroken one, step by step.

Three kills in `make test-journeys`; `make test-kills` does twenty.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cutswap.commands.parser import parse
from cutswap.data.loading import check_category
from cutswap.runs.folder import RunFolder
from cutswap.runs.states import read_run
from cutswap.runs.status import FAILED, INTERRUPTED, STOPPED, status_of
from cutswap.training.finetuning import finetune
from cutswap.training.flags import finetuning_settings
from tests.helpers.datasets import build_category
from tests.helpers.waiting import until

KILLS = int(os.environ.get("CUTSWAP_KILLS", "3"))
STEPS = 20


def command(data: Path, out: Path) -> list[str]:
    """A short run that keeps a checkpoint every fifth update, so that a kill loses some."""
    return [
        sys.executable,
        "-m",
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
        "2",
        "--epochs",
        "1",
        "--steps-per-epoch",
        str(STEPS),
        "--checkpoint-every",
        "5",
        "--device",
        "cpu",
        "--precision",
        "float32",
        "--quiet",
    ]


def losses(run: Path) -> list[tuple[int, float, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"], line["accuracy"]) for line in lines]


@pytest.mark.journey
def test_killed_and_resumed_is_the_unbroken_run(tmp_path: Path):
    build_category(tmp_path / "bolt", train=4)
    env = {**os.environ, "CUTSWAP_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    took = 0.0
    for name in ("cold", "whole"):  # the second finds its saliency in the cache, as those to come
        began = time.monotonic()
        subprocess.run(command(tmp_path / "bolt", tmp_path / name), env=env, check=True)
        took = time.monotonic() - began
    whole = tmp_path / "whole"
    expected = losses(whole)
    assert [step for step, _, _ in expected] == list(range(1, STEPS + 1))

    dice = random.Random(0)  # noqa: S311 - moments to strike at, no secret
    kills, ended = 0, 0
    while kills < KILLS or (tmp_path / f"broken{ended}").exists():
        broken = tmp_path / f"broken{ended}"
        child = subprocess.Popen(command(tmp_path / "bolt", broken), env=env)
        try:
            # From the first import to the last file: every moment has its turn.
            child.wait(dice.uniform(0.3, 1.0) * took if kills < KILLS else 120)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            kills += 1
            if (broken / "settings.json").exists():
                assert not status_of(read_run(broken), None).is_active
            continue
        assert child.returncode == 0
        ended += 1
        assert losses(broken) == expected
        assert read_run(broken).state == "done"
        weights = (broken / "backbone.safetensors").read_bytes()
        assert weights == (whole / "backbone.safetensors").read_bytes()
    assert kills == KILLS
    assert ended >= 1


@pytest.mark.journey
def test_updates_after_the_last_checkpoint_are_made_again_and_told_once(tmp_path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    build_category(tmp_path / "bolt", train=4)
    options = parse(command(tmp_path / "bolt", tmp_path / "run")[3:])
    checked = check_category(options.data, None, skip_bad=False)
    for stop in (7, STEPS):
        steps = finetune(checked, finetuning_settings(options), tmp_path / "run")
        for progress in steps:
            if progress.step == stop < STEPS:
                break
        steps.close()  # as if it had been killed: nothing is saved any more
        assert [step for step, _, _ in losses(tmp_path / "run")] == list(range(1, stop + 1))
        if stop < STEPS:
            assert int(RunFolder(tmp_path / "run").read_checkpoint()["step"]) == 5


@pytest.mark.journey
def test_a_stop_keeps_what_was_learnt_up_to_that_update(tmp_path: Path):
    build_category(tmp_path / "bolt", train=4)
    env = {**os.environ, "CUTSWAP_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    out = tmp_path / "run"
    line = [*command(tmp_path / "bolt", out)[:-1], "--quiet", "--epochs", "500"]
    child = subprocess.Popen([*line, "--checkpoint-every", "100000"], env=env)
    try:
        until(lambda: (out / "metrics.jsonl").exists() and len(losses(out)) >= 2)
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 130
    finally:
        child.kill()
    done = losses(out)[-1][0]
    stands = status_of(read_run(out), None)
    assert (stands.word, stands.why) == (STOPPED, f"after update {done} of {500 * STEPS}")
    assert stands.word != INTERRUPTED
    assert int(RunFolder(out).read_checkpoint()["step"]) == done


@pytest.mark.journey
def test_a_full_disk_ends_with_a_reason_and_the_run_goes_on_later(tmp_path: Path):
    build_category(tmp_path / "bolt", train=4)
    env = {**os.environ, "CUTSWAP_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    out = tmp_path / "run"
    line = command(tmp_path / "bolt", out)
    limited = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000,) * 2);"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    full = subprocess.run(
        [sys.executable, "-c", limited, *line], env=env, capture_output=True, text=True, check=False
    )
    assert full.returncode == 2
    assert "checkpoint.safetensors: expected to be able to write this file" in full.stderr
    assert [step for step, _, _ in losses(out)] == [1, 2, 3, 4, 5]
    stands = status_of(read_run(out), None)
    assert stands.word == FAILED
    assert "checkpoint.safetensors" in stands.why
    assert not list(out.glob(".*.tmp"))
    subprocess.run(line, env=env, check=True)
    assert [step for step, _, _ in losses(out)] == list(range(1, STEPS + 1))
    assert status_of(read_run(out), None).word == "done"

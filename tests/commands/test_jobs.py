"""The queue from a terminal, the device a job waits for, and the sheet of what a network saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cutswap.commands import jobs as jobs_command
from cutswap.commands.parser import main
from cutswap.errors import CutSwapError
from cutswap.runs import devices as job_devices
from cutswap.runs.devices import device_for
from cutswap.runs.queue import JobQueue
from cutswap.runs.seen import ROWS, SIDE, read_seen, write_seen
from cutswap.utils.processes import this_process
from tests.helpers.runs import write_run
from tests.helpers.studies import write_small_study


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobQueue:
    monkeypatch.setenv("CUTSWAP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(jobs_command, "wake", lambda _queue: None)  # nothing is to start
    return JobQueue(tmp_path / "runs")


def jobs(*words: object) -> int:
    return main(["jobs", *map(str, words)])


def test_a_command_is_checked_made_absolute_and_queued(queue, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.safetensors").write_bytes(b"")
    words = ("finetune", "--data", "parts", "--out=runs/a", "--weights", "own.safetensors")
    assert jobs("add", *words) == 0
    assert "a: queued for cpu" in capsys.readouterr().out
    (job,) = queue.active()
    assert job.run == queue.folder / "a"
    assert job.command == (
        "finetune",
        "--data",
        str(tmp_path / "parts"),
        f"--out={tmp_path / 'runs/a'}",
        "--weights",
        str(tmp_path / "own.safetensors"),
    )
    assert (
        jobs("add", "--", "finetune", "--data", "parts", "--weights", "imagenet", "--out", "runs/b")
        == 0
    )
    assert queue.active()[1].command[4] == "imagenet"  # a name is no path
    assert "b: queued for cpu, 1 before it" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("distill",),
        ("finetune", "--data", "x", "--out", "elsewhere"),
        ("finetune", "--data", "x", "--out", "runs/a", "--epochs", "0"),
        ("finetune", "--data", "x", "--out", "runs/a", "--beside"),
    ],
)
def test_what_cannot_be_queued_is_refused_at_once(queue, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    assert jobs("add", *words) == 2
    assert queue.active() == []


def test_a_run_begins_anew_beside(queue, capsys):
    """As after its photos were replaced: the old one stays as it was."""
    write_run(queue.folder / "half", 4, finished=False)
    for number in (2, 3):
        assert jobs("resume", "half", "--beside") == 0
        assert f"half-{number}: queued" in capsys.readouterr().out
        job = queue.active()[-1]
        assert job.run == queue.folder / f"half-{number}"
        assert job.command[job.command.index("--out") + 1] == str(job.run)
    write_small_study(queue.folder / "study", lambda _: None)
    assert jobs("resume", "study", "--beside") == 2
    assert "a study" in capsys.readouterr().err


@pytest.mark.usefixtures("queue")
def test_a_shared_disk_is_said_once(tmp_path, monkeypatch, capsys):
    jobs("list")
    assert "file system" not in capsys.readouterr().err
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr("cutswap.runs.find.MOUNTS", mounts)
    jobs("list")
    said = capsys.readouterr()
    assert said.err.count("network file system (nfs4 at") == 1
    assert said.err.count("\n") == 1
    assert "file system" not in said.out


def test_list_stop_and_resume(queue, capsys):
    assert jobs() == 0
    assert "no runs in" in capsys.readouterr().out
    write_run(queue.folder / "done")
    write_run(queue.folder / "half", 4, finished=False)
    assert jobs("list") == 0
    said = capsys.readouterr().out
    assert "done" in said
    assert "interrupted" in said
    assert jobs("resume", "half") == 0
    assert queue.active()[0].command[0] == "finetune"
    capsys.readouterr()
    assert jobs("resume", "half") == 2  # it waits already
    assert jobs("resume", "done") == 2
    assert jobs("resume", "none") == 2
    assert jobs("stop", "half") == 0
    assert queue.active() == []
    assert jobs("stop", "half") == 2


def test_follow_ends_with_the_run(queue, capsys):
    write_run(queue.folder / "done")
    assert jobs("follow", "done") == 0
    write_run(queue.folder / "half", 4, finished=False)
    assert jobs("follow", "--runs", queue.folder, "half") == 1
    said = capsys.readouterr().out
    assert "done: done" in said
    assert "half: interrupted 4" in said


def test_the_device_with_the_shortest_line(queue, monkeypatch):
    monkeypatch.setattr(job_devices, "_names", lambda: ("cpu", "cuda:0", "cuda:1"))
    for number, expected in enumerate(("cuda:0", "cuda:1", "cuda:0")):
        assert device_for("auto", queue) == expected
        queue.add(queue.folder / str(number), ["x"], expected)
    assert device_for("cuda", queue) == "cuda:1"
    assert device_for("cpu", queue) == "cpu"
    queue.claim("cuda:1", this_process())
    assert device_for("auto", queue) == "cuda:1"  # one at work there, two in the other line
    with pytest.raises(CutSwapError, match="mps"):
        device_for("mps", queue)


def test_what_it_saw_is_kept_with_its_words(tmp_path):
    photos = torch.randint(0, 256, (ROWS + 2, 3, 32, 32, 3), dtype=torch.uint8)
    photos[1, 2] = torch.tensor([250, 0, 0], dtype=torch.uint8)
    scores = torch.zeros(ROWS + 2, 3, 3)
    scores[0, 1, 2] = 50.0
    write_seen(tmp_path, 7, photos, scores)
    found = read_seen(tmp_path)
    assert found is not None
    assert found.step == 7
    assert found.sheet.shape == (ROWS * SIDE, 3 * SIDE, 3)
    assert (found.sheet[SIDE : 2 * SIDE, 2 * SIDE :] == (250, 0, 0)).all()
    assert found.probabilities[0, 1].tolist() == [0, 0, 1]
    assert np.allclose(found.probabilities[1], 1 / 3, atol=1e-3)
    (tmp_path / "seen.json").write_text('{"step": 1, "probabilities": [[1]]}')
    assert read_seen(tmp_path) is None
    (tmp_path / "seen.json").unlink()
    assert read_seen(tmp_path) is None


class TestStudies:
    """A study and its networks in the queue's words."""

    @pytest.fixture
    def study(self, queue: JobQueue) -> Path:
        path = queue.folder / "long"
        write_small_study(path, lambda c: 0.9 if c.seed == 0 else None, tables=("VI",), seeds=2)
        write_run(path / "runs/r0")
        write_run(path / "runs/r3", 4, finished=False)
        write_run(queue.folder / "own", 4, finished=False)
        return path

    @pytest.mark.usefixtures("study")
    def test_the_list_says_what_is_a_study_and_what_belongs_to_one(self, capsys):
        assert jobs("list") == 0
        lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
        assert lines["long"].split()[1:] == [
            "interrupted",
            "3/6",
            "a",
            "study;",
            "its",
            "process",
            "was",
            "killed,",
            "or",
            "the",
            "machine",
            "restarted",
        ]
        assert "study long" in lines["long/runs/r3"]
        assert "4/10" in lines["long/runs/r3"]
        assert "study" not in lines["own"]

    @pytest.mark.parametrize("name", ["long", "long/runs/r3"])
    def test_it_goes_on_by_reproduce(self, study, queue, capsys, name):
        assert jobs("resume", name) == 0
        (job,) = queue.active()
        assert job.run == study
        assert job.command[:3] == ("reproduce", "--table", "6")
        assert str(study) in job.command
        said = capsys.readouterr().out
        assert "long: queued" in said
        assert ("of study long" in said) == (name != "long")
        assert jobs("resume", name) == 2  # it waits already
        assert jobs("stop", "long") == 0
        assert queue.active() == []

    @pytest.mark.usefixtures("study")
    def test_a_network_is_not_stopped_alone(self, capsys):
        assert jobs("stop", "long/runs/r3") == 2
        assert "python -m cutswap jobs stop long" in capsys.readouterr().err

    @pytest.mark.usefixtures("study")
    def test_following_counts_cells(self, capsys):
        assert jobs("follow", "long") == 1
        assert "long (a study): interrupted 3/6" in capsys.readouterr().out
        assert jobs("follow", "long/runs/r0") == 0
        assert "long/runs/r0 (study long): done" in capsys.readouterr().out

    def test_one_that_has_not_begun_is_listed_too(self, queue, capsys):
        path = queue.folder / "next"
        queue.add(path, ["reproduce", "--table", "5", "--out", str(path)], "cpu")
        assert jobs("list") == 0
        assert "a study; for cpu" in capsys.readouterr().out

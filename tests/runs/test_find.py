"""Runs and evaluations are found wherever they lie and judged by their files alone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cutswap.errors import CutSwapError
from cutswap.runs import find as module
from cutswap.runs.find import find_runs, network_disk, network_remark
from cutswap.runs.queue import DATABASE, JobQueue
from cutswap.runs.states import BROKEN, DONE, UNFINISHED, read_evaluation, read_run, training_curve
from cutswap.utils.folder_names import RESULT, RUN_FILES
from tests.helpers.runs import lines, write_evaluation, write_run


def test_an_absent_or_empty_folder_has_nothing(tmp_path: Path):
    assert find_runs(tmp_path / "none") == find_runs(tmp_path)
    assert find_runs(tmp_path).runs == ()


def test_a_file_is_no_runs_folder(tmp_path: Path):
    file = tmp_path / "runs"
    file.write_text("")
    with pytest.raises(CutSwapError, match="found a file"):
        find_runs(file)


def test_all_are_found_in_natural_order(tmp_path: Path):
    for name in ("bolt10", "bolt2", "demo/run"):
        write_run(tmp_path / name)
    for name in ("demo/before", "demo/after", "bolt2/evaluated", "own"):
        write_evaluation(tmp_path / name)
    (tmp_path / "demo" / "heatmaps").mkdir()
    found = find_runs(tmp_path)
    assert [r.name for r in found.runs] == ["bolt2", "bolt10", "demo/run"]
    assert [e.name for e in found.evaluations] == [
        "bolt2/evaluated",
        "demo/after",
        "demo/before",
        "own",
    ]
    assert {r.state for r in found.runs} == {DONE}
    assert {e.state for e in found.evaluations} == {DONE}
    assert found.is_complete
    run = found.run("demo/run")
    assert run is not None
    assert (run.category, run.root, run.step, run.steps) == ("bolt", "/data/bolt", 10, 10)
    assert run.changed > 0
    evaluation = found.evaluation("own")
    assert evaluation is not None
    assert (evaluation.category, evaluation.root) == ("bolt", "/data/bolt")
    assert found.run("own") is None


def test_a_run_folder_itself_may_be_given(tmp_path: Path):
    write_run(tmp_path)
    assert [r.name for r in find_runs(tmp_path).runs] == ["."]


# States of runs


def test_without_a_result_a_run_is_unfinished(tmp_path: Path):
    run = read_run(write_run(tmp_path / "a", 4, finished=False))
    assert (run.state, run.step, run.steps) == (UNFINISHED, 4, 10)
    assert "resume" in run.reason
    # before the first update
    (tmp_path / "a" / "metrics.jsonl").unlink()
    run = read_run(tmp_path / "a")
    assert (run.state, run.step, run.steps) == (UNFINISHED, 0, None)


def test_a_line_cut_short_does_not_count(tmp_path: Path):
    path = write_run(tmp_path / "a", 4, finished=False)
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "ste')
    assert read_run(path).step == 4
    assert [line["step"] for line in training_curve(path)] == [1, 2, 3, 4]


def test_the_last_update_of_a_long_file_is_found(tmp_path: Path):
    path = write_run(tmp_path / "a", 3000, finished=False)
    assert (path / "metrics.jsonl").stat().st_size > 2 * 65_536
    assert read_run(path).step == 3000


def cut(path: Path, name: str, text: str | None) -> Path:
    """A finished run with one file replaced or removed."""
    write_run(path)
    if text is None:
        (path / name).unlink()
    else:
        (path / name).write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("settings.json", None, "settings.json: expected a file, found none"),
        ("settings.json", "{", "settings.json"),
        ("settings.json", "[]", "expected a JSON object, found list"),
        ("settings.json", '{"kind": "other"}', "not a fine-tuning run's"),
        ("settings.json", "[" * 100_000, "settings.json"),
        ("metrics.jsonl", "hello\n", "last line"),
        ("metrics.jsonl", '{"step": "3", "loss": 1, "accuracy": 1}\n', "last line"),
        ("metrics.jsonl", '{"step": 3, "loss": NaN, "accuracy": 1}\n', "last line"),
        ("metrics.jsonl", "[1]\n", "last line"),
        ("result.json", "{", "delete result.json"),
        ("backbone.safetensors", None, "backbone.safetensors are gone"),
    ],
)
def test_a_damaged_run_is_broken_for_a_reason(tmp_path: Path, name, text, reason):
    found = read_run(cut(tmp_path / "a", name, text))
    assert found.state == BROKEN
    assert reason in found.reason


def test_a_broken_run_hides_no_other(tmp_path: Path):
    write_run(tmp_path / "sound")
    write_evaluation(tmp_path / "scored")
    cut(tmp_path / "broken", "settings.json", "{")
    cut(tmp_path / "headless", "settings.json", None)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "heatmaps.npy").write_bytes(b"")
    found = find_runs(tmp_path)
    assert {r.name: r.state for r in found.runs} == {
        "sound": DONE,
        "broken": BROKEN,
        "headless": BROKEN,
    }

    assert {e.name: e.state for e in found.evaluations} == {"scored": DONE, "half": BROKEN}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_hides_no_other(tmp_path: Path):  # pragma: no cover - not as root
    write_run(tmp_path / "sound")
    locked = write_run(tmp_path / "locked")
    locked.chmod(0)
    try:
        assert [r.name for r in find_runs(tmp_path).runs] == ["sound"]
    finally:
        locked.chmod(0o755)


# Evaluations


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"category": 3}, "no category"),
        ({"category": ""}, "no category"),
        ({"patchcore": None}, "patchcore"),
        ({"patchcore": {"coreset": 7}}, "coreset"),
        ({"patchcore": {"invented": 7}}, "invented"),
        ({"image_auroc": 1.5}, "image_auroc is 1.5"),
        ({"aupro": "high"}, "aupro is 'high'"),
        ({"pixel_auroc": True}, "pixel_auroc is True"),
        ({"seed": None}, "seed is None"),
    ],
)
def test_an_edited_result_is_broken_for_a_reason(tmp_path: Path, changes, reason):
    found = read_evaluation(write_evaluation(tmp_path / "a", **changes))
    assert found.state == BROKEN
    assert reason in found.reason


def test_an_evaluation_without_result_or_scores_is_broken(tmp_path: Path):
    path = write_evaluation(tmp_path / "a")
    (path / "scores.csv").unlink()
    assert "scores.csv is gone" in read_evaluation(path).reason
    path = write_evaluation(tmp_path / "b")
    (path / "result.json").unlink()
    found = read_evaluation(path)
    assert (found.state, found.summary) == (BROKEN, {})
    assert "result.json is missing" in found.reason


# Links and sizes


def test_links_are_not_followed(tmp_path: Path):
    outside = write_run(tmp_path / "elsewhere" / "run")
    folder = tmp_path / "runs"
    inside = write_run(folder / "own")
    (folder / "outside").symlink_to(outside)
    (folder / "twice").symlink_to(inside)
    (folder / "loop").symlink_to(folder)
    found = find_runs(folder)
    assert [r.name for r in found.runs] == ["own"]
    assert found.not_followed == ("loop", "outside", "twice")


def test_a_linked_file_does_not_count(tmp_path: Path):
    secret = tmp_path / "secret.json"
    secret.write_text('{"kind": "finetune", "training": {}, "password": "x"}')
    path = tmp_path / "runs" / "a"
    path.mkdir(parents=True)
    (path / "settings.json").symlink_to(secret)
    (path / "metrics.jsonl").write_text(lines(1))
    found = read_run(path)
    assert found.state == BROKEN
    assert found.settings == {}


def test_a_linked_runs_folder_itself_is_read(tmp_path: Path):
    write_run(tmp_path / "real" / "a")
    (tmp_path / "runs").symlink_to(tmp_path / "real")
    assert [r.name for r in find_runs(tmp_path / "runs").runs] == ["a"]


def test_deep_and_huge_folders_end(tmp_path: Path, monkeypatch):
    write_run(tmp_path / "1/2/3/4")
    write_run(tmp_path / "1/2/3/4/5")
    assert [r.name for r in find_runs(tmp_path).runs] == ["1/2/3/4"]
    monkeypatch.setattr(module, "MAX_FOLDERS", 3)
    found = find_runs(tmp_path)
    assert not found.is_complete
    assert found.runs == ()


def test_a_giant_result_is_not_read(tmp_path: Path, monkeypatch):
    path = write_evaluation(tmp_path / "a")
    monkeypatch.setattr("cutswap.runs.states.MAX_JSON", 10)
    assert "small JSON file" in read_evaluation(path).reason


def test_a_curve_with_a_foreign_line_is_refused(tmp_path: Path):
    path = write_run(tmp_path / "a", 2)
    (path / "metrics.jsonl").write_text(lines(1) + "[]\n" + lines(1))
    with pytest.raises(CutSwapError, match="line 2"):
        training_curve(path)
    assert training_curve(tmp_path / "none") == []


def test_names_are_those_that_the_trainer_writes(tmp_path: Path):
    from cutswap.runs.folder import RunFolder

    run = RunFolder(tmp_path)
    files = (run.settings_file, run.metrics_file, run.checkpoint_file, run.backbone_file)
    assert tuple(f.name for f in files) == RUN_FILES
    assert run.result_file.name == RESULT


@pytest.mark.parametrize("name", ["runs.find", "results.table", "results.export", "training.flags"])
def test_lists_of_runs_do_not_wait_for_torch(name: str):
    code = f"import sys, cutswap.{name}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


# Network file systems

LOCAL = "/dev/sda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\n"


def mounted(monkeypatch: pytest.MonkeyPatch, home: Path, lines: str) -> None:
    table = home / "mounts"
    table.write_text(LOCAL + lines)
    monkeypatch.setattr("cutswap.runs.find.MOUNTS", table)


@pytest.mark.parametrize(
    ("kind", "is_network"),
    [
        *((kind, True) for kind in ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "lustre", "ceph")),
        *((kind, False) for kind in ("ext4", "tmpfs", "overlay", "fuse.ntfs-3g", "nfsd", "9p")),
    ],
)
def test_a_network_file_system_is_known_by_its_kind(kind, is_network, tmp_path, monkeypatch):
    mounted(monkeypatch, tmp_path, f"server:/x {tmp_path} {kind} rw 0 0\n")
    told = f"{kind} at {tmp_path}" if is_network else ""
    assert network_disk(tmp_path / "runs/not/there/yet") == told
    assert bool(network_remark(tmp_path)) == is_network
    journal = "delete" if is_network else "wal"  # which needs memory in common
    queue = JobQueue(tmp_path / "runs")
    queue.add(tmp_path / "runs/a", ["finetune"], "cpu")
    with contextlib.closing(sqlite3.connect(queue.folder / DATABASE)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == (journal,)


def test_the_deepest_mount_counts_and_at_one_place_the_last(tmp_path: Path, monkeypatch):
    (tmp_path / "a b/local").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a b")
    share = str(tmp_path / "a b").replace(" ", "\\040")
    mounted(
        monkeypatch,
        tmp_path,
        f"server:/x {share} autofs rw 0 0\nserver:/x {share} nfs4 rw 0 0\n"
        f"/dev/sdb1 {share}/local ext4 rw 0 0\nnot-a-mount\n",
    )
    assert network_disk(tmp_path / "a b/runs") == f"nfs4 at {tmp_path / 'a b'}"
    assert network_disk(tmp_path / "link/runs") == f"nfs4 at {tmp_path / 'a b'}"
    assert network_disk(tmp_path / "a b/local/runs") == ""
    assert network_disk(tmp_path / "a b2") == ""
    monkeypatch.setattr("cutswap.runs.find.MOUNTS", tmp_path / "none")
    assert network_disk(tmp_path / "a b/runs") == ""

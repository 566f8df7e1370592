"""Runs are renamed and deleted whole or not at all, and nothing else is ever touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.errors import CutSwapError
from cutswap.runs import edits as module
from cutswap.runs.edits import contents, delete_run, rename_run
from cutswap.runs.find import find_runs
from cutswap.runs.references import run_of
from cutswap.runs.states import DONE, log_file, read_evaluation
from cutswap.utils.files import write_json
from tests.helpers.runs import write_evaluation, write_run
from tests.helpers.studies import write_small_study


def idle(_: Path) -> bool:
    return False


def busy(_: Path) -> bool:
    return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def with_sides(folder: Path, name: str) -> Path:
    """A run as the queue leaves it: with a log beside it."""
    run = write_run(folder / name)
    log_file(run).write_text(f"said by {name}")
    return run


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


# Renaming


@pytest.mark.parametrize(("name", "new"), [("bolt", "nut"), ("demo/run", "demo/nut")])
def test_a_renamed_run_takes_its_log_along(folder: Path, name: str, new: str):
    run = with_sides(folder, name)
    before = everything(run)
    found = rename_run(folder, run, "nut", idle)
    assert found == folder / new
    assert everything(found) == before
    assert [r.name for r in find_runs(folder).runs] == [new]
    assert log_file(found).read_text() == f"said by {name}"
    assert not log_file(run).exists()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../up", "a/b", "/x", ".hidden", "a b", "x" * 81, "a\n", "ä", "a\0b", "x.log"],
)
def test_a_name_that_is_none_is_refused(folder: Path, name: str):
    run = with_sides(folder, "bolt")
    before = everything(folder)
    with pytest.raises(CutSwapError, match="Name: expected letters"):
        rename_run(folder, run, name, idle)
    assert everything(folder) == before


@given(st.text(max_size=8))
def test_whatever_the_name_the_run_stays_in_its_folder(tmp_path_factory, name: str):
    folder = tmp_path_factory.mktemp("any") / "runs"
    run = write_run(folder / "bolt")
    try:
        found = rename_run(folder, run, name, idle)
    except CutSwapError:
        found = run
    assert found.parent == folder
    assert (found / "settings.json").is_file()


def test_a_taken_name_is_refused(folder: Path):
    run = with_sides(folder, "bolt")
    (folder / "file").write_text("")
    (folder / "link").symlink_to("nowhere")
    (folder / "starting.log").write_text("")
    write_run(folder / "nut")
    before = everything(folder)
    for name in ("nut", "file", "link", "starting", "bolt"):
        with pytest.raises(CutSwapError, match="expected a name that is free"):
            rename_run(folder, run, name, idle)
    with pytest.raises(CutSwapError, match="a process at work under it"):
        rename_run(folder, run, "soon", lambda path: path.name == "soon")
    assert everything(folder) == before


# What may not be touched


def attempts(folder: Path, run: Path, is_busy=idle) -> list[str]:
    """What renaming and deleting say of it, having changed nothing."""
    before = everything(folder.parent)
    said = []
    for act in (
        lambda: rename_run(folder, run, "new", is_busy),
        lambda: delete_run(folder, run, is_busy),
    ):
        with pytest.raises(CutSwapError) as refused:
            act()
        said.append(str(refused.value))
    assert everything(folder.parent) == before
    return said


def test_a_run_at_work_is_refused(folder: Path):
    assert all("a process at work" in s for s in attempts(folder, with_sides(folder, "a"), busy))


def test_links_are_refused(folder: Path, tmp_path: Path):
    outside = write_run(tmp_path / "elsewhere" / "run")
    folder.mkdir()
    (folder / "run").symlink_to(outside)
    (folder / "group").symlink_to(outside.parent)
    assert all("found a link" in s for s in attempts(folder, folder / "run"))
    assert all("found a link" in s for s in attempts(folder, folder / "group" / "run"))


@pytest.mark.parametrize("name", ["", "../elsewhere", "a/../../elsewhere", ".hidden", "a/../a"])
def test_other_places_are_refused(folder: Path, name: str):
    for path in ("a", ".hidden", "../elsewhere"):
        write_run(folder / path)
    assert all("found another place" in s for s in attempts(folder, folder / name))
    assert all("found another place" in s for s in attempts(folder, Path("/nowhere/run")))


def test_what_is_no_run_is_refused_and_the_foreign_file_named(folder: Path):
    thesis = folder / "thesis"
    thesis.mkdir(parents=True)
    (thesis / "thesis.tex").write_text("years of work")
    assert all("found thesis.tex" in s for s in attempts(folder, thesis))
    half = write_run(folder / "half")
    (half / "settings.json").write_text("{ torn")
    (half / "notes.txt").write_text("")
    assert all("found notes.txt" in s for s in attempts(folder, half))
    write_json(folder / "other" / "settings.json", {"kind": "editor"})
    assert all("settings.json of another kind" in s for s in attempts(folder, folder / "other"))
    (folder / "empty").mkdir()
    assert all("an empty folder" in s for s in attempts(folder, folder / "empty"))
    evaluation = write_evaluation(folder / "scored")
    assert all("found scores.csv" in s for s in attempts(folder, evaluation))
    assert all("found none" in s for s in attempts(folder, folder / "absent"))
    linked = write_run(folder / "linked")
    (linked / "settings.json").rename(folder / "elsewhere.json")
    (linked / "settings.json").symlink_to(folder / "elsewhere.json")
    assert all("found settings.json" in s for s in attempts(folder, linked))


def test_a_run_that_holds_another_is_refused(folder: Path):
    outer = write_run(folder / "outer")
    write_run(outer / "inner")
    assert all("another run in it, inner" in s for s in attempts(folder, outer))
    delete_run(folder, outer / "inner", idle)
    delete_run(folder, outer, idle)
    assert everything(folder) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_folder_is_a_reason(folder: Path):  # pragma: no cover - not as root
    run = with_sides(folder, "a")
    folder.chmod(0o555)
    try:
        assert all("to be able to" in s for s in attempts(folder, run))
    finally:
        folder.chmod(0o755)


def test_a_disk_that_refuses_is_a_reason(folder: Path, monkeypatch):
    run = write_run(folder / "a")

    def refuse(*_) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.Path, "rename", refuse)
    rename, delete = attempts(folder, run)
    assert "expected to be able to rename it, found Permission denied" in rename
    assert "expected to be able to delete it, found Permission denied" in delete


# Deleting


@pytest.mark.parametrize("name", ["bolt", "demo/run"])
def test_a_deleted_run_leaves_nothing_and_no_other(folder: Path, name: str):
    with_sides(folder, "other")
    before = everything(folder)
    delete_run(folder, with_sides(folder, name), idle)
    (folder / "demo").exists() and (folder / "demo").rmdir()
    assert everything(folder) == before


def test_a_broken_run_of_its_own_files_can_be_deleted(folder: Path):
    run = write_run(folder / "half")
    (run / "settings.json").write_text("{ torn")
    (run / ".checkpoint.safetensors.x3k_9.tmp").write_bytes(b"half")  # killed while writing
    (run / "environment.json").write_text("{}")
    delete_run(folder, run, idle)
    assert everything(folder) == {}


def test_a_job_that_never_made_its_folder_can_be_deleted(folder: Path):
    run = with_sides(folder, "early")
    shutil.rmtree(run)
    with pytest.raises(CutSwapError, match="a process at work"):
        delete_run(folder, run, busy)
    delete_run(folder, run, idle)
    assert everything(folder) == {}


def test_links_inside_a_run_are_removed_and_not_followed(folder: Path, tmp_path: Path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    run = write_run(folder / "a")
    (run / "link").symlink_to(tmp_path / "kept")
    assert contents(run)[1] == ("link",)
    delete_run(folder, run, idle)
    assert (tmp_path / "kept" / "file").read_text() == "x"


def test_an_interrupted_deletion_leaves_the_name_free_and_is_finished_by_the_next(
    folder: Path, monkeypatch
):
    first, second = with_sides(folder, "first"), with_sides(folder, "second")
    own_bin = folder / ".Trash-1000"
    own_bin.mkdir()

    def killed(*_, **__) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            delete_run(folder, first, idle)
    (trash,) = folder.glob(".trash-*")
    assert (trash / "settings.json").is_file()
    assert [r.name for r in find_runs(folder).runs] == ["second"]
    assert not any(path.exists() for path in (first, log_file(first)))
    (folder / ".trash-run-0123456789abcdef").symlink_to(second)  # not ours: a link
    delete_run(folder, second, idle)
    assert set(everything(folder)) == {".Trash-1000", ".trash-run-0123456789abcdef"}


def test_what_is_lost_is_told(folder: Path):
    run = write_run(folder / "a")
    (run / "notes").mkdir()
    (run / "notes" / "x.txt").write_bytes(b"12345")
    size, foreign = contents(run)
    assert size == sum(len(data) for data in everything(run).values())
    assert foreign == ("notes",)


# Evaluations


def scored(path: Path, source: str) -> Path:
    return write_evaluation(path, weights={"source": source})


def test_evaluations_follow_a_renamed_run(folder: Path, tmp_path: Path):
    run = write_run(folder / "bolt")
    by_command = scored(folder / "after", f"fine-tuned run {run}")
    inside = scored(run / "scored", "fine-tuned run runs/bolt")
    cached = scored(tmp_path / "cache" / "x", str(run / "backbone.safetensors"))
    other = scored(folder / "other", "embedded")
    before = {p: (p / "result.json").stat().st_mtime_ns for p in (by_command, cached)}
    texts = {p: (p / "result.json").read_text() for p in (by_command, other)}
    new = rename_run(folder, run, "nut", idle, [read_evaluation(cached)])
    found = find_runs(folder)
    for path in (by_command, new / inside.name, cached):
        evaluation = read_evaluation(path)
        assert evaluation.state == DONE
        meant = run_of(evaluation, found.runs)
        assert meant is not None
        assert meant.name == "nut"
    assert {p: (p / "result.json").stat().st_mtime_ns for p in before} == before
    assert (other / "result.json").read_text() == texts[other]
    assert (by_command / "result.json").read_text() == texts[by_command].replace(
        f'run {run}"', f'run {new}"'
    )


def test_the_next_run_of_a_deleted_ones_name_is_not_credited(folder: Path):
    run = write_run(folder / "bolt")
    path = scored(folder / "after", f"fine-tuned run {run}")
    delete_run(folder, run, idle)
    again = write_run(folder / "bolt")
    evaluation = read_evaluation(path)
    assert evaluation.state == DONE
    assert evaluation.summary["image_auroc"] == 0.9
    assert (
        run_of(evaluation, [read for read in find_runs(folder).runs if read.path == again]) is None
    )
    assert "bolt (deleted " in evaluation.summary["weights"]["source"]


def test_an_older_evaluation_is_of_an_earlier_run_and_stays(folder: Path):
    path = scored(folder / "after", f"fine-tuned run {folder / 'bolt'}")
    os.utime(path / "result.json", (1, 1))
    os.utime(path / "scores.csv", (1, 1))
    before = (path / "result.json").read_text()
    rename_run(folder, write_run(folder / "bolt"), "nut", idle)
    assert (path / "result.json").read_text() == before


def test_a_network_of_a_study_keeps_the_name_its_cells_know(folder: Path):
    write_small_study(folder / "long", lambda _: None, tables=("VI",), seeds=1)
    run = write_run(folder / "long/runs/r1")
    with pytest.raises(CutSwapError, match="a network of study long"):
        rename_run(folder, run, "other", idle)
    assert run.is_dir()

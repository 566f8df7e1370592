"""What lies beside a run under a name of ours: links that lead out, pipes, devices, huge files."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.data import folders
from cutswap.analysis.feature_set import ARRAYS, read_features
from cutswap.errors import CutSwapError
from cutswap.runs.metrics_log import MetricsTail
from cutswap.runs.queue import JobQueue
from cutswap.runs.states import BROKEN, log_file, log_tail, read_run
from cutswap.runs.worker import _run
from cutswap.utils.array_files import read_arrays
from cutswap.utils.files import append_own, open_own
from tests.helpers.app import small_app, texts
from tests.helpers.runs import lines, write_run

SECRET = "root:x:0:0"  # noqa: S105


def linked(path: Path, folder: Path) -> None:
    (folder / "secret").write_text(SECRET)
    path.symlink_to(folder / "secret")


KINDS = {
    "a link to another's file": linked,
    "a link to /dev/zero": lambda path, _: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path, _: path.symlink_to(path),
    "a pipe nobody writes": lambda path, _: os.mkfifo(path),
    "a folder": lambda path, _: path.mkdir(),
}


@pytest.fixture(params=KINDS)
def hostile(request: pytest.FixtureRequest, tmp_path: Path):
    """Puts what is hostile where it is told."""
    return lambda path: KINDS[request.param](path, tmp_path)


def test_a_log_that_is_none_is_not_shown(hostile, tmp_path: Path):
    run = write_run(tmp_path / "runs" / "ok")
    hostile(log_file(run))
    assert log_tail(run) == []


def test_a_log_that_is_none_is_not_written_into(hostile, tmp_path: Path):
    """A job whose log is a link would append to any file of its user."""
    queue = JobQueue(tmp_path / "runs")
    job = queue.add(tmp_path / "runs" / "ok", ["jobs", "--help"], device="cpu")
    hostile(log_file(job.run))
    assert _run(queue, job) == 127
    if (tmp_path / "secret").exists():
        assert (tmp_path / "secret").read_text() == SECRET


def test_metrics_that_are_none_are_not_read(hostile, tmp_path: Path):
    run = write_run(tmp_path / "ok", finished=False)
    (run / "metrics.jsonl").unlink()
    hostile(run / "metrics.jsonl")
    assert MetricsTail(run).read() == []
    assert read_run(run).step == 0


@pytest.mark.parametrize("name", ["settings.json", "result.json"])
def test_records_that_are_none_are_not_read(name: str, hostile, tmp_path: Path):
    run = write_run(tmp_path / "ok")
    (run / name).unlink()
    hostile(run / name)
    found = read_run(run)
    assert found.result == {}
    assert SECRET not in found.reason
    assert name != "settings.json" or found.state == BROKEN


def test_features_that_are_none_are_not_read(hostile, tmp_path: Path):
    (tmp_path / "features.json").write_text('{"sha256": ""}')
    hostile(tmp_path / ARRAYS)
    with pytest.raises(CutSwapError):
        read_features(tmp_path)


def test_only_files_of_the_folder_are_opened(hostile, tmp_path: Path):
    path = tmp_path / "some.log"
    hostile(path)
    for way in (open_own, append_own):
        with pytest.raises(OSError, match=r"."):
            way(path)
    (tmp_path / "own.log").write_bytes(b"said\r\n")
    with append_own(tmp_path / "own.log") as file:
        file.write(b"more\n")
    with open_own(tmp_path / "own.log") as file:
        assert file.read() == b"said\r\nmore\n"


def test_of_a_huge_licence_the_beginning_is_read(tmp_path: Path, monkeypatch):
    """Sparse, 3 GB: the whole would fill the memory."""
    from streamlit.testing.v1 import AppTest

    root = small_app(tmp_path, monkeypatch)
    with (root / "LICENSE").open("wb") as file:
        file.write(b"Free for all." + b" " * 4000)
        file.truncate(3_000_000_000)
    read: list[int] = []
    real = folders.open_own

    def watched(path: Path):
        file = real(path)
        whole = file.read
        file_read = lambda size=-1: read.append(size) or whole(size)  # noqa: E731
        return _Watched(file, file_read)

    monkeypatch.setattr(folders, "open_own", watched)
    at = AppTest.from_function(_licences, args=(str(root),)).run()
    assert not at.exception
    assert "Free for all." in texts(at)
    assert read == [folders._SHOWN]


class _Watched:
    def __init__(self, file, read) -> None:
        self.file, self.read = file, read

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def _licences(root: str) -> None:
    from pathlib import Path

    from app.data import folders

    folders._licences([Path(root)])


def test_arrays_that_overlap_are_not_unpacked():
    """A hundred names for one array: each within its limit, all of them a hundredfold."""
    data = io.BytesIO()
    np.savez(data, a=np.zeros(100_000))
    with zipfile.ZipFile(data, "a") as archive:
        first = archive.infolist()[0]
        for number in range(100):
            again = zipfile.ZipInfo(f"b{number}.npy")
            for name in ("file_size", "compress_size", "CRC", "header_offset", "orig_filename"):
                setattr(again, name, getattr(first, name))
            archive.filelist.append(again)
        archive._didModify = True
    data.seek(0)
    with pytest.raises(ValueError, match="overlap"):
        read_arrays(data)


def test_a_sound_log_is_shown(tmp_path: Path):
    run = write_run(tmp_path / "ok")
    log_file(run).write_text("one\ntwo\n")
    assert log_tail(run) == ["one", "two"]
    assert [u["step"] for u in MetricsTail(run).read()] == list(range(1, 11))
    assert lines(10) == (run / "metrics.jsonl").read_text()

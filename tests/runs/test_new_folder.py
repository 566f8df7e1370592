"""A new folder of the runs folder: whole, under the first free name, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutswap.errors import CutSwapError
from cutswap.runs.new_folder import new_folder


def fill(folder: Path) -> str:
    (folder / "a.txt").write_text("a", encoding="utf-8")
    return "filled"


def test_it_takes_the_first_free_name_and_is_open_to_others(tmp_path):
    runs = tmp_path / "runs"
    for number in (1, 2):
        out, said = new_folder(runs, "left/bolt-detector", "the detector", fill)
        assert (out.name, said) == (f"left-bolt-detector-{number}", "filled")
        assert (out / "a.txt").read_text() == "a"
        assert out.stat().st_mode & 0o777 == 0o755
    assert sorted(p.name for p in runs.iterdir()) == [f"left-bolt-detector-{n}" for n in (1, 2)]


def test_what_fails_leaves_nothing(tmp_path):
    def fails(folder: Path) -> None:
        fill(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(CutSwapError, match="to write the detector, found No space left"):
        new_folder(tmp_path, "bolt", "the detector", fails)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_runs_folder_is_told(tmp_path):
    (tmp_path / "runs").write_text("x", encoding="utf-8")
    with pytest.raises(CutSwapError, match="CUTSWAP_RUNS"):
        new_folder(tmp_path / "runs", "bolt", "the detector", fill)

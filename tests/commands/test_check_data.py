"""`check-data` lists every problem of every category at once, also where one is empty."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cutswap.commands.parser import main
from tests.helpers.datasets import build_category, build_visa, visa_rows


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three categories, of which the last has a damaged photo."""
    for name in ("bolt", "nut", "screw"):
        build_category(tmp_path / "data" / name)
    (tmp_path / "data/screw/train/good/000.png").write_bytes(b"nonsense")
    return tmp_path / "data"


def clear(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


EMPTIED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no photo in train/good": (
        lambda nut: clear(nut / "train/good"),
        "no sound training photo is left",
    ),
    "no train/good": (
        lambda nut: shutil.rmtree(nut / "train"),
        "no category, for it has no train/good; 8 photos in it",
    ),
    "nothing at all": (clear, "no category, for it has no train/good; no photos in it"),
    "only a text": (
        lambda nut: (clear(nut / "train/good"), (nut / "train/good/a.txt").write_text("x"))[0],
        "no sound training photo is left",
    ),
}


@pytest.mark.parametrize("case", EMPTIED)
def test_an_empty_category_hides_no_other(case, data, tmp_path, capsys):
    empty, words = EMPTIED[case]
    empty(data / "nut")
    assert main(["check-data", "--data", str(data), "--quiet", "--json", f"{tmp_path}/r.json"]) == 1
    said = capsys.readouterr().out
    assert words in said
    assert "bolt: 3 good to learn from; to test: 2 good, 3 defective" in said
    assert "BAD  " + str(data / "screw/train/good/000.png") in said
    report = json.loads((tmp_path / "r.json").read_text())
    assert {"bolt", "screw"} <= set(report["categories"])
    every = [p for c in report["categories"].values() for p in c["problems"]]
    assert sum(p["fatal"] for p in every + report["problems"]) == said.count("BAD ") - 1


@pytest.mark.parametrize("gone", ["image", "mask"])
def test_a_category_that_cannot_be_listed_hides_no_other(gone, tmp_path, capsys):
    rows = [*visa_rows("candle"), *visa_rows("pcb1")]
    build_visa(tmp_path, rows)
    (tmp_path / next(row[gone] for row in rows if row[gone])).unlink()
    (tmp_path / "pcb1/Data/Images/Normal/0000.JPG").write_bytes(b"nonsense")
    assert main(["check-data", "--data", str(tmp_path), "--quiet"]) == 1
    said = capsys.readouterr().out
    assert "candle: not read; 1 bad, 0 to know" in said
    assert "1 missing, the first is candle/Data" in said
    assert f"BAD  {tmp_path / 'pcb1/Data/Images/Normal/0000.JPG'}" in said


def test_a_category_that_is_none_is_refused(data, capsys):
    assert main(["check-data", "--data", str(data), "--category", "gear", "--quiet"]) == 2
    assert "one of bolt, nut, screw" in capsys.readouterr().err


ONE_SIDED = {
    "only good": ({"good": 3}, "3 good and 0 defective"),
    "only defective": ({"crack": 2, "dent": 1}, "0 good and 3 defective"),
    "no test photo": ({}, "0 good and 0 defective"),
    "the only good one is bad": ({"good": 0, "crack": 2}, "0 good and 2 defective"),
}


@pytest.mark.parametrize("case", ONE_SIDED)
def test_what_cannot_be_scored_is_not_called_free_of_obstacles(case, tmp_path, capsys):
    test, found = ONE_SIDED[case]
    build_category(tmp_path / "data/bolt")
    build_category(tmp_path / "data/nut", test=test)
    if "bad" in case:
        (tmp_path / "data/nut/test/good").mkdir()
        (tmp_path / "data/nut/test/good/000.png").write_bytes(b"nonsense")
    words = ["check-data", "--data", str(tmp_path / "data"), "--json", f"{tmp_path}/r.json"]
    assert main([*words, "--quiet"]) == int("bad" in case)
    *_, last = capsys.readouterr().out.splitlines()
    assert last == (
        "training needs no more; evaluate, sweep and reproduce need good and defective test photos"
        f" too: add them to test/good and test/<defect> of nut ({found})"
    )
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["lacking_test_photos"] == {"nut": found}


def test_a_whole_set_has_nothing_in_its_way(tmp_path, capsys):
    build_category(tmp_path / "bolt")
    assert main(["check-data", "--data", str(tmp_path / "bolt"), "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing stands in the way"

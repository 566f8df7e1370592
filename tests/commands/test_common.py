"""What commands that use a data set say of it before they begin."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pytest

from cutswap.commands.common import add_data, add_looks, add_skip_bad, checked_category
from cutswap.utils.progress import Bars
from tests.helpers.datasets import blob_mask, build_category, noise_photo, write_image

DOUBTFUL = {
    "an inverted mask": (
        lambda r: write_image(r / "ground_truth/dent/000_mask.png", ~blob_mask()),
        "ground_truth/dent/000_mask.png: marks 94% of the photo",
    ),
    "one picture as good and as a defect": (
        lambda r: shutil.copy(r / "test/good/000.png", r / "test/crack/000.png"),
        "test/good/000.png: the same picture as test/crack/000",
    ),
    "photos that are not used": (
        lambda r: write_image(r / "train/good/more/0.png", noise_photo(0)),
        "train/good: 1 photo not used",
    ),
}


def check(root: Path, *, is_told: bool = True) -> None:
    parser = argparse.ArgumentParser()
    for add in (add_data, add_looks, add_skip_bad):
        add(parser)
    options = parser.parse_args(["--data", str(root)])
    with Bars(True) as bars:
        checked_category(options, bars, is_told=is_told)


@pytest.mark.parametrize("case", DOUBTFUL)
def test_doubtful_data_is_used_and_said(case, tmp_path, capsys):
    spoil, words = DOUBTFUL[case]
    root = build_category(tmp_path / "bolt")
    spoil(root)
    check(root)
    said = capsys.readouterr().err
    assert said.startswith(f"doubtful, and used all the same: {root / words}")
    assert said.count("\n") == 1
    check(root, is_told=False)
    assert capsys.readouterr().err == ""


def test_several_doubts_are_counted(tmp_path, capsys):
    root = build_category(tmp_path / "bolt")
    for spoil, _ in DOUBTFUL.values():
        spoil(root)
    check(root)
    assert capsys.readouterr().err.strip().endswith("; 2 more: run check-data")


def test_of_sound_data_nothing_is_said(tmp_path, capsys):
    check(build_category(tmp_path / "bolt"))
    assert capsys.readouterr().err == ""

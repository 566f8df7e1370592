"""The list of kept photos as a table: no spreadsheet computes it, and it comes back as it was."""

from __future__ import annotations

import csv
import io

import pytest

from cutswap.errors import CutSwapError
from cutswap.reports.kept_photos import LONGEST, KeptPhoto, KeptRow, kept_csv, read_kept
from tests.utils.test_csv_text import FORMULAS

HOSTILE = (*FORMULAS, "a,b", 'quote "x"', "two\nlines", "<b>&amp;</b>", "")


def rows(*photos: KeptPhoto) -> list[KeptRow]:
    return [KeptRow(photo, "crack", 1.5, 2.0, "✖ missed") for photo in photos]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_comments_come_back_and_are_no_formulas(tmp_path, text: str):
    photos = (KeptPhoto(text or "test/a/0", text), KeptPhoto("test/a/1", "plain"))
    written = kept_csv(rows(*photos))
    for row in csv.DictReader(io.StringIO(written, newline="")):
        assert not {row["image"][:1], row["comment"][:1]} & set("=+-@\t\r")
    (tmp_path / "kept.csv").write_text(written, encoding="utf-8", newline="")
    assert read_kept(tmp_path / "kept.csv") == photos


def test_a_photo_without_a_threshold_has_an_empty_cell():
    line = kept_csv([KeptRow(KeptPhoto("a"), "", 0.25, None, "– no threshold yet")]).splitlines()
    assert line == ["image,defect,score,threshold,verdict,comment", "a,,0.25,,– no threshold yet,"]


def test_a_comment_is_cut_to_what_a_report_prints(tmp_path):
    (tmp_path / "kept.csv").write_text(f"image,comment\na,{'x' * 9999}\n")
    (photo,) = read_kept(tmp_path / "kept.csv")
    assert len(photo.comment) == LONGEST


@pytest.mark.parametrize(
    "content", [None, b"", b"image\na\n", b"comment\nx\n", b"\xff\xfe\x00", b"image,comment\n,x\n"],
)  # fmt: skip
def test_what_is_no_such_table_is_refused(tmp_path, content):
    path = tmp_path / "kept.csv"
    if content is not None:
        path.write_bytes(content)
    if content == b"":
        assert read_kept(path) == ()
        return
    with pytest.raises(CutSwapError, match="image and comment"):
        read_kept(path)

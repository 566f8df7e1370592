"""Kept photos: marked, commented, taken along, and forgotten with the session; and the report."""

from __future__ import annotations

import pytest
import streamlit as st

from app.inspect_heatmaps.review import report
from cutswap.evaluation.scored_set import read_scored
from cutswap.evaluation.thresholds import Prices
from cutswap.reports.kept_photos import KeptPhoto
from tests.helpers.inspect_page import button, no_trace, open_page, words

KEY = "demo/bolt"


def table(at):
    return next((d.value for d in at.dataframe if "comment" in d.value.columns), None)


@pytest.mark.usefixtures("saved")
def test_a_photo_is_kept_with_its_comment_over_other_photos_and_thresholds():
    at = open_page(eval="first", img="test/spot/001")
    assert table(at) is None
    at = at.checkbox(key=f"keep.this.{KEY}.test/spot/001").check().run()
    at = at.text_input(key=f"keep.said.{KEY}.test/spot/001").input("=glare").run()
    no_trace(at)
    at = button(at, "Worst mistake").click().run()
    at = at.button(key="thr.Cheapest").click().run()
    no_trace(at)
    kept = table(at)
    assert kept[["image", "comment"]].values.tolist() == [["test/spot/001", "=glare"]]
    other = open_page(eval="first")  # another session
    assert table(other) is None
    at = button(at, "Forget all").click().run()
    no_trace(at)
    assert table(at) is None


@pytest.mark.usefixtures("saved")
def test_what_is_downloaded_is_the_list(monkeypatch):
    given = {}
    real = st.delta_generator.DeltaGenerator.download_button

    def caught(self, label, data, *args, **kwargs):
        given[label] = data
        return real(self, label, data, *args, **kwargs)

    monkeypatch.setattr(st.delta_generator.DeltaGenerator, "download_button", caught)
    at = open_page(eval="first", img="test/spot/001")
    at = at.checkbox(key=f"keep.this.{KEY}.test/spot/001").check().run()
    at.text_input(key=f"keep.said.{KEY}.test/spot/001").input("=1+1").run()
    (csv,) = (data for label, data in given.items() if "CSV" in label)
    assert csv.splitlines()[1].startswith("test/spot/001,spot,")
    assert csv.splitlines()[1].endswith(",'=1+1")


@pytest.mark.usefixtures("saved")
def test_a_training_photo_cannot_be_kept():
    at = open_page(eval="first", img="test/spot/001")
    assert [c for c in at.checkbox if c.label == "Keep this photo"]
    at = open_page(eval="first", img="train/good/001")
    no_trace(at)
    assert not [c for c in at.checkbox if c.label == "Keep this photo"]


@pytest.mark.parametrize("public", [False, True])
def test_the_button_writes_the_report_of_what_is_on_the_screen(saved, monkeypatch, public):
    given = {}
    monkeypatch.setattr(report.st, "download_button", lambda *args, **_: given.update(args=args))
    monkeypatch.setenv("CUTSWAP_PUBLIC", "1" if public else "")
    kept = {KEY: (KeptPhoto("test/spot/001", "a scratch?"),)}
    monkeypatch.setattr(report, "kept_photos", kept.__getitem__)
    scored = read_scored(saved / "first")
    report.report_button(scored, 1e9, Prices(7, 3), KEY)
    text = given["args"][1]()  # only now its pictures are made
    assert "a scratch?" in text
    assert "Missed: 3" in text
    assert "cost at 7 a miss and 3 an alarm <strong>21" in text
    assert (str(saved.parent) in text) is not public


@pytest.mark.usefixtures("saved")
def test_the_page_offers_the_report():
    at = open_page(eval="first")
    labels = [b.proto.label for b in at.get("download_button")]
    assert "Report (HTML, to print)" in labels
    assert "Kept photos and report" in [s.value for s in at.subheader]
    assert "No photo is kept yet" in words(at)

"""The one-page report: its numbers, its pictures, and that whatever it is called stays text."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from cutswap.commands.parser import main
from cutswap.evaluation.missed import wilson
from cutswap.evaluation.scored_set import ScoredSet, read_scored
from cutswap.evaluation.thresholds import Prices, ThresholdCounts
from cutswap.reports import inspection
from cutswap.reports.inspection import how_chosen, inspection_report
from cutswap.reports.kept_photos import KeptPhoto
from cutswap.runs.provenance import hashes_of
from tests.helpers.scored import build_parts, score_parts

HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """data/, a category with three spots; scored/, its evaluation."""
    folder = tmp_path_factory.mktemp("reports")
    score_parts(build_parts(folder / "data"), folder / "scored")
    return folder


@pytest.fixture
def scored(world) -> ScoredSet:
    return read_scored(world / "scored")


def copied(world: Path, folder: Path) -> Path:
    """The evaluation, to be changed; its photos stay where they are."""
    return shutil.copytree(world / "scored", folder / "scored")


class Page(HTMLParser):
    """Tags, addresses and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v or "" for n, v in attrs if n in ("src", "href", "action", "srcset")]
        assert not [n for n, _ in attrs if n.startswith("on")]

    def handle_data(self, data):
        self.words += f" {data}"


def words(text: str) -> str:
    return re.sub(r"\s+", " ", Page(text).words)


@pytest.mark.parametrize("place", ["low", "middle", "high"])
def test_the_numbers_are_those_of_the_threshold(scored, place):
    spots = np.sort(scored.scores[scored.labels])
    threshold = {"low": spots[0] - 1, "middle": spots[1], "high": spots[-1] + 9}[place]
    said = words(inspection_report(scored, threshold=float(threshold), prices=Prices(10, 1)))
    counts = ThresholdCounts.of_images(scored.scores, scored.labels).at(threshold)
    for part in (
        f"{counts.hits} found", f"{counts.missed} missed", f"{counts.alarms} false alarms",
        f"{counts.passed} passed", f"score ≥ {threshold:.6g}", f"Missed: {counts.missed}",
        f"Falsely called: {counts.alarms}", f"spot {counts.hits} of 3",
        f"an alarm {counts.cost(10, 1):g}",
    ):  # fmt: skip
        assert part in said
    low, high = wilson(counts.hits, 3)
    assert f"{low:.2f} to {high:.2f}" in said


def test_each_mistake_has_its_picture_and_the_kept_ones_their_comments(scored):
    every = float(scored.scores.max()) + 1
    kept = [KeptPhoto("test/good/000", "glare"), KeptPhoto("test/none/9", "moved away")]
    text = inspection_report(scored, threshold=every, kept=kept)
    page = Page(text)
    assert page.tags.count("img") == 3 + 1
    assert all(a.startswith("data:image/jpeg;base64,") for a in page.addresses)
    said = words(text)
    assert "glare" in said
    assert "Kept photos: 2" in said
    assert "test/none/9 not a test photo of this evaluation moved away" in said


def test_beyond_the_pictures_photos_are_named(scored, monkeypatch):
    monkeypatch.setattr(inspection, "MOST", 1)
    monkeypatch.setattr(inspection, "NAMED", 1)
    kept = [KeptPhoto(name, f"about {name}") for name in scored.names[:3]]
    text = inspection_report(scored, threshold=float(scored.scores.max()) + 1, kept=kept)
    assert Page(text).tags.count("img") == 2
    assert "and 1 more." in words(text)
    assert all(f"about {one.name}" in words(text) for one in kept)


def test_it_says_what_it_was_made_from(scored, world):
    summary = scored.summary
    said = words(inspection_report(scored))
    assert str(summary["fingerprint"]) in said
    assert f"seed {summary['seed']}" in said
    assert "scikit-learn" in said
    assert f"--data {world / 'data' / 'bolt'}" in said
    again = words(inspection_report(scored))
    digest = re.compile(r"test photos, SHA-256 (\w{64})")
    assert digest.search(said)[1] == digest.search(again)[1]
    assert len(hashes_of(scored.records)) == 6
    photo = scored.records[0].image
    before = photo.read_bytes()
    photo.write_bytes(before + b"x")
    try:
        other = words(inspection_report(scored))
    finally:
        photo.write_bytes(before)
    assert digest.search(other)[1] != digest.search(said)[1]


def test_strangers_learn_no_folder_of_this_machine(scored, world):
    text = inspection_report(scored, names_folders=False)
    assert str(world) not in text
    assert "Again:" not in text


@pytest.mark.parametrize("where", ["spot", "category", "comment"])
def test_whatever_it_is_called_stays_text(world, tmp_path, where):
    kept = [KeptPhoto("test/good/000", HOSTILE), KeptPhoto(HOSTILE, HOSTILE)]
    if where == "spot":
        parts = build_parts(tmp_path / "data")
        name = HOSTILE.replace("/", "")
        for kind in ("test", "ground_truth"):
            (parts / "bolt" / kind / "spot").rename(parts / "bolt" / kind / name)
        folder = score_parts(parts, tmp_path / "scored").folder
    else:
        folder = copied(world, tmp_path)
    scored = read_scored(folder)
    if where == "category":
        scored.summary["category"] = scored.summary["data"]["root"] = HOSTILE
        scored.summary["backbone"] = scored.summary["fingerprint"] = HOSTILE
        (folder / "environment.json").write_text(
            '{"versions": {"<script>": "<img>"}, "python": "<b>", "platform": "<i>"}'
        )
    text = inspection_report(scored, kept=kept if where == "comment" else ())
    page = Page(text)
    assert not {"script", "iframe", "b", "i", "form", "a"} & set(page.tags)
    assert all(a.startswith("data:image/jpeg") for a in page.addresses)
    assert "onerror=alert(1)" in page.words
    assert "default-src 'none'" in text


def test_photos_that_vanished_leave_the_numbers(tmp_path):
    made = score_parts(build_parts(tmp_path / "data"), tmp_path / "scored")
    for path in (tmp_path / "data/bolt/test/spot").iterdir():
        path.unlink()
    text = inspection_report(read_scored(made.folder), threshold=1e9)
    assert "no pictures" in words(text)
    assert "Missed: 3" in words(text)
    assert Page(text).tags.count("img") == 0


@pytest.mark.parametrize("content", [None, "[]", "{}", '{"versions": 5}', "\x00"])
def test_an_evaluation_without_its_environment_has_a_report(world, tmp_path, content):
    folder = copied(world, tmp_path)
    (folder / "environment.json").unlink()
    (folder / "bank.safetensors").unlink()
    if content is not None:
        (folder / "environment.json").write_text(content)
    said = words(inspection_report(read_scored(folder)))
    assert "scored with not recorded" in said
    assert "no such file" in said


@pytest.mark.parametrize(
    ("threshold", "prices", "says"),
    [
        (3.0, None, "Stored with the evaluation"),
        (2.5, None, "Stored with the evaluation"),  # between two scores it acts as the next
        (2.0, None, "The best F1"),
        (5.0, Prices(0, 1), "cost least, at 0 a missed defect and 1 a false alarm"),
        (5.0, Prices(1, 0), "Set by hand"),
        (1.0, None, "Set by hand"),
    ],
)
def test_how_a_threshold_was_chosen_is_seen_from_where_it_acts(threshold, prices, says):
    scores, labels = np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, True, True])
    counts = ThresholdCounts.of_images(scores, labels)
    told = how_chosen(threshold, counts, 3.0, prices)
    assert told.startswith(says) or says in told
    assert "kind side" in told


class TestCommand:
    def run(self, world: Path, out: Path, *more: str) -> int:
        line = ["export", "report", "--evaluation", str(world / "scored"), "--out", str(out)]
        return main([*line, *more])

    def test_it_writes_what_it_says(self, world, tmp_path, capsys):
        (tmp_path / "kept.csv").write_text("image,comment\ntest/good/000,glare\n")
        done = self.run(
            world, tmp_path / "out", "--threshold", "1e9", "--kept", str(tmp_path / "kept.csv")
        )
        assert done == 0
        assert "3 missed, 0 falsely called, 1 kept" in capsys.readouterr().out
        said = words((tmp_path / "out/report.html").read_text())
        assert "Set by hand" in said
        assert "glare" in said

    def test_prices_choose_the_cheapest(self, world, tmp_path, capsys):
        assert self.run(world, tmp_path, "--miss-price", "0", "--alarm-price", "1") == 0
        assert "3 missed, 0 falsely called" in capsys.readouterr().out
        assert "cost least" in (tmp_path / "report.html").read_text()

    def test_a_page_of_another_origin_is_kept_and_an_own_one_replaced(self, world, tmp_path):
        assert self.run(world, tmp_path / "own") == self.run(world, tmp_path / "own") == 0
        (tmp_path / "report.html").write_text("mine")
        assert self.run(world, tmp_path) == 2
        assert (tmp_path / "report.html").read_text() == "mine"

    @pytest.mark.parametrize(
        "more",
        [("--miss-price", "1"), ("--alarm-price", "1"), ("--kept", "nowhere.csv"),
         ("--score", "head")],
    )  # fmt: skip
    def test_what_does_not_go_together_is_refused_before_anything_is_written(
        self, world, tmp_path, more
    ):
        assert self.run(world, tmp_path / "out", *more) == 2
        assert not (tmp_path / "out/report.html").exists()

    @pytest.mark.parametrize(
        "more", [("--threshold", "nan"), ("--threshold", "inf"), ("--miss-price", "-1")]
    )
    def test_numbers_that_are_none_are_refused(self, world, tmp_path, more):
        with pytest.raises(SystemExit):
            self.run(world, tmp_path / "out", *more)


@pytest.mark.parametrize("is_edited", [False, True])
def test_a_promised_rate_is_the_reports_threshold_and_says_what_it_rests_on(
    world, tmp_path, is_edited
):
    folder = copied(world, tmp_path)
    summary = json.loads((folder / "result.json").read_text())
    own = summary["threshold"]
    summary["false_alarms"] = {
        "threshold": own + 0.125,
        "asked": "much" if is_edited else 0.05,
        "photos": 40,
        "how": "split conformal: 40 good photos",
        "assumption": "good photos to come are exchangeable with these",
    }
    (folder / "result.json").write_text(json.dumps(summary))
    out, told = tmp_path / "out", tmp_path / "told.json"
    line = ["export", "report", "--evaluation", str(folder), "--out", str(out)]
    assert main([*line, "--json", str(told)]) == 0
    threshold = json.loads(told.read_text())["threshold"]
    assert threshold == (own if is_edited else own + 0.125)
    words = Page((out / "report.html").read_text()).words
    assert ("From 40 good photos alone, for false alarms of at most 5%" in words) != is_edited
    assert ("exchangeable" in words) != is_edited

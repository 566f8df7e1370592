"""`cutswap score` end to end: a detector that evaluate wrote, and everything it refuses."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest

from cutswap.commands import score as command
from cutswap.commands.parser import main
from cutswap.decision.decision import read_decision
from cutswap.evaluation.scored_set import read_scored
from tests.helpers.datasets import build_category

EVALUATE = ["evaluate", "--weights", "random", "--coreset", "0.01", "--image-size", "64", "--quiet"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_category(tmp_path_factory.mktemp("data") / "bolt", train=6)


@pytest.fixture(scope="module")
def detector(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("detector") / "out"
    words = [*EVALUATE, "--data", str(parts), "--out", str(out), "--false-alarms", "0.15"]
    assert main(words) == 0
    return out


def score(folder: Path, detector: Path, out: Path, *more: object) -> int:
    words = ["score", folder, "--detector", detector, "--out", out, "--device", "cpu", *more]
    return main([*map(str, words), "--quiet"])


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "scores.csv").open(newline="") as file:
        return {row["photo"]: row for row in csv.DictReader(file)}


def test_scores_are_those_of_the_evaluation(parts: Path, detector: Path, tmp_path: Path, capsys):
    out, result = tmp_path / "out", tmp_path / "result.json"
    assert score(parts / "test", detector, out, "--json", result) == 0
    found, scored, decision = rows(out), read_scored(detector), read_decision(detector)
    assert decision is not None
    assert [f"test/{name.removesuffix('.png')}" for name in found] == list(scored.names)
    for name, value in zip(scored.names, scored.scores, strict=True):
        row = found[f"{name.removeprefix('test/')}.png"]
        assert float(row["score"]) == pytest.approx(value, rel=1e-5)
        is_called = float(row["score"]) >= decision.promise.threshold
        assert row["verdict"] == ("defective" if is_called else "good")
        assert (float(row["p_value"]) <= 0.15) == is_called
        assert (out / f"heatmaps/{name.removeprefix('test/')}.png.png").is_file()
    said = capsys.readouterr()
    assert said.out.startswith("5 photos: ")
    assert "false alarms at most 15%" in said.err
    assert json.loads(result.read_text())["photos"] == 5
    # the same command again replaces what is its own, and nothing else
    assert score(parts / "test", detector, out) == 0
    (out / "scores.csv").write_text("mine")
    assert score(parts / "test", detector, out) == 2
    assert (out / "scores.csv").read_text() == "mine"


def test_other_thresholds(parts: Path, detector: Path, tmp_path: Path, capsys):
    assert score(parts / "test", detector, tmp_path / "a", "--threshold", 0) == 0
    assert {row["verdict"] for row in rows(tmp_path / "a").values()} == {"defective"}
    assert score(parts / "test", detector, tmp_path / "b", "--false-alarms", 0.19) == 0
    assert score(parts / "test", detector, tmp_path / "c", "--false-alarms", 0.01) == 2
    assert "expected at least 99 good photos" in capsys.readouterr().err
    both = ("--threshold", 1, "--false-alarms", 0.19)
    assert score(parts / "test", detector, tmp_path / "c", *both) == 2
    assert "expected one of the two, found both" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_a_detector_without_good_scores(parts: Path, tmp_path: Path, capsys):
    own = tmp_path / "detector"
    assert main([*EVALUATE, "--data", str(parts), "--out", str(own)]) == 0
    assert score(parts / "test", own, tmp_path / "out") == 0
    assert "best F1 of the evaluation's test images" in capsys.readouterr().err
    assert {row["p_value"] for row in rows(tmp_path / "out").values()} == {""}
    assert score(parts / "test", own, tmp_path / "x", "--false-alarms", 0.15) == 2
    assert "run its evaluate again with --false-alarms 0.15" in capsys.readouterr().err


def test_a_bad_photo_is_told_and_ends_nothing(parts: Path, detector: Path, tmp_path: Path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes((parts / "test/good/000.png").read_bytes())
    (folder / "b.png").write_text("no picture")
    (folder / "c.txt").write_text("x")
    assert score(folder, detector, tmp_path / "out") == 1  # problems found
    said = capsys.readouterr().err
    assert "left out 1 name that are no photos (c.txt)" in said
    assert "b.png: unreadable: expected an image" in said
    assert rows(tmp_path / "out")["a.png"]["score"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_watching(
    parts: Path, detector: Path, tmp_path: Path, monkeypatch, capsys, number
):
    """The second look finds the photos whole, the third is asked to stop."""
    looks = []

    def pause(_: float) -> None:
        looks.append(1)
        if len(looks) == 2:
            signal.raise_signal(number)

    monkeypatch.setattr(command, "_pause", lambda _: pause)
    assert score(parts / "test", detector, tmp_path / "out", "--watch") == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 6
    assert "crack/000.png: " in said
    assert len(rows(tmp_path / "out")) == 5
    assert json.loads((tmp_path / "out/score.json").read_text())["photos"] == 5


def test_watching_ends_by_itself_where_it_is_told_to(parts: Path, detector: Path, tmp_path: Path):
    more = ("--watch", "--stop-after", 0.2, "--every", 0.05, "--no-heatmaps")
    assert score(parts / "test/good", detector, tmp_path / "out", *more) == 0
    assert set(rows(tmp_path / "out")) <= {"000.png", "001.png"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "detector"), "expected a folder of photos, found no such folder"),
        (("empty", "detector"), "expected photos (png, jpg, bmp, tif or webp), found none"),
        (("test", "nowhere"), "expected a detector: a folder that evaluate or export detector"),
        (("test", "empty"), "found no bank.safetensors"),
        (("test", "detector", "--stop-after", "1"), "expected --watch with it"),
    ],
)
def test_what_is_no_photo_or_no_detector_is_refused(
    parts: Path, detector: Path, tmp_path: Path, capsys, words, said
):
    (tmp_path / "empty").mkdir()
    places = {"detector": detector, "test": parts / "test", "empty": tmp_path / "empty"}
    folder, own, *more = (places.get(word, tmp_path / word) for word in words[:2])
    assert score(folder, own, tmp_path / "out", *more, *words[2:]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [["score", "f", "--detector", "d"],
                                     ["export", "detector", "--evaluation", "d"]])  # fmt: skip
@pytest.mark.parametrize("threshold", ["nan", "inf", "high"])
def test_a_threshold_is_a_number(command: list[str], threshold: str, capsys):
    with pytest.raises(SystemExit):
        main([*command, "--out", "o", "--threshold", threshold])
    assert "--threshold" in capsys.readouterr().err

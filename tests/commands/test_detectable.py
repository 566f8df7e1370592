"""`cutswap detectable` end to end: what it says and writes, what it reuses, what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from cutswap.commands.parser import main
from cutswap.data.images import read_photo
from cutswap.decision.detectable.measured import FILE, read_measured
from cutswap.evaluation.scored_set import read_scored
from tests.helpers.datasets import build_category, write_image
from tests.helpers.small_photos import photo_of

EVALUATE = ["evaluate", "--weights", "random", "--coreset", "0.05", "--image-size", "64", "--quiet"]
ASKED = ["--sizes", "2,8", "--contrasts", "0,100", "--places", "3", "--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build_category(tmp_path_factory.mktemp("data") / "bolt", train=6)
    for number, path in enumerate(sorted(folder.rglob("*/*/*.png"))):
        if "ground_truth" not in path.parts:
            write_image(path, photo_of(number % 3, (40, 60)))
    for path in folder.rglob("*_mask.png"):
        write_image(path, np.eye(40, 60, dtype=bool))
    return folder


@pytest.fixture
def evaluation(parts: Path, tmp_path: Path) -> Path:
    out = tmp_path / "evaluation"
    words = [*EVALUATE, "--data", str(parts), "--out", str(out), "--false-alarms", "0.15"]
    assert main(words) == 0
    return out


def detectable(evaluation: Path, *more: object) -> int:
    return main(["detectable", "--evaluation", str(evaluation), *ASKED, *map(str, more)])


def test_what_it_says_writes_and_reuses(evaluation: Path, tmp_path: Path, capsys):
    capsys.readouterr()
    out, result = tmp_path / "out", tmp_path / "result.json"
    assert detectable(evaluation, "--out", out, "--json", result) == 0
    said = capsys.readouterr()
    assert "36 defects painted on 2 photos (good test photos of the evaluation" in said.out
    assert "threshold" in said.out
    assert "false alarms at most 15%" in said.out  # the evaluation's own, of good photos alone
    assert "pixel threshold" in said.out
    assert "spot, contrast 100%" in said.out
    assert "blind spots: " in said.out
    with (out / "defects.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 36
    told = json.loads(result.read_text())
    assert told["defects"] == 36
    found = sum(int(line["found_photo"]) for line in lines)
    assert found == sum(sum(curve["found"]) for curve in told["curves"])
    assert found == np.sum(told["found"])
    assert read_photo(out / "blind_spots.png").shape == (43, 64, 3)
    # the same again is read; another threshold too, with other verdicts
    before = (evaluation / FILE).read_bytes()
    assert detectable(evaluation) == 0
    assert detectable(evaluation, "--threshold", 0, "--json", result) == 0
    assert np.sum(json.loads(result.read_text())["found"]) == 36
    assert detectable(evaluation, "--threshold", 1e9, "--json", result) == 0
    assert np.sum(json.loads(result.read_text())["found"]) == 0
    said = capsys.readouterr()
    assert said.err.count("measured before") == 3
    assert "2 of 2 good photos are called defective" in said.out
    assert (evaluation / FILE).read_bytes() == before
    assert detectable(evaluation, "--seed", 5) == 0
    assert "measured before" not in capsys.readouterr().err
    assert read_measured(evaluation).seed == 5


def test_another_detector_makes_it_stale(evaluation: Path, parts: Path, capsys):
    assert detectable(evaluation) == 0
    mark = read_measured(evaluation).mark
    words = [*EVALUATE, "--data", str(parts), "--out", str(evaluation), "--seed", "3"]
    assert main(words) == 0
    capsys.readouterr()
    assert detectable(evaluation) == 0
    assert "measured before" not in capsys.readouterr().err
    assert read_measured(evaluation).mark != mark


def test_without_labels_good_photos_are_asked_for(parts: Path, tmp_path: Path, capsys):
    only = tmp_path / "data" / "bolt"
    build_category(only, train=6, test={})
    for number, path in enumerate(sorted((only / "train/good").iterdir())):
        write_image(path, photo_of(number % 3, (40, 60)))
    out = tmp_path / "out"
    words = [*EVALUATE, "--data", str(only), "--out", str(out), "--false-alarms", "0.15"]
    assert main(words) == 0
    capsys.readouterr()
    assert detectable(out) == 2
    assert "pass --photos FOLDER with good photos" in capsys.readouterr().err
    assert detectable(out, "--photos", parts / "test/good") == 0
    said = capsys.readouterr().out
    assert "false alarms at most 15%" in said
    assert "just above the hottest place of 95% of these good photos" in said


def test_by_tiles(tmp_path: Path, capsys):
    folder = build_category(tmp_path / "hide", train=4, test={"good": 1, "spot": 1})
    for path in sorted(folder.rglob("*.png")):
        if "ground_truth" in path.parts:
            write_image(path, np.eye(80, 140, dtype=bool))
        else:
            write_image(path, photo_of(0, (80, 140)))
    out = tmp_path / "out"
    words = [*EVALUATE, "--tile-overlap", "32", "--data", str(folder), "--out", str(out)]
    assert main(words) == 0
    capsys.readouterr()
    few = ("--kinds", "spot", "--places", 4, "--contrasts", "0,100")
    assert detectable(out, *few) == 0
    assert "16 defects painted on 1 photos" in capsys.readouterr().out
    found = read_measured(out)
    own = found.numbers["contrast"] == 0
    assert found.numbers["score"][own] == pytest.approx(found.clean_scores[[0] * own.sum()])
    assert found.numbers["score"][~own].max() > found.clean_scores[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--evaluation", "none"), "found no such folder"),
        (("--sizes", "30"), "at most 20 pixels, half the photos' shorter side"),
        (("--kinds", "dent"), "one of scratch, spot, swap"),
        (("--photos", "none"), "found no such folder"),
        (("--threshold", "1", "--false-alarms", "0.1"), "expected one of the two"),
        (("--score", "both"), "figures of the score both"),
    ],
)
def test_one_plain_line(evaluation: Path, words, says, capsys):
    capsys.readouterr()
    assert detectable(evaluation, *words) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (evaluation / FILE).exists()


def test_a_file_that_is_not_ours_and_a_damaged_one(evaluation: Path, capsys):
    (evaluation / FILE).write_text("mine")
    assert detectable(evaluation) == 2
    assert (evaluation / FILE).read_text() == "mine"
    (evaluation / FILE).write_text('{\n  "format": "cutswap detectable 1"\n}')
    capsys.readouterr()
    assert detectable(evaluation) == 0
    assert "It is measured again." in capsys.readouterr().err


def test_padim_is_refused(parts: Path, tmp_path: Path, capsys):
    out = tmp_path / "padim"
    words = [*EVALUATE[:3], "--image-size", "64", "--detector", "padim", "--quiet"]
    assert main([*words, "--data", str(parts), "--out", str(out)]) == 0
    capsys.readouterr()
    assert detectable(out) == 2
    assert "found one by PaDiM" in capsys.readouterr().err


def test_bank_and_head_are_asked_as_one_or_each_alone(parts: Path, tmp_path: Path, capsys):
    run, out = tmp_path / "run", tmp_path / "out"
    few = "--head-updates 2 --head-width 8 --head-kernel 3 --head-blocks 1 --head-draws 1"
    few += " --head-photos 4 --head-grid 8 --augment nsa --area 0.2,0.4"
    small = ["--image-size", "64", "--quiet"]
    words = ["finetune", "--data", str(parts), "--train", "projector", "--weights", "random"]
    assert main([*words, *small, *few.split(), "--out", str(run)]) == 0
    words = ["evaluate", "--data", str(parts), "--run", str(run), "--coreset", "0.05"]
    assert main([*words, *small, "--out", str(out)]) == 0
    capsys.readouterr()
    assert detectable(out) == 0
    both = read_measured(out)
    assert both.score == "both"
    scored = read_scored(out)
    good = [place for place, name in enumerate(scored.names) if name in both.names]
    assert both.clean_scores == pytest.approx(scored.scores[good], rel=1e-5)
    assert f"threshold {scored.summary['threshold']:.6g}" in capsys.readouterr().out
    assert detectable(out, "--score", "head") == 0
    head = read_measured(out)
    assert head.mark != both.mark
    alone = read_scored(out, score="head")
    assert head.clean_scores == pytest.approx(alone.scores[good], rel=1e-5)
    assert f"threshold {alone.summary['threshold']:.6g}" in capsys.readouterr().out

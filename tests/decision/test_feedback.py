"""Feedback: a photo that is fine teaches the bank, is shown first, accepted, taken back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cutswap.commands.parser import main
from cutswap.decision.exported import open_detector
from cutswap.decision.feedback import FINE, UNDO, FeedbackEntry, history_of, in_force
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import read_scored
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.reports.repeat import evaluate_again
from tests.helpers.datasets import build_category, write_image
from tests.helpers.small_photos import photo_of

SIDE = 64
EVALUATE = ["evaluate", "--weights", "random", "--image-size", str(SIDE), "--coreset", "0.5"]
STRANGE = ("test/good/002", "test/good/003")  # good, of a kind that training has not shown
BETWEEN = ("--threshold", "2")  # what is strange scores 8, and 0.3 once it was learnt


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good photos of one thing; four good test photos of another; two with a spot."""
    root = tmp_path_factory.mktemp("data") / "part"
    build_category(root, train=5, test={"good": 6, "spot": 2}, masks=False)
    rng = np.random.default_rng(0)
    for path in sorted(root.rglob("*.png")):
        kind = 5 if path.parent.name == "good" and "test" in path.parts else 0
        photo = photo_of(kind if int(path.stem) >= 2 else 0, (SIDE, SIDE))
        if "spot" in path.parts:
            photo[20:34, 30:44] ^= 128
        write_image(path, np.clip(photo + rng.normal(0, 3, photo.shape), 0, 255).astype(np.uint8))
    return root


@pytest.fixture(scope="module")
def evaluation(part: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "first"
    line = [*EVALUATE, "--data", str(part), "--false-alarms", "0.2", "--quiet", "--out", str(out)]
    assert main(line) == 0
    return out


def feedback(evaluation: Path, *more: object) -> int:
    return main(["feedback", "--evaluation", str(evaluation), "--quiet", *map(str, more)])


@pytest.fixture(scope="module")
def accepted(evaluation: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "second"
    assert feedback(evaluation, "--fine", *STRANGE, *BETWEEN, "--out", out) == 0
    return out


def bank_of(folder: Path) -> MemoryBank:
    return MemoryBank.load(folder / "bank.safetensors")


def scores_of(folder: Path) -> dict[str, float]:
    found = read_scored(folder)
    return dict(zip(found.names, map(float, found.scores), strict=True))


def test_what_would_change_is_shown_and_nothing_is_written(evaluation, tmp_path, capsys):
    files = {path: path.stat().st_mtime_ns for path in evaluation.rglob("*")}
    told = tmp_path / "told.json"
    assert feedback(evaluation, "--fine", *STRANGE, *BETWEEN, "--json", told) == 0
    said = capsys.readouterr()
    values = json.loads(told.read_text())
    assert values["accepted"] is False
    before, after, count = values["alarms"]
    assert (before, after, count) == (2, 0, 4)  # six good ones less the two that are used
    assert "false alarms, good photos not used: 2 of 4" in said.out
    assert "patches join the bank" in said.out
    assert "test/good/004: " in said.out
    assert "good now" in said.out
    assert "to accept it, pass --out" in said.err
    assert {path: path.stat().st_mtime_ns for path in evaluation.rglob("*")} == files


def test_accepted_photos_are_in_the_bank_and_no_test_photos_any_more(evaluation, accepted):
    before, after = scores_of(evaluation), scores_of(accepted)
    assert set(before) - set(after) == set(STRANGE)
    assert all(after[name] <= before[name] + 1e-5 for name in after)
    assert after["test/good/004"] < before["test/good/004"]
    first, second = bank_of(evaluation), bank_of(accepted)
    np.testing.assert_array_equal(second.items[: first.size], first.items)
    assert second.size == first.size + int(0.5 * 2 * 64)
    assert set(second.origin[first.size :, 0]) <= {5, 6}
    found = read_scored(accepted)
    (entry,) = history_of(found.summary, accepted)
    assert (entry.action, entry.fine) == (FINE, STRANGE)
    assert entry.source == str(evaluation.absolute())
    assert found.summary["bank_size"] == second.size
    assert evaluate_again(found.summary) is None


def test_the_promise_of_good_photos_alone_is_kept(evaluation, accepted):
    first, second = open_detector(evaluation), open_detector(accepted)
    assert first.threshold == second.threshold
    assert "by the bank before feedback" in second.decision.how
    np.testing.assert_array_equal(first.decision.good, second.decision.good)


def test_undo_gives_the_bank_and_the_photos_back(evaluation, accepted, tmp_path):
    back = tmp_path / "third"
    assert feedback(accepted, "--undo", "--out", back) == 0
    assert scores_of(back) == pytest.approx(scores_of(evaluation), abs=1e-5)
    np.testing.assert_array_equal(bank_of(back).items, bank_of(evaluation).items)
    history = history_of(read_scored(back).summary, back)
    assert [entry.action for entry in history] == [FINE, UNDO]
    assert in_force(history) == ()
    before, after, count = history[0].alarms
    assert history[1].alarms == (after, before, count)
    assert before > after


def test_a_second_feedback_goes_on_from_the_first(accepted, tmp_path):
    out = tmp_path / "third"
    assert feedback(accepted, "--fine", "test/good/000", "--out", out) == 0
    assert bank_of(out).origin[:, 0].max() == 7
    assert len(history_of(read_scored(out).summary, out)) == 2
    again = tmp_path / "fourth"
    assert feedback(out, "--undo", "--out", again) == 0
    np.testing.assert_array_equal(bank_of(again).items, bank_of(accepted).items)
    assert "test/good/000" in scores_of(again)
    assert "test/good/002" not in scores_of(again)


def test_a_photo_of_a_file_teaches_too_and_a_defect_is_an_example(evaluation, tmp_path, capsys):
    write_image(tmp_path / "came.png", photo_of(5, (SIDE, SIDE)))
    told = tmp_path / "told.json"
    more = ["--defect", "test/good/000", "--json", told]
    assert feedback(evaluation, "--fine", tmp_path / "came.png", *more) == 0
    values = json.loads(told.read_text())
    assert values["fine"] == [str(tmp_path / "came.png")]
    assert values["defects"] == ["test/good/000"]
    assert values["found"][2] == 3  # two labelled, and the example
    assert values["alarms"][2] == 5
    capsys.readouterr()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ((), "expected photos that are fine or show a defect, or --undo alone, found none"),
        (("--undo", "--fine", "test/good/002"), "found both"),
        (("--undo",), "expected an evaluation with a feedback to take back"),
        (("--fine", "test/good/099"), "a test photo's name, as in scores.csv, or a photo's file"),
        (("--fine", "test/good/002", "test/good/002"), "each once"),
        (("--fine", "test/good/002", "--defect", "test/good/002"), "each in one of the two"),
        (("--fine", "test/spot/000"), "a photo that no label calls defective"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(evaluation, capsys, more, says):
    assert feedback(evaluation, *more) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert says in said[0]


def test_a_photo_is_used_once(accepted, capsys):
    assert feedback(accepted, "--fine", STRANGE[0]) == 2
    assert "a photo that was not used yet" in capsys.readouterr().err


def test_other_detectors_learn_no_photos_yet(part, tmp_path, capsys):
    for more in (["--tile-overlap", "32"], ["--detector", "padim", "--padim-channels", "8"]):
        out = tmp_path / more[1]
        line = [word for word in EVALUATE if word not in ("--coreset", "0.5")]
        assert main([*line, *more, "--data", str(part), "--quiet", "--out", str(out)]) == 0
        capsys.readouterr()
        assert feedback(out, "--fine", STRANGE[0]) == 2
        assert "an evaluation by a bank alone" in capsys.readouterr().err


def test_a_history_that_was_edited_is_refused(tmp_path):
    entry = FeedbackEntry(FINE, ("a",), (), 3, "x", (2, 1, 4), (1, 1, 2), 0.5)
    assert FeedbackEntry.of(json.loads(json.dumps(entry.to_dict())), tmp_path) == entry
    values = entry.to_dict()
    for wrong in ({"joined": -1}, {"alarms": [1, 2]}, {"action": "x"}, {"fine": [3]}, {"found": 1}):
        with pytest.raises(CutSwapError, match="the history that feedback wrote"):
            FeedbackEntry.of({**values, **wrong}, tmp_path)
    with pytest.raises(CutSwapError):
        history_of({"feedback": "text"}, tmp_path)

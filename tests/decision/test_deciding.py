"""Good photos held out fold by fold, and what evaluate makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cutswap.commands.parser import main, parse
from cutswap.config import FalseAlarmSettings, PatchCoreSettings
from cutswap.data.loading import check_category
from cutswap.decision.deciding import decide
from cutswap.decision.decision import read_decision
from cutswap.decision.held_out import _others, deal, held_out_by_folds, held_out_of_head
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import batches
from cutswap.evaluation.scored_set import read_scored
from cutswap.flags import settings_from
from cutswap.heads.joining import Join
from cutswap.heads.patch_head import PatchHead
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.reports.repeat import evaluate_again
from tests.helpers.datasets import build_category
from tests.helpers.head_runs import HEAD_LAYERS, HEAD_SIZE, train_tiny_head
from tests.helpers.scored import SETTINGS, build_parts
from tests.helpers.tiny_networks import tiny_backbone

EVALUATE = ["evaluate", "--weights", "random", "--coreset", "0.01", "--image-size", "64", "--quiet"]


def test_banks_of_the_folds_are_of_the_whole_bank_s_kind():
    """Without a fold the same number of patches is a larger share, here beyond a tiny bank's."""
    settings = PatchCoreSettings(coreset=0.0029)
    fold = np.array([0, 1])
    others, own = _others(fold, 10, settings)
    assert list(others) == list(range(2, 10))
    assert own.coreset == pytest.approx(0.003625)
    assert own.whitening == settings.whitening == "both"


@pytest.mark.parametrize(("count", "folds"), [(2, 5), (5, 5), (6, 4), (23, 5)])
def test_every_photo_is_in_one_fold(count: int, folds: int):
    parts = deal(count, folds, seed=3)
    assert sorted(np.concatenate(parts)) == list(range(count))
    assert len(parts) == min(count, folds)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    again = deal(count, folds, seed=3)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


@pytest.mark.parametrize(
    ("shards", "whiten"), [(1, "none"), (1, "pca"), (1, "both"), (2, "none"), (2, "pca")]
)
def test_each_photo_is_scored_by_a_bank_of_the_other_folds(
    tmp_path: Path, shards: int, whiten: str
):
    """Photo 3 is like none of the others, so that no other fold has seen its like."""
    build_parts(tmp_path)
    odd = tmp_path / "bolt/train/good/003.png"
    odd.write_bytes((tmp_path / "bolt/test/spot/001.png").read_bytes())
    train = check_category(tmp_path, "bolt", skip_bad=False).category.train
    settings = SETTINGS.replace(shards=shards, whiten=whiten, coreset=0.2, layers=("layer3",))
    found = held_out_by_folds(train, tiny_backbone(), settings, 3, seed=1)
    assert found.dtype == np.float32
    for fold in deal(len(train), 3, seed=1):
        rest = tuple(r for i, r in enumerate(train) if i not in fold)
        own = settings.replace(coreset=0.2 * len(train) / len(rest))  # as many as the whole bank
        bank = MemoryBank.fit(tiny_backbone(), batches(rest, own), own, seed=1, count=len(rest))
        asked = tuple(train[i] for i in fold)
        (image,) = batches(asked, own)
        np.testing.assert_allclose(found[fold], bank.score(image).scores, rtol=1e-5)
        whole = MemoryBank.fit(tiny_backbone(), batches(train, own), settings, count=len(train))
        assert abs(bank.size - whole.size) <= 1
    assert found.argmax() == 3


@pytest.mark.parametrize("count", [0, 1])
def test_one_photo_cannot_be_held_out(tmp_path: Path, count: int):
    build_parts(tmp_path)
    train = check_category(tmp_path, "bolt", skip_bad=False).category.train[:count]
    with pytest.raises(CutSwapError, match="at least 2 good ones"):
        held_out_by_folds(train, tiny_backbone(), SETTINGS, 5)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_category(tmp_path_factory.mktemp("data") / "bolt", train=6)


def run(*words: object) -> int:
    return main([*EVALUATE, *map(str, words)])


def test_evaluate_prints_writes_and_keeps_the_promise(parts: Path, tmp_path: Path, capsys):
    out, result = tmp_path / "out", tmp_path / "result.json"
    words = ["--data", parts, "--out", out, "--folds", 3]
    assert run(*words, "--false-alarms", 0.15, "--json", result) == 0
    said = capsys.readouterr().out
    assert "false alarms at most 15%: threshold" in said
    assert "from 6 good photos alone (6 needed)" in said
    assert "of 2 good called defective, " in said
    decision = read_decision(out)
    assert decision is not None
    assert decision.good.shape == (6,)
    assert decision.promise.threshold > decision.good[-1]  # one in seven: none of the six
    assert decision.at(0.19).promise.threshold == decision.promise.threshold
    told = json.loads(result.read_text())["false_alarms"]
    assert told["threshold"] == decision.promise.threshold
    assert told == json.loads((out / "result.json").read_text())["false_alarms"]
    scored = read_scored(out)  # pages and exports still read it
    called = scored.scores >= decision.promise.threshold
    assert told["test_alarms"] == called[~scored.labels].sum()
    found = sum(row["found"] for row in told["missed"]["by_type"])
    assert found == called[scored.labels].sum()
    assert told["drift"]["photos"] == 2
    # without the flag nothing of it is left
    assert run(*words[:4]) == 0
    assert read_decision(out) is None
    assert "false_alarms" not in json.loads((out / "result.json").read_text())


@pytest.mark.parametrize("test", [{"good": 2, "crack": 2}, {"good": 2}])
def test_photos_kept_apart_are_scored_by_the_detectors_own_bank(
    tmp_path: Path, capsys, test: dict[str, int]
):
    parts, out = build_category(tmp_path / "bolt", train=10, test=test), tmp_path / "out"
    words = ["--data", parts, "--out", out, "--folds", 2, "--calibration", "apart"]
    assert run(*words, "--false-alarms", 0.2, "--seed", 3) == 0
    said = capsys.readouterr().out
    assert "from 5 good photos alone (4 needed)" in said
    assert "split conformal: 5 good photos that the detector's bank has not seen" in said
    train = check_category(parts, None, skip_bad=False).category.train
    kept = deal(10, 2, seed=3)[0]
    bank = MemoryBank.load(out / "bank.safetensors")
    (image,) = batches(tuple(train[i] for i in kept), bank.settings)
    decision = read_decision(out)
    assert decision is not None
    np.testing.assert_allclose(decision.good, np.sort(bank.score(image).scores), rtol=1e-5)
    if "crack" in test:  # and the record says how to get these figures again
        summary = json.loads((out / "result.json").read_text())
        again = list(map(str, evaluate_again(summary) or []))
        assert settings_from(parse(again), FalseAlarmSettings) == FalseAlarmSettings(
            0.2, 2, "apart"
        )
    # The bank is that of the other five alone.
    rest = tuple(record for i, record in enumerate(train) if i not in kept)
    own = MemoryBank.fit(
        bank.backbone, batches(rest, bank.settings), bank.settings, seed=3, count=5
    )
    np.testing.assert_array_equal(bank.items, own.items)


@pytest.mark.parametrize("words", [("--folds", 3), ("--calibration", "apart")])
def test_settings_of_a_rate_without_a_rate_are_refused(parts, tmp_path, capsys, words):
    assert run("--data", parts, "--out", tmp_path / "out", *words) == 2
    assert "pass --false-alarms 0.05" in capsys.readouterr().err


def test_too_few_photos_to_keep_apart_are_refused_before_the_work(
    parts: Path, tmp_path: Path, capsys
):
    words = ["--data", parts, "--out", tmp_path / "out", "--calibration", "apart"]
    assert run(*words, "--false-alarms", 0.2) == 2
    said = capsys.readouterr().err
    assert "found 2" in said
    assert "--folds 2 to keep half apart" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("test", [{}, {"good": 2}, {"crack": 2}])
def test_a_threshold_needs_no_defects(tmp_path: Path, capsys, test: dict[str, int]):
    parts = build_category(tmp_path / "bolt", train=6, test=test)
    out = tmp_path / "out"
    assert run("--data", parts, "--out", out, "--false-alarms", 0.2) == 0
    said = capsys.readouterr().out
    assert "no test photos of both kinds, so no AUROC; a bank of 6 good photos" in said
    assert ("of 2 good called defective" in said) == ("good" in test)
    assert ("of 2 defects missed" in said) == ("crack" in test)
    assert read_decision(out) is not None
    assert (out / "bank.safetensors").is_file()
    assert run("--data", parts, "--out", out, "--false-alarms", 0.2) == 0  # its own files


def test_without_a_rate_defects_are_still_asked_for(tmp_path: Path, capsys):
    parts = build_category(tmp_path / "bolt", train=6, test={"good": 2})
    assert run("--data", parts, "--out", tmp_path / "out") == 2
    assert "expected good and defective test images" in capsys.readouterr().err


def test_too_few_good_photos_are_refused_before_the_work(
    parts: Path, tmp_path: Path, capsys, monkeypatch
):
    monkeypatch.setattr(MemoryBank, "fit", lambda *_, **__: pytest.fail("the work began"))
    assert run("--data", parts, "--out", tmp_path / "out", "--false-alarms", 0.01) == 2
    said = capsys.readouterr().err
    assert "expected at least 99 good photos that were held out for a rate of 0.01, found 6" in said
    assert "add 93 good photos, or ask for 0.15 or more" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("good_scores", [1.0, 2.0, "3", 4.0, 5.0, 6.0]),
        ("good_scores", [1.0] * 5 + [None]),
        ("good_scores", []),
        ("good_scores", "none"),
        ("good_scores", str),
        ("threshold", 0.5),
        ("asked", 0.01),  # fewer photos than it needs
        ("asked", "0.15"),
        ("score", "mean"),
        ("category", 3),
        ("format", "cutswap decision 0"),
    ],
)
def test_a_decision_that_was_edited_is_refused(decided: Path, tmp_path: Path, name, value):
    values = json.loads((decided / "decision.json").read_text())
    if value is str:  # the same numbers, as text
        value = [*map(str, values[name])]
    (tmp_path / "decision.json").write_text(json.dumps({**values, name: value}))
    with pytest.raises(CutSwapError, match="expected the decision that evaluate wrote"):
        read_decision(tmp_path)


@pytest.fixture(scope="module")
def decided(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("decided") / "out"
    assert run("--data", parts, "--out", out, "--false-alarms", 0.15) == 0
    return out


# Of a head


@pytest.fixture(scope="module")
def head_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("heads")
    build_category(root / "bolt", train=12)
    return root


@pytest.fixture(scope="module")
def head(head_data: Path) -> PatchHead:
    return PatchHead.load(train_tiny_head(head_data, head_data / "run") / "head.safetensors")


def test_a_head_is_asked_of_the_photos_its_training_held_out(head_data: Path, head: PatchHead):
    train = check_category(head_data, "bolt", skip_bad=False).category.train
    settings = SETTINGS.replace(layers=HEAD_LAYERS, image_size=HEAD_SIZE, coreset=0.1)
    held = list(head.origin.held_out)
    assert head.validation is not None
    asked = (train, tiny_backbone(), settings, head, Join(0.5, 2.0, 1.0))
    alone = held_out_of_head(*asked, "head")
    np.testing.assert_array_equal(alone, head.validation.good)
    both = held_out_of_head(*asked, "both")
    rest = tuple(r for i, r in enumerate(train) if i not in held)
    own = settings.replace(coreset=0.1 * len(train) / len(rest))
    bank = MemoryBank.fit(tiny_backbone(), batches(rest, own), own, count=len(rest))
    (image,) = batches(tuple(train[i] for i in held), own)
    np.testing.assert_allclose(both, 0.5 * bank.score(image).scores + alone, rtol=1e-5)


def test_a_head_with_few_photos_held_out_is_told_the_way_out(head_data: Path, head: PatchHead):
    from cutswap.decision.deciding import need_enough_photos

    checked = check_category(head_data, "bolt", skip_bad=False)
    asked = FalseAlarmSettings(false_alarms=0.1)
    with pytest.raises(CutSwapError, match="found 3. To fix it: pass --score bank"):
        need_enough_photos(asked, checked, head, "both")
    need_enough_photos(asked, checked, head, "bank")
    assert decide(checked, tiny_backbone(), SETTINGS, FalseAlarmSettings()) is None

"""An evaluation of bank and head, read back by the score that is asked for."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate_head import evaluate_head, write_head_evaluation
from cutswap.evaluation.scored_set import read_scored, scores_in
from cutswap.heads.patch_head import PatchHead
from cutswap.runs.find import find_runs
from tests.helpers.head_runs import HEAD_LAYERS, HEAD_SIZE, train_tiny_head
from tests.helpers.scored import SETTINGS, build_parts, score_parts
from tests.helpers.tiny_networks import tiny_backbone

NAMES = ("bank", "head", "both")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    data = build_parts(folder / "data")
    run = train_tiny_head(data, folder / "run", "discriminator")
    found = evaluate_head(
        check_category(data, "bolt", skip_bad=False),
        tiny_backbone(0),
        PatchHead.load(run / "head.safetensors"),
        SETTINGS.replace(layers=HEAD_LAYERS, image_size=HEAD_SIZE),
        score="head",
    )
    write_head_evaluation(found, folder / "runs/scored")
    return folder / "runs/scored"


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_the_files(scored: Path, name: str):
    found = read_scored(scored, score=name)
    with (scored / "by_score" / name / "scores.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert found.scores.tolist() == [float(np.float32(line["score"])) for line in lines]
    kept = np.load(scored / "by_score" / name / "heatmaps.npy", allow_pickle=False)
    np.testing.assert_array_equal(found.heatmaps, kept)
    assert found.range == (kept.min(), kept.max())
    told = json.loads((scored / "result.json").read_text())["scores"][name]
    assert {key: found.summary[key] for key in told} == told
    assert found.summary["score"] == name
    called = [int(line["called_defective"]) for line in lines]
    assert (found.scores >= found.summary["threshold"]).astype(int).tolist() == called


def test_without_a_word_it_is_the_one_that_counts(scored: Path):
    plain, own = read_scored(scored), read_scored(scored, score="head")
    np.testing.assert_array_equal(plain.scores, own.scores)
    np.testing.assert_array_equal(plain.heatmaps, own.heatmaps)
    assert plain.summary["threshold"] == own.summary["threshold"]
    assert scores_in(plain.summary) == NAMES


@pytest.mark.parametrize("score", ["head", "nonsense", ""])
def test_a_score_that_is_not_there_is_refused(tmp_path: Path, score: str):
    found = score_parts(build_parts(tmp_path / "data"), tmp_path / "plain")
    assert scores_in(found.evaluation.summary) == ()
    with pytest.raises(CutSwapError, match="figures of the score"):
        read_scored(tmp_path / "plain", score=score)


def test_figures_edited_by_hand_are_refused(scored: Path, tmp_path: Path):
    for wrong in ([], {"head": 3}, {"head": {"threshold": "high"}}, {"head": {}}):
        summary = json.loads((scored / "result.json").read_text())
        (tmp_path / "result.json").write_text(json.dumps({**summary, "scores": wrong}))
        with pytest.raises(CutSwapError, match="figures of the score"):
            read_scored(tmp_path, score="head")


def test_its_parts_are_no_evaluations_of_their_own(scored: Path):
    found = find_runs(scored.parent)
    assert [e.name for e in found.evaluations] == ["scored"]
    assert [e.state for e in found.evaluations] == ["done"]

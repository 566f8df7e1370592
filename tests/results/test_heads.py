"""Evaluations of runs that trained a head: named as such, each of the three scores in a cell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cutswap.config import HEAD_JITTER, HeadSettings
from cutswap.results.scores import scores_of_runs
from cutswap.results.setups import each_score, run_in_words, scoring_in_words, setup_of
from cutswap.results.table import build_table
from cutswap.runs.states import FoundEvaluation, FoundRun, read_evaluation, read_run
from cutswap.utils.files import write_json
from tests.helpers.runs import write_evaluation, write_run

NAMES = ("bank", "head", "both")


def head_run(path: Path, **head: object) -> FoundRun:
    settings = json.loads((write_run(path) / "settings.json").read_text())
    settings["head"] = HeadSettings(**{"train": "projector", **head}).to_dict()
    settings["weak"]["jitter"] = HEAD_JITTER
    write_json(path / "settings.json", settings)
    return read_run(path)


def evaluation_of(run: FoundRun, path: Path, **more: object) -> FoundEvaluation:
    weights = {"source": f"fine-tuned run {run.path}"}
    return read_evaluation(write_evaluation(path, weights=weights, **more))


def test_a_head_is_named_and_no_fine_tuned_network(tmp_path: Path):
    assert run_in_words(head_run(tmp_path / "a")) == "projector"
    other = head_run(tmp_path / "b", train="discriminator", updates=7)
    assert run_in_words(other) == "discriminator, updates 7"
    assert run_in_words(read_run(write_run(tmp_path / "c"))) == "fine-tuned gentle"


def test_bank_head_and_both_are_three_columns(tmp_path: Path):
    run = head_run(tmp_path / "run")
    setups = [
        setup_of(evaluation_of(run, tmp_path / name, score=name), [run]) for name in NAMES
    ]  # fmt: skip
    assert len({s.key for s in setups}) == 3
    assert [s.rest for s in setups] == [f"score of {name}" for name in NAMES]
    plain = setup_of(evaluation_of(run, tmp_path / "plain"), [run])
    assert plain.rest == ""
    assert "score of" not in scoring_in_words(evaluation_of(run, tmp_path / "plain"))


FIGURES = {
    n: {"image_auroc": v, "pixel_auroc": None} for n, v in zip(NAMES, (0.5, 0.6, 0.7), strict=True)
}


@pytest.mark.parametrize("counts", NAMES)
def test_one_evaluation_stands_in_a_column_for_each_of_its_scores(tmp_path: Path, counts: str):
    run = head_run(tmp_path / "run")
    value = FIGURES[counts]["image_auroc"]
    one = evaluation_of(run, tmp_path / "e", score=counts, scores=FIGURES, image_auroc=value)
    table = build_table([one], [run], "image_auroc")
    by_score = {s.rest: table.figures[table.rows[0], s].mean for s in table.setups}
    assert by_score == {f"score of {n}": v["image_auroc"] for n, v in FIGURES.items()}
    rows = [r for r in scores_of_runs([run], [one], [run]) if r.metric == "image_auroc"]
    assert sorted(r.figures["run"].mean for r in rows) == [0.5, 0.6, 0.7]


@pytest.mark.parametrize(
    "scores",
    [
        None,
        [],
        {},
        {"both": {"image_auroc": 0.7}},
        {"both": {"image_auroc": 0.7}, "bank": {"image_auroc": 7}},
        {"both": {"image_auroc": 0.7}, "bank": {"image_auroc": "high"}},
        {"both": {"image_auroc": 0.7}, "bank": []},
        {"both": {"image_auroc": 0.7}, "magic": {"image_auroc": 0.5}},
    ],
)
def test_scores_that_are_none_make_no_column(tmp_path: Path, scores: object):
    run = head_run(tmp_path / "run")
    one = evaluation_of(run, tmp_path / "e", score="both", scores=scores)
    assert each_score([one]) == (one,)
    assert len(build_table([one], [run], "image_auroc").setups) == 1


def test_other_settings_of_a_head_are_another_column(tmp_path: Path):
    runs = [head_run(tmp_path / "a"), head_run(tmp_path / "b", updates=7)]
    keys = {setup_of(evaluation_of(r, tmp_path / f"e{r.name}"), runs).key for r in runs}
    assert len(keys) == 2


def test_their_figures_are_not_averaged(tmp_path: Path):
    run = head_run(tmp_path / "run")
    found = [
        evaluation_of(run, tmp_path / name, score=name, image_auroc=value)
        for name, value in zip(NAMES, (0.5, 0.6, 0.7), strict=True)
    ]
    rows = [r for r in scores_of_runs([run], found, [run]) if r.metric == "image_auroc"]
    means = sorted(r.figures["run"].mean for r in rows)
    assert means == pytest.approx([0.5, 0.6, 0.7])

"""Series, smoothing and thinning of curves, and the scores of runs, on cases worked by hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cutswap.config import PatchCoreSettings
from cutswap.results.scores import scores_of_runs
from cutswap.runs.find import find_runs
from cutswap.runs.metrics_log import centred_mean, outline_of, run_series
from tests.helpers.runs import write_evaluation, write_run

FLOATS = arrays(np.float64, st.integers(1, 60), elements=st.floats(-100, 100))


def test_seconds_are_samples_over_speed():
    lines = [
        {"step": 1, "loss": 2, "accuracy": 0, "images_per_second": 6.0},
        {"step": 2, "loss": 1, "accuracy": 1, "images_per_second": 12},
    ]
    series = run_series(lines, 24)
    assert series.steps.tolist() == [1, 2]
    assert series.loss.tolist() == [2, 1]
    assert series.accuracy.tolist() == [0, 1]
    assert series.seconds is not None
    assert series.seconds.tolist() == [4, 6]


@pytest.mark.parametrize("speed", [None, 0, -1, "fast", True, float("nan")])
def test_without_a_speed_there_are_no_seconds(speed):
    line = {"step": 1, "loss": 2, "accuracy": 0, "images_per_second": speed}
    assert run_series([line], 24).seconds is None
    assert run_series([line | {"images_per_second": 5}], 0).seconds is None
    assert run_series([], 24).seconds is None


def test_a_moving_average_by_hand():
    values = np.array([1.0, 2.0, 6.0, 4.0, 7.0])
    assert centred_mean(values, 1).tolist() == values.tolist()
    # the ends stay, their neighbours have one on each side
    assert centred_mean(values, 3).tolist() == [1, 3, 4, 17 / 3, 7]
    assert centred_mean(values, 5).tolist() == [1, 3, 4, 17 / 3, 7]
    assert centred_mean(np.array([]), 5).tolist() == []


@given(FLOATS, st.integers(0, 40))
def test_a_moving_average_is_the_mean_of_its_window(values, half):
    found = centred_mean(values, 2 * half + 1)
    for at, mean in enumerate(found):
        reach = min(half, at, len(values) - 1 - at)
        assert mean == pytest.approx(values[at - reach : at + reach + 1].mean(), abs=1e-9)


def test_a_straight_line_stays_where_it_is():
    line = np.arange(50.0)
    np.testing.assert_allclose(centred_mean(line, 11), line)


@given(arrays(np.float64, st.integers(1, 300), elements=st.floats(-9, 9)), st.integers(4, 80))
def test_an_outline_keeps_ends_and_extremes(values, points):
    kept = outline_of(values, points)
    assert len(kept) <= max(points, min(len(values), points))
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    assert (np.diff(kept) > 0).all()
    assert values[kept].max() == values.max()
    assert values[kept].min() == values.min()


# Scores of runs


def scored(path: Path, run: Path, **changes) -> Path:
    return write_evaluation(path, weights={"source": f"fine-tuned run {run}"}, **changes)


def test_evaluations_are_put_to_their_runs(tmp_path: Path):
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two")
    scored(tmp_path / "e1", one, image_auroc=0.8, seed=0, fingerprint="x")
    scored(tmp_path / "e2", one, image_auroc=0.6, seed=1, fingerprint="x", pixel_auroc=None)
    scored(tmp_path / "e3", two, image_auroc=0.5, pixel_auroc=None)
    tiny = PatchCoreSettings(coreset=0.001, neighbours=3).to_dict()
    scored(tmp_path / "e4", two, patchcore=tiny, pixel_auroc=None)
    write_evaluation(tmp_path / "e5")  # of no run
    found = find_runs(tmp_path)
    rows = scores_of_runs(found.runs, found.evaluations, found.runs)
    said = [
        (r.number, r.about, r.metric, {n: f.text() for n, f in r.figures.items()}) for r in rows
    ]
    assert said == [
        (1, "bolt, coreset 0.001, layer2+layer3, neighbours 3", "image_auroc", {"two": "0.900"}),
        (
            2,
            "bolt, coreset 0.01, layer2+layer3",
            "image_auroc",
            {"one": "0.700 ± 0.141 (n=2)", "two": "0.500"},
        ),
        (2, "bolt, coreset 0.01, layer2+layer3", "pixel_auroc", {"one": "0.800"}),
    ]
    only = scores_of_runs(found.runs[:1], found.evaluations, found.runs)
    assert [list(row.figures) for row in only] == [["one"], ["one"]]


def test_a_copy_of_an_evaluation_is_no_second_seed(tmp_path: Path):
    run = write_run(tmp_path / "run")
    for number, (name, value) in enumerate((("old", 0.1), ("new", 0.3)), start=2):
        path = scored(tmp_path / name, run, image_auroc=value, fingerprint="x")
        later = run.stat().st_mtime + 100 * number
        os.utime(path / "result.json", (later, later))
    found = find_runs(tmp_path)
    rows = scores_of_runs(found.runs, found.evaluations, found.runs)
    assert rows[0].figures["run"].values == (0.3,)


def test_older_and_broken_evaluations_are_left_out(tmp_path: Path):
    run = write_run(tmp_path / "run")
    scored(tmp_path / "broken", run, image_auroc=1.5)
    old = scored(tmp_path / "old", run)
    for file in old.iterdir():
        os.utime(file, (1, 1))
    found = find_runs(tmp_path)
    assert len(found.evaluations) == 2
    assert scores_of_runs(found.runs, found.evaluations, found.runs) == ()


def test_two_categories_of_one_name_are_two_rows(tmp_path: Path):
    run = write_run(tmp_path / "run")
    scored(tmp_path / "a", run)
    scored(tmp_path / "b", run, data={"root": "/mnt/bolt", "name": "bolt"})
    found = find_runs(tmp_path)
    rows = scores_of_runs(found.runs, found.evaluations, found.runs)
    assert [(row.number, row.root) for row in rows] == [
        (1, "/data/bolt"),
        (1, "/data/bolt"),
        (2, "/mnt/bolt"),
        (2, "/mnt/bolt"),
    ]

"""How a run learnt, state by state: the same pictures, shared axes, and files that keep up."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cutswap.analysis.feature_collection import collect_features, recorded_category
from cutswap.analysis.feature_separation import Estimate
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.analysis.over_time.collection import (
    collect_history,
    common_places,
    has_snapshots,
    history_key,
    is_kept,
)
from cutswap.analysis.over_time.history import (
    ABOUT,
    ARRAYS,
    TrainingHistory,
    read_history,
    write_history,
)
from cutswap.analysis.over_time.report import TABLE, kept_history
from cutswap.commands.parser import main
from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import evaluate
from cutswap.runs.folder import RunFolder
from cutswap.training.finetuning import tuned_backbone
from cutswap.utils.files import read_json, write_json
from tests.helpers.feature_runs import TRAINING, build_run, tiny_everywhere

SETTINGS = FeatureSettings(samples=6, resamples=200, batch_size=5, device="cpu")
KEPT = TRAINING.replace(snapshots=4, steps_per_epoch=6)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    """A finished run with four states; tests that change it take `run`, a copy."""
    folder = tmp_path_factory.mktemp("time")
    with tiny_everywhere():
        yield build_run(folder / "data", folder / "run", training=KEPT)


@pytest.fixture(scope="module")
def history(made: RunFolder) -> TrainingHistory:
    return collect_history(made, recorded_category(made), SETTINGS)


@pytest.fixture
def run(made: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(made.path, tmp_path / "run", copy_function=shutil.copy2)
    return RunFolder(tmp_path / "run")


def test_first_and_last_state_are_what_features_and_evaluate_say(made, history):
    assert history.updates.tolist() == [0, 2, 4, 6]
    features = collect_features(made, recorded_category(made), SETTINGS)
    assert history.points == features.points
    scoring = PatchCoreSettings(image_size=TRAINING.image_size)
    scored = evaluate(recorded_category(made), tuned_backbone(made), scoring)
    np.testing.assert_allclose(history.scores[-1], scored.scores, rtol=1e-5)
    assert history.aurocs is not None
    assert history.aurocs[-1].value == pytest.approx(scored.metrics.image_auroc)
    for photo in range(len(history.photos)):
        heat = history.heatmap(3, photo)
        np.testing.assert_allclose(heat, scored.heatmaps[photo], rtol=2e-3, atol=1e-3)
        assert heat.max() <= history.about["heat"][1] * 1.05  # every fourth pixel was asked
    # Distances between pictures on the common axes are at most those in all dimensions.
    for state, values in ((0, features.before), (3, features.after)):
        places = history.places[state]
        flat = np.linalg.norm(places[:, None] - places[None], axis=2)
        full = np.linalg.norm(values[:, None] - values[None], axis=2)
        assert (flat <= full + 1e-4).all()


def test_accuracy_is_of_the_updates_before_as_in_the_result(made, history):
    assert history.accuracy_at(0) is None
    last = history.accuracy_at(6)
    result = read_json(made.result_file)
    assert last == pytest.approx(result["class_accuracy"], abs=1e-4)
    lines = [json.loads(text) for text in made.metrics_file.read_text().splitlines()]
    two = np.mean([line["class_accuracy"] for line in lines[:2]], axis=0)
    assert history.accuracy_at(2) == pytest.approx(two)
    assert history.accuracy_at(3) == history.accuracy_at(3)


def test_common_axes_do_not_see_what_moves_all_pictures_together():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, 9, 5))
    moved = features + np.array([[[0.0]], [[7.0]], [[-3.0]]])
    places, axes = common_places(features, 6)
    np.testing.assert_allclose(common_places(moved, 6)[0], places, atol=1e-9)
    np.testing.assert_allclose(places[:, :6].mean(axis=1), 0, atol=1e-9)
    assert axes[0].startswith("PC 1, ")
    # A state that is there twice has its points in the same places: they move, and do not jump.
    twice = common_places(features[[0, 0, 2]], 6)[0]
    np.testing.assert_allclose(twice[0], twice[1])
    # The last three points are placed by the axes and do not move them.
    others = features.copy()
    others[:, 6:] *= 100
    np.testing.assert_allclose(np.abs(common_places(others, 6)[0][:, :6]), np.abs(places[:, :6]))
    with pytest.raises(CutSwapError, match="the network answers nothing"):
        common_places(np.ones((2, 9, 5)), 6)


def test_how_many_good_photos_score_below(history):
    photos = history.photos
    good = [i for i, p in enumerate(photos) if p.kind == "good"]
    scores = np.arange(len(photos), dtype=np.float32)[None].repeat(4, axis=0)
    ranked = replace(history, scores=scores)
    last = len(photos) - 1
    others = [i for i in good if i != last]
    assert ranked.above_good(0, last) == (len(others), len(others))
    assert ranked.above_good(0, good[0])[1] == len(good) - 1  # a good one is not its own peer


def test_the_answer_needs_an_interval_beside_nothing():
    def said(low: float, high: float) -> str:
        value = (low + high) / 2
        one = Estimate(0.5, 0.4, 0.6)
        empty = np.zeros((2, 0), np.float32)
        history = TrainingHistory(
            np.array([0, 1]), (), empty, empty, empty, (), (one, one), Estimate(value, low, high)
        )
        return history.answer()

    assert "rose" in said(0.01, 0.2)
    assert "fell" in said(-0.2, -0.01)
    assert "has not been shown to change" in said(-0.1, 0.1)


class TestFiles:
    def test_what_was_written_is_read(self, history, tmp_path):
        write_history(history, tmp_path)
        again = read_history(tmp_path)
        assert again.points == history.points
        assert (again.accuracy, again.aurocs, again.change) == (
            history.accuracy,
            history.aurocs,
            history.change,
        )
        for name in ("updates", "places", "distances", "scores"):
            np.testing.assert_array_equal(getattr(again, name), getattr(history, name))
        assert again.about == history.about

    @pytest.mark.parametrize(
        "damage",
        [
            lambda f: (f / ARRAYS).unlink(),
            lambda f: (f / ARRAYS).write_bytes((f / ARRAYS).read_bytes()[:-9]),
            lambda f: (f / ABOUT).write_text("{}"),
            lambda f: (f / ABOUT).write_text("[]"),
            lambda f: edit(f, lambda w: w["points"].pop()),
            lambda f: edit(f, lambda w: w["aurocs"].pop()),
            lambda f: edit(f, lambda w: w["about"].update(image_size=10**9)),
            lambda f: edit(f, lambda w: w["about"].update(heat=[0, "high"])),
            lambda f: edit(f, lambda w: w["about"].update(heat=3)),
            lambda f: edit(f, lambda w: w["about"].pop("axes")),
            lambda f: edit(f, lambda w: w["accuracy"].append(3)),
        ],
    )
    def test_damage_is_one_sentence(self, history, tmp_path, damage):
        write_history(history, tmp_path)
        damage(tmp_path)
        with pytest.raises(CutSwapError, match="as they were written"):
            read_history(tmp_path)

    def test_it_is_made_once_and_anew_when_a_file_of_it_changes(self, run):
        checked = recorded_category(run)
        kept_history(run, checked, SETTINGS)
        key = history_key(run, checked.category)
        assert is_kept(run, key)
        stages: list[str] = []
        kept_history(run, checked, SETTINGS, lambda stage, *_: stages.append(stage))
        assert stages == []
        more = kept_history(run, checked, SETTINGS.replace(samples=7))  # other draws
        assert more.about["samples"] == 7
        for changed in (run.snapshot_file(2), run.backbone_file, checked.category.test[0].image):
            before = changed.stat()
            os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
            assert not is_kept(run, history_key(run, checked.category)), changed
            os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert is_kept(run, key)
        (run.path / ABOUT).write_text("{")  # cut short: made anew, no error
        assert not is_kept(run, key)
        assert kept_history(run, checked, SETTINGS).about["samples"] == 6
        (run.path / ARRAYS).write_bytes(b"")
        assert kept_history(run, checked, SETTINGS).about["samples"] == 6


class TestWithoutStates:
    def test_a_run_that_kept_none_says_how_to_keep_some(self, run):
        settings = read_json(run.settings_file)
        settings["training"]["snapshots"] = 0
        write_json(run.settings_file, settings)
        assert not has_snapshots(run)
        with pytest.raises(CutSwapError, match="--snapshots 10"):
            collect_history(run, recorded_category(run), SETTINGS)

    def test_one_that_was_lost_is_named(self, run):
        run.snapshot_file(4).unlink()
        with pytest.raises(CutSwapError, match="none of update 4"):
            collect_history(run, recorded_category(run), SETTINGS)


def edit(folder: Path, change) -> None:
    written = read_json(folder / ABOUT)
    change(written)
    write_json(folder / ABOUT, written)


def test_the_command_writes_a_table_and_keeps_the_history_beside_the_run(run, tmp_path, capsys):
    words = ["features", "--run", str(run.path), "--out", str(tmp_path / "out"), "--over-time"]
    words += ["--samples", "6", "--resamples", "200", "--device", "cpu", "--quiet"]
    assert main(words) == 0
    assert "PatchCore's image AUROC" in capsys.readouterr().out
    rows = (tmp_path / "out" / TABLE).read_text().splitlines()
    assert rows[0] == ("update,accuracy_positive,accuracy_patch,accuracy_scar,image_auroc,low,high")
    assert [row.split(",")[0] for row in rows[1:]] == ["0", "2", "4", "6"]
    assert rows[1].startswith("0,,,,")  # nothing was classified before the first update
    history = read_history(run.path)
    assert rows[-1].split(",")[4] == f"{history.aurocs[-1].value:.6g}"

"""Features of a run: what is drawn, what looks at it, where it lies, what the numbers say."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cutswap.analysis import feature_separation
from cutswap.analysis.feature_collection import (
    collect_features,
    features_key,
    recorded_category,
    trained_samples,
)
from cutswap.analysis.feature_projection import points_csv, project
from cutswap.analysis.feature_separation import Estimate, SeparationMetrics, figures, photo_folds
from cutswap.analysis.feature_set import (
    ABOUT,
    ARRAYS,
    SYNTHETIC,
    FeaturePoint,
    FeatureSet,
    read_features,
    write_features,
)
from cutswap.analysis.feature_settings import PROJECTIONS, FeatureSettings
from cutswap.commands.parser import main
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import auroc
from cutswap.negatives.samples import TrainingSamples
from cutswap.runs.folder import RunFolder
from cutswap.utils.files import read_json, write_json
from tests.helpers.feature_runs import PHOTOS, TRAINING, build_run, rebuilt, tiny_everywhere
from tests.helpers.scored import SIZE
from tests.helpers.tiny_networks import tiny_backbone

SETTINGS = FeatureSettings(samples=8, resamples=200, batch_size=5, device="cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    """A finished run; tests that change it take `run`, a copy."""
    folder = tmp_path_factory.mktemp("features")
    with tiny_everywhere():
        yield build_run(folder / "data", folder / "run")


@pytest.fixture
def run(made: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(made.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def collected(run: RunFolder, **changes: object) -> FeatureSet:
    return collect_features(run, recorded_category(run), SETTINGS.replace(**changes))


@pytest.fixture(scope="module")
def found(made: RunFolder) -> FeatureSet:
    return collected(made)


def made_up(kinds: list[str], values: np.ndarray, scores: np.ndarray | None = None) -> FeatureSet:
    """Points of given kinds and features, the same before and after."""
    points = tuple(
        FeaturePoint(
            kind,
            f"train/good/{i // 3:03d}" if kind in SYNTHETIC else f"test/{kind}/{i:03d}",
            Path("x"),
            defect="crack" if kind == "defect" else "",
        )
        for i, kind in enumerate(kinds)
    )
    thumbnails = np.zeros((len(kinds), 4, 4, 3), np.uint8)
    return FeatureSet(points, values, values, scores, thumbnails, {"image_size": 4})


class TestDraws:
    def test_they_lie_beyond_all_that_the_run_has_drawn(self, made, found):
        # Each sample the trainer asks for, noted while it trains.
        asked: set[int] = set()
        plain = TrainingSamples.__getitem__

        def noting(self: TrainingSamples, number: int) -> np.ndarray:
            asked.add(number)
            return plain(self, number)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrainingSamples, "__getitem__", noting)
            build_run(made.path.parent / "data", made.path.parent / "again")
        drawn = {p.sample for p in found.points if p.is_synthetic}
        assert asked == set(range(20))
        assert trained_samples(made) == 20
        assert drawn == set(range(24, 32))  # from the next whole epoch of six photos on
        assert not asked & drawn

    def test_every_photo_has_its_turn_before_one_has_a_second(self, found):
        names = [p.name for p in found.points if p.kind == "positive"]
        assert len(set(names[:PHOTOS])) == PHOTOS

    def test_all_kinds_are_there(self, found):
        kinds = [p.kind for p in found.points]
        assert {k: kinds.count(k) for k in set(kinds)} == {
            "positive": 8,
            "patch": 8,
            "scar": 8,
            "good": 3,
            "defect": 3,
        }
        assert {p.defect for p in found.points} == {"", "spot"}

    def test_a_point_s_picture_is_what_the_networks_saw(self, found):
        pictures = np.stack([found.picture(i)[0] for i in range(len(found.points))])
        tuned = rebuilt("", RunFolder(Path(found.about["run"])).read_backbone())
        again = tuned.features(to_image(pictures), ["avgpool"])["avgpool"].flatten(1).numpy()
        assert np.allclose(again, found.after, atol=1e-5)
        old = tiny_backbone().features(to_image(pictures), ["avgpool"])["avgpool"].flatten(1)
        assert np.allclose(old.numpy(), found.before, atol=1e-5)

    def test_a_fake_s_mask_is_where_it_differs_from_its_positive(self, found):
        index = next(i for i, p in enumerate(found.points) if p.kind == "patch")
        photo, mask = found.picture(index)
        positive, none = found.picture(index - 1)
        assert none is None
        assert mask is not None
        assert not (photo != positive)[~mask].any()
        assert (photo != positive)[mask].any()

    def test_a_defect_s_mask_is_the_marked_one(self, found):
        index = next(i for i, p in enumerate(found.points) if p.kind == "defect")
        mask = found.picture(index)[1]
        assert mask is not None
        assert 0 < mask.mean() < 0.1


class TestNetworks:
    def test_the_head_is_the_trainer_s_own(self, made, found):
        tensors = made.read_checkpoint()
        weight, bias = tensors["model.psi.0.weight"], tensors["model.psi.0.bias"]
        x = torch.from_numpy(found.after) @ weight.T + bias
        mean, var = tensors["model.psi.1.running_mean"], tensors["model.psi.1.running_var"]
        x = (x - mean) / (var + 1e-5).sqrt() * tensors["model.psi.1.weight"]
        x = (x + tensors["model.psi.1.bias"]).relu()
        x = x @ tensors["model.psi.3.weight"].T + tensors["model.psi.3.bias"]
        assert found.scores is not None
        assert np.allclose(x.numpy(), found.scores, atol=1e-4)
        assert np.allclose(found.p_positive(), x.softmax(1)[:, 0].numpy(), atol=1e-5)
        assert found.about["head"] == ""

    def test_tuning_has_moved_the_features(self, found):
        assert not np.allclose(found.before, found.after, atol=1e-3)

    def test_weights_that_did_not_change_give_the_same_before_and_after(self, run):
        run.write_backbone(tiny_backbone().module.state_dict(), "resnet18")
        same = collected(run)
        assert np.array_equal(same.before, same.after)
        assert same.scores is None  # the checkpoint's phi is another
        assert "another network" in same.about["head"]
        for method in PROJECTIONS:
            flat = project(same, SETTINGS.replace(projection=method))
            assert np.array_equal(flat.before, flat.after)
            assert flat.axes_before == flat.axes_after
        numbers = figures(same, SETTINGS)
        assert numbers.fakes_before == numbers.fakes_after
        assert numbers.real_before == numbers.real_after
        assert numbers.real_change == Estimate(0.0, 0.0, 0.0)
        assert numbers.head is None
        assert numbers.called == {}

    @pytest.mark.parametrize("damage", ["gone", "torn", "early"])
    def test_without_its_head_the_rest_is_there_and_the_reason_said(self, run, found, damage):
        if damage == "gone":
            run.checkpoint_file.unlink()
        elif damage == "torn":
            run.checkpoint_file.write_bytes(run.checkpoint_file.read_bytes()[:500])
        else:
            run.write_checkpoint({**run.read_checkpoint(), "step": torch.tensor(3)})
        headless = collected(run)
        assert headless.scores is None
        assert headless.about["head"]
        if damage == "early":
            assert headless.about["head"] == "the checkpoint is of update 3, not of 5"
        assert np.array_equal(headless.after, found.after)

    def test_changed_starting_weights_are_said(self, run):
        assert not collected(run).about["notes"]
        record = read_json(run.path / "environment.json")
        record["weights"]["phi"]["sha256"] = "f00d"
        write_json(run.path / "environment.json", record)
        assert "have changed since the run" in collected(run).about["notes"][0]

    def test_features_that_are_not_numbers_are_refused(self, run):
        broken = {
            n: v * np.nan if v.is_floating_point() else v for n, v in run.read_backbone().items()
        }
        run.write_backbone(broken, "resnet18")
        with pytest.raises(CutSwapError, match="after tuning: expected finite"):
            collected(run)

    def test_two_ways_have_no_scars(self, made, tmp_path):
        two = build_run(
            made.path.parent / "data", tmp_path / "two", training=TRAINING.replace(ways=2)
        )
        small = collected(two)
        assert not small.where("scar").any()
        flat = project(small, SETTINGS.replace(projection="lda"))
        assert flat.axes_after == ("discriminant", "PC 1 of what is left")
        assert flat.after.shape == (8 * 2 + 6, 2)


class TestRefusals:
    def test_an_unfinished_run(self, run):
        run.result_file.unlink()
        with pytest.raises(CutSwapError, match="expected a finished run"):
            collected(run)

    @pytest.mark.parametrize(
        "text", ["{}", "[]", '{"updates": 0}', '{"updates": "many"}', "{ torn"]
    )
    def test_a_damaged_result(self, run, text):
        run.result_file.write_text(text)
        with pytest.raises(CutSwapError, match=r"result\.json"):
            collected(run)

    def test_weights_that_are_gone(self, run):
        run.backbone_file.unlink()
        with pytest.raises(CutSwapError, match="tuned weights of a finished run"):
            collected(run)

    def test_a_run_of_another_category(self, run):
        checked = recorded_category(run)
        settings = run.settings()
        settings["data"]["name"] = "nut"
        write_json(run.settings_file, settings)
        with pytest.raises(CutSwapError, match="learnt from bolt, found one of nut"):
            collect_features(run, checked, SETTINGS)

    def test_data_that_vanished(self, run, tmp_path):
        settings = run.settings()
        settings["data"]["root"] = str(tmp_path / "gone")
        write_json(run.settings_file, settings)
        with pytest.raises(CutSwapError, match="no such folder"):
            recorded_category(run)

    def test_a_run_without_a_seed(self, run):
        write_json(run.settings_file, {**run.settings(), "seed": "x"})
        with pytest.raises(CutSwapError, match="seed"):
            collected(run)


class TestFiles:
    def test_what_is_written_is_read(self, found, tmp_path):
        write_features(found, tmp_path)
        again = read_features(tmp_path)
        assert again.points == found.points
        assert again.about == found.about
        for name in ("before", "after", "scores", "thumbnails"):
            assert np.array_equal(getattr(again, name), getattr(found, name))

    def test_a_set_without_a_head_too(self, found, tmp_path):
        write_features(replace(found, scores=None), tmp_path)
        assert read_features(tmp_path).scores is None

    @pytest.mark.parametrize(
        "damage",
        [
            lambda f: (f / ARRAYS).unlink(),
            lambda f: (f / ARRAYS).write_bytes((f / ARRAYS).read_bytes()[:-9]),
            lambda f: (f / ABOUT).unlink(),
            lambda f: (f / ABOUT).write_text("{ torn"),
            lambda f: (f / ABOUT).write_text("[]"),
            lambda f: _swap(f),
            lambda f: _edit(f, lambda v: v["points"].pop()),
            lambda f: _edit(f, lambda v: v["points"][0].update(kind="ghost")),
            lambda f: _edit(f, lambda v: v["points"][0].pop("file")),
            lambda f: _edit(f, lambda v: v["about"].pop("image_size")),
        ],
    )
    def test_damage_is_refused(self, found, tmp_path, damage):
        write_features(found, tmp_path)
        damage(tmp_path)
        with pytest.raises(CutSwapError):
            read_features(tmp_path)

    def test_the_key_changes_with_the_run_the_photos_and_the_draws_alone(self, run):
        category = recorded_category(run).category
        key = features_key(run, category, SETTINGS)
        assert key == features_key(run, category, SETTINGS.replace(projection="tsne", folds=3))
        assert key != features_key(run, category, SETTINGS.replace(samples=9))
        run.backbone_file.write_bytes(b"other")
        changed = features_key(run, category, SETTINGS)
        assert changed != key
        fewer = replace(category, test=category.test[1:])
        assert features_key(run, fewer, SETTINGS) != changed


def _swap(folder: Path) -> None:
    """Sound arrays of another set beside this one's description."""
    about = (folder / ABOUT).read_bytes()
    found = read_features(folder)
    write_features(replace(found, before=found.before + 1), folder)
    (folder / ABOUT).write_bytes(about)


def _edit(folder: Path, change: object) -> None:
    values = read_json(folder / ABOUT)
    change(values)  # type: ignore[operator]
    write_json(folder / ABOUT, values)


class TestProjection:
    @pytest.mark.parametrize("method", PROJECTIONS)
    def test_a_seed_gives_the_same_places(self, found, method):
        settings = SETTINGS.replace(projection=method)
        one, two = project(found, settings, 3), project(found, settings, 3)
        assert np.array_equal(one.before, two.before)
        assert np.array_equal(one.after, two.after)
        assert one.before.shape == (len(found.points), 2)
        assert np.isfinite(one.after).all()

    @pytest.mark.parametrize("method", ["pca", "lda"])
    def test_pca_and_lda_have_not_seen_the_test_photos(self, found, method):
        settings = SETTINGS.replace(projection=method)
        real = found.where("good", "defect")
        moved = found.after.copy()
        moved[real] += 100
        drawn = project(replace(found, after=moved), settings).after[~real]
        assert np.allclose(drawn, project(found, settings).after[~real])

    def test_pca_of_a_known_cloud(self):
        # Four synthetic points on x with spread 2, on y with spread 1; one real point far off.
        values = np.array([[-2, 0], [2, 0], [0, -1], [0, 1], [10, 10]], np.float32)
        kinds = ["positive", "positive", "patch", "patch", "defect"]
        flat = project(made_up(kinds, values), SETTINGS)
        assert np.allclose(np.abs(flat.after[4]), [10, 10])
        assert flat.axes_after[0] == "PC 1, 80% of variance"  # 8 of 8 + 2

    def test_a_network_that_answers_nothing_is_refused(self):
        flat = made_up(["positive", "patch", "scar", "good"], np.ones((4, 5), np.float32))
        with pytest.raises(CutSwapError, match="the same for all"):
            project(flat, SETTINGS)

    def test_the_table_lists_every_point(self, found):
        flat = project(found, SETTINGS)
        rows = list(csv.DictReader(io.StringIO(points_csv(found, flat))))
        assert len(rows) == len(found.points)
        assert [r["photo"] for r in rows] == [p.name for p in found.points]
        assert float(rows[5]["after_y"]) == pytest.approx(flat.after[5, 1], rel=1e-4)
        assert rows[-1]["defect"] == "spot"
        assert {r["called_defective"] for r in rows} <= {"0", "1"}

    def test_a_spreadsheet_gets_no_formula(self):
        some = made_up(["positive", "patch", "scar", "good"], np.eye(4, 5, dtype=np.float32))
        odd = replace(
            some, points=tuple(replace(p, name="=1+1", defect="@SUM(A1)") for p in some.points)
        )
        rows = list(csv.DictReader(io.StringIO(points_csv(odd, project(odd, SETTINGS)))))
        assert {(r["photo"], r["defect"]) for r in rows} == {("'=1+1", "'@SUM(A1)")}


class TestFolds:
    def test_by_hand(self):
        photos = np.array(["a", "a", "b", "c", "c", "c", "d"])
        folds = photo_folds(photos, 2, seed=0)
        by_photo = {p: set(folds[photos == p].tolist()) for p in "abcd"}
        assert all(len(f) == 1 for f in by_photo.values())
        assert sorted(f.pop() for f in by_photo.values()) == [0, 0, 1, 1]

    @given(
        st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(2, 8), st.integers(0, 5)
    )
    def test_a_photo_is_in_one_fold_and_no_fold_is_empty(self, numbers, wanted, seed):
        photos = np.array([f"photo {n}" for n in numbers])
        folds = photo_folds(photos, wanted, seed)
        assert all(len(set(folds[photos == p])) == 1 for p in set(photos.tolist()))
        assert set(folds.tolist()) == set(range(min(wanted, len(set(numbers)))))

    def test_a_photo_s_own_fakes_do_not_help(self):
        """Features that name the photo and nothing else: leaking folds would get all right."""
        rng = np.random.default_rng(0)
        kinds = ["positive", "patch", "scar"] * 20
        values = np.zeros((60, 20), np.float32)
        for photo in range(20):  # in every photo the kinds sit at random along its own axis
            values[3 * photo : 3 * photo + 3, photo] = rng.normal(size=3) + 5
        numbers = figures(made_up(kinds, values), SETTINGS)
        assert numbers.fakes_after is not None
        assert numbers.fakes_after.low <= 0.5 <= numbers.fakes_after.high


class TestFigures:
    def line(self) -> FeatureSet:
        """Fakes right of positives on one axis; good at 1 and 2, defects at 2 and 3."""
        kinds = ["positive", "patch", "scar"] * 6 + ["good", "good", "defect", "defect"]
        x = [0.0, 4.0, 5.0] * 6 + [1, 2, 2, 3]
        scores = np.zeros((22, 3), np.float32)
        scores[:, 1] = np.array(x) - 1.5  # so that 1 is called good, 2 and 3 defective
        scores[:, 2] = -9
        return made_up(kinds, np.array(x, np.float32)[:, None], scores)

    def test_auroc_by_hand(self):
        """Of the pairs (1,2), (1,3), (2,2), (2,3) three are right and one is a tie: 3.5 of 4."""
        numbers = figures(self.line(), SETTINGS)
        assert numbers.real_before is not None
        assert numbers.real_before.value == 0.875
        assert numbers.real_after == numbers.real_before
        assert numbers.head is not None
        assert numbers.head.value == 0.875
        assert numbers.fakes_after == Estimate(1.0, 1.0, 1.0)

    def test_the_head_s_own_decision_by_type(self):
        numbers = figures(self.line(), SETTINGS)
        assert {n: s.text() for n, s in numbers.called.items()} == {
            "good": "1 of 2",
            "crack": "2 of 2",
        }
        assert {n: s.text() for n, s in numbers.head_fakes.items()} == {
            "positive": "6 of 6",
            "patch": "6 of 6",
            "scar": "0 of 6",
        }

    def test_a_scar_is_a_defect_to_the_head_too(self):
        base = self.line()
        assert base.scores is not None
        scars = replace(base, scores=base.scores[:, [0, 2, 1]])
        assert figures(scars, SETTINGS).called == figures(base, SETTINGS).called

    def test_a_head_that_calls_everything_one_class_is_doubted(self):
        base = self.line()
        assert base.scores is not None
        assert figures(base, SETTINGS).doubt == ""
        blind = replace(base, scores=base.scores + np.array([0, 99, 0], np.float32))
        assert (
            "only 33% of the new samples correctly (chance 33%)" in figures(blind, SETTINGS).doubt
        )
        assert figures(replace(base, scores=None), SETTINGS).doubt == ""

    def test_a_head_that_is_sure_still_ranks(self):
        """1 - p is 1.0 for all of these in floating point; the order is still theirs."""
        base = self.line()
        assert base.scores is not None
        sure = replace(base, scores=base.scores + np.array([0, 200, 0], np.float32))
        assert (sure.p_positive() < 1e-60).all()
        numbers = figures(sure, SETTINGS)
        assert numbers.head is not None
        assert numbers.head.value == 0.875

    def test_no_defects_no_figure(self, found):
        good = found.where("defect")
        kept = [i for i in range(len(found.points)) if not good[i]]
        none = FeatureSet(
            tuple(found.points[i] for i in kept),
            found.before[kept],
            found.after[kept],
            found.scores[kept],
            found.thumbnails[kept],
            found.about,
        )
        numbers = figures(none, SETTINGS)
        assert numbers.real_after is None
        assert numbers.head is None
        assert "Cannot be answered" in numbers.answer()
        assert list(numbers.called) == ["good"]

    def test_a_seed_gives_the_same_intervals(self, found):
        assert figures(found, SETTINGS, 1) == figures(found, SETTINGS, 1)
        rng = np.random.default_rng(0)
        kinds = ["positive", "patch", "scar"] * 10 + ["good"] * 30 + ["defect"] * 30
        cloud = made_up(kinds, rng.normal(size=(90, 4)).astype(np.float32))
        one, two = figures(cloud, SETTINGS, 1), figures(cloud, SETTINGS, 2)
        assert one.fakes_after != two.fakes_after
        assert one.real_after is not None
        assert two.real_after is not None
        assert one.real_after.value == two.real_after.value
        assert one.real_after != two.real_after

    def test_all_resamples_at_once_give_each_one_s_auroc(self):
        rng = np.random.default_rng(0)
        scores = rng.integers(0, 6, (50, 11)) / 8  # many equal
        labels = np.arange(11) >= 4
        each = [auroc(row, labels) for row in scores]
        assert feature_separation._ranks(scores, 4).tolist() == each

    def test_the_interval_is_the_spread_of_the_resamples(self):
        """Two good, two bad: a resample draws both 2s with chance 1/4 * 1/4, AUROC 0.5 then."""
        numbers = figures(self.line(), SETTINGS.replace(resamples=4000))
        assert numbers.head is not None
        assert (numbers.head.low, numbers.head.high) == (0.5, 1.0)

    @pytest.mark.parametrize(
        ("estimate", "start"),
        [
            (Estimate(0.8, 0.6, 0.9), "Yes"),
            (Estimate(0.8, 0.5, 0.9), "Not proven: AUROC 0.80 (0.50 to 0.90) could be chance"),
            (Estimate(0.2, 0.1, 0.4), "No, the reverse"),
        ],
    )
    def test_the_answer_follows_the_interval(self, estimate, start):
        change = Estimate(0.1, 0.02, 0.2)
        one = SeparationMetrics(None, None, None, None, change, estimate, {}, {}, 5, 7)
        assert one.answer().startswith(start)
        assert "on 5 good and 7 defective test photos" in one.answer()
        assert "Fine-tuning has raised" in one.answer()
        for change, word in (
            (Estimate(-0.1, -0.2, -0.05), "lowered"),
            (Estimate(0, -0.1, 0.1), "not been shown to change"),
        ):
            assert f"Fine-tuning has {word}" in replace(one, real_change=change).answer()


class TestCommand:
    def test_it_writes_what_it_says(self, made, tmp_path, capsys):
        out = tmp_path / "out"
        flags = ["--samples", "8", "--resamples", "200", "--device", "cpu", "--quiet"]
        code = main(
            [
                "features",
                "--run",
                str(made.path),
                "--out",
                str(out),
                *flags,
                "--json",
                str(tmp_path / "all.json"),
            ]
        )
        assert code == 0
        said = capsys.readouterr().out
        assert "fakes told apart" in said
        assert "called defective: good" in said
        written = json.loads((out / "figures.json").read_text())
        assert written["points"] == {"positive": 8, "patch": 8, "scar": 8, "good": 3, "defect": 3}
        again = figures(read_features(out), SETTINGS)
        assert written["figures"] == json.loads(json.dumps(again.to_dict()))
        assert len((out / "points.csv").read_text().splitlines()) == 31
        assert read_json(tmp_path / "all.json")["answer"] == written["answer"]

    def test_moved_data_are_named(self, run, tmp_path):
        settings = run.settings()
        moved = tmp_path / "moved"
        shutil.copytree(settings["data"]["root"], moved / "bolt")
        settings["data"]["root"] = str(tmp_path / "gone")
        write_json(run.settings_file, settings)
        command = [
            "features",
            "--run",
            str(run.path),
            "--out",
            str(tmp_path / "out"),
            "--quiet",
            "--samples",
            "4",
            "--resamples",
            "100",
        ]
        assert main(command) == 2
        assert main([*command, "--data", str(moved)]) == 0
        notes = read_json(tmp_path / "out/figures.json")["about"]["notes"]
        assert "another folder" in notes[0]


def test_thumbnails_are_small_pictures_of_the_points(found):
    assert found.thumbnails.shape == (30, 72, 72, 3)
    photo = found.picture(29)[0]
    assert photo.shape == (SIZE, SIZE, 3)
    assert abs(float(photo.mean()) - float(found.thumbnails[29].mean())) < 3

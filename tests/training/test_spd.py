"""SPD: views, losses by hand, any backbone, the same run after a kill, flags and records."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from cutswap.analysis import feature_collection
from cutswap.analysis.feature_collection import collect_features
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.commands.parser import main, parse
from cutswap.config import (
    SPD_VIEWS,
    FineTuningSettings,
    HeadSettings,
    NegativeSettings,
    PatchCoreSettings,
    SpdSettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.runs.folder import RunFolder
from cutswap.runs.seen import read_seen
from cutswap.sweeps.grid import applied, read_grid, settled
from cutswap.sweeps.identity import Weights, hashes, method_of
from cutswap.training import finetuning
from cutswap.training.distributed import Team
from cutswap.training.finetuning import finetune, tuned_backbone
from cutswap.training.flags import finetune_arguments, finetuning_settings
from cutswap.training.spd_loss import SpdNetwork, similarities, spd_loss, spot_the_difference
from cutswap.training.spd_tuner import SpdTuner
from cutswap.training.spd_views import SpdSamples, strong_view, weak_view
from tests.helpers.scored import build_parts
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import slim_backbone, tiny_backbone

SIDE = 64
PHOTOS = np.stack([photo_of(seed, (SIDE, SIDE)) for seed in range(5)])
GIVEN = SpdSettings()
PLAIN = SpdSettings(crop=(1, 1), flip=False, colour=0, grey=0, blur=0, weak_crop=(1, 1))


def samples_of(
    spd: SpdSettings = GIVEN, *, seed: int = 0, photos: np.ndarray = PHOTOS, **changes
) -> SpdSamples:
    about = {"negatives": NegativeSettings(), "weak": WeakAugmentation(), "count": 0, **changes}
    return SpdSamples(photos, spd=spd, seed=seed, **about)


def training(**changes) -> TrainingSettings:
    small = {"epochs": 1, "steps_per_epoch": 4, "batch_size": 2, "image_size": SIDE}
    fixed = {"device": "cpu", "precision": "float32", "objective": "spd"}
    return TrainingSettings(**{**fixed, **small, **changes})


def tuner_for(backbone: Backbone, spd: SpdSettings = GIVEN, seed=0, team=None, **changes):
    return SpdTuner(backbone, samples_of(spd), training(**changes), spd, seed, team)


def changed_share(a: np.ndarray, b: np.ndarray) -> float:
    return float((a != b).any(axis=-1).mean())


class TestViews:
    def test_a_number_gives_the_same_views_in_any_order_and_another_seed_others(self):
        forward = [samples_of()[n] for n in range(6)]
        shared = samples_of()
        backward = [shared[n] for n in reversed(range(6))][::-1]
        assert np.array_equal(forward, backward)
        assert forward[0].shape == (len(SPD_VIEWS), SIDE, SIDE, 3)

    def test_every_view_but_the_photo_is_the_seeds_and_the_numbers(self):
        first, again, seed, number = (
            samples_of(photos=PHOTOS[:1], seed=seed)[number]
            for seed, number in ((0, 0), (0, 0), (1, 0), (0, 1))
        )
        assert np.array_equal(first, again)
        for other in (seed, number):
            same = [np.array_equal(a, b) for a, b in zip(first, other, strict=True)]
            assert same == [view == "photo" for view in SPD_VIEWS]

    def test_the_smoothblend_changes_one_place_of_the_photo_and_the_weak_view_hardly_anything(self):
        for number in range(5):
            first, second, photo, weak, blend = samples_of()[number].astype(int)
            assert np.array_equal(photo, PHOTOS[samples_of().index_of(number)])
            assert 0 < changed_share(photo, blend) < 0.2
            assert not np.array_equal(first, second)
            assert np.abs(weak - photo).mean() < np.abs(first - photo).mean()

    def test_without_strength_every_view_is_the_photo(self):
        first, second, photo, weak, _ = samples_of(PLAIN, weak=WeakAugmentation(jitter=0))[3]
        assert all(np.array_equal(view, photo) for view in (first, second, weak))

    @pytest.mark.parametrize(
        ("name", "value", "is_so"),
        [
            ("grey", 1.0, lambda view, _: (view == view[..., :1]).all()),
            ("blur", 1.0, lambda view, photo: _rough(view) < _rough(photo)),
            ("crop", (0.2, 0.2), lambda view, photo: not np.array_equal(view, photo)),
        ],
    )
    def test_each_strength_does_what_it_says(self, name, value, is_so):
        settings, rng = PLAIN.replace(**{name: value}), np.random.default_rng(0)
        assert all(is_so(strong_view(photo, settings, rng), photo) for photo in PHOTOS)

    def test_half_of_the_strong_views_are_mirrored(self):
        settings, rng = PLAIN.replace(flip=True), np.random.default_rng(0)
        mirrored = sum(
            np.array_equal(strong_view(PHOTOS[0], settings, rng), PHOTOS[0][:, ::-1])
            for _ in range(200)
        )
        assert 70 < mirrored < 130

    def test_a_weak_crop_is_the_share_that_was_asked_for_in_the_photos_shape(self, monkeypatch):
        seen, resize = [], cv2.resize

        def noted(part, *arguments, **named):
            seen.append(part.shape[:2])
            return resize(part, *arguments, **named)

        monkeypatch.setattr(cv2, "resize", noted)
        photo = photo_of(0, (60, 120))
        settings = PLAIN.replace(weak_crop=(0.81, 0.81))
        rng = np.random.default_rng(0)
        view = weak_view(photo, settings, WeakAugmentation(jitter=0), rng)
        assert view.shape == photo.shape
        assert seen == [(54, 108)]

    def test_a_smoothblend_stays_in_the_region(self):
        inside = np.zeros((SIDE, SIDE), dtype=bool)
        inside[:, : SIDE // 2] = True
        for number in range(5):
            _, _, photo, _, blend = samples_of(inside=inside)[number]
            assert not (photo != blend).any(axis=-1)[~inside].any()

    def test_a_photo_that_shows_nothing_is_named(self):
        blank = np.zeros((1, SIDE, SIDE, 3), dtype=np.uint8)
        about = {"negatives": NegativeSettings(), "weak": WeakAugmentation(), "seed": 0, "count": 1}
        samples = SpdSamples(blank, spd=SpdSettings(), names=("blank.png",), **about)
        with pytest.raises(CutSwapError, match=r"blank\.png"):
            samples[0]


def _rough(photo: np.ndarray) -> float:
    return float(np.abs(np.diff(photo.astype(int), axis=0)).mean())


class TestLosses:
    """Of rows one can see through: unit vectors in the plane."""

    # strong, strong, photo, weak, smoothblend of one photo
    ROWS = torch.tensor([[1.0, 0], [0, 1], [1, 0], [3, 4], [0, 2]])

    def test_the_term_by_hand(self):
        # cos(photo, smoothblend) = 0, cos(photo, weak) = 3/5
        assert float(spot_the_difference(self.ROWS[None])) == pytest.approx(-0.6)
        assert similarities(self.ROWS[None])[0].tolist() == pytest.approx([1, 0, 1, 0.6, 0])

    def test_simsiam_by_hand(self):
        # p1 = (1, 0), p2 = (1, 1): cos(p1, z2) = 0, cos(p2, z1) = 1 / sqrt 2
        p = self.ROWS.clone()
        p[1] = torch.tensor([1.0, 1.0])
        outputs = torch.cat([self.ROWS, p], dim=1)
        base = -(0 + 2**-0.5) / 2
        found = spd_loss(outputs, SpdSettings(weight=0))
        assert float(found) == pytest.approx(base)
        assert float(spd_loss(outputs, SpdSettings(weight=2))) == pytest.approx(base - 2 * 0.6)

    def test_simclr_is_the_formula_of_its_paper(self):
        rng = np.random.default_rng(0)
        z = rng.normal(size=(3, 5, 4))
        unit = z / np.linalg.norm(z, axis=2, keepdims=True)
        views, temperature = [*unit[:, 0], *unit[:, 1]], 0.5
        wanted = []
        for i, own in enumerate(views):
            other = (i + 3) % 6
            shares = {j: np.exp(own @ v / temperature) for j, v in enumerate(views) if j != i}
            wanted.append(-np.log(shares[other] / sum(shares.values())))
        outputs = torch.from_numpy(np.concatenate([z, z], axis=2).reshape(15, 8)).float()
        settings = SpdSettings(base="simclr", weight=0, temperature=temperature)
        assert float(spd_loss(outputs, settings)) == pytest.approx(np.mean(wanted), rel=1e-5)

    def test_the_gradient_of_simsiam_does_not_pass_its_target(self):
        outputs = torch.randn(5, 8, generator=torch.manual_seed(0)).requires_grad_(True)
        spd_loss(outputs, SpdSettings(weight=0)).backward()
        assert outputs.grad is not None
        assert not outputs.grad[:, :4].any()  # z
        assert outputs.grad[:2, 4:].any()  # p of the strong views
        assert not outputs.grad[2:].any()

    def test_a_step_down_the_term_draws_the_weak_view_near_and_the_smoothblend_away(self):
        z = torch.randn(8, 5, 6, generator=torch.manual_seed(0)).requires_grad_(True)
        spot_the_difference(z).backward()
        before = similarities(z).mean(dim=0)
        after = similarities(z - 0.5 * z.grad).mean(dim=0)
        assert after[3] > before[3]
        assert after[4] < before[4]

    @pytest.mark.parametrize("base", ["simsiam", "simclr"])
    def test_heads_are_of_the_published_shape(self, base):
        network = SpdNetwork(tiny_backbone(), SpdSettings(base=base), 0)
        shapes = {
            name: [tuple(m.weight.shape) for m in part.modules() if isinstance(m, nn.Linear)]
            for name, part in network.psi.items()
        }
        assert (
            shapes
            == {
                "simsiam": {"projector": [(16, 16)] * 3, "predictor": [(4, 16), (16, 4)]},
                "simclr": {"projector": [(16, 16), (128, 16)], "predictor": []},
            }[base]
        )


class TestTuner:
    @pytest.mark.parametrize("base", ["simsiam", "simclr"])
    def test_it_learns_to_tell_a_smoothblend(self, base):
        changes = {"steps_per_epoch": 40, "batch_size": 5, "frozen": (), "learning_rate": 0.1}
        spd = SpdSettings(base=base, weight=5)
        tuner = tuner_for(tiny_backbone(), spd, pretrained_factor=1, **changes)
        batch = torch.from_numpy(np.stack([tuner.samples[number] for number in range(5)]))
        losses = [float(tuner._update(batch)[2].sum()) for _ in range(10)]
        assert losses[-1] < losses[0] - 0.2

    def test_it_tells_how_many_photos_lie_nearer_their_weak_view(self):
        (step,) = tuner_for(tiny_backbone(), steps_per_epoch=1).run()
        tuner = tuner_for(tiny_backbone(), steps_per_epoch=1)
        (again,) = tuner.run()
        _, cosines = tuner.seen
        assert cosines.shape == (2, 5)
        assert (
            step.accuracy
            == again.accuracy
            == float((cosines[:, 3] > cosines[:, 4]).double().mean())
        )
        assert step.class_accuracy == ()

    @pytest.mark.parametrize("base", ["simsiam", "simclr"])
    def test_a_resumed_run_is_the_same_run(self, base):
        spd = SpdSettings(base=base)
        whole = tuner_for(tiny_backbone(), spd)
        list(whole.run())
        first = tuner_for(tiny_backbone(), spd)
        run = first.run()
        for _ in range(2):
            next(run)
        kept = first.state()
        run.close()
        second = tuner_for(tiny_backbone(), spd)
        second.load_state(kept)
        list(second.run())
        assert whole.state().keys() == second.state().keys()
        assert all(torch.equal(v, second.state()[n]) for n, v in whole.state().items())

    @pytest.mark.parametrize("name", ["resnet18", "squeezenet1_0", "vgg16"])
    def test_any_backbone_may_be_the_start_and_gentle_leaves_the_same_depth_alone(self, name):
        starts = {"vgg16": slim_backbone, "resnet18": tiny_backbone}
        start = starts.get(name, lambda: load_backbone(name, "random"))()
        tuner = tuner_for(start, steps_per_epoch=1)
        list(tuner.run())
        tuned, old = tuner.tuned(), start.module.state_dict()
        assert tuned.keys() == old.keys()
        moved = {n for n, v in tuned.items() if n.endswith("weight") and not torch.equal(v, old[n])}
        depth = {"resnet18": None, "squeezenet1_0": 6, "vgg16": 16}[name]
        if depth is None:
            parts = {n.split(".")[0] for n in moved}
            assert parts == {"layer3", "layer4"}
        else:
            places = {int(n.split(".")[1]) for n in moved if n.startswith("features.")}
            assert places
            assert min(places) > depth
        assert not any(n.startswith(("fc.", "classifier.")) for n in moved)
        start.module.load_state_dict(tuned)

    def test_pieces_of_simsiam_sum_to_its_batch_and_simclr_is_never_cut(self):
        assert tuner_for(tiny_backbone(), SpdSettings()).pieces.may_halve
        assert not tuner_for(tiny_backbone(), SpdSettings(base="simclr")).pieces.may_halve
        outputs = torch.randn(20, 8, generator=torch.manual_seed(0))
        whole = spd_loss(outputs, SpdSettings())
        halves = (spd_loss(outputs[:10], SpdSettings()) + spd_loss(outputs[10:], SpdSettings())) / 2
        assert float(whole) == pytest.approx(float(halves), abs=1e-6)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"batch_size": 1}, "two photos or more"),
            ({"team": Team(0, 2, 0)}, "simsiam on several processes"),
        ],
    )
    def test_simclr_refuses_what_leaves_it_nothing_to_compare(self, changes, message):
        with pytest.raises(CutSwapError, match=message):
            tuner_for(tiny_backbone(), SpdSettings(base="simclr"), **changes)

    def test_layers_that_are_not_there_are_refused_by_the_names_of_stages(self):
        with pytest.raises(CutSwapError, match="conv1, layer1, layer2, layer3, layer4"):
            tuner_for(slim_backbone(), frozen=("features.3",))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return build_parts(tmp_path_factory.mktemp("spd") / "parts")


def tiny_start(monkeypatch):
    monkeypatch.setattr(finetuning, "load_backbone", lambda *_, **__: tiny_backbone())
    # a run's network is rebuilt under its name, which the tiny one only borrows
    monkeypatch.setattr(Backbone, "from_state", lambda _, tensors, *__: _rebuilt(tensors))


def _rebuilt(tensors) -> Backbone:
    found = tiny_backbone()
    found.module.load_state_dict(tensors)
    return found


class TestRuns:
    SETTINGS = FineTuningSettings(training=training(steps_per_epoch=6, checkpoint_every=2))

    def _files(self, out):
        run = RunFolder(out)
        lines = [
            {k: line[k] for k in ("step", "loss", "accuracy", "learning_rate")}
            for line in run.metrics()
        ]
        return lines, run.read_checkpoint(), run.read_backbone()

    def test_a_killed_run_ends_with_the_same_bits(self, parts, tmp_path, monkeypatch):
        tiny_start(monkeypatch)
        checked = check_category(parts, "bolt", skip_bad=False)
        list(finetune(checked, self.SETTINGS, tmp_path / "whole"))
        for stop in (3, 5):  # each time between two checkpoints, as a kill -9 would
            run = finetune(checked, self.SETTINGS, tmp_path / "killed")
            while next(run).step < stop:
                pass
            kept = {p.name: p.read_bytes() for p in (tmp_path / "killed").iterdir() if p.is_file()}
            run.close()
            for path in (tmp_path / "killed").iterdir():  # nothing that the end has tidied up
                path.write_bytes(kept[path.name]) if path.name in kept else path.unlink()
        list(finetune(checked, self.SETTINGS, tmp_path / "killed"))
        (lines, state, phi), (lines2, state2, phi2) = (
            self._files(tmp_path / name) for name in ("whole", "killed")
        )
        assert lines == lines2
        assert len(lines) == 6
        assert all(torch.equal(state[n], state2[n]) for n in state | state2)
        assert all(torch.equal(phi[n], phi2[n]) for n in phi | phi2)

    def test_its_folder_says_what_it_did(self, parts, tmp_path, monkeypatch):
        tiny_start(monkeypatch)
        checked = check_category(parts, "bolt", skip_bad=False)
        list(finetune(checked, self.SETTINGS, tmp_path / "run"))
        run = RunFolder(tmp_path / "run")
        record, result = run.settings(), json.loads(run.result_file.read_text())
        assert record["training"]["objective"] == "spd"
        assert record["spd"] == SpdSettings().to_dict()
        assert FineTuningSettings.from_dict({n: record[n] for n in self.SETTINGS.to_dict()}).is_spd
        assert result["chance"] == 0.5
        assert result["class_accuracy"] == []
        assert result["updates"] == 6
        shown = read_seen(tmp_path / "run")
        assert shown is not None
        assert shown.probabilities is None
        assert shown.cosines.shape == (2, 5)
        assert shown.cosines[:, 2] == pytest.approx(1, abs=1e-3)
        environment = json.loads((tmp_path / "run" / "environment.json").read_text())
        assert environment["weights"]["saliency"] is None
        assert "fine-tuned run" in tuned_backbone(run).report.source
        other = self.SETTINGS.replace(spd=SpdSettings(weight=0.2))
        with pytest.raises(CutSwapError, match=r"spd\.weight"):
            list(finetune(checked, other, tmp_path / "run"))

    def test_its_features_are_looked_at_beside_smoothblends(self, parts, tmp_path, monkeypatch):
        tiny_start(monkeypatch)
        monkeypatch.setattr(feature_collection, "load_backbone", lambda *_, **__: tiny_backbone())
        checked = check_category(parts, "bolt", skip_bad=False)
        list(finetune(checked, self.SETTINGS, tmp_path / "run"))
        found = collect_features(RunFolder(tmp_path / "run"), checked, FeatureSettings(samples=4))
        assert found.scores is None
        assert found.about["head"].startswith("SPD has no classes")
        assert len(found.points) == 4 * 3 + len(checked.category.test)
        assert not np.allclose(found.before, found.after)


class TestSettings:
    def test_records_without_spd_are_what_they_were(self):
        values = FineTuningSettings().to_dict()
        assert "spd" not in values
        assert "objective" not in TrainingSettings().deciding()
        del values["training"]["objective"]
        assert FineTuningSettings.from_dict(values) == FineTuningSettings()

    def test_flags_give_it_and_the_record_gives_the_flags(self):
        words = ["finetune", "--data", "d", "--out", "o", "--objective", "spd"]
        words += ["--spd-base", "simclr", "--spd-weight", "0.3", "--spd-flip", "false"]
        asked = finetuning_settings(parse(words))
        assert asked.is_spd
        assert (asked.spd.base, asked.spd.weight, asked.spd.flip) == ("simclr", 0.3, False)
        again = finetune_arguments(asked.to_dict(), Path("d"), "bolt", Path("o"))
        assert finetuning_settings(parse(again)) == asked

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--spd-weight", "0.3"], "--objective spd, the only one"),
            (["--objective", "spd", "--train", "projector"], "phi stays as it is"),
            (["--objective", "moco"], "one of classes, spd"),
            (["--objective", "spd", "--spd-crop", "0,1"], "crop"),
        ],
    )
    def test_flags_that_do_not_go_together_are_refused(self, words, message, capsys):
        assert main(["finetune", "--data", "nowhere", "--out", "nowhere-else", *words]) == 2
        assert message in capsys.readouterr().err

    def test_a_sweep_may_vary_it_and_names_what_it_is(self):
        base = (FineTuningSettings(), PatchCoreSettings())
        points = read_grid(["objective=classes,spd", "spd_weight=0.1,0.5"])
        tunings = [applied(point, *base)[0] for point in points]
        assert [method_of(t) for t in tunings] == ["cutswap", "cutswap", "spd", "spd"]
        weights = Weights("w", "s", ("a",))
        data = {"train": "t", "test": "u"}
        found = [hashes(t, "resnet18", base[1], weights, data, 0)[1] for t in tunings]
        # the weight means nothing to classes
        assert found[0] == found[1]
        assert len(set(found)) == 3
        plain = hashes(FineTuningSettings(), "resnet18", base[1], weights, data, 0)[1]
        assert found[0] == plain

    def test_what_it_never_looks_at_makes_no_other_run(self):
        spd = FineTuningSettings(training=training())
        for changes in ({"augment": "nsa"}, {"ways": 2}, {"hidden": (8,)}):
            assert settled(FineTuningSettings(training=training(**changes))) == settled(spd)
        assert settled(FineTuningSettings(training=training(batch_size=3))) != settled(spd)

    def test_a_head_and_spd_are_refused_wherever_they_come_from(self):
        with pytest.raises(CutSwapError, match="leave out --train"):
            FineTuningSettings(training=training(), head=HeadSettings(train="gaussian"))

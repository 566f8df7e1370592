"""Fine-tuning: samples repeat, recipes train what they say, a resumed run is the same run."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from cutswap.config import (
    RECIPES,
    ClusterSettings,
    NegativeSettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.errors import CutSwapError
from cutswap.negatives.draw import redraw
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.saliency.cache import SaliencyMaps
from cutswap.training import finetuner as training
from cutswap.training.finetuner import FineTuner
from tests.helpers.tiny_networks import tiny_backbone

SIDE = 64


@pytest.fixture(scope="module")
def untrained() -> Backbone:
    return tiny_backbone()


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def maps(photos: np.ndarray) -> SaliencyMaps:
    rng = np.random.default_rng(1)
    raw = [[rng.random((s, s), dtype=np.float32) for s in (16, 4)] for _ in photos]
    return SaliencyMaps(raw, ("fine", "coarse"), (SIDE, SIDE))


def settings_for(**changes: object) -> TrainingSettings:
    small = {
        "epochs": 1,
        "steps_per_epoch": 4,
        "batch_size": 2,
        "image_size": SIDE,
        "hidden": (16,),
    }
    return TrainingSettings(**{"device": "cpu", "precision": "float32", **small, **changes})


def samples_of(
    photos: np.ndarray, maps: SaliencyMaps | None, *, seed: int = 0, **changes: object
) -> TrainingSamples:
    arguments = {
        "family": "cutswap",
        "ways": 3,
        "negatives": NegativeSettings(),
        "clusters": ClusterSettings(),
        "weak": WeakAugmentation(),
        "count": 20,
        **changes,
    }
    return TrainingSamples(photos, maps, seed=seed, **arguments)


def tuner_for(backbone: Backbone, samples: TrainingSamples, seed: int = 0, **changes: object):
    return FineTuner(backbone, samples, settings_for(**changes), seed)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


class TestSamples:
    def test_a_number_always_gives_the_same_sample_in_any_order(self, photos, maps):
        forward = [samples_of(photos, maps)[i] for i in range(6)]
        shared = samples_of(photos, maps)
        backward = [shared[i] for i in reversed(range(6))][::-1]
        assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))

    def test_seeds_differ(self, photos, maps):
        a, b = samples_of(photos, maps, seed=0)[0], samples_of(photos, maps, seed=1)[0]
        assert not np.array_equal(a, b)

    def test_an_epoch_shows_every_photo_once(self, photos, maps):
        samples = samples_of(photos, maps)
        for epoch in range(3):
            numbers = range(epoch * len(photos), (epoch + 1) * len(photos))
            assert sorted(samples.sample(n).index for n in numbers) == list(range(len(photos)))

    def test_all_levels_are_drawn_and_named(self, photos, maps):
        samples = samples_of(photos, maps)
        drawn = {samples.sample(n).negatives[0].record.layer for n in range(20)}
        assert drawn == {"fine", "coarse"}
        only = samples_of(photos, maps, levels=("coarse",))
        assert {only.sample(n).negatives[0].record.layer for n in range(8)} == {"coarse"}

    def test_the_record_repaints_what_the_trainer_saw(self, photos, maps):
        sample = samples_of(photos, maps).sample(3)
        for negative, shown in zip(sample.negatives, sample.photos[1:], strict=True):
            assert np.array_equal(redraw(sample.positive, negative.record).photo, shown)

    @pytest.mark.parametrize(
        ("family", "ways", "methods"),
        [
            ("cutswap", 2, ["cutswap"]),
            ("cutswap", 3, ["cutswap", "cutswap-scar"]),
            ("cutpaste", 3, ["cutpaste", "cutpaste-scar"]),
        ],
    )
    def test_ways_and_family(self, photos, maps, family, ways, methods):
        sample = samples_of(photos, maps, family=family, ways=ways).sample(0)
        assert [n.record.method for n in sample.negatives] == methods
        assert sample.photos.shape == (ways, SIDE, SIDE, 3)

    def test_cutpaste_needs_no_saliency_and_cutswap_does(self, photos):
        samples_of(photos, None, family="cutpaste").sample(0)
        with pytest.raises(CutSwapError, match="saliency"):
            samples_of(photos, None)

    def test_a_blank_map_falls_back_to_uniform_anchors_and_says_so(self, photos):
        blank = SaliencyMaps([[np.zeros((4, 4), np.float32)] for _ in photos], ("x",), (SIDE, SIDE))
        record = samples_of(photos, blank).sample(0).negatives[0].record
        assert any("uniform anchors" in text for text in record.fallbacks)

    def test_an_unknown_level_is_refused_with_those_there_are(self, photos, maps):
        with pytest.raises(CutSwapError, match="fine, coarse"):
            samples_of(photos, maps, levels=("deep",))


def test_patch_and_scar_of_a_sample_have_streams_of_their_own(photos, maps):
    sample = samples_of(photos, maps).sample(0)
    patch, scar = sample.negatives
    assert patch.record.seed != scar.record.seed
    assert patch.record.anchors != scar.record.anchors


class TestRun:
    def test_a_task_it_can_learn_is_learnt(self, maps):
        """Three seeds of network, draws and head: the last 120 decisions.

        Who guesses is right in 60 of 120, give or take 5.5, and pays log 2 a decision.
        """
        # Flat grey photos with one bright corner: every swap shows.
        photos = np.full((4, SIDE, SIDE, 3), 90, np.uint8)
        photos[:, :20, :20] = 250
        maps = SaliencyMaps(maps.maps[:4], maps.layers, (SIDE, SIDE))
        last = []
        for seed in range(3):
            samples = samples_of(photos, maps, seed=seed, ways=2, weak=WeakAugmentation(jitter=0.0))
            tuner = tuner_for(
                tiny_backbone(seed),
                samples,
                seed,
                ways=2,
                steps_per_epoch=25,
                batch_size=4,
                **RECIPES["paper"],
            )
            last += list(tuner.run())[-5:]
        assert np.mean([s.accuracy for s in last]) > 0.75  # 0.90 to 1.00 for six seeds
        assert np.mean([s.loss for s in last]) < np.log(2)

    def test_resumed_equals_unbroken(self, untrained, photos, maps):
        whole = tuner_for(untrained, samples_of(photos, maps))
        expected = [s.loss for s in whole.run()]
        part = tuner_for(untrained, samples_of(photos, maps))
        losses = []
        for step in part.run():
            losses.append(step.loss)
            if step.step == 2:
                break
        state = part.state()
        rest = tuner_for(untrained, samples_of(photos, maps))
        rest.load_state(state)
        losses += [s.loss for s in rest.run()]
        assert losses == expected
        assert same(rest.state(), whole.state())

    def test_a_state_of_other_settings_is_refused(self, untrained, photos, maps):
        state = tuner_for(untrained, samples_of(photos, maps)).state()
        other = tuner_for(untrained, samples_of(photos, maps), hidden=(8,))
        with pytest.raises(CutSwapError, match="checkpoint"):
            other.load_state(state)

    def test_the_given_backbone_is_left_alone(self, untrained, photos, maps):
        before = untrained.fingerprint
        tuner = tuner_for(untrained, samples_of(photos, maps))
        list(tuner.run())
        untrained.__dict__.pop("fingerprint")
        assert untrained.fingerprint == before
        tuned = tuner.tuned()
        assert tuned.keys() == untrained.module.state_dict().keys()
        assert not torch.equal(
            tuned["layer4.0.weight"], untrained.module.state_dict()["layer4.0.weight"]
        )

    def test_gentle_keeps_early_statistics_and_paper_does_not(self, untrained, photos, maps):
        def moved(recipe: str) -> tuple[bool, bool]:
            tuner = tuner_for(untrained, samples_of(photos, maps), **RECIPES[recipe])
            list(tuner.run())
            tuned, old = tuner.tuned(), untrained.module.state_dict()
            early, late = "layer3.1.running_mean", "layer4.1.running_mean"
            return tuple(not torch.equal(tuned[n], old[n]) for n in (early, late))

        assert moved("gentle") == (False, True)  # layer3 is trained, its statistics are not
        assert moved("paper") == (True, True)

    def test_frozen_layers_do_not_move_at_all(self, untrained, photos, maps):
        tuner = tuner_for(
            untrained,
            samples_of(photos, maps),
            frozen=("conv1", "bn1", "layer1"),
            freeze_batch_norm=False,
        )
        list(tuner.run())
        tuned, old = tuner.tuned(), untrained.module.state_dict()
        early = [n for n in old if n.startswith(("conv1", "bn1", "layer1"))]
        assert all(torch.equal(tuned[n], old[n]) for n in early)
        assert not torch.equal(tuned["layer2.0.weight"], old["layer2.0.weight"])

    def test_rates_by_depth(self, untrained, photos, maps):
        tuner = tuner_for(
            untrained,
            samples_of(photos, maps),
            learning_rate=1.0,
            pretrained_factor=0.1,
            depth_decay=0.5,
            frozen=(),
        )
        rates = {n: rate for rate, names in tuner._groups for n in names}
        assert rates["phi.layer4.0.weight"] == rates["psi.0.weight"] == 1.0
        assert rates["phi.layer3.0.weight"] == pytest.approx(0.1)
        assert rates["phi.layer2.0.weight"] == pytest.approx(0.05)
        assert rates["phi.conv1.weight"] == pytest.approx(0.0125)

    def test_the_rate_goes_down_one_cosine(self, untrained, photos, maps):
        rates = [s.learning_rate for s in tuner_for(untrained, samples_of(photos, maps)).run()]
        expected = [0.03 * 0.5 * (1 + np.cos(np.pi * i / 4)) for i in range(4)]
        assert rates == pytest.approx(expected)

    @pytest.mark.journey
    def test_workers_draw_the_same(self, untrained, photos, maps):
        alone = [s.loss for s in tuner_for(untrained, samples_of(photos, maps)).run()]
        helped = [s.loss for s in tuner_for(untrained, samples_of(photos, maps), workers=1).run()]
        assert alone == helped

    def test_freed_memory_is_kept_from_the_first_update_to_the_last(
        self, untrained, photos, maps, monkeypatch
    ):
        said = []

        @contextlib.contextmanager
        def watched():
            said.append("kept")
            yield
            said.append("given back")

        monkeypatch.setattr(training, "kept_memory", watched)
        for step in tuner_for(untrained, samples_of(photos, maps), steps_per_epoch=2).run():
            said.append(step.step)
        assert said == ["kept", 1, 2, "given back"]

    def test_a_diverging_run_stops_with_advice(self, untrained, photos, maps):
        tuner = tuner_for(
            untrained,
            samples_of(photos, maps),
            learning_rate=10.0,
            pretrained_factor=10.0,
            steps_per_epoch=30,
        )
        with torch.no_grad():
            tuner.model.psi[-1].weight.fill_(float("nan"))
        with pytest.raises(CutSwapError, match="finite"):
            list(tuner.run())

    def test_a_network_without_pooled_stages_is_refused(self, photos, maps):
        vgg = load_backbone("squeezenet1_0", "random")
        with pytest.raises(CutSwapError, match="ResNet"):
            tuner_for(vgg, samples_of(photos, maps))

# ruff: noqa: F811 - fixtures of the trainer's own tests
"""Feeding: how many draw, images normalised on the device, losses read late: the same run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cutswap.config import TrainingSettings
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.training import finetuner as training
from cutswap.training.feeding import MOST, DeviceImages, choose_feeding
from tests.training.test_finetuner import maps, photos, same, samples_of, tuner_for, untrained  # noqa: F401

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
BATCH = 96 * 256 * 256 * 3


def chosen(device: torch.device = CUDA, asked: int | None = None, **given: int):
    usual = {"batch_bytes": BATCH, "updates": 600, "cores": 16, "room": 2**36}
    return choose_feeding(asked, device, **{**usual, **given})


class TestChoice:
    def test_on_a_processor_the_trainer_draws(self):
        for cores in (1, 2, 8, 64):
            feeding = chosen(CPU, cores=cores)
            assert (feeding.workers, feeding.pinned) == (0, False)

    def test_beside_a_card_all_cores_but_two_draw(self):
        assert [chosen(cores=c).workers for c in (1, 2, 3, 4, 16, 200)] == [0, 0, 1, 2, 14, MOST]
        assert chosen().pinned

    def test_trainers_share_the_cores(self):
        assert chosen(processes=4).workers == 2

    def test_who_asks_gets_it(self):
        for device in (CPU, CUDA):
            feeding = chosen(device, asked=3, cores=1, room=0)
            assert feeding.workers == 3
            assert "as asked" in feeding.sentence()

    def test_nobody_is_started_for_nothing(self):
        assert chosen(updates=3).workers == 3
        assert chosen(updates=0).workers == 0

    @pytest.mark.parametrize("room", [0, 2**20, 64 * 2**20, 2**28, 2**30, 2**34])
    @pytest.mark.parametrize("cores", [3, 8, 32])
    def test_batches_on_their_way_fit_into_shared_memory(self, room: int, cores: int):
        feeding = chosen(cores=cores, room=room)
        assert feeding.workers * feeding.prefetch * BATCH <= room
        assert feeding.prefetch >= 2

    def test_what_was_chosen_is_said_and_recorded(self):
        feeding = chosen()
        assert "14 processes draw" in feeding.sentence()
        assert "16 cores" in feeding.sentence()
        assert feeding.to_dict()["workers"] == 14
        assert "trainer draws" in chosen(CPU).sentence()

    def test_identities_are_those_of_older_versions(self):
        older = TrainingSettings(workers=0).to_dict()
        for name in ("tf32", "compile", "validate", "objective", "snapshots"):
            del older[name]
        assert TrainingSettings().deciding() == older
        assert TrainingSettings(tf32=False).deciding() != older


def test_images_of_the_device_are_those_of_the_processor():
    photos = np.random.default_rng(0).integers(0, 256, (4, 20, 24, 3), dtype=np.uint8)
    image = DeviceImages(CPU)(torch.from_numpy(photos))
    assert torch.equal(image, to_image(photos))
    assert image.is_contiguous(memory_format=torch.channels_last)


class TestAsOnACard:
    """The trainer as it works beside an accelerator, which here is the processor itself."""

    @pytest.fixture(autouse=True)
    def accelerated(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(training, "is_accelerator", lambda _: True)

    @pytest.mark.parametrize("every", [1, 3, 100])
    def test_every_update_is_told_once_with_its_own_loss(
        self, untrained, photos, maps, every, monkeypatch
    ):
        monkeypatch.setattr(training, "to_image", lambda *_: pytest.fail("through NumPy"))

        def losses():
            tuner = tuner_for(
                untrained, samples_of(photos, maps), steps_per_epoch=10, checkpoint_every=every
            )
            return [(s.step, s.loss, s.accuracy) for s in tuner.run()], tuner.state()

        late, state = losses()
        assert [step for step, _, _ in late] == list(range(1, 11))
        monkeypatch.undo()
        at_once, expected = losses()
        assert late == at_once
        assert same(state, expected)

    def test_a_checkpoint_holds_the_state_after_the_update_told(self, untrained, photos, maps):
        tuner = tuner_for(
            untrained, samples_of(photos, maps), steps_per_epoch=10, checkpoint_every=4
        )
        behind = {step.step: tuner.step - step.step for step in tuner.run()}
        assert [behind[step] for step in (4, 8, 10)] == [0, 0, 0]
        assert max(behind.values()) == 3  # and in between it does run ahead

    def test_a_snapshot_is_the_state_after_the_update_told(self, untrained, photos, maps):
        tuner = tuner_for(
            untrained, samples_of(photos, maps), steps_per_epoch=10, snapshots=4, checkpoint_every=9
        )
        behind = {step.step: tuner.step - step.step for step in tuner.run()}
        assert tuner.snapshots == (3, 7)
        assert [behind[step] for step in (3, 7)] == [0, 0]

    def test_a_stop_tells_all_that_was_done(self, untrained, photos, maps):
        tuner = tuner_for(untrained, samples_of(photos, maps), steps_per_epoch=20)
        asked = iter([False] * 6 + [True] * 20)
        steps = [s.step for s in tuner.run(lambda: next(asked))]
        assert steps == list(range(1, 8))
        assert tuner.step == 7

    def test_a_diverging_run_is_told_before_its_checkpoint(self, untrained, photos, maps):
        tuner = tuner_for(
            untrained, samples_of(photos, maps), steps_per_epoch=12, checkpoint_every=5
        )
        told = []
        with torch.no_grad():
            tuner.model.psi[-1].weight.fill_(float("nan"))
        with pytest.raises(CutSwapError, match="update 1:"):
            told.extend(s.step for s in tuner.run())
        assert told == []

    def test_seen_is_what_the_update_told_saw(self, untrained, photos, maps):
        samples = samples_of(photos, maps)
        tuner = tuner_for(untrained, samples, steps_per_epoch=6)
        for step in tuner.run():
            seen, scores = tuner.seen
            expected = np.stack([samples[2 * (step.step - 1) + i] for i in range(2)])
            np.testing.assert_array_equal(seen.numpy(), expected)
            assert scores.shape == (2, 3, 3)

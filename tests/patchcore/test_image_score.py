"""The image score: the mean of the highest patches, by hand and at its ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cutswap.config import PatchCoreSettings
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.image_score import highest_patches, mean_of_highest
from cutswap.patchcore.memory_bank import MemoryBank
from tests.helpers.tiny_networks import tiny_backbone

HAND = np.array([3.0, 9.0, 1.0, 9.0, 6.0], np.float32)
PLAIN = PatchCoreSettings(
    layers=("layer2", "layer3"),
    coreset=0.1,
    image_size=64,
    sigma=0.0,
    image_patches=1,
    whiten="none",
)


def test_by_hand():
    assert list(highest_patches(HAND, 3)) == [1, 3, 4]  # of equal ones the first
    assert [mean_of_highest(HAND, k) for k in (1, 2, 3, 4, 5)] == [9, 9, 8, 6.75, 5.6]
    assert mean_of_highest(HAND, 99) == mean_of_highest(HAND, 5)


@pytest.mark.parametrize("seed", range(5))
def test_one_is_the_highest_and_more_are_never_more(seed):
    values = np.random.default_rng(seed).gamma(2.0, size=1024).astype(np.float32)
    scores = [mean_of_highest(values, k) for k in (1, 2, 10, 100, 1024)]
    assert scores[0] == float(values.max())
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == pytest.approx(float(values.mean()), rel=1e-6)


@pytest.fixture(scope="module")
def world():
    images = torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    network = tiny_backbone()
    return MemoryBank.fit(network, [images[:4]], PLAIN), images[4:]


class TestBank:
    def scored(self, world, **changes):
        bank, images = world
        settings = bank.settings.replace(**changes)
        return MemoryBank(bank.backbone, settings, bank.items, bank.origin, 0).score(images)

    def test_one_is_the_highest_bit_for_bit(self, world):
        found = self.scored(world, image_patches=1)
        assert np.array_equal(found.scores, found.distances.max(axis=(1, 2)))

    def test_more_change_the_score_alone(self, world):
        one, ten = (self.scored(world, image_patches=k) for k in (1, 10))
        assert np.array_equal(one.heatmaps, ten.heatmaps)
        tops = np.sort(one.distances.reshape(2, -1), axis=1)[:, -10:]
        assert np.allclose(ten.scores, tops.mean(axis=1), rtol=1e-6)

    def test_each_of_several_is_re_weighted(self, world):
        """The mean over the highest patches of equation 7 as the paper has it for the one."""
        bank, images = world
        found = self.scored(world, image_patches=3, reweight=4)
        patches = embed(bank.backbone, images, bank.settings.layers).numpy().astype(float)
        for image in range(2):
            rows = patches[image].reshape(256, -1)
            distances = np.linalg.norm(rows[:, None] - bank.items[None], axis=2)
            own = distances.min(axis=1)
            terms = []
            for patch in np.argsort(-own)[:3]:
                item = bank.items[distances[patch].argmin()].astype(float)
                near = np.argsort(np.linalg.norm(bank.items - item, axis=1))[:4]
                share = np.exp(own[patch]) / np.exp(distances[patch][near]).sum()
                terms.append((1 - share) * own[patch])
            assert found.scores[image] == pytest.approx(np.mean(terms), rel=1e-4)

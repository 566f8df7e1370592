"""A bank that learns more photos: what was there stays, distances shrink, and it can go back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cutswap.config import PatchCoreSettings
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.grown_bank import grown, shrunk
from cutswap.patchcore.memory_bank import MemoryBank
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import tiny_backbone

SIDE = 64
SETTINGS = PatchCoreSettings(image_size=SIDE, coreset=0.05, sigma=0.0)


@pytest.fixture(scope="module")
def network() -> Backbone:
    return tiny_backbone()


def images(*seeds: int) -> torch.Tensor:
    return to_image(np.stack([photo_of(seed, (SIDE, SIDE)) for seed in seeds]))


def fit(network: Backbone, settings=SETTINGS, region=None) -> MemoryBank:
    return MemoryBank.fit(network, [images(0, 1, 2)], settings, region=region)


@pytest.mark.parametrize("whiten", ["none", "pca", "both"])
@pytest.mark.parametrize("has_region", [False, True])
def test_items_stay_and_distances_only_shrink(network, whiten, has_region):
    region = None
    if has_region:
        region = np.zeros((SIDE, SIDE), bool)
        region[8:56, 12:60] = True
    bank = fit(network, SETTINGS.replace(whiten=whiten), region)
    new = images(7, 8)
    more = grown(bank, embed(network, new, SETTINGS.layers), first=3)
    patches = 2 * (16 * 16 if region is None else 12 * 12)
    assert more.size == bank.size + int(0.05 * patches)
    np.testing.assert_array_equal(more.items[: bank.size], bank.items)
    np.testing.assert_array_equal(more.origin[: bank.size], bank.origin)
    for image in (new, images(20, 21)):
        before, after = bank.score(image), more.score(image)
        assert (after.distances <= before.distances + 1e-4).all()
        assert (after.scores <= before.scores + 1e-4).all()
    assert more.score(new).distances.max() < bank.score(new).distances.max()


def test_each_new_item_is_a_patch_of_the_photo_it_is_said_to_be_of(network):
    bank = fit(network)
    new = images(7, 8)
    embedded = embed(network, new, SETTINGS.layers)
    more = grown(bank, embedded, first=3)
    for item, (image, row, column) in zip(
        more.items[bank.size :], more.origin[bank.size :], strict=True
    ):
        np.testing.assert_allclose(item, embedded[image - 3, row, column].numpy(), atol=1e-5)


def test_the_first_that_joins_is_the_farthest_patch(network):
    bank = fit(network)
    new = images(7)
    distances = bank.score(new).distances[0]
    more = grown(bank, embed(network, new, SETTINGS.layers), first=3)
    _, row, column = more.origin[bank.size]
    assert distances[row, column] == pytest.approx(distances.max(), abs=1e-5)
    joined = more.items[bank.size :]
    apart = np.linalg.norm(joined[:, None] - joined[None], axis=2) + np.eye(len(joined)) * 1e9
    assert apart.min() > 0


def test_with_room_for_all_a_photo_is_at_no_distance(network):
    bank = fit(network)
    roomy = MemoryBank(network, SETTINGS.replace(coreset=1.0), bank.items, bank.origin, bank.seed)
    new = images(7)
    more = grown(roomy, embed(network, new, SETTINGS.layers), first=3)
    assert float(more.score(new).scores[0]) < 1e-3
    again = grown(more, torch.from_numpy(more.items[None, None, -5:]), first=4)
    assert again.size == more.size  # what is an item already joins no second time


def test_what_joined_last_leaves_again(network):
    bank = fit(network)
    more = grown(bank, embed(network, images(7), SETTINGS.layers), first=3)
    back = shrunk(more, bank.size)
    np.testing.assert_array_equal(back.items, bank.items)
    np.testing.assert_array_equal(back.score(images(9)).heatmaps, bank.score(images(9)).heatmaps)
    for wrong in (0, more.size + 1):
        with pytest.raises(CutSwapError, match="items to keep"):
            shrunk(more, wrong)


def test_no_photo_is_refused(network):
    with pytest.raises(CutSwapError, match="at least one"):
        grown(fit(network), torch.zeros(0, 16, 16, 32), first=3)

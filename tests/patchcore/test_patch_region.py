"""A bank with a region: what lies outside is not learnt from, scores nothing and lends no heat."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cutswap.config import PLAIN, PatchCoreSettings
from cutswap.decision.graph import DetectorGraph
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.bank_file import FORMAT, REGION_FORMAT
from cutswap.patchcore.device_scoring import DeviceScorer
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.heatmaps import to_heatmap
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.patchcore.patch_region import PatchRegion
from tests.helpers.tiny_networks import tiny_backbone

SIDE = 64
LAYERS = ("layer2", "layer3")  # 16 x 16 patches of 4 x 4 pixels
SETTINGS = PatchCoreSettings(layers=LAYERS, coreset=0.1, image_size=SIDE, sigma=2.0)
WAYS = {
    "as set": {},
    "plain": PLAIN,
    "whitened": {"whiten": "pca"},
    "reweighted": {**PLAIN, "reweight": 3},
    "shards": {"shards": 2},
    "three neighbours": {"neighbours": 3},
}


@pytest.fixture(scope="module")
def network() -> Backbone:
    return tiny_backbone()


def noise(seed: int, count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def left(width: int = 24) -> np.ndarray:
    region = np.zeros((SIDE, SIDE), bool)
    region[:, :width] = True
    return region


def fit(network: Backbone, settings: PatchCoreSettings, region: np.ndarray | None) -> MemoryBank:
    return MemoryBank.fit(network, [noise(0)[:3], noise(0)[3:]], settings, count=4, region=region)


# The rule


def test_a_patch_is_inside_where_half_of_its_cell_is():
    pixels = np.zeros((4, 4), bool)
    pixels[:2, 0] = True  # 2 of the 4 pixels of the first patch
    pixels[2, 2] = True  # 1 of 4
    assert PatchRegion(pixels).patches((2, 2)).tolist() == [[True, False], [False, False]]
    assert PatchRegion(pixels).positions((2, 2)).tolist() == [0]


def test_a_region_between_the_patches_hides_everything():
    pixels = np.zeros((4, 4), bool)
    pixels[0, 0] = True
    with pytest.raises(CutSwapError, match="a region that hides everything"):
        PatchRegion(pixels).patches((2, 2))


def test_heat_by_hand():
    """Without smoothing, enlarged from 2 x 2 to 4 x 4: the hidden right half lends nothing."""
    pixels = np.zeros((4, 4), bool)
    pixels[:, :3] = True  # of the right patches' cells one half: inside
    pixels[2:, 2] = False  # but of the lower one nothing
    distances = np.array([[[1, 2], [3, 50]]], np.float32)
    found = PatchRegion(pixels).heatmap(distances, (4, 4), 0.0)[0]
    enlarged = to_heatmap(np.array([[[1, 2], [3, 0]]], np.float32), (4, 4), 0.0)[0]
    reached = to_heatmap(np.array([[[1, 1], [1, 0]]], np.float32), (4, 4), 0.0)[0]
    np.testing.assert_allclose(found[pixels], enlarged[pixels] / reached[pixels], rtol=1e-6)
    assert found[0, 0] == 1
    assert (found[~pixels] == 0).all()
    assert found.max() <= 3


# The laws


@pytest.mark.parametrize("way", WAYS)
def test_a_region_of_all_ones_is_none_bit_for_bit(network, way):
    settings = SETTINGS.replace(**WAYS[way])
    with_ones = fit(network, settings, np.ones((SIDE, SIDE), bool))
    without = fit(network, settings, None)
    assert with_ones.contents()[1] == without.contents()[1]
    assert with_ones.contents()[1]["format"] != REGION_FORMAT
    one, other = with_ones.score(noise(5)), without.score(noise(5))
    for name in ("scores", "heatmaps", "distances", "nearest"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("way", WAYS)
def test_the_bank_holds_patches_inside_alone(network, way):
    bank = fit(network, SETTINGS.replace(**WAYS[way]), left())
    assert set(bank.origin[:, 2]) <= set(range(6))  # 24 pixels are 6 patches of 4
    assert set(bank.origin[:, 0]) <= set(range(4))
    assert bank.size == int(0.1 * 4 * 16 * 6)
    if bank.whitening is None:
        patches = embed(network, noise(0), LAYERS).numpy()
        found = patches[tuple(bank.origin.T)]
        np.testing.assert_allclose(found, bank.items, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_what_changes_far_outside_changes_nothing(network, way):
    """The features of `tiny_backbone` reach less than 24 pixels to either side."""
    bank = fit(network, SETTINGS.replace(**WAYS[way]), left(16))
    plain, changed = noise(5), noise(5)
    changed[..., 48:] = 9
    one, other = bank.score(plain), bank.score(changed)
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)
    np.testing.assert_allclose(one.heatmaps, other.heatmaps, atol=1e-4)
    learnt = [noise(0), noise(0)]
    learnt[1][..., 48:] = 9
    banks = [
        MemoryBank.fit(network, [images], bank.settings, count=4, region=left(16))
        for images in learnt
    ]
    np.testing.assert_allclose(banks[0].items, banks[1].items, atol=1e-4)


def test_outside_there_is_no_heat_and_inside_it_is_that_of_the_patches(network):
    prediction = fit(network, SETTINGS, left()).score(noise(5))
    assert (prediction.heatmaps[:, ~left()] == 0).all()
    assert (prediction.heatmaps[:, left()] > 0).all()
    assert (prediction.distances[:, :, 6:] == 0).all()
    inside = prediction.distances[:, :, :6]
    heat = prediction.heatmaps[:, left()]
    assert heat.min() >= inside.min() * 0.999  # a mean of patches inside, so between their ends
    assert heat.max() <= inside.max() * 1.001


@pytest.mark.parametrize("way", WAYS)
def test_other_ways_of_scoring_agree(network, way):
    """The accelerator's arithmetic and the exported network's."""
    bank = fit(network, SETTINGS.replace(search="exact", **WAYS[way]), left())
    own = bank.score(noise(5))
    embedded = embed(network, noise(5), LAYERS)
    compared = embedded if bank.whitening is None else bank.whitening.apply(embedded)
    scorer = DeviceScorer(bank.items, bank.settings, torch.device("cpu"))
    found = [values.numpy() for values in scorer.score(compared, (SIDE, SIDE), bank.region)]
    np.testing.assert_allclose(found[0], own.scores, rtol=1e-4)
    np.testing.assert_allclose(found[1], own.heatmaps, atol=1e-3)
    photos = torch.randint(0, 256, (3, SIDE, SIDE, 3), dtype=torch.uint8)
    graph = DetectorGraph(bank, None, "bank", 1.0, None).eval()
    score, heatmap, _ = graph(photos)
    from cutswap.data.images import to_image

    wanted = bank.score(to_image(photos.numpy()))
    np.testing.assert_allclose(score.numpy(), wanted.scores, rtol=1e-4)
    np.testing.assert_allclose(heatmap.numpy(), wanted.heatmaps, atol=1e-3)


# On disk


@pytest.mark.parametrize("way", ["as set", "whitened"])
def test_a_bank_keeps_its_region(network, way, tmp_path):
    bank = fit(network, SETTINGS.replace(**WAYS[way]), left())
    bank.save(tmp_path / "bank.safetensors")
    again = MemoryBank.load(tmp_path / "bank.safetensors", network)
    np.testing.assert_array_equal(again.region_pixels, left())
    np.testing.assert_array_equal(again.score(noise(5)).heatmaps, bank.score(noise(5)).heatmaps)
    assert bank.contents()[1]["format"] == REGION_FORMAT
    other = fit(network, SETTINGS.replace(**WAYS[way]), left(20))
    assert other.contents()[1]["content"] != bank.contents()[1]["content"]


@pytest.mark.parametrize(
    "region",
    [
        torch.zeros(SIDE, SIDE, dtype=torch.bool),
        torch.ones(9, 9, dtype=torch.bool),
        torch.ones(SIDE, SIDE),
    ],
    ids=["hides everything", "another size", "numbers"],
)
def test_a_region_that_cannot_be_is_refused(network, region, tmp_path):
    tensors, about = fit(network, SETTINGS, left()).contents()
    tensors["region"] = region
    with pytest.raises(CutSwapError, match="a region of 64 x 64 pixels"):
        MemoryBank.from_contents(tensors, about, tmp_path / "a", network)


def test_a_region_is_not_left_out_unseen(network, tmp_path):
    tensors, about = fit(network, SETTINGS, left()).contents()
    del tensors["region"]
    with pytest.raises(CutSwapError, match="with its bank, origin, region"):
        MemoryBank.from_contents(dict(tensors), about, tmp_path / "a", network)
    with pytest.raises(CutSwapError, match="numbers that changed since"):
        MemoryBank.from_contents(tensors, {**about, "format": FORMAT}, tmp_path / "a", network)

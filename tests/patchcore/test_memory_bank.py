"""The memory bank: distances are true, saving keeps all, another network is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cutswap.config import PLAIN, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.tensor_files import read_tensors, write_tensors
from tests.helpers.tiny_networks import tiny_backbone

LAYERS = ("layer2", "layer3")
WHOLE = PatchCoreSettings(layers=LAYERS, coreset=1.0, image_size=64, sigma=0.0, **PLAIN)


@pytest.fixture(scope="module")
def network() -> Backbone:
    return tiny_backbone()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def fit(network: Backbone, images: torch.Tensor, settings: PatchCoreSettings, seed: int = 0):
    return MemoryBank.fit(network, [images[:3], images[3:]], settings, seed=seed)


class TestEmbedding:
    def test_shape_and_values_by_unfolding(self, network, images):
        found = embed(network, images, LAYERS)
        assert found.shape == (4, 16, 16, 32)
        raw = network.features(images, ["layer2"])["layer2"]
        windows = torch.nn.functional.unfold(raw, 3, padding=1).view(4, 16, 9, 16, 16).mean(dim=2)
        assert torch.allclose(found[..., :16], windows.permute(0, 2, 3, 1), atol=1e-5)

    def test_a_batch_equals_its_images_one_by_one(self, network, images):
        together = embed(network, images, LAYERS)
        alone = torch.cat([embed(network, image[None], LAYERS) for image in images])
        assert torch.allclose(together, alone, atol=1e-5)


class TestScore:
    def test_training_patches_score_zero_at_ratio_1(self, network, images):
        found = fit(network, images, WHOLE).score(images)
        assert found.distances.shape == (4, 16, 16)
        assert found.distances.max() < 1e-3
        assert found.scores.max() < 1e-3

    def test_distances_are_the_true_nearest_ones(self, network, images):
        bank = fit(network, images, WHOLE.replace(coreset=0.1))
        other = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
        patches = embed(network, other, LAYERS).reshape(-1, 32)
        expected = torch.cdist(
            patches.double(),
            torch.from_numpy(bank.items).double(),
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        found = bank.score(other)
        assert np.allclose(found.distances.reshape(-1), expected.min(dim=1).values, atol=1e-4)
        assert np.allclose(found.scores, found.distances.max(axis=(1, 2)))
        averaged = fit(network, images, WHOLE.replace(coreset=0.1, neighbours=3)).score(other)
        three = expected.topk(3, largest=False).values.mean(dim=1)
        assert np.allclose(averaged.distances.reshape(-1), three, atol=1e-4)

    def test_a_batch_equals_its_images_one_by_one(self, network, images):
        bank = fit(network, images[:2], WHOLE.replace(coreset=0.2, sigma=2.0))
        together = bank.score(images)
        alone = [bank.score(image[None]) for image in images]
        assert np.allclose(together.scores, np.concatenate([a.scores for a in alone]), atol=1e-4)
        assert np.allclose(
            together.heatmaps, np.concatenate([a.heatmaps for a in alone]), atol=1e-4
        )

    def test_re_weighting_by_the_paper_s_formula(self, network, images):
        other = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(6))
        plain = fit(network, images, WHOLE.replace(coreset=0.05)).score(other)
        bank = fit(network, images, WHOLE.replace(coreset=0.05, reweight=4))
        patches = embed(network, other, LAYERS).reshape(-1, 32).numpy().astype(float)
        worst = int(plain.distances.reshape(-1).argmax())
        item = bank.items[plain.nearest.reshape(-1)[worst]].astype(float)
        around = np.argsort(np.linalg.norm(bank.items - item, axis=1))[:4]
        terms = np.exp(np.linalg.norm(bank.items[around] - patches[worst], axis=1))
        own = np.linalg.norm(item - patches[worst])
        expected = (1 - np.exp(own) / terms.sum()) * own
        assert bank.score(other).scores[0] == pytest.approx(expected, rel=1e-4)

    @pytest.mark.filterwarnings("error")
    def test_re_weighting_does_not_overflow(self, network, images):
        items = np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32) * 1e4
        bank = MemoryBank(
            network, WHOLE.replace(reweight=5), items, np.zeros((50, 3), np.int32), seed=0
        )
        found = bank.score(images)
        assert np.all((found.scores > 0) & (found.scores <= found.distances.max(axis=(1, 2))))


class TestBank:
    @pytest.mark.parametrize(("ratio", "size"), [(1.0, 1024), (0.5, 512), (0.01, 10), (0.0001, 1)])
    def test_size_is_a_share_of_all_patches(self, network, images, ratio, size):
        assert fit(network, images, WHOLE.replace(coreset=ratio)).size == size

    def test_origin_names_the_patch(self, network, images):
        bank = fit(network, images, WHOLE.replace(coreset=0.05))
        everything = embed(network, images, LAYERS).numpy()
        for item, (image, row, column) in zip(bank.items, bank.origin, strict=True):
            assert np.allclose(item, everything[image, row, column], atol=1e-5)

    def test_seeds(self, network, images):
        small = WHOLE.replace(coreset=0.02)
        same = [fit(network, images, small, seed=3).items for _ in range(2)]
        assert np.array_equal(*same)
        assert not np.array_equal(same[0], fit(network, images, small, seed=4).items)

    @pytest.mark.parametrize("count", [None, 1, 4, 9])
    def test_the_number_of_images_is_only_a_hint(self, network, images, count):
        half = WHOLE.replace(coreset=0.02)
        found = MemoryBank.fit(network, [images[:3], images[3:]], half, count=count)
        assert np.array_equal(found.items, fit(network, images, half).items)

    @pytest.mark.parametrize("count", [None, 6])
    def test_images_of_several_sizes_are_refused(self, network, images, count):
        with pytest.raises(CutSwapError, match="one size"):
            MemoryBank.fit(network, [images, torch.zeros(2, 3, 96, 96)], WHOLE, count=count)

    def test_no_image_is_refused(self, network):
        with pytest.raises(CutSwapError, match="training images"):
            MemoryBank.fit(network, [], WHOLE)


class TestFile:
    @pytest.fixture
    def saved(self, network, images, tmp_path):
        bank = fit(network, images, WHOLE.replace(coreset=0.02, reweight=3), seed=9)
        bank.save(tmp_path / "bank.safetensors")
        return bank, tmp_path / "bank.safetensors"

    def test_keeps_everything(self, saved, network, images):
        bank, path = saved
        again = MemoryBank.load(path, network)
        assert (again.settings, again.seed) == (bank.settings, 9)
        assert np.array_equal(again.items, bank.items)
        assert np.array_equal(again.origin, bank.origin)
        assert np.array_equal(again.score(images).heatmaps, bank.score(images).heatmaps)

    def test_another_network_is_refused(self, saved):
        with pytest.raises(CutSwapError, match="fingerprint"):
            MemoryBank.load(saved[1], tiny_backbone(seed=1))

    def test_damage_is_refused(self, saved, network):
        path = saved[1]
        data = path.read_bytes()
        for broken in (b"", data[: len(data) // 2], b"\x00" * 64, b"nonsense"):
            path.write_bytes(broken)
            with pytest.raises(CutSwapError, match="evaluate"):
                MemoryBank.load(path, network)

    def test_changed_numbers_and_a_header_cut_short_are_refused(self, saved, network):
        path = saved[1]
        tensors, about = read_tensors(path, fix="-")
        write_tensors(path, {**tensors, "bank": tensors["bank"] + 1e-3}, about)
        with pytest.raises(CutSwapError, match="changed"):
            MemoryBank.load(path, network)
        for key in ("settings", "seed", "backbone", "fingerprint", "content"):
            write_tensors(path, tensors, {k: v for k, v in about.items() if k != key})
            with pytest.raises(CutSwapError, match=key):
                MemoryBank.load(path, network)

    def test_a_missing_and_a_foreign_file_are_refused(self, tmp_path, network):
        with pytest.raises(CutSwapError, match="no such file"):
            MemoryBank.load(tmp_path / "none.safetensors", network)
        save_file({"x": torch.zeros(2)}, tmp_path / "foreign.safetensors")
        with pytest.raises(CutSwapError, match="another kind"):
            MemoryBank.load(tmp_path / "foreign.safetensors", network)


def test_a_saved_bank_brings_its_own_network(images, tmp_path):
    from cutswap.networks.backbone import load_backbone

    network = load_backbone("resnet18", "random", seed=1)
    bank = MemoryBank.fit(network, [images[:1]], WHOLE.replace(coreset=0.1))
    bank.save(tmp_path / "bank.safetensors")
    again = MemoryBank.load(tmp_path / "bank.safetensors")
    assert again.backbone.fingerprint == network.fingerprint
    assert np.allclose(again.score(images).scores, bank.score(images).scores, atol=1e-5)

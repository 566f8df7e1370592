"""What a card computes, computed here: the same picks, distances and maps as NumPy and faiss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cutswap.config import PatchCoreSettings
from cutswap.evaluation.device_curves import pixel_figures
from cutswap.evaluation.metrics import FPR_LIMIT, _region_weights, summarise
from cutswap.patchcore import coreset, embeddings, memory_bank
from cutswap.patchcore.coreset import greedy_k_center
from cutswap.patchcore.device_coreset import farthest_first
from cutswap.patchcore.device_scoring import smooth_maps
from cutswap.patchcore.heatmaps import to_heatmap
from cutswap.patchcore.memory_bank import MemoryBank
from tests.helpers.tiny_networks import tiny_backbone

CPU = torch.device("cpu")


def points_of(kind: str) -> torch.Tensor:
    torch.manual_seed(len(kind))
    if kind == "crowded":
        return torch.randn(40, 24).repeat(30, 1) + 0.05 * torch.randn(1200, 24)
    if kind == "ties":
        return torch.randint(0, 3, (600, 4)).float()
    if kind == "duplicates":
        return torch.randn(20, 8).repeat(10, 1)
    return torch.randn(1000, 50) * torch.logspace(-3, 2, 50)


def on_device(points: torch.Tensor, count: int, projection: int | None, seed: int) -> torch.Tensor:
    """`greedy_k_center` as it goes on a card."""
    generator = torch.Generator().manual_seed(seed)
    first = int(torch.randint(len(points), (1,), generator=generator))
    matrix = None
    if projection is not None and projection < points.shape[1]:
        matrix = torch.randn(points.shape[1], projection, generator=generator) / projection**0.5
    largest = float(points.abs().max())
    found = coreset._on_device(points, matrix, count, first, largest, None)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["crowded", "ties", "duplicates", "scaled"])
@pytest.mark.parametrize("projection", [None, 6])
@pytest.mark.parametrize("seed", range(3))
def test_the_picks_are_those_of_the_processor(kind: str, projection: int | None, seed: int):
    points = points_of(kind)
    count = min(150, len(points))
    expected = greedy_k_center(points, count, projection=projection, seed=seed)
    assert torch.equal(on_device(points, count, projection, seed), expected)


def test_it_never_asks_the_device(monkeypatch: pytest.MonkeyPatch):
    rows = points_of("crowded").double()
    for question in ("item", "__bool__", "__int__", "__float__", "tolist", "cpu", "numpy"):
        monkeypatch.setattr(torch.Tensor, question, lambda *_: pytest.fail("a question"))
    farthest_first(rows, 50, 3, coreset._nearest, coreset.PICKED)


def test_progress_ends_with_the_last_pick():
    told: list[tuple[int, int]] = []
    rows = points_of("scaled").double()
    farthest_first(rows, 300, 0, coreset._nearest, coreset.PICKED, lambda *done: told.append(done))
    assert told == [(256, 300), (300, 300)]


def test_without_room_the_patient_search_goes_on(monkeypatch: pytest.MonkeyPatch, caplog):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(coreset, "farthest_first", full)
    points = points_of("scaled")
    assert coreset._on_device(points, None, 5, 0, 1.0, None) is None
    assert "memory is short" in caplog.text


@pytest.mark.parametrize("size", [(32, 48), (17, 9)])
@pytest.mark.parametrize("sigma", [0.0, 0.7, 4.0, 30.0])
def test_smoothing_is_scipys(size: tuple[int, int], sigma: float):
    distances = torch.rand(3, 6, 5)
    expected = to_heatmap(distances.numpy(), size, sigma)
    np.testing.assert_allclose(smooth_maps(distances, size, sigma).numpy(), expected, atol=2e-6)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(5, 3, 64, 64, generator=torch.Generator().manual_seed(1))


class TestBank:
    def bank(self, images: torch.Tensor, **changes: object) -> MemoryBank:
        settings = PatchCoreSettings(image_size=64, coreset=0.2, projection=8, **changes)
        return MemoryBank.fit(tiny_backbone(), [images[:3]], settings, count=3)

    @pytest.mark.parametrize("changes", [{}, {"neighbours": 3}, {"reweight": 4}, {"reweight": 999}])
    def test_scores_are_those_of_faiss_and_scipy_without_either(
        self, images, changes, monkeypatch: pytest.MonkeyPatch
    ):
        bank = self.bank(images, **changes)
        expected = bank.score(images)
        monkeypatch.setattr(memory_bank, "is_accelerator", lambda _: True)
        monkeypatch.setattr(memory_bank, "heatmap_of", lambda *_: pytest.fail("SciPy smooths"))
        monkeypatch.setattr(bank._index, "search", lambda *_: pytest.fail("faiss searches"))
        found = bank.score(images)
        np.testing.assert_array_equal(found.nearest, expected.nearest)
        for name in ("scores", "distances", "heatmaps"):
            one, other = getattr(found, name), getattr(expected, name)
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, atol=1e-4)

    @pytest.mark.parametrize("room", [1, 2])
    def test_short_memory_changes_no_score(self, images, room, monkeypatch: pytest.MonkeyPatch):
        expected = self.bank(images)
        scored = expected.score(images)
        real = embeddings.embed

        def tight(backbone, image, layers):
            if len(image) > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real(backbone, image, layers)

        monkeypatch.setattr(embeddings, "embed", tight)
        monkeypatch.setattr(memory_bank, "embed", tight)
        bank = self.bank(images)
        # Features of one photo differ in the last bits with the batch it was in.
        np.testing.assert_allclose(bank.items, expected.items, atol=1e-5)
        np.testing.assert_allclose(bank.score(images).scores, scored.scores, atol=1e-4)

    def test_other_searches_stay_where_they_are(self, images, monkeypatch: pytest.MonkeyPatch):
        bank = self.bank(images, search="hnsw")
        monkeypatch.setattr(memory_bank, "is_accelerator", lambda _: True)
        monkeypatch.setattr(bank, "_scorer", lambda _: pytest.fail("exact was not asked for"))
        bank.score(images)


@pytest.mark.parametrize("kind", ["plain", "ties", "perfect", "one value", "one pixel"])
@pytest.mark.parametrize("seed", range(4))
def test_pixel_figures_are_those_of_numpy(kind: str, seed: int):
    rng = np.random.default_rng(seed)
    masks = np.zeros((4, 20, 24), bool)
    masks[0, 3:9, 2:7] = masks[0, 12:15, 15:22] = masks[2, 5:6, 5:9] = True
    heatmaps = (rng.random(masks.shape) + 0.6 * masks).astype(np.float32)
    if kind == "ties":
        heatmaps = np.round(heatmaps * 8) / 8
    if kind == "perfect":
        heatmaps = heatmaps + 2 * masks
    if kind == "one value":
        heatmaps = np.ones_like(heatmaps)
    if kind == "one pixel":
        masks = np.zeros_like(masks)
        masks[1, 4, 4] = True
    truth = summarise(np.arange(4.0), np.array([1, 0, 1, 0], bool), heatmaps, masks)
    found = pixel_figures(heatmaps, masks, _region_weights(masks), FPR_LIMIT, CPU)
    assert found.auroc == pytest.approx(truth.pixel_auroc, abs=1e-12)
    assert found.average_precision == pytest.approx(truth.pixel_average_precision, abs=1e-12)
    assert found.aupro == pytest.approx(truth.aupro, abs=1e-12)
    assert found.f1_max == pytest.approx(truth.pixel_f1_max, abs=1e-12)
    assert found.threshold == pytest.approx(truth.pixel_threshold)

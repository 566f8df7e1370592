"""Whitening: unit covariance, a case by hand, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cutswap.commands.parser import main
from cutswap.config import BANKS, PLAIN, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import read_scored
from cutswap.patchcore.memory_bank import MemoryBank, whitening_of
from cutswap.patchcore.tiled.tiled_bank import TiledBank
from cutswap.patchcore.whitening import KEPT, ROWS, Moments, Whitening, measured
from tests.helpers.datasets import build_category
from tests.helpers.tiny_networks import tiny_backbone

KINDS = ("pca", "channels")


def correlated(count: int = 4000, width: int = 12, seed: int = 0) -> torch.Tensor:
    """Patches far from 0 whose directions differ by their variance and are no axes."""
    rng = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(width, width, generator=rng))[0]
    deviations = torch.linspace(1.0, 3.0, width)
    return 50 + (torch.randn(count, width, generator=rng) * deviations) @ turn


def whitening(patches: torch.Tensor, kind: str, shrinkage: float) -> Whitening:
    return Whitening.of(measured([patches]), kind, shrinkage)


def covariance(patches: torch.Tensor) -> np.ndarray:
    return np.cov(patches.double().numpy().T, bias=True)


@pytest.mark.parametrize("seed", range(3))
def test_whitened_patches_have_the_identity_as_covariance(seed):
    patches = correlated(seed=seed)
    found = whitening(patches, "pca", 0.0).apply(patches)
    assert np.allclose(covariance(found), np.eye(found.shape[1]), atol=1e-4)
    assert np.allclose(found.mean(dim=0), 0, atol=1e-4)
    single = whitening(patches, "channels", 0.0).apply(patches)
    assert np.allclose(np.diag(covariance(single)), 1, atol=1e-4)


def test_two_dimensions_by_hand():
    """Variances 9 along (1, 1) and 1 along (1, -1): by hand 9 / 10 of the variance, then all."""
    axes = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    corners = np.array([[3.0, 1], [3, -1], [-3, 1], [-3, -1]]) @ axes + 7
    patches = torch.tensor(corners, dtype=torch.float32)
    found = whitening(patches, "pca", 0.0)
    assert np.allclose(found.mean, 7)
    # (10, 10) is 3 sqrt(2) along the first axis: sqrt(2) deviations. (8, 6): sqrt(2) of the second.
    assert np.allclose(
        np.abs(found.apply(torch.tensor([[10.0, 10], [8, 6]])).numpy()),
        [[np.sqrt(2), 0], [0, np.sqrt(2)]],
        atol=1e-5,
    )
    # Half shrunk: variances (9 + 5) / 2 = 7 and (1 + 5) / 2 = 3.
    half = whitening(patches, "pca", 0.5).apply(torch.tensor([[10.0, 10], [8, 6]]))
    assert np.allclose(
        np.abs(half.numpy()), [[3 * np.sqrt(2 / 7), 0], [0, np.sqrt(2 / 3)]], atol=1e-5
    )
    # Each channel has the variance 5.
    each = whitening(patches, "channels", 0.0).apply(torch.tensor([[7 + np.sqrt(5), 7.0]]))
    assert np.allclose(each.numpy(), [[1, 0]], atol=1e-5)


def test_wholly_shrunk_keeps_distances_in_proportion():
    patches = correlated()
    found = whitening(patches, "channels", 1.0).apply(patches)
    ratio = torch.cdist(found[:20], found[20:40]) / torch.cdist(patches[:20], patches[20:40])
    assert np.allclose(ratio, float(ratio.mean()), rtol=1e-3)


def test_axes_beyond_their_share_of_the_variance_are_dropped():
    rng = np.random.default_rng(0)
    deviations = np.array([10.0, 5.0, 1.0, 0.1, 0.0])
    patches = torch.tensor(rng.normal(size=(5000, 5)) * deviations, dtype=torch.float32)
    shares = np.cumsum(deviations**2) / (deviations**2).sum()
    assert shares[0] < KEPT < shares[1]
    assert whitening(patches, "pca", 0.07).matrix.shape == (5, 2)


def test_a_channel_that_never_varies_is_left_out_unless_shrinkage_gives_it_a_variance():
    patches = correlated(width=3)
    patches[:, 1] = 4.0
    other = torch.tensor([[50.0, 4, 50], [50, 9, 50]])
    without = whitening(patches, "channels", 0.0).apply(other)
    assert torch.equal(without[0], without[1])
    assert whitening(patches, "channels", 0.1).apply(other)[:, 1].diff() > 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_patches_and_the_parts_they_come_in_change_no_distance(kind):
    patches = correlated(count=ROWS + 500, width=6)
    order = torch.randperm(len(patches), generator=torch.Generator().manual_seed(1))
    shuffled = patches[order]
    found = [
        whitening(patches, kind, 0.07),
        Whitening.of(measured([shuffled[:7], shuffled[7:5000], shuffled[5000:]]), kind, 0.07),
    ]
    distances = [torch.cdist(*w.apply(patches[:40]).chunk(2)) for w in found]
    assert torch.allclose(*distances, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_in_place_is_the_same(kind):
    patches = correlated(count=ROWS + 300, width=6) * torch.tensor([1.0, 1, 1, 1, 0.01, 0.01])
    found = whitening(patches, kind, 0.07)
    expected = found.apply(patches)
    assert torch.allclose(found.apply(patches[0]), expected[0], atol=1e-5)
    assert torch.equal(found.apply_in_place(patches), expected)


@pytest.mark.parametrize(
    ("patches", "said"),
    [
        (torch.full((5, 3), 2.0), "a total variance of 0"),
        (torch.zeros(1, 3), "1 patches"),
        (torch.tensor([[1.0, float("nan")], [0, 0]]), "nan"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_patches_without_spread_are_refused(kind, patches, said):
    with pytest.raises(CutSwapError, match=said):
        whitening(patches, kind, 0.07)


def test_no_patches_are_refused():
    with pytest.raises(CutSwapError, match="none"):
        Moments().mean_and_covariance()


@pytest.fixture(scope="module")
def network():
    return tiny_backbone()


@pytest.fixture(scope="module")
def images():
    return torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))


class TestBank:
    settings = PatchCoreSettings(
        layers=("layer2", "layer3"), coreset=0.1, image_size=64, sigma=0.0, image_patches=1
    )

    @pytest.mark.parametrize("kind", KINDS)
    def test_distances_are_between_whitened_patches(self, network, images, kind):
        settings = self.settings.replace(whiten=kind)
        bank = MemoryBank.fit(network, [images[:4]], settings, count=4)
        patches, _ = collect(network, images[:4])
        own = whitening_of(patches, settings)
        items = own.apply(patches).view(4, 16, 16, -1)[tuple(bank.origin.T)]
        assert np.allclose(bank.items, items, atol=1e-4)
        others = own.apply(collect(network, images[4:])[0])
        expected = torch.cdist(others, torch.from_numpy(bank.items)).min(dim=1).values
        found = bank.score(images[4:])
        assert np.allclose(found.distances.ravel(), expected, atol=1e-3)
        chosen = MemoryBank.choose(network, patches, (16, 16), settings)
        assert np.array_equal(chosen.items, bank.items)

    @pytest.mark.parametrize("kind", KINDS)
    def test_it_travels_with_the_bank_s_file(self, network, images, kind, tmp_path):
        path = tmp_path / "bank.safetensors"
        bank = MemoryBank.fit(network, [images[:4]], self.settings.replace(whiten=kind))
        bank.save(path)
        again = MemoryBank.load(path, network)
        assert again.settings == bank.settings
        assert np.array_equal(again.whitening.matrix, bank.whitening.matrix)
        assert np.array_equal(again.score(images).heatmaps, bank.score(images).heatmaps)

    def test_settings_and_whitening_must_agree(self, network, images):
        bank = MemoryBank.fit(network, [images[:4]], self.settings.replace(whiten="pca"))
        parts = (bank.items, bank.origin, 0)
        with pytest.raises(CutSwapError, match="a whitening, as its settings say whiten pca"):
            MemoryBank(network, bank.settings, *parts)
        with pytest.raises(CutSwapError, match="no whitening, as its settings say whiten none"):
            MemoryBank(network, self.settings, *parts, bank.whitening)

    def test_shards_have_the_whitening_of_all_photos(self, network, images):
        whole = MemoryBank.fit(network, [images], self.settings.replace(whiten="pca"))
        settings = self.settings.replace(whiten="pca", shards=3)
        parts = list(images.split(2))
        bank = MemoryBank.fit(network, parts, settings, count=6)
        assert np.allclose(bank.whitening.mean, whole.whitening.mean, atol=1e-5)
        assert np.allclose(bank.whitening.matrix, whole.whitening.matrix, atol=1e-2)
        assert bank.items.shape == whole.items.shape
        own = bank.whitening.apply(collect(network, images)[0]).view(6, 16, 16, -1)
        assert np.allclose(bank.items, own[tuple(bank.origin.T)], atol=1e-3)
        with pytest.raises(CutSwapError, match="read twice"):
            MemoryBank.fit(network, iter(parts), settings, count=6)


class TestBoth:
    """A plain bank and a whitened one beside it."""

    settings = TestBank.settings.replace(whiten="both")

    @pytest.fixture
    def bank(self, network, images):
        return MemoryBank.fit(network, [images[:4]], self.settings, count=4)

    @pytest.fixture
    def halves(self, network, images):
        alone = (self.settings.replace(whiten=kind) for kind in ("none", "pca"))
        return [MemoryBank.fit(network, [images[:4]], own, count=4) for own in alone]

    @pytest.mark.parametrize("count", [1, 10])
    def test_distances_are_the_mean_of_two_banks_in_one_unit(self, bank, halves, images, count):
        bank = bank.with_settings(image_patches=count)
        found = bank.score(images)
        plain, white = (half.score(images) for half in halves)
        assert 0 < bank.unit != 1
        expected = (plain.distances + bank.unit * white.distances) / 2
        assert np.allclose(found.distances, expected, atol=1e-5)
        highest = np.sort(expected.reshape(len(expected), -1), axis=1)[:, -count:].mean(axis=1)
        assert np.allclose(found.scores, highest, atol=1e-5)
        heat = (plain.heatmaps + bank.unit * white.heatmaps) / 2
        assert np.allclose(found.heatmaps, heat, atol=1e-5)
        assert np.array_equal(found.nearest, plain.nearest)

    def test_an_average_good_patch_is_as_far_from_either(self, bank, network, images):
        patches, _ = collect(network, images[:4])
        plain = bank.with_settings(neighbours=1).mean_distance(patches)
        assert bank.unit * bank.beside.mean_distance(patches) == pytest.approx(plain, rel=1e-5)

    @pytest.mark.parametrize("has_region", [False, True])
    def test_its_file_gives_the_same_again(self, network, images, tmp_path, has_region):
        region = np.zeros((64, 64), bool)
        region[:, :32] = True
        inside = region if has_region else None
        bank = MemoryBank.fit(network, [images[:4]], self.settings, region=inside)
        bank.save(tmp_path / "bank.safetensors")
        again = MemoryBank.load(tmp_path / "bank.safetensors", network)
        assert (again.settings, again.unit) == (bank.settings, bank.unit)
        own, other = bank.score(images), again.score(images)
        assert np.array_equal(own.heatmaps, other.heatmaps)
        assert np.array_equal(own.scores, other.scores)
        if has_region:
            assert not own.distances[:, :, 8:].any()
            every = bank.with_settings(image_patches=10_000).score(images)
            inside = own.distances[:, :, :8].reshape(len(images), -1)
            assert np.allclose(every.scores, inside.mean(axis=1))  # what lies outside is no patch

    def test_a_second_bank_put_together_by_hand_is_refused(self, bank, network):
        for name, value, found in (
            ("beside.unit", torch.zeros(1, dtype=torch.float64), "a unit of shape"),
            ("beside.bank", torch.full((3, 4), torch.nan), "NaN"),
            ("beside.origin", torch.zeros(2, 3), "origins of shape"),
            ("beside.whitening.mean", torch.zeros(5), "shapes"),
        ):
            tensors, about = bank.contents()
            with pytest.raises(CutSwapError, match=found):
                MemoryBank.from_contents(
                    {**tensors, name: value}, about, Path("bank.safetensors"), network
                )
        tensors, about = bank.contents()
        del tensors["beside.unit"]
        with pytest.raises(CutSwapError, match="memory bank 4"):
            MemoryBank.from_contents(tensors, about, Path("bank.safetensors"), network)

    def test_photos_are_left_out_of_both(self, bank):
        left = bank.without_photos((0, 2))
        for one in (left, left.beside):
            assert set(one.origin[:, 0]) == {1, 3}
        assert left.unit == bank.unit
        assert bank.without_photos(()) is bank
        assert bank.without_photos((0, 1, 2, 3)) is bank  # an empty one could say nothing

    def test_what_knows_one_bank_only_is_refused(self, network, images):
        for changes, flag in (({"shards": 2}, "--shards"), ({"reweight": 3}, "--reweight")):
            settings = self.settings.replace(**changes)
            with pytest.raises(CutSwapError, match=f"--whiten both with {flag}"):
                MemoryBank.fit(network, list(images.split(3)), settings, count=6)
            tiny = PatchCoreSettings(coreset=0.001, **changes)
            assert tiny.whitening == "none"
        tiles = self.settings.replace(tile_overlap=16)
        with pytest.raises(CutSwapError, match="--whiten both with --tile-overlap"):
            TiledBank.fit(network, [np.zeros((64, 64, 3), np.uint8)], [(64, 64)], tiles)
        assert PatchCoreSettings(coreset=0.001, tile_overlap=16).whitening == "none"


def test_only_a_tiny_bank_is_both_by_itself():
    kinds = {share: PatchCoreSettings(coreset=share).whitening for share in (0.001, 0.0029, 0.003)}
    assert kinds == {0.001: "both", 0.0029: "both", 0.003: "none"}
    assert PatchCoreSettings(coreset=0.001, **PLAIN).whitening == "none"
    for share, kind in ((0.01, "none"), (0.001, "both")):
        decided = PatchCoreSettings(coreset=share, whiten=kind)
        assert PatchCoreSettings(coreset=share).deciding() == decided.deciding()
        assert decided.deciding().get("whiten", "none") == kind


def collect(network, images):
    from cutswap.patchcore.embeddings import collect_patches

    return collect_patches(network, [images], ("layer2", "layer3"), None, None)


def test_the_command_line_has_it_and_a_preset(tmp_path, capsys):
    root = tmp_path / "bolt"
    build_category(root, train=4)
    line = [
        "evaluate",
        "--data",
        str(root),
        "--weights",
        "random",
        "--image-size",
        "64",
        "--device",
        "cpu",
        "--quiet",
        "--json",
        str(tmp_path / "r.json"),
    ]

    def recorded(out: str, *flags: str) -> dict[str, object]:
        assert main([*line, "--out", str(tmp_path / out), *flags]) == 0
        capsys.readouterr()
        assert (
            read_scored(tmp_path / out).settings.to_dict()
            == json.loads((tmp_path / out / "result.json").read_text())["patchcore"]
        )
        return json.loads((tmp_path / "r.json").read_text())["patchcore"]

    typed = recorded("a", "--whiten", "channels", "--shrinkage", "0.2", "--image-patches", "7")
    assert (typed["whiten"], typed["shrinkage"], typed["image_patches"]) == ("channels", 0.2, 7)
    for name, values in BANKS.items():
        assert values.items() <= recorded(name, "--preset", name).items()
    over = recorded("b", "--preset", "whitened", "--image-patches", "3", "--shards", "2")
    assert (over["whiten"], over["image_patches"], over["shards"]) == ("pca", 3, 2)
    assert recorded("c", "--preset", "plain").items() >= PLAIN.items()
    assert main([*line, "--out", str(tmp_path / "d"), "--whiten", "zca"]) == 2
    assert "one of auto, none, pca, channels, both" in capsys.readouterr().err


@pytest.mark.parametrize(("coreset", "is_paired"), [("0.001", True), ("0.01", False)])
def test_evaluate_tells_that_a_tiny_bank_is_two(tmp_path, capsys, coreset, is_paired):
    root = tmp_path / "bolt"
    build_category(root, train=4)
    line = ["evaluate", "--data", str(root), "--weights", "random", "--image-size", "64"]
    line += ["--device", "cpu", "--quiet", "--coreset", coreset, "--out", str(tmp_path / "o")]
    assert main(line) == 0
    assert (" and as many whitened," in capsys.readouterr().out) == is_paired

"""Banks chosen shard by shard: one in memory at a time, items of all, one is exact."""

from __future__ import annotations

import gc
import json
import weakref

import numpy as np
import pytest
import torch

from cutswap.commands.parser import main
from cutswap.config import PLAIN, FineTuningSettings, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.patchcore import memory_bank
from cutswap.patchcore.coreset import coverage_radius
from cutswap.patchcore.embeddings import collect_patches
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.patchcore.sharded_coreset import shard_sizes
from cutswap.sweeps.identity import Weights, hashes
from tests.helpers.datasets import build_category
from tests.helpers.tiny_networks import tiny_backbone

LAYERS = ("layer2", "layer3")
EXACT = PatchCoreSettings(layers=LAYERS, coreset=0.05, image_size=64, **PLAIN)
PHOTOS = 7


@pytest.fixture(scope="module")
def network():
    return tiny_backbone()


@pytest.fixture(scope="module")
def images():
    return torch.randn(PHOTOS, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def fit(network, images, shards, batch=3, **how):
    return MemoryBank.fit(
        network, images.split(batch), EXACT.replace(shards=shards), count=len(images), **how
    )


def test_one_shard_is_the_exact_bank(network, images):
    patches, grid = collect_patches(network, images.split(3), LAYERS, None, None)
    exact = MemoryBank.choose(network, patches, grid, EXACT)
    found = fit(network, images, 1)
    assert np.array_equal(found.items, exact.items)
    assert np.array_equal(found.origin, exact.origin)


@pytest.mark.parametrize("shards", [2, 3, PHOTOS])
@pytest.mark.parametrize("batch", [1, 3, PHOTOS])
def test_items_are_of_all_shards_and_where_they_are_said_to_be(network, images, shards, batch):
    told = list[tuple[int, int]]()
    bank = fit(network, images, shards, batch, progress=lambda *at: told.append(at))
    patches, grid = collect_patches(network, [images], LAYERS, None, None)
    assert bank.size == int(0.05 * len(patches))
    ends = np.cumsum(shard_sizes(PHOTOS, bank.settings))
    assert set(np.searchsorted(ends, bank.origin[:, 0], side="right")) == set(range(shards))
    image, row, column = bank.origin.T
    places = (image * grid[0] + row) * grid[1] + column
    assert len(set(places.tolist())) == bank.size
    assert np.allclose(bank.items, patches[torch.from_numpy(places).long()], atol=1e-4)
    assert told[-1] == (PHOTOS, PHOTOS)
    assert told == sorted(told)
    # Exact picks are within 2 of the best radius, these within 4: OPT >= exact / 2.
    exact = MemoryBank.choose(network, patches, grid, EXACT.replace(projection=None))
    whole = MemoryBank.fit(
        network, images.split(batch), bank.settings.replace(projection=None), count=PHOTOS
    )
    radii = [
        coverage_radius(torch.cat([torch.from_numpy(b.items), patches]), torch.arange(b.size))
        for b in (exact, whole)
    ]
    assert radii[1] <= 4 * radii[0]


def test_features_of_one_shard_live_at_a_time(network, images, monkeypatch):
    born = list[weakref.ref[torch.Tensor]]()
    alive, sizes = list[int](), list[int]()

    def counted(*arguments):
        gc.collect()
        alive.append(sum(r() is not None for r in born))
        patches, grid = collect_patches(*arguments)
        born.append(weakref.ref(patches))
        sizes.append(len(patches))
        return patches, grid

    monkeypatch.setattr(memory_bank, "collect_patches", counted)
    fit(network, images, 3)
    assert alive == [0, 0, 0]
    assert sizes == [2 * 256, 2 * 256, 3 * 256]


@pytest.mark.parametrize(
    ("shards", "coreset", "count", "said"),
    [
        (2, 0.05, None, "an unknown number"),
        (8, 0.05, 7, "8 shards, 7 photos"),
        (4, 0.25, 7, "keeps every patch"),
        (2, 0.05, 6, "more"),
        (2, 0.05, 9, "9 images of one size"),
        (5, 0.05, 9, "at least one"),  # sizes 1, 2, 2, 2, 2: the last gets none
    ],
)
def test_what_shards_cannot_do_is_refused(network, images, shards, coreset, count, said):
    settings = EXACT.replace(shards=shards, coreset=coreset)
    with pytest.raises(CutSwapError, match=said):
        MemoryBank.fit(network, images.split(3), settings, count=count)


def test_shards_of_other_sizes_are_refused(network, images):
    wide = torch.zeros(3, 3, 32, 128)  # as many patches
    with pytest.raises(CutSwapError, match="one size"):
        MemoryBank.fit(network, [images[:3], wide], EXACT.replace(shards=2), count=6)


def test_a_batch_that_goes_beyond_the_last_shard_is_refused(network, images):
    with pytest.raises(CutSwapError, match="more"):
        MemoryBank.fit(network, [images], EXACT.replace(shards=2), count=6)


@pytest.mark.parametrize("shards", [0, -1, 10_001, 1.5])
def test_a_number_out_of_range_is_refused(shards):
    with pytest.raises(CutSwapError, match="shards"):
        PatchCoreSettings(shards=shards)


def test_records_from_before_shards_are_the_same(network, images, tmp_path):
    newer = ("tile_overlap", "shards", "image_patches", "whiten", "shrinkage", "tf32")
    old = {n: v for n, v in EXACT.to_dict().items() if n not in newer}
    assert PatchCoreSettings.from_dict(old) == EXACT
    assert EXACT.deciding() == old
    others = ({"image_patches": 2}, {"whiten": "pca"}, {"whiten": "pca", "shrinkage": 0.5})
    ids = [json.dumps(EXACT.replace(**changes).deciding()) for changes in ({}, *others)]
    assert len(set(ids)) == 4
    assert EXACT.replace(shrinkage=0.5).deciding() == old  # without whitening it decides nothing
    about = (FineTuningSettings(), "resnet18")
    weights, data = Weights("a", "b", ("4",)), {"train": "c", "test": "d"}
    ids = [hashes(*about, EXACT.replace(shards=n), weights, data, 0)[0] for n in (1, 2, 3)]
    assert len(set(ids)) == 3
    bank = fit(network, images, 3)
    bank.save(tmp_path / "bank.safetensors")
    assert MemoryBank.load(tmp_path / "bank.safetensors", network).settings.shards == 3


def test_the_command_line_has_it(tmp_path, capsys):
    build_category(tmp_path / "bolt", train=4)
    line = [
        "evaluate",
        "--data",
        str(tmp_path / "bolt"),
        "--weights",
        "random",
        "--image-size",
        "64",
        "--device",
        "cpu",
        "--quiet",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*line, "--shards", "5"]) == 2
    assert "5 shards, 4 photos" in capsys.readouterr().err
    assert main([*line, "--shards", "2", "--json", str(tmp_path / "r.json")]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["patchcore"]["shards"] == 2
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "within 4 times the best coreset's radius" in said
    assert "0.02 to 0.11 lower" in said

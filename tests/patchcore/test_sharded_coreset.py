"""Coresets over shards: within their bound, near the exact one; and an index that stays on disk."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cutswap.errors import CutSwapError
from cutswap.patchcore.coreset import coverage_radius, greedy_k_center
from cutswap.patchcore.index import BankIndex, MappedIndex, write_index
from cutswap.patchcore.sharded_coreset import ShardedCoreset, project


def points(count: int = 3000, dimensions: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    centres = 3 * torch.randn(20, dimensions, generator=generator)
    which = torch.randint(20, (count,), generator=generator)
    return centres[which] + torch.randn(count, dimensions, generator=generator)


def reduced(patches: torch.Tensor, shards: int, count: int, **how):
    coreset = ShardedCoreset(count, measure=True, **how)
    for part in patches.tensor_split(shards):
        coreset.add(part)
    return coreset.finish()


@pytest.mark.parametrize("projection", [None, 8])
@pytest.mark.parametrize("shards", [2, 7])
def test_the_radius_keeps_both_bounds(shards, projection):
    patches = points()
    bank, index, bound = reduced(patches, shards, 60, projection=projection)
    assert torch.equal(bank, patches[index])
    assert len(set(index.tolist())) == 60
    space = project(patches, projection, 0)
    radius = coverage_radius(space, index)
    exact = coverage_radius(space, greedy_k_center(patches, 60, projection=projection, seed=0))
    assert radius <= bound * (1 + 1e-6)
    # OPT >= half the radius of farthest-first, so four OPT is twice that and more.
    assert radius <= 2 * exact * (1 + 1e-6)


def test_one_shard_that_keeps_everything_is_the_exact_coreset():
    patches = points(500)
    _, index, _ = reduced(patches, 1, 40, keep=500, projection=None)
    assert coverage_radius(patches, index) == pytest.approx(
        coverage_radius(patches, greedy_k_center(patches, 40, projection=None, seed=0)), rel=0.25
    )


def test_projection_is_the_one_the_coreset_uses():
    """Picks in the projected space are those made with the projection."""
    patches = points(400)
    inside = greedy_k_center(patches, 30, projection=8, seed=3)
    outside = greedy_k_center(project(patches, 8, 3), 30, projection=None, seed=3)
    assert torch.equal(inside, outside)


def test_too_little_is_refused():
    with pytest.raises(CutSwapError, match="1 or more"):
        ShardedCoreset(0)
    with pytest.raises(CutSwapError, match="5 and 0"):
        ShardedCoreset(5, keep=0)
    coreset = ShardedCoreset(50)
    with pytest.raises(CutSwapError):
        coreset.finish()
    coreset.add(points(20))
    with pytest.raises(CutSwapError, match="1 to 20"):
        coreset.finish()


def test_a_mapped_index_finds_what_the_one_in_memory_finds(tmp_path):
    items = np.ascontiguousarray(points(2000).numpy())
    write_index(tmp_path / "index.faiss", items)
    mapped = MappedIndex(tmp_path / "index.faiss")
    assert mapped.size == 2000
    queries = items[:200] + np.float32(0.01)
    exact = BankIndex(items).search(queries, 1)
    assert (mapped.search(queries, 1) == exact).mean() > 0.95
    assert (mapped.search(queries[:3], 1500) >= 0).all()  # more than the groups looked into hold


def test_a_missing_or_damaged_index_is_refused(tmp_path):
    with pytest.raises(CutSwapError, match="no such file"):
        MappedIndex(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"nonsense")
    with pytest.raises(CutSwapError, match="write_index wrote"):
        MappedIndex(tmp_path / "bad")

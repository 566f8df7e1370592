"""A memory bank chosen shard by shard: the patches of one part of the photos are held at a time.

Each shard of training photos is reduced to the size of the bank, a second greedy pass over what
was kept chooses the bank; `sharded_coreset` has the bound. Held are one shard and shards x bank
patches, where the exact method holds every patch at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from torch import Tensor

from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.patchcore.sharded_coreset import ShardedCoreset

Grid = tuple[int, int]
Collect = Callable[[Iterable[Tensor], int, int], tuple[Tensor, Grid]]


def shard_sizes(count: int | None, settings: PatchCoreSettings) -> list[int]:
    """Photos of each shard, in their order; sizes differ by one at most.

    Args:
        count: photos in all.
        settings: shards and coreset ratio.

    Raises:
        CutSwapError: the number of photos is not known or smaller than that of shards, or the
            shards together keep every patch, so that nothing would be saved.
    """
    shards = settings.shards
    if count is None or count < shards:
        raise CutSwapError(
            "--shards", expected="1 to the number of good training photos",
            found=f"{shards} shards, {'an unknown number of' if count is None else count} photos",
            fix="pass --shards 1, or fewer",
        )  # fmt: skip
    if shards * settings.coreset >= 1:
        raise CutSwapError(
            "--shards", expected="shards x coreset below 1: each shard keeps as much as the bank",
            found=f"{shards} x {settings.coreset:g}, which keeps every patch and saves no memory",
            fix="pass --shards 1, or a smaller --coreset",
        )  # fmt: skip
    return [count * (n + 1) // shards - count * n // shards for n in range(shards)]


def choose_by_shards(
    images: Iterable[Tensor],
    collect: Collect,
    settings: PatchCoreSettings,
    count: int | None,
    seed: int,
) -> tuple[Tensor, Tensor, Grid]:
    """Embed and reduce one shard after the other.

    Args:
        images: batches (n, 3, H, W), `count` photos in all.
        collect: embeds a shard: its batches, its number of photos and how many came before it, to
            patches (P, D) float32 on the CPU, photo by photo, and their grid (h, w).
        settings: shards, coreset ratio, projection.
        count: photos in all.
        seed: of the projection and the first picks.

    Returns:
        The bank (M, D); (M,) int64 positions among all patches; the grid of a photo.

    Raises:
        CutSwapError: see `shard_sizes`; more or fewer photos, or photos of several sizes.
    """
    sizes = shard_sizes(count, settings)
    stream, rest = iter(images), list[Tensor]()
    patches, grid = collect(_taken(stream, rest, sizes[0]), sizes[0], 0)
    keep = max(1, int(settings.coreset * sum(sizes) * grid[0] * grid[1]))
    coreset = ShardedCoreset(keep, projection=settings.projection, seed=seed)
    for number, size in enumerate(sizes):
        found = grid
        if number:
            patches, found = collect(_taken(stream, rest, size), size, sum(sizes[:number]))
        if found != grid or len(patches) != size * grid[0] * grid[1]:
            raise CutSwapError(
                "training images", expected=f"{count} images of one size",
                found=f"patch grids {grid} and {found}, {len(patches)} patches of {size} images",
                fix="resize them first, and tell their number",
            )  # fmt: skip
        coreset.add(patches)
        del patches  # the next shard is embedded while this name would still hold it
    if rest or next(stream, None) is not None:
        raise CutSwapError(
            "training images", expected=f"{count}, as was told", found="more",
            fix="tell their number",
        )  # fmt: skip
    bank, picks, _ = coreset.finish()
    return bank, picks, grid


def _taken(stream: Iterator[Tensor], rest: list[Tensor], size: int) -> Iterator[Tensor]:
    """Batches of the next `size` photos; what a batch has beyond them waits in `rest`."""
    while size:
        batch = rest.pop() if rest else next(stream, None)
        if batch is None:
            return
        piece, more = batch[:size], batch[size:]
        if len(more):
            rest.append(more)
        size -= len(piece)
        yield piece

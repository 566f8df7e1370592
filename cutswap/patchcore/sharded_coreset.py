"""A coreset of more patches than memory holds: shards are reduced one by one, then merged.

Each shard keeps a greedy k-centre of its own; a second greedy pass picks the bank among what the
shards kept. One pass over everything is within 2 of the best radius OPT. Here, if every shard keeps
at least as many as the bank holds, a shard's own radius is at most 2 OPT (two of its k + 1 farthest
points share a centre of the best solution, so lie within 2 OPT of each other), and so is that of
the second pass over what was kept: by the triangle inequality the bank is within 4 OPT of every
patch (Malkomes et al. 2015). With fewer kept the sum of both measured radii is still a bound.
All of it holds in the space distances are taken in: the random projection, where there is one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.patchcore.coreset import coverage_radius, greedy_k_center

Grid = tuple[int, int]
Collect = Callable[[Iterable[Tensor], int, int], tuple[Tensor, Grid]]


class ShardedCoreset:
    """Takes shards of patches, gives a coreset of all of them.

    Held are the patches that shards kept, never more than one shard beside them.

    Args:
        count: size of the bank.
        keep: patches each shard keeps, fewer only where it has fewer; default: `count`, which the
            bound of 4 needs.
        projection: dimensions of the random projection, the same for all shards; None: off.
        seed: of the projection and of every first pick.
        measure: whether radii are measured, which costs about a tenth of the time.

    Attributes:
        seen: patches so far.
        radius: largest radius of a shard so far, in the projected space; 0 without `measure`.

    Raises:
        CutSwapError: sizes below 1.
    """

    def __init__(
        self,
        count: int,
        *,
        keep: int | None = None,
        projection: int | None = 128,
        seed: int = 0,
        measure: bool = False,
    ) -> None:
        if min(count, count if keep is None else keep) < 1:
            raise CutSwapError(
                "coreset size",
                expected="1 or more, in the bank and in a shard",
                found=f"{count} and {keep}",
                fix="change --coreset",
            )
        self.seen, self.radius = 0, 0.0
        self._count, self._keep = count, keep or count
        self._projection, self._seed, self._measure = projection, seed, measure
        self._kept: list[Tensor] = []
        self._index: list[Tensor] = []

    @property
    def held(self) -> int:
        """Patches that shards kept so far."""
        return sum(len(part) for part in self._kept)

    def add(self, patches: Tensor) -> None:
        """Reduce one shard.

        Args:
            patches: (n, D) float32 on the CPU.

        Raises:
            CutSwapError: no finite matrix.
        """
        keep = min(self._keep, len(patches))
        picks = greedy_k_center(patches, keep, projection=self._projection, seed=self._seed)
        if self._measure:
            space = project(patches, self._projection, self._seed)
            self.radius = max(self.radius, coverage_radius(space, picks))
        self._kept.append(patches[picks].clone())
        self._index.append(picks + self.seen)
        self.seen += len(patches)

    def finish(self) -> tuple[Tensor, Tensor, float]:
        """The second pass.

        Returns:
            The bank (count, D) float32; (count,) int64 positions among all patches, in the order
            of picking; and with `measure` a bound on the distance of any patch to the bank in the
            projected space, else 0.

        Raises:
            CutSwapError: the shards kept fewer than the bank is to hold.
        """
        union = torch.cat(self._kept) if self._kept else torch.empty(0, 1)
        picks = greedy_k_center(union, self._count, projection=self._projection, seed=self._seed)
        bound = 0.0
        if self._measure:
            space = project(union, self._projection, self._seed)
            bound = self.radius + coverage_radius(space, picks)
        return union[picks], torch.cat(self._index)[picks], bound


def project(patches: Tensor, dimensions: int | None, seed: int) -> Tensor:
    """(n, D) to the (n, dimensions) that `greedy_k_center` compares; None: unchanged."""
    if dimensions is None or dimensions >= patches.shape[1]:
        return patches
    generator = torch.Generator().manual_seed(seed)
    # As there: the first pick is drawn before the projection, and takes one number of the stream.
    torch.randint(len(patches), (1,), generator=generator)
    matrix = torch.randn(patches.shape[1], dimensions, generator=generator)
    return patches.float() @ (matrix / dimensions**0.5)


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
            "--shards",
            expected="1 to the number of good training photos",
            found=f"{shards} shards, {'an unknown number of' if count is None else count} photos",
            fix="pass --shards 1, or fewer",
        )
    if shards * settings.coreset >= 1:
        raise CutSwapError(
            "--shards",
            expected="shards x coreset below 1: each shard keeps as much as the bank",
            found=f"{shards} x {settings.coreset:g}, which keeps every patch and saves no memory",
            fix="pass --shards 1, or a smaller --coreset",
        )
    return [count * (n + 1) // shards - count * n // shards for n in range(shards)]


def choose_by_shards(
    images: Iterable[Tensor],
    collect: Collect,
    settings: PatchCoreSettings,
    count: int | None,
    seed: int,
    each: Callable[[Grid], int] = math.prod,
) -> tuple[Tensor, Tensor, Grid]:
    """Embed and reduce one shard after the other.

    Args:
        images: batches (n, 3, H, W), `count` photos in all.
        collect: embeds a shard: its batches, its number of photos and how many came before it, to
            patches (P, D) float32 on the CPU, photo by photo, and their grid (h, w).
        settings: shards, coreset ratio, projection.
        count: photos in all.
        seed: of the projection and the first picks.
        each: patches of a photo by its grid, where not all of them count.

    Returns:
        The bank (M, D); (M,) int64 positions among all patches; the grid of a photo.

    Raises:
        CutSwapError: see `shard_sizes`; more or fewer photos, or photos of several sizes.
    """
    sizes = shard_sizes(count, settings)
    stream, rest = iter(images), list[Tensor]()
    patches, grid = collect(_taken(stream, rest, sizes[0]), sizes[0], 0)
    keep = max(1, int(settings.coreset * sum(sizes) * each(grid)))
    coreset = ShardedCoreset(keep, projection=settings.projection, seed=seed)
    for number, size in enumerate(sizes):
        part_grid = grid
        if number:
            patches, part_grid = collect(_taken(stream, rest, size), size, sum(sizes[:number]))
        if part_grid != grid or len(patches) != size * each(grid):
            raise CutSwapError(
                "training images",
                expected=f"{count} images of one size",
                found=f"patch grids {grid} and {part_grid},"
                f" {len(patches)} patches of {size} images",
                fix="resize them first, and tell their number",
            )
        coreset.add(patches)
        del patches  # the next shard is embedded while this name would still hold it
    if rest or next(stream, None) is not None:
        raise CutSwapError(
            "training images",
            expected=f"{count}, as was told",
            found="more",
            fix="tell their number",
        )
    bank, picks, _ = coreset.finish()
    return bank, picks, grid


def _taken(stream: Iterator[Tensor], rest: list[Tensor], size: int) -> Iterator[Tensor]:
    """Batches of the next `size` photos; the remainder of a batch waits in `rest`."""
    while size:
        batch = rest.pop() if rest else next(stream, None)
        if batch is None:
            return
        piece, more = batch[:size], batch[size:]
        if len(more):
            rest.append(more)
        size -= len(piece)
        yield piece

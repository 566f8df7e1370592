"""The coreset against the textbook's loop: one matrix-vector product a pick."""

from __future__ import annotations

import torch
from torch import Tensor

from cutswap.benchmark.measurement import Measurement, extra_memory, in_turns, times_faster
from cutswap.benchmark.pictures import LAYERS, demo_patches, demo_photos
from cutswap.benchmark.sizes import Sizes
from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import load_backbone
from cutswap.patchcore.coreset import greedy_k_center

SEED = 0
NEARLY = 1e-5  # of a distance: what single precision cannot tell apart


def plain_picks(points: Tensor, count: int, first: int, projection: int | None) -> Tensor:
    """The loop as most repositories write it, in single precision.

    Args:
        points: (n, d) float32.
        count: how many to pick.
        first: index of the first pick.
        projection: dimensions of the random projection; None: off.

    Returns:
        (count,) int64, in the order picked.
    """
    space = projected(points, projection)
    own = space.square().sum(dim=1)
    nearest = torch.full((len(space),), torch.inf)
    picks = [first]
    for _ in range(count - 1):
        last = picks[-1]
        distance = own + own[last] - 2 * (space @ space[last])
        nearest = torch.minimum(nearest, distance)
        picks.append(int(nearest.argmax()))
    return torch.tensor(picks)


def projected(points: Tensor, projection: int | None) -> Tensor:
    """The very space `greedy_k_center` measures in: the same seeded matrix."""
    if projection is None or projection >= points.shape[1]:
        return points
    generator = torch.Generator().manual_seed(SEED)
    torch.randint(len(points), (1,), generator=generator)
    return points @ (
        torch.randn(points.shape[1], projection, generator=generator) / projection**0.5
    )


def need_equal_picks(points: Tensor, ours: Tensor, plain: Tensor, projection: int | None) -> None:
    """Refuse a comparison of speed where the results differ.

    The plain loop's single precision may swap picks that are equally far to its last bits. So
    wherever the two part, both candidates' distances to our picks so far are measured in double
    precision, and the plain loop's must not be the larger one.

    Raises:
        CutSwapError: another pick was clearly farther.
    """
    space = projected(points, projection)
    for at in (int(i) for i in (ours != plain).nonzero()[:, 0]):
        centres = space[ours[:at]].double()
        own, other = (
            float(torch.cdist(space[p[at]][None].double(), centres).min()) for p in (ours, plain)
        )
        if other > own * (1 + NEARLY):
            raise CutSwapError(
                f"coreset pick {at}",
                expected=f"the point at {other:.6g} the plain loop picks",
                found=f"one at {own:.6g}",
                fix="report this: the coreset is not exact",
            )


def measure_coreset(sizes: Sizes) -> list[Measurement]:
    """Seconds of both from the same patches on, projection included, and our extra memory."""
    patches = demo_patches(load_backbone("resnet18"), demo_photos(sizes.images, sizes.side), LAYERS)
    count = max(2, int(sizes.coreset * len(patches)))
    projection = PatchCoreSettings().projection
    chosen: dict[str, Tensor] = {}

    def ours() -> None:
        chosen["ours"] = greedy_k_center(patches, count, projection=projection, seed=SEED)

    def plain() -> None:
        chosen["plain"] = plain_picks(patches, count, int(chosen["ours"][0]), projection)

    extra = extra_memory(ours)  # a warm-up as well
    times = in_turns(ours, plain, sizes.coreset_turns, warm_up=False, clock=sizes.clock)
    need_equal_picks(patches, chosen["ours"], chosen["plain"], projection)
    dimensions = projection or patches.shape[1]
    what = f"greedy k-centre, {count} of {len(patches)} x {patches.shape[1]} in {dimensions} dims"
    found_out = [
        times_faster(
            "coreset",
            what,
            *times,
            target=20.0,
            picks=count,
            same_picks=int((chosen["ours"] == chosen["plain"]).sum()),
        )
    ]
    if extra is not None:
        copy = len(patches) * dimensions * 4
        more = {"extra_mb": extra / 1e6, "one_projected_copy_mb": copy / 1e6}
        found_out.append(
            Measurement(
                "coreset, memory",
                f"{what}: memory beside the patches",
                figure=extra / copy,
                unit="copies of the projected patches",
                target=1.0,
                repetitions=1,
                more=more,
            )
        )
    return found_out

"""PatchCore inference against a plain one: all distances at once, maps at full size one by one.

The plain way is written as anomalib 2.x does it: `torch.cdist`, or its three terms, between all
patches of a batch and the whole bank, then every image's map enlarged and smoothed by a
convolution with a square gaussian. `benchmarks/bench_peers.py` times anomalib itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from cutswap.benchmark.measurement import Measurement, extra_memory, in_turns, times_faster
from cutswap.benchmark.pictures import LAYERS, demo_patches, demo_photos
from cutswap.benchmark.sizes import Sizes
from cutswap.config import PLAIN, PatchCoreSettings
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.patchcore.memory_bank import MemoryBank, Prediction

SIGMA = 4.0
RADIUS = 16  # pixels: 4 sigma


def plain_scores(backbone: Backbone, bank: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Plain PatchCore inference of one batch.

    Args:
        backbone: a ResNet.
        bank: (M, D) float32.
        image: (N, 3, H, W) normalised.

    Returns:
        Scores (N,) and heatmaps (N, H, W).
    """
    with torch.no_grad():
        layer2, layer3 = _stages(backbone.module, image)
        layer2, layer3 = (F.avg_pool2d(f, 3, 1, 1) for f in (layer2, layer3))
        layer3 = F.interpolate(layer3, size=layer2.shape[-2:], mode="bilinear")
        embedded = torch.cat([layer2, layer3], dim=1)
        count, depth, h, w = embedded.shape
        patches = embedded.permute(0, 2, 3, 1).reshape(-1, depth)
        nearest = torch.cdist(patches, bank).topk(1, largest=False, dim=1).values[:, 0]
        distances = nearest.reshape(count, 1, h, w)
        maps = []
        for one in distances:
            large = F.interpolate(one[None], size=image.shape[-2:], mode="bilinear")
            maps.append(_smooth(large))
        return distances.amax(dim=(1, 2, 3)), torch.cat(maps)[:, 0]


def _stages(module: Any, image: Tensor) -> tuple[Tensor, Tensor]:
    output = module.maxpool(module.relu(module.bn1(module.conv1(image))))
    layer2 = module.layer2(module.layer1(output))
    return layer2, module.layer3(layer2)


def _smooth(large: Tensor) -> Tensor:
    steps = torch.arange(-RADIUS, RADIUS + 1)
    line = torch.exp(-steps.square() / (2 * SIGMA**2))
    square = torch.outer(line, line)
    padded = F.pad(large, (RADIUS,) * 4, mode="reflect")
    return F.conv2d(padded, (square / square.sum())[None, None])


def need_equal_scores(ours: Prediction, scores: Tensor, maps: Tensor) -> float:
    """Largest difference of scores and maps, as a share of the largest score.

    Borders of `RADIUS` pixels are left out: the two smooth across the edge differently.

    Raises:
        CutSwapError: more than a thousandth.
    """
    inside = (slice(None), slice(RADIUS, -RADIUS), slice(RADIUS, -RADIUS))
    apart = max(
        float(np.abs(ours.scores - scores.numpy()).max()),
        float(np.abs(ours.heatmaps[inside] - maps.numpy()[inside]).max()),
    ) / float(scores.max())
    if not math.isfinite(apart) or apart > 1e-3:
        raise CutSwapError(
            "PatchCore scores",
            expected="the plain way's to a thousandth",
            found=f"a difference of {apart:.3g} of the largest score",
            fix="report this: scores or maps are wrong",
        )
    return apart


def measure_patchcore(sizes: Sizes) -> list[Measurement]:
    """Seconds and peak memory of scoring a batch, network included."""
    backbone = load_backbone("resnet18")
    photos = demo_photos(2 * sizes.scored, sizes.side)
    patches = demo_patches(backbone, photos[sizes.scored :], LAYERS)
    keep = torch.linspace(0, len(patches) - 1, min(sizes.bank, len(patches))).long()
    items = patches[keep].contiguous()
    bank = MemoryBank(
        backbone,
        PatchCoreSettings(**PLAIN),
        items.numpy(),
        np.zeros((len(items), 3), np.int32),
        0,
    )
    del patches
    image = to_image(photos[: sizes.scored])
    apart = need_equal_scores(bank.score(image), *plain_scores(backbone, items, image))

    def ours() -> Prediction:
        return bank.score(image)

    def plain() -> tuple[Tensor, Tensor]:
        return plain_scores(backbone, items, image)

    times = in_turns(ours, plain, sizes.turns, clock=sizes.clock)
    memory = extra_memory(ours), extra_memory(plain)
    what = f"score {sizes.scored} images of {sizes.side} against a bank of {len(items)}"
    measurements = [
        times_faster(
            "patchcore",
            what,
            *times,
            target=2.0,
            images_per_second=sizes.scored / float(np.median(times[0])),
            plain_images_per_second=sizes.scored / float(np.median(times[1])),
            largest_difference=apart,
        )
    ]
    if memory[0] is not None and memory[1]:
        share = memory[0] / memory[1]
        more = {"ours_mb": memory[0] / 1e6, "plain_mb": memory[1] / 1e6}
        measurements.append(
            Measurement(
                "patchcore, memory",
                f"{what}: memory beyond what was held",
                figure=share,
                unit="times the memory",
                target=0.5,
                repetitions=1,
                more=more,
            )
        )
    return measurements

"""LayerCAM of five levels: one forward and backward pass of ours, beside one plain one and five."""

from __future__ import annotations

import statistics

import numpy as np
import torch
from pytorch_grad_cam import LayerCAM
from torch import Tensor

from cutswap.benchmark.measurement import (
    Measurement,
    in_turns,
    skipped,
    times_faster,
    times_the_cost,
)
from cutswap.benchmark.pictures import demo_photos
from cutswap.benchmark.sizes import Sizes
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.saliency.layercam import Saliency, explain
from cutswap.utils.devices import fast_bfloat16

NEAR = 0.01  # of a map's peak


def plain_pass(backbone: Backbone, image: Tensor) -> Tensor:
    """One forward pass, and one backward from the highest scores to the image: its gradient."""
    seen = image.clone().requires_grad_(True)
    scores = backbone.module(seen)
    return torch.autograd.grad(scores.amax(dim=1).sum(), seen)[0]


def library_maps(backbone: Backbone, image: Tensor) -> list[np.ndarray]:
    """pytorch-grad-cam asked five times, a level at a time, as its examples do.

    Returns:
        For each level (N, H, W) float32 in [0, 1].
    """
    maps = []
    for name in backbone.resolve(backbone.levels):
        with LayerCAM(
            model=backbone.module, target_layers=[backbone.module.get_submodule(name)]
        ) as c:
            maps.append(c(image.clone().requires_grad_(True), None))
    return maps


def need_equal_maps(ours: Saliency, library: list[np.ndarray], size: tuple[int, int]) -> float:
    """Largest difference of the maps in [0, 1].

    Raises:
        CutSwapError: more than `NEAR`.
    """
    worst = max(
        float(np.abs(_unit(mine) - _unit(theirs)).max())
        for mine, theirs in zip(ours.upsampled(size).unbind(1), library, strict=True)
    )
    if worst > NEAR:
        raise CutSwapError(
            "LayerCAM maps",
            expected=f"pytorch-grad-cam's to {NEAR:g}",
            found=f"a difference of {worst:.3g}",
            fix="report this: the maps are not LayerCAM's",
        )
    return worst


def measure_layercam(sizes: Sizes) -> list[Measurement]:
    """The embedded slim VGG16; at full width with random weights, which cost what any cost."""
    networks = [("embedded slim VGG16", load_backbone("vgg16"))]
    if sizes.full_network:
        networks.insert(0, ("VGG16", load_backbone("vgg16", "random")))
    image = to_image(demo_photos(sizes.batch, sizes.side))
    measurements: list[Measurement] = []
    for title, backbone in networks:
        measurements += _measure(title, backbone, image, sizes)
    return measurements


def _measure(title: str, backbone: Backbone, image: Tensor, sizes: Sizes) -> list[Measurement]:
    what = f"five levels of {title}, {len(image)} images of {image.shape[-1]}"
    short = "layercam" if title == "VGG16" else "layercam, slim"
    maps = explain(backbone, image)
    difference = need_equal_maps(maps, library_maps(backbone, image), _size(image))

    def ours() -> Saliency:
        return explain(backbone, image)

    one = in_turns(ours, lambda: plain_pass(backbone, image), sizes.turns, clock=sizes.clock)
    few = max(1, sizes.turns // 2)
    five = in_turns(
        ours, lambda: library_maps(backbone, image), few, warm_up=False, clock=sizes.clock
    )
    return [
        times_the_cost(short, f"{what}, beside one forward and backward pass", *one, target=1.3),
        times_faster(
            f"{short}, library",
            f"{what}, beside five pytorch-grad-cam calls",
            *five,
            target=None,
            largest_difference=difference,
        ),
        _half(short, what, backbone, image, maps, sizes),
    ]


def _half(
    short: str, what: str, backbone: Backbone, image: Tensor, exact: Saliency, sizes: Sizes
) -> Measurement:
    """How far bfloat16 moves the maps, and how much faster it is."""
    name, what = f"{short}, bfloat16", f"{what}, bfloat16 beside float32: how far it moves the maps"
    if not fast_bfloat16(backbone.device):
        return skipped(name, what, "this processor has no native bfloat16")

    def half() -> Saliency:
        return explain(backbone, image, precision="bfloat16")

    rough = half()
    apart = [
        (r - e).abs() / e.amax(dim=(1, 2), keepdim=True).clamp_min(1e-30)
        for r, e in zip(rough.maps, exact.maps, strict=True)
    ]
    times = in_turns(half, lambda: explain(backbone, image), sizes.turns, clock=sizes.clock)
    worst = [float(a.max()) for a in apart]
    return Measurement(
        name,
        what,
        ours=statistics.median(times[0]),
        baseline=statistics.median(times[1]),
        figure=max(worst),
        unit="of the peak",
        target=NEAR,
        repetitions=sizes.turns,
        spread=(min(worst), max(worst)),
        more={
            "mean_difference_of_peak": [float(a.mean()) for a in apart],
            "largest_difference_of_peak": worst,
        },
    )


def _unit(maps: Tensor | np.ndarray) -> np.ndarray:
    values = np.asarray(maps, dtype=np.float64)
    low = values.min(axis=(1, 2), keepdims=True)
    span = values.max(axis=(1, 2), keepdims=True) - low
    return (values - low) / np.maximum(span, 1e-30)


def _size(image: Tensor) -> tuple[int, int]:
    return int(image.shape[-2]), int(image.shape[-1])

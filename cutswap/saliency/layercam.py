"""LayerCAM saliency (Jiang et al., IEEE TIP 2021): what the network looks at, level by level.

The mathematics is pytorch-grad-cam's `LayerCAM`, the reference of `tests/saliency`; its
hooks and `.grad` buffers are shared between calls, so here all levels of a batch come from one
forward and one backward pass that leave nothing behind, and threads cannot disturb each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.saliency.bfloat16_backward import half_backward
from cutswap.utils.devices import is_half


@dataclass(frozen=True)
class Saliency:
    """Raw maps of a batch at their own resolution, cheap to keep.

    Attributes:
        maps: for each layer, shallow to deep as asked, (N, h, w) float32, >= 0, not normalised.
        layers: names as asked.
        classes: (N,) int64, the class each image was explained for.
        scores: (N,) float32, that class's score before any softmax.
        class_scores: (N, C) float32, the scores of all classes.
    """

    maps: tuple[Tensor, ...]
    layers: tuple[str, ...]
    classes: Tensor
    scores: Tensor
    class_scores: Tensor

    def best_guesses(self, index: int, count: int = 5) -> tuple[tuple[int, float], ...]:
        """The classes an image most probably shows, by the network.

        Args:
            index: of the image.
            count: of classes.

        Returns:
            (class, probability in [0, 1]), the best first.
        """
        shares = self.class_scores[index].softmax(0)
        best = shares.topk(min(count, len(shares)))
        return tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))

    def probability(self, index: int) -> float:
        """Of the class that an image was explained for, in [0, 1]."""
        return float(self.class_scores[index].softmax(0)[self.classes[index]])

    def upsampled(self, size: tuple[int, int]) -> Tensor:
        """(N, L, H, W) float32 in [0, 1], each map scaled by itself; a blank map stays 0."""
        return torch.stack([upsample(m, size) for m in self.maps], dim=1)

    def ends(self, size: tuple[int, int]) -> Tensor:
        """What 0 and 1 of `upsampled` stand for, in units of the class score.

        Args:
            size: (H, W) of the enlarged maps.

        Returns:
            (N, L, 2) float32, >= 0: the smallest and the largest value of each enlarged map.
        """
        large = [_enlarged(m, size) for m in self.maps]
        return torch.stack([torch.stack(torch.aminmax(m.flatten(1), dim=1), -1) for m in large], 1)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Weight every activation by its own positive gradient, then add the channels.

    Args:
        activations: (N, C, h, w) float, output of one layer.
        gradients: (N, C, h, w) float, d(class score) / d(activations).

    Returns:
        (N, h, w) float32, >= 0, not normalised.

    Source: LayerCAM, M = ReLU(sum_k ReLU(G_k) * A_k).
    """
    weighted = gradients.clamp_min(0) * activations
    return weighted.sum(dim=1).clamp_min(0).float()


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear to (H, W), then each map from its minimum to its maximum onto [0, 1].

    The order is the authors' (pytorch-grad-cam normalises first; the two differ by an affine map,
    which moves no cluster).

    Args:
        maps: (N, h, w) float.
        size: (H, W).

    Returns:
        (N, H, W) float32 in [0, 1]; a constant map becomes 0.
    """
    large = _enlarged(maps, size)
    low = large.amin(dim=(1, 2), keepdim=True)
    span = large.amax(dim=(1, 2), keepdim=True) - low
    # Scaling and bilinear sums round in the last bits: a constant map may show a span of 1e-7 of
    # its size, and stretching that to [0, 1] would make structure out of nothing.
    flat = span <= 1e-6 * (low + span).abs()
    return torch.where(flat, 0.0, (large - low) / span.clamp_min(torch.finfo(span.dtype).tiny))


def _enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear to (H, W), unscaled."""
    return F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def explain(
    backbone: Backbone,
    image: Tensor,
    layers: Sequence[str] | None = None,
    *,
    target_class: int | None = None,
    precision: str = "float32",
) -> Saliency:
    """LayerCAM of every layer asked for, in one forward and one backward pass.

    Args:
        backbone: any network of `networks.backbone`; it must have a trained class score for the
            maps to mean anything.
        image: (N, 3, H, W) float, ImageNet-normalised; each image is explained by itself.
        layers: names or `features` indices, any order; default: the backbone's five levels.
        target_class: class to explain; default: each image's own highest-scoring class.
        precision: float32; bfloat16, whose backward pass is in bfloat16 and moves the maps by
            about 1% of their peak (see `bfloat16_backward`); auto: that where the device is fast
            at it.

    Returns:
        Maps on the CPU.

    Raises:
        CutSwapError: a layer or class that does not exist, or a layer without height and width.
    """
    asked = tuple(str(layer) for layer in (layers or backbone.levels))
    passed = pass_through(backbone, image, asked, target_class, precision)
    maps = tuple(
        layercam(a, g).cpu() for a, g in zip(passed.activations, passed.gradients, strict=True)
    )
    chosen = passed.class_scores.gather(1, passed.classes[:, None])[:, 0]
    return Saliency(maps, asked, passed.classes, chosen, passed.class_scores)


@dataclass(frozen=True)
class Passed:
    """What one forward and one backward pass of a batch leave of some layers.

    Attributes:
        activations: for each layer (N, C, h, w), on the network's device.
        gradients: of the same shapes, d(class score) / d(activations).
        classes: (N,) int64 on the CPU, the class each image is explained for.
        class_scores: (N, C) float32 on the CPU, the scores of all classes.
    """

    activations: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]
    classes: Tensor
    class_scores: Tensor


def pass_through(
    backbone: Backbone,
    image: Tensor,
    layers: Sequence[str],
    target_class: int | None = None,
    precision: str = "float32",
) -> Passed:
    """Activations of some layers and the gradients of a class score on them.

    Args:
        backbone: see `explain`.
        image: (N, 3, H, W) float, ImageNet-normalised.
        layers: names, any order.
        target_class: see `explain`.
        precision: see `explain`.

    Raises:
        CutSwapError: see `explain`.
    """
    with half_backward() if is_half(backbone.device, precision) else nullcontext():
        captured, scores = backbone.differentiable(image, layers)
    if target_class is not None and not 0 <= target_class < scores.shape[1]:
        raise CutSwapError(
            "target class",
            expected=f"0 to {scores.shape[1] - 1}",
            found=target_class,
            fix="leave it out to explain the predicted class",
        )
    flat = [name for name in layers if captured[name].ndim != 4]
    if flat:
        raise CutSwapError(
            f"saliency layer {flat[0]}",
            expected="a layer whose output has height and width",
            found=f"output of shape {tuple(captured[flat[0]].shape)}",
            fix=f"use for example {','.join(backbone.levels)}",
        )
    classes = (
        scores.argmax(dim=1)
        if target_class is None
        else torch.full((len(scores),), target_class, device=scores.device)
    )
    chosen = scores.gather(1, classes[:, None])[:, 0]
    # Images of a batch do not meet inside the network, so one sum serves them all.
    activations = [captured[name] for name in layers]
    gradients = torch.autograd.grad(chosen.sum(), activations)
    every = scores.detach().float().cpu()
    return Passed(tuple(a.detach() for a in activations), gradients, classes.cpu(), every)


def saliency_maps(
    backbone: Backbone,
    image: Tensor,
    layers: Sequence[str] | None = None,
    *,
    target_class: int | None = None,
) -> Tensor:
    """Saliency at the image's own size: (N, L, H, W) float32 in [0, 1]. See `explain`."""
    size = (int(image.shape[-2]), int(image.shape[-1]))
    return explain(backbone, image, layers, target_class=target_class).upsampled(size)

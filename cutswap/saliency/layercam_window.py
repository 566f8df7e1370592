"""LayerCAM on one small window, with every number on the way: activations, gradients, sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.saliency.layercam import layercam, pass_through

WINDOW = 3  # cells a side


@dataclass(frozen=True)
class ChannelShare:
    """What one channel of a layer gives to a window.

    Attributes:
        channel: its index k.
        activations: (3, 3) float64, A_k.
        gradients: (3, 3) float64, G_k = d(class score) / d(A_k).
        products: (3, 3) float64, ReLU(G_k) * A_k.
    """

    channel: int
    activations: np.ndarray
    gradients: np.ndarray
    products: np.ndarray


@dataclass(frozen=True)
class LayerCamWindow:
    """The arithmetic of LayerCAM on 3 x 3 neighbouring cells of one layer.

    Attributes:
        layer: its name.
        grid: (h, w) cells of the layer.
        corner: (row, column) of the window's first cell.
        channels: C of the layer.
        most: the channel that gives most to the window.
        against: another one, whose gradients are the most negative by activation: ReLU stops it.
        others: (3, 3) float64, sum of the products of all other channels.
        total: (3, 3) float64, sum over all channels.
        saliency: (3, 3) float64, ReLU of the sum: LayerCAM's map in this window.
        target_class: whose score it is.
    """

    layer: str
    grid: tuple[int, int]
    corner: tuple[int, int]
    channels: int
    most: ChannelShare
    against: ChannelShare
    others: np.ndarray
    total: np.ndarray
    saliency: np.ndarray
    target_class: int


def layercam_window(
    backbone: Backbone,
    image: Tensor,
    layer: str,
    *,
    around: tuple[float, float] | None = None,
    target_class: int | None = None,
) -> LayerCamWindow:
    """The numbers behind nine neighbouring cells of one LayerCAM map.

    Args:
        backbone: see `explain`.
        image: (1, 3, H, W) float, ImageNet-normalised.
        layer: one with a grid of 3 x 3 cells or more.
        around: (y, x) of the middle, as shares of the image in [0, 1); default: the layer's most
            salient cell. At the border the window is moved inside.
        target_class: see `explain`.

    Raises:
        CutSwapError: see `explain`; a grid that is smaller than the window.
    """
    passed = pass_through(backbone, image, (layer,), target_class)
    activations, gradients = passed.activations[0], passed.gradients[0]
    height, width = int(activations.shape[2]), int(activations.shape[3])
    if min(height, width) < WINDOW:
        raise CutSwapError(
            f"layer {layer}",
            expected=f"a grid of {WINDOW} x {WINDOW} cells or more",
            found=f"{height} x {width}",
            fix="choose a shallower layer or a larger image",
        )
    if around is None:
        best = int(layercam(activations, gradients)[0].argmax())
        middle = best // width, best % width
    else:
        middle = int(around[0] * height), int(around[1] * width)
    y, x = (
        int(np.clip(m - WINDOW // 2, 0, side - WINDOW))
        for m, side in zip(middle, (height, width), strict=True)
    )
    rows, columns = slice(y, y + WINDOW), slice(x, x + WINDOW)
    a, g = (t[0, :, rows, columns].double().cpu() for t in (activations, gradients))
    products = g.clamp_min(0) * a
    most = int(products.sum(dim=(1, 2)).argmax())
    stopped = ((-g).clamp_min(0) * a).sum(dim=(1, 2))
    stopped[most] = -torch.inf
    told = [most, int(stopped.argmax())]
    first, second = (ChannelShare(k, a[k].numpy(), g[k].numpy(), products[k].numpy()) for k in told)
    total = products.sum(dim=0).numpy()
    return LayerCamWindow(
        layer=layer,
        grid=(height, width),
        corner=(y, x),
        channels=len(products),
        most=first,
        against=second,
        others=total - first.products - second.products,
        total=total,
        saliency=total.clip(0),
        target_class=int(passed.classes[0]),
    )

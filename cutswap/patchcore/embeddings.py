"""Patch embeddings: what PatchCore compares (Roth et al. 2022, section 3.1).

They are the 3x3 averages of named layers, deeper ones upsampled to the first one's grid, channels
concatenated (anomalib's form; ResNet18 layer2 + layer3: 32 x 32 patches of 384 at 256 pixels).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from einops import rearrange
from torch import Tensor

from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.utils.device_errors import FittingBatches, is_out_of_memory


def embed(backbone: Backbone, image: Tensor, layers: Sequence[str]) -> Tensor:
    """Patch embeddings of a batch: (N, 3, H, W) normalised image to (N, h, w, D) float32.

    h and w are those of the first layer; D is the sum of the layers' channels.
    """
    features = backbone.features(image, layers)
    return join_layers([features[layer] for layer in layers])


def join_layers(features: Sequence[Tensor]) -> Tensor:
    """Layers' outputs as patch embeddings.

    Args:
        features: (N, C, h, w) each, shallow to deep; h and w may differ.

    Returns:
        (N, h, w, D) float32, h and w of the first.
    """
    grid = features[0].shape[-2:]
    maps = []
    for layer in features:
        # Zero padding counts as zeros, as unfolding with padding would.
        averaged = F.avg_pool2d(layer.float(), 3, stride=1, padding=1)
        if averaged.shape[-2:] != grid:
            averaged = F.interpolate(averaged, size=grid, mode="bilinear", align_corners=False)
        maps.append(averaged)
    return rearrange(torch.cat(maps, dim=1), "n d h w -> n h w d")


def collect_patches(
    backbone: Backbone,
    images: Iterable[Tensor],
    layers: Sequence[str],
    count: int | None,
    progress: Callable[[int, int], None] | None,
    *,
    stay: bool = False,
) -> tuple[Tensor, tuple[int, int]]:
    """Embed batches of good images.

    Args:
        backbone: whose features are used.
        images: batches (n, 3, H, W) float, ImageNet-normalised, all of one size.
        layers: names, shallow to deep.
        count: number of images, where known: room is then made once.
        progress: called with (images done, count).
        stay: keep them on the network's device, where there is room; else on the CPU.

    Returns:
        Patches (P, D) float32, and their grid (h, w) in an image.

    Raises:
        CutSwapError: no image at all, or images of several sizes.
    """
    store: Tensor | None = None
    grid, done, filled = (0, 0), 0, 0
    fitting = FittingBatches("memory bank")
    for image in images:
        parts = fitting.run(image, lambda part: embed(backbone, part, layers))
        patches = torch.cat(parts) if len(parts) > 1 else parts[0]
        n, h, w, dimensions = patches.shape
        if store is None:
            grid = (h, w)
            store = _room(((count or n) * h * w, dimensions), patches.device if stay else None)
        if (h, w) != grid:
            raise CutSwapError(
                "training images",
                expected="images of one size",
                found=f"patch grids {grid} and {(h, w)}",
                fix="resize them first",
            )
        end = filled + n * h * w
        if end > len(store):  # doubled, because joining a list holds everything twice
            larger = _room((max(end, 2 * len(store)), dimensions), store.device)
            larger[:filled] = store[:filled]
            store = larger
        store[filled:end] = rearrange(patches, "n h w d -> (n h w) d")
        filled, done = end, done + n
        if progress:
            progress(done, max(count or 0, done))
    if store is None or done == 0:
        raise CutSwapError(
            "training images", expected="at least one", found="none", fix="add good images"
        )
    return store[:filled], grid


def _room(size: tuple[int, int], device: torch.device | None) -> Tensor:
    """An empty tensor on a device; on the CPU where it has no room."""
    try:
        return torch.empty(size, device=device)
    except RuntimeError as error:
        if device is None or device.type == "cpu" or not is_out_of_memory(error):
            raise
    logging.getLogger("cutswap").warning("memory bank: patches stay in the processor's memory")
    return torch.empty(size)

"""What every step is measured on: the demo's rendered parts and their features.

Real structure matters: the exact coreset is fast because patches of real surfaces are crowded,
and random numbers would tell nothing about that.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cutswap.data.datasets import open_dataset
from cutswap.data.demo.render import demo_root
from cutswap.data.images import to_image
from cutswap.data.loading import load_photos
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.embeddings import embed

LAYERS = ("layer2", "layer3")
_JITTER = 0.1  # of a feature's spread: copies of a patch are near each other, not equal


def demo_photos(count: int, side: int) -> np.ndarray:
    """(count, side, side, 3) uint8: the demo's photos, then mirrored and turned ones."""
    data = open_dataset(demo_root())
    records = [
        r for c in data.categories for r in (*data.category(c).train, *data.category(c).test)
    ]
    spread = np.linspace(0, len(records) - 1, min(count, len(records))).astype(int)
    photos = load_photos(tuple(records[i] for i in spread), side)
    turned = [photos, photos[:, :, ::-1], photos[:, ::-1], photos[:, ::-1, ::-1]]
    turned += [np.rot90(t, axes=(1, 2)) for t in turned]
    return np.ascontiguousarray(np.concatenate(turned[: -(-count // len(photos))])[:count])


def demo_patches(backbone: Backbone, photos: np.ndarray, layers: tuple[str, ...]) -> Tensor:
    """(P, D) float32 patch embeddings of (N, H, W, 3) uint8 photos, image by image."""
    patches = [
        embed(backbone, to_image(photos[i : i + 8]), layers).flatten(0, 2)
        for i in range(0, len(photos), 8)
    ]
    return torch.cat(patches)


def more_patches(patches: Tensor, count: int, seed: int = 0) -> Tensor:
    """(count, D): the patches again and again, each repeat shaken a little, for large sets."""
    generator = torch.Generator().manual_seed(seed)
    spread = _JITTER * patches.std(dim=0)
    grown = torch.empty(count, patches.shape[1])
    for start in range(0, count, len(patches)):
        part = grown[start : start + len(patches)]
        part.copy_(patches[: len(part)])
        if start:
            part.add_(torch.randn(part.shape, generator=generator).mul_(spread))
    return grown

"""PatchCore's scoring where the features are: distances, image scores and heatmaps in torch.

The same figures as on the processor, where faiss finds the nearest items and SciPy smooths: there
a patch's features would travel to it first, 1.6 MB an image.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from einops import rearrange
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from cutswap.config import PatchCoreSettings
from cutswap.patchcore.patch_region import PatchRegion
from cutswap.utils.device_errors import FittingBatches

_PRODUCTS = 2**28  # distances in memory at once: 1 GB in single precision


class DeviceScorer:
    """A bank's items on a device.

    Args:
        items: (M, D) float32.
        settings: PatchCore's; `search` is taken as exact.
        device: where to compare.
    """

    def __init__(
        self, items: np.ndarray, settings: PatchCoreSettings, device: torch.device
    ) -> None:
        self.items = torch.from_numpy(items).to(device)
        self.settings = settings
        self._squares = self.items.square().sum(dim=1)
        self._fitting = FittingBatches("scoring")

    def score(
        self, embedded: Tensor, size: tuple[int, int], region: PatchRegion | None = None
    ) -> tuple[Tensor, ...]:
        """Score images that are embedded already.

        Args:
            embedded: (N, h, w, D) float32 on the device.
            size: (H, W) of the heatmaps.
            region: where to look; None: everywhere.

        Returns:
            (N,) float32 scores; (N, H, W) float32 heatmaps; (N, h, w) float32 distances;
            (N, h, w) int64 nearest items. All on the device.
        """
        count, h, w, _ = embedded.shape
        flat = embedded.reshape(-1, embedded.shape[-1])
        neighbours = self.search(flat, self.settings.neighbours)
        distances = torch.stack([self._distance(flat, column) for column in neighbours.T], dim=1)
        shape = {"n": count, "h": h, "w": w}
        of_patch = rearrange(distances.mean(dim=1), "(n h w) -> n h w", **shape)
        nearest = rearrange(neighbours[:, 0], "(n h w) -> n h w", **shape)
        looked_at = (embedded.flatten(1, 2), of_patch.flatten(1), nearest.flatten(1))
        if region is None:
            maps = smooth_maps(of_patch, size, self.settings.sigma)
            return self._image_scores(*looked_at), maps, of_patch, nearest
        positions = torch.from_numpy(region.positions((h, w))).to(embedded.device)
        scores = self._image_scores(*(values[:, positions] for values in looked_at))
        inside = torch.from_numpy(region.patches((h, w))).to(embedded.device)
        weights = torch.from_numpy(region.weights((h, w), size, self.settings.sigma))
        maps = smooth_maps(of_patch * inside, size, self.settings.sigma)
        maps = maps * weights.to(embedded.device)
        return scores, maps, of_patch * inside, nearest * inside

    def search(self, patches: Tensor, count: int) -> Tensor:
        """(P, D) float32 to the (P, min(count, M)) int64 nearest items, nearest first."""
        k = min(count, len(self.items))

        def nearest(rows: Tensor) -> Tensor:
            # ||x - c||^2 without ||x||^2, which is the same for all items of a patch
            distances = torch.addmm(self._squares, rows, self.items.T, alpha=-2)
            if k == 1:
                return distances.argmin(dim=1, keepdim=True)
            return distances.topk(k, dim=1, largest=False, sorted=True).indices

        if self._fitting.size is None:
            rows = max(1, _PRODUCTS // len(self.items))
            parts = [self._fitting.run(part, nearest) for part in patches.split(rows)]
            return torch.cat([nearest_rows for part in parts for nearest_rows in part])
        return torch.cat(self._fitting.run(patches, nearest))

    def _distance(self, rows: Tensor, items: Tensor) -> Tensor:
        return torch.linalg.vector_norm(rows - self.items[items], dim=1)

    def _image_scores(self, patches: Tensor, distances: Tensor, nearest: Tensor) -> Tensor:
        """(N, P, D), (N, P) and (N, P) to (N,): see `image_score`, which this is in torch."""
        count = min(self.settings.image_patches, distances.shape[1])
        highest, worst = distances.topk(count, dim=1)  # (N, k)
        b = min(self.settings.reweight, len(self.items))
        if b == 1:
            return highest.mean(dim=1)
        rows = torch.arange(len(patches), device=patches.device)[:, None]
        patch = patches[rows, worst].flatten(0, 1)  # (N * k, D)
        item = nearest[rows, worst].flatten()  # (N * k,)
        around = self.search(self.items[item], b)  # (N * k, b)
        apart = torch.linalg.vector_norm(self.items[around] - patch[:, None], dim=2)
        own = self._distance(patch, item)
        top = apart.max(dim=1).values
        share = (own - top).exp() / (apart - top[:, None]).exp().sum(dim=1)
        return ((1.0 - share).view_as(highest) * highest).mean(dim=1)


def smooth_maps(distances: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """`to_heatmap` in torch: (N, h, w) to (N, H, W) float32.

    The gaussian is a product with two matrices, borders included: SciPy's answer to a unit matrix.
    """
    large = F.interpolate(
        distances[:, None].float(), size=size, mode="bilinear", align_corners=False
    )[:, 0]
    if sigma == 0:
        return large
    down, across = (
        torch.from_numpy(_gaussian(length, sigma)).to(distances.device) for length in size
    )
    return down @ large @ across.T


@functools.lru_cache(maxsize=16)
def _gaussian(length: int, sigma: float) -> np.ndarray:
    """(length, length) float32: what smoothing makes of each pixel of a line."""
    return gaussian_filter1d(np.eye(length), sigma, axis=0, mode="reflect").astype(np.float32)

"""From patch distances to a smooth map at the image's size, as PatchCore's authors draw it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from scipy.ndimage import gaussian_filter


def to_heatmap(distances: np.ndarray, size: tuple[int, int], sigma: float = 4.0) -> np.ndarray:
    """Bilinear to the image's size, then a gaussian of `sigma` pixels.

    Args:
        distances: (N, h, w) float, distance of every patch to the bank.
        size: (H, W) of the image.
        sigma: standard deviation in pixels; 0 leaves the map unsmoothed.

    Returns:
        (N, H, W) float32, in the unit of the distances.

    Source: amazon-science/patchcore-inspection, `RescaleSegmentor` (sigma 4, edges repeated).
    """
    small = torch.from_numpy(np.ascontiguousarray(distances, dtype=np.float32))
    large = F.interpolate(small[:, None], size=size, mode="bilinear", align_corners=False)
    maps = large[:, 0].numpy()
    if sigma == 0:
        return maps
    return np.stack([gaussian_filter(m, sigma=sigma, mode="reflect") for m in maps])

"""Made-up photos and saliency maps with structure, for tests without files or networks."""

from __future__ import annotations

import numpy as np


def photo_of(seed: int, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8: a coloured slope, three discs and a little noise; differs by seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    slope = (y * rng.uniform(0.3, 1) + x * rng.uniform(0.3, 1)) / sum(size)
    photo = slope[..., None] * rng.uniform(60, 200, 3)
    for _ in range(3):
        centre = rng.uniform(0.1, 0.9, 2) * size
        disc = np.hypot(y - centre[0], x - centre[1]) < min(size) * rng.uniform(0.1, 0.3)
        photo[disc] = rng.uniform(0, 255, 3)
    noisy = photo + rng.normal(0, 6, photo.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def noise_photo(seed: int, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 noise: hardly two pixels are equal, so every move shows."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def disc(size: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    """(H, W) bool, True within the radius."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.hypot(y - centre[0], x - centre[1]) <= radius


def smooth_map(seed: int, size: tuple[int, int], *, peak: float = 2.0) -> np.ndarray:
    """(H, W) float64 in [0, 1]: blobs on a dark ground, as deep saliency looks."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    saliency = np.zeros(size)
    for _ in range(6):
        cy, cx, width = *(rng.uniform(0, 1, 2) * size), rng.uniform(0.05, 0.25) * min(size)
        saliency += rng.random() * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2))
    saliency **= peak
    return (saliency - saliency.min()) / np.ptp(saliency)

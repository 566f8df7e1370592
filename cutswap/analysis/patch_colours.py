"""Patch embeddings as a picture: their three main directions as red, green and blue."""

from __future__ import annotations

import numpy as np

_ENDS = (2, 98)  # percentiles that become dark and bright: single patches do not set the range


def patch_colours(embedded: np.ndarray) -> np.ndarray:
    """Patches that a network describes alike get the same colour, in all photos.

    Args:
        embedded: (N, h, w, D) float, patch embeddings of N photos.

    Returns:
        (N, h, w, 3) uint8: the first three principal components of all N * h * w patches, each
        stretched over its range. Each points where its largest loading is positive, so that equal
        features give equal colours. What does not vary is middle grey.
    """
    patches = embedded.reshape(-1, embedded.shape[-1]).astype(np.float64)
    centred = patches - patches.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    strongest = vectors[:, ::-1][:, :3]
    largest = strongest[np.abs(strongest).argmax(axis=0), np.arange(strongest.shape[1])]
    scores = centred @ (strongest * np.sign(largest))
    low, high = np.percentile(scores, _ENDS, axis=0)
    varies = values[::-1][:3] > 1e-12 * max(float(values[-1]), 1e-300)
    span = np.where(high > low, high - low, 1.0)
    shares = np.where(varies & (high > low), (scores - low) / span, 0.5)
    colours = np.full((len(patches), 3), 128, np.uint8)
    colours[:, : shares.shape[1]] = np.rint(np.clip(shares, 0, 1) * 255)
    return colours.reshape(*embedded.shape[:-1], 3)

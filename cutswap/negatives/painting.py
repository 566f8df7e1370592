"""From a positive and moves to the painted photo: cut, jitter, scale, turn, and place.

Three ways to place: `replace` (CutSwap, CutPaste), `smooth` (SPD's SmoothBlend: the patch fades out
towards its edge) and `poisson` (NSA: the patch's gradients are kept, its colours bent to meet the
surroundings, Perez et al. 2003). OpenCV's `seamlessClone` is the reference in the tests; it erodes
the mask by three pixels, which leaves nothing of a scar, and changes a constant photo by one level.
"""

from __future__ import annotations

from functools import lru_cache
from math import erf, sqrt

import numpy as np
from PIL import Image

from cutswap.negatives.anchors import Size
from cutswap.negatives.color_jitter import apply_jitter
from cutswap.negatives.geometry import turned_places
from cutswap.negatives.record import POISSON, SMOOTH, Move

_SHRINK = 1.5  # of the fade's sigma: at the very edge 7% of the patch is left


def paint(positive: np.ndarray, moves: tuple[Move, ...]) -> np.ndarray:
    """Cut all patches, then place them in order: (H, W, 3) uint8 to a new (H, W, 3) uint8."""
    patches = [_prepare(positive, move) for move in moves]
    canvas = positive.copy()
    for move, (patch, alpha) in zip(moves, patches, strict=True):
        (y, x), (h, w) = move.target, alpha.shape
        place = canvas[y : y + h, x : x + w]
        if move.blend == POISSON:
            place[:] = _poisson_blend(
                _window(canvas, (y - 1, x - 1), (h + 2, w + 2)), patch, alpha > 0
            )
            continue
        if move.blend != SMOOTH:  # covered wholly or not at all
            np.copyto(place, patch, where=alpha[..., None] > 0)
            continue
        share = alpha[..., None].astype(np.uint32)  # whole numbers: the same on every machine
        place[:] = (share * patch + (255 - share) * place + 127) // 255
    return canvas


def _prepare(positive: np.ndarray, move: Move) -> tuple[np.ndarray, np.ndarray]:
    """The patch as it will be placed, and its alpha: (h, w) uint8, 0 where it does not cover.

    The patch is (h, w, 3) uint8, and of a Poisson move wider by one pixel on every side.
    """
    size = move.size or move.source[2:]
    fades = move.blend == SMOOTH
    alpha = _cover(size[0], size[1], move.angle, move.softness if fades else None)
    if move.blend == POISSON:
        return _with_frame(positive, move, (alpha.shape[0], alpha.shape[1])), alpha
    y, x, h, w = move.source
    patch = apply_jitter(np.ascontiguousarray(positive[y : y + h, x : x + w]), move.jitter)
    if size != (h, w):
        patch = _resized(patch, (size[0], size[1]))
    if move.angle != 0:
        places = turned_places(size[0], size[1], move.angle)
        patch = patch.reshape(-1, 3)[np.maximum(places, 1) - 1]
    return patch, alpha


@lru_cache(maxsize=16)
def _cover(height: int, width: int, angle: float, softness: float | None) -> np.ndarray:
    """(h, w) uint8, read only: how much a turned patch covers; both moves of a swap share it."""
    flat = (
        np.full((height, width), 255, np.uint8)
        if softness is None
        else _fade(height, width, softness)
    )
    if angle != 0:
        places = turned_places(height, width, angle)
        flat = np.where(places > 0, flat.reshape(-1)[np.maximum(places, 1) - 1], 0)
    flat.setflags(write=False)
    return flat


@lru_cache(maxsize=256)
def _fade(height: int, width: int, softness: float) -> np.ndarray:
    """(h, w) uint8: a box blurred by a gaussian and kept within the patch, 255 at its peak.

    SmoothBlend's mask is such a blurred box. Sigma is `softness` times the shorter side; the box is
    smaller than the patch by 1.5 sigma a side, so that the patch ends where it has faded.
    """
    sigma = softness * min(height, width)

    def profile(length: int) -> np.ndarray:
        if sigma == 0:
            return np.ones(length)
        edge, scale = _SHRINK * sigma, sigma * sqrt(2)
        at = [i + 0.5 for i in range(length)]
        return np.array(
            [erf((t - edge) / scale) - erf((t - length + edge) / scale) for t in at]
        ).clip(0)

    mask = np.outer(profile(height), profile(width))
    fade = np.rint(255 * mask / mask.max()).astype(np.uint8)
    fade.setflags(write=False)
    return fade


def _with_frame(positive: np.ndarray, move: Move, placed: Size) -> np.ndarray:
    """The patch with one more pixel of its surroundings a side; mirrored beyond the photo.

    Gradients at the patch's edge need the pixels beyond it; a turned strip needs its corners too.
    """
    y, x, h, w = move.source
    wanted = (placed[0] + 2, placed[1] + 2)
    if move.angle == 0:
        window = apply_jitter(_window(positive, (y - 1, x - 1), (h + 2, w + 2)), move.jitter)
        return window if wanted == window.shape[:2] else _resized(window, wanted)
    side = int(np.ceil(np.hypot(*wanted))) + 2  # turned, it still fills the box
    side += (side - h) % 2  # so that both have their middle on a pixel, or both between two
    corner = (y + h // 2 - side // 2, x + w // 2 - side // 2)
    window = apply_jitter(_window(positive, corner, (side, side)), move.jitter)
    turned = np.asarray(Image.fromarray(window).rotate(move.angle))
    top, left = (side - wanted[0]) // 2, (side - wanted[1]) // 2
    return turned[top : top + wanted[0], left : left + wanted[1]]


def _window(photo: np.ndarray, corner: tuple[int, int], size: Size) -> np.ndarray:
    """A box that may reach beyond the photo, which is mirrored there."""
    rows, columns = (
        _mirrored(np.arange(start, start + length), count)
        for start, length, count in zip(corner, size, photo.shape[:2], strict=True)
    )
    return np.ascontiguousarray(photo[np.ix_(rows, columns)])


def _mirrored(index: np.ndarray, count: int) -> np.ndarray:
    folded = index % (2 * count)
    return np.minimum(folded, 2 * count - 1 - folded)


def _resized(photo: np.ndarray, size: Size) -> np.ndarray:
    image = Image.fromarray(photo).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _poisson_blend(place: np.ndarray, patch: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Solve Poisson's equation in a box whose frame is kept.

    With f the result: div grad f = div v inside, where v is the patch's gradient between two
    pixels of which one is covered, and the place's own elsewhere. Only f - place is solved for,
    which is 0 on the frame: a sine transform does it exactly.

    Args:
        place: (h + 2, w + 2, 3) uint8, what is there now, with its frame.
        patch: (h + 2, w + 2, 3) uint8.
        covered: (h, w) bool, the patch's shape.

    Returns:
        (h, w, 3) uint8.
    """
    from scipy.fft import dstn, idstn

    height, width = covered.shape
    inside = np.pad(covered, 1)
    difference = patch.astype(np.float64) - place  # its gradient is v minus the place's gradient
    grad_y = (
        np.diff(difference, axis=0) * (inside[1:] | inside[:-1])[..., None]
    )  # (h + 1, w + 2, 3)
    grad_x = np.diff(difference, axis=1) * (inside[:, 1:] | inside[:, :-1])[..., None]
    divergence = np.diff(grad_y, axis=0)[:, 1:-1] + np.diff(grad_x, axis=1)[1:-1]  # (h, w, 3)
    rows, columns = (2 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) - 2 for n in (height, width))
    waves = dstn(divergence, type=1, axes=(0, 1)) / (rows[:, None] + columns)[..., None]
    blended = idstn(waves, type=1, axes=(0, 1)) + place[1:-1, 1:-1]
    return np.rint(blended).clip(0, 255).astype(np.uint8)

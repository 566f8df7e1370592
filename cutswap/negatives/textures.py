"""DRAEM's negatives (Zavrtanik et al. 2021): a foreign texture shows through a Perlin-shaped hole.

DRAEM takes its textures from an external data set (DTD). Here they are made: octaves of the same
noise between two random colours, as foreign to a part as DTD's are, with no download and nothing
but a few numbers to record. Another photo of the category would not be foreign, and would be needed
again to repaint. DRAEM covers what lies above 0.5 of the noise, anything from nothing to half the
image; here the highest pixels of the noise are covered, as many as the area setting says, so that
all methods change equally much.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from cutswap.config import NegativeSettings
from cutswap.negatives.anchors import Size, draw_corner
from cutswap.negatives.geometry import fitting_angle, rotated_size, scar_size

MAX_CELLS = 32  # DRAEM: 1, 2, 4, ... 32 cells an axis
OCTAVES = 4
_SHAPE, _TEXTURE = 0, 1  # streams of one noise seed

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Texture:
    """A texture and where it shows.

    Attributes:
        noise: seed of both noises.
        opacity: 1 hides what is below.
        grain: (rows, columns) of noise cells in the texture's coarsest octave.
        colours: (r, g, b) of its lowest and of its highest value.
        cells: (rows, columns) of noise cells in the shape; None for a strip.
        pixels: how many of the shape's highest pixels are covered; None for a strip.
        strip: (y, x, height, width), upper-left corner of the turned strip and its size before it
            was turned; None for a noise shape.
        angle: of the strip, degrees, counter-clockwise.
    """

    noise: int
    opacity: float
    grain: Size
    colours: tuple[Colour, Colour]
    cells: Size | None = None
    pixels: int | None = None
    strip: tuple[int, int, int, int] | None = None
    angle: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        values = asdict(self)
        values["colours"] = [list(c) for c in self.colours]
        for name in ("grain", "cells", "strip"):
            values[name] = None if values[name] is None else list(values[name])
        return values


def draw_texture(
    image_size: Size, settings: NegativeSettings, rng: np.random.Generator, *, scar: bool
) -> Texture:
    """Draw a texture of a Perlin shape, or in a turned strip of a scar's size.

    Args:
        image_size: (height, width).
        settings: area, opacity, and of scars width, height and angle.
        rng: source of every draw.
        scar: whether it is a strip.
    """
    noise = int(rng.integers(2**32))
    opacity = float(rng.uniform(*settings.opacity))
    grain, cells = (_draw_cells(image_size, rng) for _ in range(2))
    low, high = (tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(2))
    colours: Any = (low, high)
    if not scar:
        whole = image_size[0] * image_size[1]
        pixels = int(np.clip(round(rng.uniform(*settings.area) * whole), 1, whole))
        return Texture(noise, opacity, grain, colours, cells=cells, pixels=pixels)
    size = scar_size(image_size, settings, rng)
    angle = fitting_angle(size, float(rng.uniform(*settings.angle)), image_size)
    corner = draw_corner(image_size, rotated_size(size, angle), rng)
    return Texture(noise, opacity, grain, colours, strip=(*corner, *size), angle=angle)


def paint_texture(positive: np.ndarray, texture: Texture) -> np.ndarray:
    """(H, W, 3) uint8 to a new (H, W, 3) uint8; nothing outside the shape changes."""
    size = (positive.shape[0], positive.shape[1])
    inside = _shape(size, texture)
    value = _octaves(size, texture.grain, np.random.default_rng((texture.noise, _TEXTURE)))
    low, high = (np.array(colour, dtype=np.float64) for colour in texture.colours)
    foreign = np.rint(low + (high - low) * value[inside][:, None])  # (covered, 3)
    painted = positive.copy()
    mixed = (1 - texture.opacity) * positive[inside] + texture.opacity * foreign
    painted[inside] = np.rint(mixed).astype(np.uint8)
    return painted


def perlin_noise(size: Size, cells: Size, rng: np.random.Generator) -> np.ndarray:
    """Gradient noise (Perlin 1985, fade of 2002): (H, W) float64 around 0, within about +-0.8.

    Args:
        size: (H, W).
        cells: (rows, columns) of lattice cells; a cell is about as large as a blob.
        rng: of the lattice's gradients.
    """
    angle = rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    (down, by_y), (right, by_x) = (_weights(n, c) for n, c in zip(size, cells, strict=True))
    # The noise at a pixel is the faded mean of its four corners' gradients times the way there.
    return (down * by_y) @ np.sin(angle) @ right.T + down @ np.cos(angle) @ (right * by_x).T


def _weights(count: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, cells + 1) each: how much a lattice line counts at a pixel, and how far it is."""
    at = (np.arange(count) + 0.5)[:, None] * cells / count
    way = at - np.arange(cells + 1)
    near = 1 - np.abs(way).clip(0, 1)
    return near**3 * (near * (6 * near - 15) + 10), way


def _octaves(size: Size, cells: Size, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float64 in [0, 1]: each octave twice as fine and half as strong as the one before."""
    total = np.zeros(size)
    for octave in range(OCTAVES):
        finer: Any = tuple(min(c * 2**octave, s) for c, s in zip(cells, size, strict=True))
        total += perlin_noise(size, finer, rng) / 2**octave
    span = np.ptp(total)
    return (total - total.min()) / span if span > 0 else np.zeros(size)


def _shape(size: Size, texture: Texture) -> np.ndarray:
    """(H, W) bool: where the texture shows."""
    inside = np.zeros(size, dtype=bool)
    if texture.strip is not None:
        y, x, height, width = texture.strip
        strip = Image.new("L", (width, height), 255).rotate(texture.angle, expand=True)
        covered = np.asarray(strip) > 0
        inside[y : y + covered.shape[0], x : x + covered.shape[1]] = covered
        return inside
    if texture.cells is None or texture.pixels is None:
        raise ValueError("a texture without a strip needs cells and pixels")
    rng = np.random.default_rng((texture.noise, _SHAPE))
    noise = perlin_noise(size, texture.cells, rng).reshape(-1)
    lowest = np.partition(noise, -texture.pixels)[-texture.pixels]
    covered = noise > lowest
    # Exactly so many: of equal values the first ones.
    covered[np.flatnonzero(noise == lowest)[: texture.pixels - covered.sum()]] = True
    return covered.reshape(size)


def _draw_cells(image_size: Size, rng: np.random.Generator) -> Size:
    powers = rng.integers(0, int(np.log2(MAX_CELLS)) + 1, 2)
    rows, columns = (min(2 ** int(p), s) for p, s in zip(powers, image_size, strict=True))
    return rows, columns

"""From the name of a picture to its pixels and its mask."""

from __future__ import annotations

import importlib
import zlib
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cutswap.data.demo.categories import CATEGORIES
from cutswap.data.demo.optics import SIDE, Camera, Mask, as_field, shrink
from cutswap.data.demo.scene import Flaw, Scene
from cutswap.errors import CutSwapError

NOTICEABLE = 4  # levels of 255 by which a pixel must differ to belong to a defect
ATTEMPTS = 20  # to draw a defect that can be seen
VISIBLE = 40  # pixels a mask must have
SPECK = 6  # pixels; smaller islands of change are put back as they were


@dataclass(frozen=True)
class Picture:
    """A photo and the truth about it.

    Attributes:
        photo: (256, 256, 3) uint8, RGB.
        mask: (256, 256) uint8, 255 where the defect changed the photo, else 0.
    """

    photo: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def defects_of(category: str) -> tuple[str, ...]:
    """Names of a category's defect types.

    Raises:
        CutSwapError: there is no such category.
    """
    return _scene(category).DEFECTS


def render(
    category: str, *, seed: int, split: str, index: int, defect: str | None = None
) -> Picture:
    """Paint one picture; the same arguments give the same pixels, on one machine.

    A defective picture is painted twice, clean and flawed, with one camera and one noise. Outside
    the mask it is the clean photo, bit for bit. (Other processors and other versions of numpy or
    OpenCV may round some pixels differently.)

    Args:
        category: one of `CATEGORIES`.
        seed: of the whole data set, >= 0.
        split: any word, such as train or test; other words, other pictures.
        index: number of the picture, >= 0.
        defect: one of `defects_of(category)`, or None for a good one.

    Returns:
        The photo and its mask; the mask of a good picture is empty, of a defective one never.

    Raises:
        CutSwapError: no such category or defect, or a defect that stays invisible.
    """
    scene = _scene(category)
    if defect is not None and defect not in scene.DEFECTS:
        raise CutSwapError(
            f"{category}: {defect}",
            expected=f"a defect among {', '.join(scene.DEFECTS)}",
            found="an unknown one",
            fix="correct the name",
        )

    def randomness(role: str) -> Generator:
        words = "/".join((category, split, defect or "good", role))
        return np.random.default_rng([seed, index, zlib.crc32(words.encode())])

    camera = Camera.draw(randomness("camera"))
    arrangement = scene.arrange(randomness("scene"))
    clean = camera.expose(camera.develop(scene.paint(arrangement, None).radiance))
    if defect is None:
        return Picture(clean, np.zeros((SIDE, SIDE), np.uint8))
    chance = randomness("flaw")
    # By bad luck a flaw may be too faint to see, or fall outside the frame: draw another.
    for _ in range(ATTEMPTS):
        painting = scene.paint(arrangement, Flaw(defect, chance))
        flawed = camera.expose(camera.develop(painting.radiance))
        mask = _mask(clean, flawed, painting.support)
        if np.count_nonzero(mask) >= VISIBLE:
            return Picture(np.where(mask[..., None] > 0, flawed, clean), mask)
    raise CutSwapError(
        f"{category}: {defect}",
        expected=f"a defect that changes {VISIBLE} pixels or more",
        found=f"a fainter one in {ATTEMPTS} attempts",
        fix="report it, with the seed and the index; meanwhile use another seed",
    )


def _scene(category: str) -> Scene:
    if category not in CATEGORIES:
        raise CutSwapError(
            category,
            expected=f"a category among {', '.join(CATEGORIES)}",
            found="an unknown one",
            fix="correct the name",
        )
    return cast(Scene, importlib.import_module(f"cutswap.data.demo.{category}"))


def _mask(
    clean: NDArray[np.uint8], flawed: NDArray[np.uint8], support: Mask | None
) -> NDArray[np.uint8]:
    """Where the two photos visibly differ, as islands without pinholes or lone specks."""
    if support is None:
        return np.zeros((SIDE, SIDE), np.uint8)
    reach = (shrink(as_field(support)) > 0).astype(np.uint8)
    change = np.abs(flawed.astype(np.int16) - clean).max(axis=2)
    changed = (change >= NOTICEABLE).astype(np.uint8) & reach
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    islands = cv2.bitwise_and(cv2.morphologyEx(changed, cv2.MORPH_CLOSE, disc), reach)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(islands, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= SPECK
    large[0] = False  # the background
    return (large[labels] * 255).astype(np.uint8)

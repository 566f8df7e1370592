"""Four procedurally rendered categories of photographed industrial things.

`render` is the only way in: it names a picture by (category, seed, split, index, defect) and
always gives the same pixels for the same name.
"""

from __future__ import annotations

import importlib
import zlib
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from cutswap.demo_scenes.optics import SIDE, Camera, Mask
from cutswap.demo_scenes.scene import Flaw, Scene

CATEGORIES = ("chip", "denim", "hex_nut", "leather")


NOTICEABLE = 4  # levels of 255 by which a pixel must differ to belong to a defect
SPECK = 6  # pixels; smaller islands of change are put back as they were


@dataclass(frozen=True)
class Picture:
    photo: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def scene_of(category: str) -> Scene:
    return cast(Scene, importlib.import_module(f"cutswap.demo_scenes.{category}"))


def render(
    category: str, *, seed: int, split: str, index: int, defect: str | None = None
) -> Picture:
    scene = scene_of(category)

    def randomness(role: str) -> np.random.Generator:
        words = "/".join((category, split, defect or "good", role))
        return np.random.default_rng([seed, index, zlib.crc32(words.encode())])

    camera = Camera.draw(randomness("camera"))
    arrangement = scene.arrange(randomness("scene"))
    clean = camera.develop(scene.paint(arrangement, None).radiance)
    photo = camera.expose(clean)
    if defect is None:
        return Picture(photo, np.zeros((SIDE, SIDE), np.uint8))
    painting = scene.paint(arrangement, Flaw(defect, randomness("flaw")))
    flawed = camera.expose(camera.develop(painting.radiance))
    support = cv2.resize(painting.support, (SIDE, SIDE), interpolation=cv2.INTER_AREA) > 0
    mask = _mask(photo, flawed, support)
    return Picture(np.where(mask[..., None] > 0, flawed, photo), mask)


def _mask(clean: NDArray[np.uint8], flawed: NDArray[np.uint8], support: Mask) -> NDArray[np.uint8]:
    """Where the two photos visibly differ, as islands without pinholes or lone specks."""
    change = np.abs(flawed.astype(np.int16) - clean).max(axis=2)
    islands = ((change >= NOTICEABLE) & support).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    islands = cv2.morphologyEx(islands, cv2.MORPH_CLOSE, disc) & support.astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(islands, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background
    kept = (areas >= SPECK) | (areas == max(areas.max(), 1))
    return (kept[labels] * 255).astype(np.uint8)

"""The hue by tables is Pillow's, for every colour."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cutswap.negatives.hue import turned_hue

LEVELS = np.arange(256, dtype=np.uint8)


def by_pillow(photo: np.ndarray, shift: int) -> np.ndarray:
    hue, saturation, value = Image.fromarray(photo).convert("HSV").split()
    hue = hue.point([(level + shift) % 256 for level in range(256)])
    return np.asarray(Image.merge("HSV", (hue, saturation, value)).convert("RGB"))


def by_tables(photo: np.ndarray, shift: int) -> np.ndarray:
    return np.stack(turned_hue([np.ascontiguousarray(photo[..., c]) for c in range(3)], shift), -1)


@pytest.mark.parametrize("first", range(4))
def test_every_colour_turns_as_in_pillow(first: int):
    """A quarter of all reds at a time, with all greens and blues: 2^24 colours in all."""
    photo = np.empty((256, 256, 3), np.uint8)
    photo[..., 1], photo[..., 2] = LEVELS[:, None], LEVELS
    for red in range(first, 256, 4):
        photo[..., 0] = red
        shift = red * 37 % 256
        np.testing.assert_array_equal(by_tables(photo, shift), by_pillow(photo, shift))


def test_every_turn_of_every_saturation_is_pillows():
    """All 256 shifts of colours of all saturations and values: every way back from HSV."""
    photo = np.zeros((256, 256, 3), np.uint8)
    photo[..., 0] = LEVELS
    photo[..., 1] = photo[..., 2] = np.minimum(LEVELS[:, None], LEVELS)
    for shift in range(256):
        np.testing.assert_array_equal(by_tables(photo, shift), by_pillow(photo, shift))

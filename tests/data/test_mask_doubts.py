"""Masks that mark almost everything, or are no picture of two values, are doubted by name."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from cutswap.data.datasets import open_dataset
from cutswap.data.images import read_mask_levels
from cutswap.data.mask_doubts import doubt_of, split_level
from cutswap.data.problems import find_problems
from tests.helpers.datasets import build_category, noise_photo, write_image

SIDE = 64
RNG = np.random.default_rng(0)
SPOT = np.zeros((SIDE, SIDE), bool)
SPOT[20:32, 24:40] = True  # 4.7% of the photo


def soft(spot: np.ndarray) -> np.ndarray:
    """A mask whose edges were smoothed by a resize."""
    large = Image.fromarray(spot.astype(np.uint8) * 255)
    small = large.resize((SIDE // 2, SIDE // 2), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def photo_of(level: int, spread: int) -> np.ndarray:
    return np.clip(RNG.normal(level, spread, (SIDE, SIDE)), 0, 255).astype(np.uint8)


SOUND = {
    "two values": SPOT.astype(np.uint8) * 255,
    "a bool": SPOT,
    "classes, as VisA's": np.where(SPOT, np.arange(SIDE)[:, None] // 24 + 1, 0).astype(np.uint8),
    "one value of LOCO": SPOT.astype(np.uint8) * 238,
    "colours": np.stack([SPOT * 200, SPOT * 0, SPOT * 0], axis=2).astype(np.uint8),
    "16 bits": SPOT.astype(np.uint16) * 65535,
    "soft edges": soft(np.kron(SPOT[:32, :32], np.ones((2, 2), bool))),
    "half of the photo": np.kron(np.uint8([[0], [255]]), np.ones((SIDE // 2, SIDE), np.uint8)),
}
NOISY = np.where(SPOT, 252 + RNG.integers(0, 4, SPOT.shape), RNG.integers(0, 4, SPOT.shape))
DOUBTED = {  # mask -> words, the threshold is in the group, and the share it marks
    "black of 0 to 3": (NOISY.astype(np.uint8), r"a threshold of (\d+) would mark 4.69%: save"),
    "black of 1": (np.where(SPOT, 255, 1).astype(np.uint8), r"threshold of (\d+) would mark 4.69%"),
    "black of 16 to 30, in colours": (
        np.repeat(np.where(SPOT, 235, RNG.integers(16, 30, SPOT.shape))[..., None], 3, axis=2)
        .astype(np.uint8),
        r"a threshold of (\d+) would mark 4.69%",
    ),
    "few faint pixels": (
        np.where(SPOT, 255, (RNG.random(SPOT.shape) < 0.1) * 2).astype(np.uint8),
        r"marks 14% of the photo.*a threshold of (\d+) would mark 4.69%",
    ),
    "inverted": (~SPOT, r"marks 95% .*swapped, invert it \(then 4.69% is marked"),
    "inverted, 0 and 200": (np.where(SPOT, 0, 200).astype(np.uint8), r"invert it \(then 4.69%"),
    "inverted, grey": (
        np.where(SPOT, 2, 250 + RNG.integers(0, 5, SPOT.shape)).astype(np.uint8),
        r"invert it \(then 4.69%",
    ),
    "the photo": (noise_photo(1, (SIDE, SIDE)), r"holds \d+ values, as a photo does"),
    "a grey photo": (photo_of(120, 30), r"holds \d+ values, as a photo does"),
    "a dark photo": (photo_of(60, 25), r"holds \d+ values, as a photo does"),
    "all white": (np.full((SIDE, SIDE), 255, np.uint8), r"100% .*every pixel has the value 255"),
    "a heat map": (
        np.outer(np.exp(-((np.arange(SIDE) - 30) ** 2) / 60), np.full(SIDE, 255)).astype(np.uint8),
        r"threshold of (\d+)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SOUND)
def test_sound_masks_are_not_doubted(case, tmp_path):
    path = write_image(tmp_path / "mask.png", SOUND[case])
    assert doubt_of(*read_mask_levels(path)) is None


@pytest.mark.parametrize("case", DOUBTED)
def test_masks_that_mark_too_much_are_doubted(case, tmp_path):
    mask, words = DOUBTED[case]
    found = doubt_of(*read_mask_levels(write_image(tmp_path / "mask.png", mask)))
    assert found is not None
    match = re.search(words, found)
    assert match, found
    if match.groups() and case != "a heat map":  # it is the threshold that gives the spot back
        levels = mask.max(axis=2) if mask.ndim == 3 else mask
        np.testing.assert_array_equal(levels > int(match.group(1)), SPOT)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
def test_check_data_doubts_by_name(suffix, tmp_path):
    root = build_category(tmp_path / "bolt", test={"good": 1, "crack": 1})
    write_image(root / "test/crack/000.png", noise_photo(1, (SIDE, SIDE)))
    (root / "ground_truth/crack/000_mask.png").unlink()
    name = root / f"ground_truth/crack/000_mask{suffix}"
    levels = Image.fromarray(NOISY.astype(np.uint8))
    levels.save(name, **({"lossless": True} if suffix == ".webp" else {}))
    (problem,) = [p for p in find_problems(open_dataset(root).category()) if p.path == name]
    assert (problem.kind, problem.fatal) == ("mask-doubt", False)
    assert "would mark 4.69%" in problem.message


@pytest.mark.parametrize(
    ("values", "threshold"),
    [([0, 255], 127), ([0, 3, 252, 255], 127), ([1, 255], 128), ([16, 235], 125), ([7], 0)],
)
def test_the_threshold_lies_in_the_middle_of_the_gap(values, threshold):
    counts = np.bincount(values, minlength=256).astype(np.int64) * 50
    assert abs(split_level(counts) - threshold) <= 1 or len(values) == 1

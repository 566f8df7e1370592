"""Pairs of patches: inside the image, anchored in the region, apart where asked, for any shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.errors import CutSwapError
from cutswap.negatives.anchors import SHRINK, AnchorPair, DrawLog, draw_corner, draw_pair
from tests.helpers.small_photos import disc


def draw(
    region: np.ndarray,
    size: tuple[int, int],
    seed: int = 0,
    *,
    max_tries: int = 50,
    avoid: bool = True,
) -> tuple[AnchorPair, DrawLog]:
    tally = DrawLog()
    rng = np.random.default_rng(seed)
    pair = draw_pair(region, size, rng, tally, max_tries=max_tries, avoid_overlap=avoid)
    return pair, tally


def only(size: tuple[int, int], *pixels: tuple[int, int]) -> np.ndarray:
    region = np.zeros(size, dtype=bool)
    for pixel in pixels:
        region[pixel] = True
    return region


def overlap(pair: AnchorPair) -> bool:
    (y1, x1), (y2, x2), (h, w) = pair.first, pair.second, pair.size
    return abs(y1 - y2) < h and abs(x1 - x2) < w


def check(region: np.ndarray, wanted: tuple[int, int], pair: AnchorPair, *, avoid: bool) -> None:
    height, width = region.shape
    h, w = pair.size
    assert 1 <= h <= wanted[0]
    assert 1 <= w <= wanted[1]
    assert pair.first != pair.second
    for y, x in (pair.first, pair.second):
        assert 0 <= y <= height - h
        assert 0 <= x <= width - w
        # a pixel of the region, or where one had to go to fit
        moved = np.minimum(np.argwhere(region), [height - h, width - w])
        assert (moved == (y, x)).all(axis=1).any()
    assert not (avoid and overlap(pair))
    assert all(type(v) is int for v in (*pair.first, *pair.second))  # JSON takes no numpy


@st.composite
def regions(draw: st.DrawFn) -> np.ndarray:
    """Discs of every compactness, single rows and columns, two pixels, corners, noise, all."""
    size = (draw(st.integers(1, 40)), draw(st.integers(2, 40)))
    kind = draw(st.sampled_from(["disc", "row", "column", "two", "corners", "noise", "all"]))
    y, x = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
    region = np.zeros(size, dtype=bool)
    if kind == "disc":
        region = disc(size, (y, x), draw(st.integers(1, 40)))
    if kind == "row":
        region[y] = True
    if kind == "column":
        region[:, x] = True
    if kind == "two":
        region[y, x] = region[
            draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
        ] = True
    if kind == "corners":
        region[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    if kind == "noise":
        region = np.random.default_rng(y * 41 + x).random(size) < 0.1
    if kind == "all" or region.sum() < 2:
        region[:] = True
    return region


@given(region=regions(), data=st.data())
def test_pairs_fit_any_region_and_size(region: np.ndarray, data: st.DataObject):
    wanted = tuple(data.draw(st.integers(1, side)) for side in region.shape)
    avoid = data.draw(st.booleans())
    tries = data.draw(st.sampled_from([1, 2, 50]))
    seed = data.draw(st.integers(0, 99))
    pair, tally = draw(region, wanted, seed, max_tries=tries, avoid=avoid)
    check(region, wanted, pair, avoid=avoid)
    # what was given up is said, and only what was
    text = " ".join(tally.fallbacks)
    assert ("shrunk" in text) == (pair.size != wanted)
    inside = all(region[anchor] for anchor in (pair.first, pair.second))
    assert inside or "moved inward" in text
    assert "overlap" not in tally.rejected or avoid
    # the same seed draws the same pair
    assert draw(region, wanted, seed, max_tries=tries, avoid=avoid)[0] == pair


@pytest.mark.parametrize("radius", [2, 5, 10, 20, 40])
@pytest.mark.parametrize("side", [20, 77, 180])
def test_compact_discs_at_full_size(radius: int, side: int):
    """The case that redrawing alone never solves: 256 pixels, CutPaste's patch sizes."""
    region = disc((256, 256), (128, 128), radius)
    for seed in range(5):
        pair, _ = draw(region, (side, side), seed)
        check(region, (side, side), pair, avoid=True)
        # no smaller than need be: two patches one shrinking larger are rarely apart in a disc
        assert pair.size[0] >= min(side, radius) * SHRINK**2 - 1


@pytest.mark.parametrize(
    ("region", "size", "first_or_second", "final", "said"),
    [
        # plenty of room: nothing to say
        (np.ones((40, 40), bool), (4, 4), None, (4, 4), []),
        # two pixels far enough apart: they are the pair
        (only((9, 12), (0, 0), (0, 5)), (3, 5), {(0, 0), (0, 5)}, (3, 5), []),
        # exactly touching is apart, one closer is not: 5 wide becomes 4
        (
            only((9, 9), (0, 0), (0, 4)),
            (3, 5),
            {(0, 0), (0, 4)},
            (2, 4),
            ["shrunk from 3x5 to 2x4"],
        ),
        # neighbours: one pixel each
        (only((9, 9), (4, 4), (4, 5)), (4, 4), {(4, 4), (4, 5)}, (1, 1), ["shrunk"]),
        # at the border: moved inward, still apart
        (only((9, 9), (0, 8), (8, 8)), (3, 3), {(0, 6), (6, 6)}, (3, 3), ["moved inward"]),
        # both move to the same corner until the patch is small enough
        (only((9, 9), (8, 7), (8, 8)), (4, 4), {(8, 7), (8, 8)}, (1, 1), ["shrunk"]),
        # as large as the image: there is one place only, so it shrinks until there are two apart
        (np.ones((4, 4), bool), (4, 4), None, None, ["shrunk"]),
        # one row
        (np.ones((1, 30), bool), (1, 10), None, (1, 10), []),
    ],
)
def test_pairs_by_hand(region, size, first_or_second, final, said):
    pair, tally = draw(region, size)
    check(region, size, pair, avoid=True)
    assert first_or_second is None or {pair.first, pair.second} == first_or_second
    assert final is None or pair.size == final
    assert len(said) <= len(tally.fallbacks)
    for words in said:
        assert any(words in line for line in tally.fallbacks)
    assert bool(said) == bool(tally.fallbacks)


def test_overlap_is_kept_where_it_is_allowed():
    region = disc((64, 64), (32, 32), 5)
    drawn = [draw(region, (20, 20), seed, avoid=False) for seed in range(20)]
    assert all(pair.size == (20, 20) for pair, _ in drawn)
    assert any(overlap(pair) for pair, _ in drawn)
    assert not any(tally.fallbacks or tally.rejected["overlap"] for _, tally in drawn)


def test_what_is_rejected_is_counted_by_reason():
    """Of two pixels half of the draws are twice the same one; of neighbours the rest overlaps."""
    _, tally = draw(only((9, 9), (4, 4), (4, 5)), (2, 2), max_tries=64)
    assert tally.rejected["same anchor"] + tally.rejected["overlap"] >= 64
    assert 16 <= tally.rejected["same anchor"] <= 64
    assert 16 <= tally.rejected["overlap"] <= 48


@pytest.mark.parametrize("pixels", [(), ((3, 3),)])
def test_no_pair_without_two_pixels(pixels):
    with pytest.raises(CutSwapError, match="at least two pixels"):
        draw(only((9, 9), *pixels), (2, 2))


def test_anchors_are_uniform_over_the_region():
    region = only((30, 30), (0, 0), (0, 20), (20, 0), (20, 20))
    counts: dict[tuple[int, int], int] = {}
    for seed in range(600):
        pair, _ = draw(region, (3, 3), seed)
        for anchor in (pair.first, pair.second):
            counts[anchor] = counts.get(anchor, 0) + 1
    assert len(counts) == 4
    assert all(230 <= n <= 370 for n in counts.values())  # 300 expected, sd 15


@given(
    image=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    data=st.data(),
)
def test_a_corner_keeps_the_patch_inside(image: tuple[int, int], data: st.DataObject):
    size = tuple(data.draw(st.integers(1, side)) for side in image)
    y, x = draw_corner(image, size, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert 0 <= y <= image[0] - size[0]
    assert 0 <= x <= image[1] - size[1]


def test_corners_reach_every_place():
    rng = np.random.default_rng(0)
    drawn = {draw_corner((5, 4), (3, 3), rng) for _ in range(200)}
    assert drawn == {(y, x) for y in range(3) for x in range(2)}

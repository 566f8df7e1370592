"""Strokes on a photo: laws of the rendering."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutswap.errors import CutSwapError
from cutswap.strokes.rendering import paint_strokes, painted_mask
from cutswap.strokes.stroke import (
    BRUSH,
    ERASER,
    KINDS,
    LARGEST_SIZE,
    MOST_IN_ALL,
    MOST_POINTS,
    MOST_STROKES,
    PATCH,
    SCRATCH,
    STAIN,
    Stroke,
    need_room,
)

SIZE = (60, 48)
PHOTO = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
points = st.tuples(st.integers(0, 80), st.integers(0, 80))  # some outside the photo


@st.composite
def any_stroke(draw: st.DrawFn, kinds: tuple[str, ...] = KINDS) -> Stroke:
    kind = draw(st.sampled_from(kinds))
    least, most = (2, 2) if kind == PATCH else (1, 6)
    return Stroke(
        kind=kind,
        points=tuple(draw(st.lists(points, min_size=least, max_size=most))),
        size=draw(st.integers(1, LARGEST_SIZE)),
        colour=draw(st.tuples(*[st.integers(0, 255)] * 3)),
        strength=draw(st.integers(1, 100)),
        seed=draw(st.integers(0, 65_535)),
    )


def test_without_strokes_the_photo_is_the_same_in_memory_of_its_own():
    painted = paint_strokes(PHOTO, ())
    assert np.array_equal(painted, PHOTO)
    assert not np.shares_memory(painted, PHOTO)
    assert not painted_mask(PHOTO, painted).any()


@settings(max_examples=60, deadline=None)
@given(st.lists(any_stroke(), max_size=4))
def test_equal_records_paint_equal_pixels_and_the_photo_stays(strokes):
    before = PHOTO.copy()
    painted = paint_strokes(PHOTO, strokes)
    again = paint_strokes(PHOTO, [Stroke.from_dict(stroke.to_dict()) for stroke in strokes])
    assert np.array_equal(painted, again)
    assert np.array_equal(PHOTO, before)
    assert painted.shape == PHOTO.shape
    assert painted.dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(st.lists(any_stroke((BRUSH, SCRATCH, STAIN, PATCH)), min_size=1, max_size=4))
def test_a_painting_goes_on_where_it_was(strokes):
    """Without an eraser: the last stroke on the photo that the others have painted."""
    first = paint_strokes(PHOTO, strokes[:-1])
    assert np.array_equal(paint_strokes(first, strokes[-1:]), paint_strokes(PHOTO, strokes))


@settings(max_examples=60, deadline=None)
@given(any_stroke((BRUSH, SCRATCH, STAIN, ERASER)))
def test_nothing_farther_from_the_line_than_its_size_changes(stroke):
    changed = painted_mask(PHOTO, paint_strokes(PHOTO, [stroke]))
    (top, left), (low, right) = (np.array(stroke.points).min(0), np.array(stroke.points).max(0))
    rows, columns = np.nonzero(changed)
    reach = stroke.size / 2 + 2
    assert (rows >= top - reach).all()
    assert (rows <= low + reach).all()
    assert (columns >= left - reach).all()
    assert (columns <= right + reach).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(any_stroke(), min_size=1, max_size=4))
def test_the_eraser_gives_back_the_photo_bit_for_bit(strokes):
    everything = [Stroke(ERASER, ((y, 0), (y, 59)), 128) for y in (0, 30, 59)]
    assert np.array_equal(paint_strokes(PHOTO, [*strokes, *everything]), PHOTO)


def test_the_eraser_gives_back_what_it_covers_and_no_more():
    whole = [Stroke(BRUSH, ((y, 0), (y, 47)), 128) for y in (0, 59)]
    black = paint_strokes(PHOTO, whole)
    assert not black.any()
    painted = paint_strokes(PHOTO, [*whole, Stroke(ERASER, ((20, 20),), 11)])
    rows, columns = np.indices(SIZE)
    near = np.hypot(rows - 20, columns - 20) <= 5.5
    assert np.array_equal(painted[near], PHOTO[near])
    assert not painted[~near].any()


def test_a_brush_at_full_strength_hides_what_is_below():
    painted = paint_strokes(PHOTO, [Stroke(BRUSH, ((30, 10), (30, 40)), 5, (9, 200, 30))])
    rows, columns = np.indices(SIZE)
    middle = (abs(rows - 30) <= 2) & (columns >= 10) & (columns <= 40)
    assert (painted[middle] == (9, 200, 30)).all()
    far = (abs(rows - 30) > 3) | (columns < 7) | (columns > 43)
    assert np.array_equal(painted[far], PHOTO[far])


@pytest.mark.parametrize("kind", [BRUSH, SCRATCH, STAIN])
def test_one_point_is_a_dot(kind):
    grey = np.full((*SIZE, 3), 128, np.uint8)
    for size in (1, 8):
        changed = painted_mask(grey, paint_strokes(grey, [Stroke(kind, ((30, 20),), size)]))
        assert changed[30, 20]


@pytest.mark.parametrize(
    ("size", "strength"), list(product((1, 4, 7), (100, 50))), ids=lambda value: str(value)
)
def test_a_patch_is_moved_as_it_is(size, strength):
    painted = paint_strokes(PHOTO, [Stroke(PATCH, ((20, 15), (40, 30)), size, strength=strength)])
    changed = painted_mask(PHOTO, painted)
    half = size // 2
    target = (slice(40 - half, 40 - half + size), slice(30 - half, 30 - half + size))
    source = (slice(20 - half, 20 - half + size), slice(15 - half, 15 - half + size))
    mixed = (PHOTO[source].astype(float) + PHOTO[target]) / 2
    expected = PHOTO[source] if strength == 100 else np.rint(mixed)
    assert np.array_equal(painted[target], expected)
    changed[target] = False
    assert not changed.any()


def test_a_patch_at_the_border_moves_what_both_places_have():
    painted = paint_strokes(PHOTO, [Stroke(PATCH, ((1, 1), (59, 47)), 8)])
    # Of the source's rows and columns -3 to 4 only 0 to 4 are there, and they come to 58 and 59.
    assert np.array_equal(painted[58:60, 46:48], PHOTO[0:2, 0:2])
    assert painted_mask(PHOTO, painted).sum() <= 4


@pytest.mark.parametrize("kind", [SCRATCH, STAIN])
def test_another_seed_is_another_scratch_or_stain(kind):
    line = ((10, 10), (40, 30))
    one, two = (paint_strokes(PHOTO, [Stroke(kind, line, 12, seed=seed)]) for seed in (1, 2))
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_outside_the_photo_paints_nothing(kind):
    outside = ((300, 300), (310, 320))
    assert np.array_equal(paint_strokes(PHOTO, [Stroke(kind, outside, 20)]), PHOTO)


GOOD = Stroke(BRUSH, ((1, 2),), 3).to_dict()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "knife"),
        ("kind", None),
        ("points", []),
        ("points", [[1]]),
        ("points", [[1, 2.5]]),
        ("points", [[-1, 2]]),
        ("points", [[1, 2048]]),
        ("points", [[True, 2]]),
        ("points", [[0, 0]] * (MOST_POINTS + 1)),
        ("points", 7),
        ("size", 0),
        ("size", LARGEST_SIZE + 1),
        ("size", "3"),
        ("colour", [1, 2]),
        ("colour", [1, 2, 256]),
        ("strength", 0),
        ("strength", 101),
        ("seed", -1),
        ("seed", 65_536),
    ],
)
def test_a_record_that_is_none_is_refused(name, value):
    with pytest.raises(CutSwapError, match="stroke"):
        Stroke.from_dict({**GOOD, name: value})


def test_a_patch_has_two_points():
    for count in (1, 3):
        with pytest.raises(CutSwapError, match="two"):
            Stroke(PATCH, ((1, 1),) * count, 4)


def test_a_painting_has_an_end():
    need_room([Stroke(BRUSH, ((1, 1),), 4)] * MOST_STROKES)
    with pytest.raises(CutSwapError, match=f"at most {MOST_STROKES} strokes"):
        need_room([Stroke(BRUSH, ((1, 1),), 4)] * (MOST_STROKES + 1))
    long = [Stroke(BRUSH, ((1, 1),) * MOST_POINTS, 4)] * (MOST_IN_ALL // MOST_POINTS)
    need_room(long)
    with pytest.raises(CutSwapError, match=f"at most {MOST_IN_ALL} points"):
        need_room([*long, Stroke(BRUSH, ((1, 1),), 4)])


def test_on_a_photo_twice_as_large_a_stroke_covers_the_same_part():
    stroke = Stroke(BRUSH, ((10, 10), (30, 20)), 8)
    large = np.kron(PHOTO, np.ones((2, 2, 1), np.uint8))
    small = painted_mask(PHOTO, paint_strokes(PHOTO, [stroke]))
    twice = painted_mask(large, paint_strokes(large, [stroke.scaled(2)]))
    assert stroke.scaled(1) == stroke
    assert abs(twice.mean() - small.mean()) < 0.2 * small.mean()

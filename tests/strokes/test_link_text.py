"""Strokes as a text for a link: there and back, bounded, and refused where it was changed."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutswap.errors import CutSwapError
from cutswap.strokes import link_text
from cutswap.strokes.link_text import LONGEST, from_link, to_link
from cutswap.strokes.stroke import (
    BRUSH,
    KINDS,
    LARGEST_SEED,
    LARGEST_SIDE,
    LARGEST_SIZE,
    MOST_IN_ALL,
    MOST_POINTS,
    MOST_STROKES,
    PATCH,
    STAIN,
    Stroke,
)

LAST = LARGEST_SIDE - 1
PHOTO = "demo/hex_nut test/crack/003"
places = st.tuples(st.integers(0, LAST), st.integers(0, LAST))


@st.composite
def any_stroke(draw: st.DrawFn) -> Stroke:
    kind = draw(st.sampled_from(KINDS))
    least, most = (2, 2) if kind == PATCH else (1, MOST_POINTS)
    return Stroke(
        kind=kind,
        points=tuple(draw(st.lists(places, min_size=least, max_size=most))),
        size=draw(st.integers(1, LARGEST_SIZE)),
        colour=draw(st.tuples(*[st.integers(0, 255)] * 3)),
        strength=draw(st.integers(1, 100)),
        seed=draw(st.integers(0, LARGEST_SEED)),
    )


@settings(max_examples=80, deadline=None)
@given(st.lists(any_stroke(), min_size=1, max_size=6), st.integers(1, LARGEST_SIDE))
def test_there_and_back(strokes, side):
    text = to_link(strokes, side, PHOTO)
    assert from_link(text, PHOTO) == (tuple(strokes), side)
    assert len(text) <= LONGEST
    assert text.replace("-", "").replace("_", "").isalnum()
    assert text.isascii()


def test_the_largest_painting_is_short_enough():
    far = ((0, 0), (LAST, LAST)) * (MOST_POINTS // 2)
    full = [Stroke(BRUSH, far, LARGEST_SIZE)] * 9
    left = MOST_IN_ALL - 9 * MOST_POINTS
    rest = MOST_STROKES - 9
    full += [Stroke(BRUSH, far[: left - rest + 1], 1)] + [Stroke(STAIN, ((LAST, 0),), 1)] * (
        rest - 1
    )
    assert sum(len(stroke.points) for stroke in full) == MOST_IN_ALL
    text = to_link(full, LARGEST_SIDE, PHOTO)
    assert LONGEST - 100 < len(text) <= LONGEST
    with pytest.raises(CutSwapError, match="at most"):
        to_link([*full, full[-1]], LARGEST_SIDE, PHOTO)


def test_no_stroke_is_no_text():
    assert to_link((), 256, PHOTO) == ""
    assert from_link("", PHOTO) == ((), 0)


TEXT = to_link([Stroke(BRUSH, ((5, 6), (90, 7)), 4), Stroke(STAIN, ((1, 2),), 9)], 256, PHOTO)


@pytest.mark.parametrize("at", range(len(TEXT)))
def test_a_text_with_a_wrong_letter_is_refused(at):
    wrong = "B" if TEXT[at] == "A" else "A"
    changed = TEXT[:at] + wrong + TEXT[at + 1 :]
    with pytest.raises(CutSwapError, match="painting in the link"):
        from_link(changed, PHOTO)


@pytest.mark.parametrize("length", range(1, len(TEXT)))
def test_a_text_that_was_cut_is_refused(length):
    with pytest.raises(CutSwapError, match="painting in the link"):
        from_link(TEXT[:length], PHOTO)


@pytest.mark.parametrize("text", ["!", "A", "ä" * 8, "A" * 99, "%00", "A" * (LONGEST + 1), " "])
def test_nonsense_is_refused(text):
    with pytest.raises(CutSwapError, match="painting in the link"):
        from_link(text, PHOTO)


def test_a_painting_of_another_photo_is_refused():
    with pytest.raises(CutSwapError, match="another photo"):
        from_link(TEXT, "demo/hex_nut test/crack/004")


def test_a_text_of_too_many_strokes_is_refused(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(link_text, "need_room", lambda _: None)
        text = to_link([Stroke(BRUSH, ((5, 6),), 4)] * (MOST_STROKES + 1), 256, PHOTO)
    with pytest.raises(CutSwapError, match="at most 40 strokes"):
        from_link(text, PHOTO)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_no_bytes_with_a_right_checksum_raise_anything_else(body):
    whole = b"\x01\x01\x00" + binascii.crc_hqx(PHOTO.encode(), 0).to_bytes(2) + body
    whole += binascii.crc_hqx(whole, 0).to_bytes(2)
    text = base64.urlsafe_b64encode(whole).rstrip(b"=").decode()
    try:
        strokes, side = from_link(text, PHOTO)
    except CutSwapError:
        return
    assert side == 256
    assert from_link(to_link(strokes, 256, PHOTO), PHOTO)[0] == strokes

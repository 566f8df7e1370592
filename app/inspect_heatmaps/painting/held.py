"""The strokes on each photo of this session, and in the link of the one on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.browser import link
from app.browser.history import is_back_or_forward
from app.shared import knobs
from cutswap.errors import CutSwapError
from cutswap.strokes.link_text import from_link, to_link
from cutswap.strokes.stroke import Stroke, need_room

STROKES = "strokes"  # in links
MOST_ACTS = 100  # of one message; the browser sends the others again
_HELD = "painting.held"  # session: photo -> (strokes, side that their points are pixels of)
_READ = "painting.read"  # session: whether the link that the tab began with has been read
_DONE = "painting.done"  # session: number of the last act of the browser that has been done
_SAID = "painting.said"  # session: photo -> why something was refused, until the next act

Held = tuple[tuple[Stroke, ...], int]


def strokes_on(photo: str, side: int) -> tuple[Stroke, ...]:
    """Strokes on a photo: of this session, or of the link that it began with.

    Args:
        photo: name of the photo with its category's key.
        side: of the square that it is shown as; strokes of another one are scaled.
    """
    if is_back_or_forward() or not st.session_state.get(_READ):
        _read_link(photo)
    strokes, own = _all().get(photo, ((), side))
    if strokes and own != side:
        return tuple(stroke.scaled(side / own) for stroke in strokes)
    return strokes


def publish(photo: str, strokes: Sequence[Stroke], side: int) -> None:
    """Write strokes into the link.

    Args:
        photo: see `strokes_on`.
        strokes: what is on it.
        side: see `strokes_on`.
    """
    knobs.publish(STROKES, to_link(strokes, side, photo), "")


def leave() -> None:
    """Take strokes out of the link: nobody paints. They stay in the session."""
    st.session_state[_READ] = True
    link.write(STROKES, None)


def done() -> float:
    """Number of the last act that has been done."""
    number: float = st.session_state.get(_DONE, 0)
    return number


def refused(photo: str) -> str:
    """Why the last act, or the link, has painted nothing; empty where it has."""
    said: str = st.session_state.get(_SAID, {}).get(photo, "")
    return said


def act(photo: str, side: int, acts: Sequence[Mapping[str, Any]]) -> None:
    """A callback: do what the browser has sent and has not been done before.

    Args:
        photo: see `strokes_on`.
        side: see `strokes_on`.
        acts: dicts with a rising number `n`, and `stroke` (a record), `undo` or `clear`.
    """
    said = st.session_state.setdefault(_SAID, {})
    said.pop(photo, None)
    strokes = strokes_on(photo, side)
    for one in acts[:MOST_ACTS]:
        number = one.get("n")
        if not isinstance(number, (int, float)) or not number > done():
            continue
        st.session_state[_DONE] = number
        try:
            strokes = _after(strokes, one)
        except CutSwapError as error:
            said[photo] = _said(error)
    _all()[photo] = (strokes, side)


def _after(strokes: tuple[Stroke, ...], one: Mapping[str, Any]) -> tuple[Stroke, ...]:
    if one.get("undo"):
        return strokes[:-1]
    if one.get("clear"):
        return ()
    more = (*strokes, Stroke.from_dict(one.get("stroke") or {}))
    need_room(more)
    return more


def _read_link(photo: str) -> None:
    st.session_state[_READ] = True
    said = st.session_state.setdefault(_SAID, {})
    said.pop(photo, None)
    try:
        _all()[photo] = from_link(st.query_params.get(STROKES, ""), photo)
    except CutSwapError as error:
        _all().pop(photo, None)
        said[photo] = f"This is the photo without a painting. {_said(error)}"


def _said(error: CutSwapError) -> str:
    return (
        f"{str(error.subject).capitalize()}: expected {error.expected}, found {error.found}."
        f" To go on: {error.fix}."
    )


def _all() -> dict[str, Held]:
    held: dict[str, Held] = st.session_state.setdefault(_HELD, {})
    return held

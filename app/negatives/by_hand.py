"""Placing the two patches of a swap by hand: two clicks on the photo, kept in the URL.

The draw of the page's seed and epoch says how large the patches are, how they are turned, and where
they may lie; the clicks say where they do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.negatives.draws import METHODS, Drawing, Drawn
from app.negatives.shapes import COLOURS
from app.shared import knobs
from app.shared.page_parts import plain_text
from app.viewer.viewer import Box, Legend, Picking, Picture, Point
from cutswap.errors import CutSwapError
from cutswap.negatives.anchors import Point as Anchor
from cutswap.negatives.by_hand import HandPlacing, hand_placing

ON, AT = "hand", "at"  # in the URL: whether by hand, and `row.column~row.column`
_TEXT = re.compile(r"\d{1,4}\.\d{1,4}(~\d{1,4}\.\d{1,4})?", re.ASCII)
_LIT = 110  # of 255: the patch's colour over the places that are allowed, seen on dark photos too
_FEW = 0.01  # share of the photo below which there is little to choose from
_REFUSED = "negatives.refused"  # session: why the last click placed nothing, until it is said


@dataclass(frozen=True)
class Hand:
    """What has been placed so far.

    Attributes:
        placing: where the draw's patches may lie.
        chosen: none, one or two anchors (y, x), each where it may lie.
        placed: the sample with its patches there; None before there are two.
    """

    placing: HandPlacing
    chosen: tuple[Anchor, ...]
    placed: Drawn | None

    @property
    def allowed(self) -> np.ndarray:
        """(S, S) bool: where the next click may be."""
        return self.placing.partners(self.chosen[0]) if self.chosen else self.placing.firsts

    @property
    def box(self) -> tuple[int, int]:
        """(height, width) of a placed patch."""
        return self.placing.drawn.moves[0].placed_size

    @property
    def colour(self) -> str:
        """Of the patch that a click places."""
        return COLOURS[min(1, len(self.chosen))]

    def picking(self) -> Picking:
        """What a click on the picture does."""
        return Picking(self.allowed, self.box, self.colour)

    def pick(self, place: Anchor | None) -> None:
        """A callback: place the next patch, or with None take the last one back."""
        if place is None:
            _keep(self.chosen[:-1])
        elif self.allowed[place]:
            _keep((*self.chosen[:1], place))
        else:
            st.session_state[_REFUSED] = self._why(place)

    def _why(self, place: Anchor) -> str:
        where = f"Row {place[0]}, column {place[1]}:"
        if not self.placing.places[place]:
            return (
                f"{where} no patch of {_size(self.box)} pixels may have its upper-left corner"
                " there. It would leave the photo, or the pixel is outside the anchor region."
            )
        if self.chosen:
            return f"{where} there the second patch would overlap the first."
        return f"{where} a patch there would leave no place for a second one."

    def picture(self, picture: Picture) -> Picture:
        """The page's picture, lit where the next corner may lie and dimmed where not."""
        boxes, points = [], []
        for (y, x), colour, label in zip(self.chosen, COLOURS, ("a1", "a2"), strict=False):
            boxes.append(Box((y, x, *self.box), "", colour))
            points.append(Point((y, x), label, colour))
        lit = np.array([int(self.colour[i : i + 2], 16) for i in (1, 3, 5)])
        names = tuple(zip(COLOURS, ("first patch", "second patch"), strict=True))
        step = "Where the second patch may lie" if self.chosen else "Where the first patch may lie"
        return replace(
            picture,
            after=picture.after if self.placed else None,
            right=picture.right if self.placed else "",
            heat=np.where(self.allowed[..., None], lit, 0).astype(np.uint8),
            heat_alpha=np.where(self.allowed, _LIT, 255).astype(np.uint8),
            heat_name="Lights",
            opacity=60,
            mask=self.allowed,
            outline_name=step,
            boxes=boxes,
            points=points,
            legend=Legend(swatches=names),
            alt=f"{step}: {self.allowed.mean():.1%} of the photo. {picture.alt} Arrow keys move the"
            " corner, with Shift by ten pixels, Enter places it, Escape takes the last one back",
        )


def hand_controls(drawing: Drawing, drawn: Drawn, place: DeltaGenerator) -> Hand | None:
    """The switch, what to do next, and what is placed; None where it is off.

    Args:
        drawing: how the page draws.
        drawn: its draw, whose patches are placed.
        place: of the switch.

    Raises:
        CutSwapError: see `caches.explained`.
    """
    text = knobs.held(AT, "", _parse)
    if not METHODS[drawing.method][0].startswith("cutswap"):
        if text:
            st.caption(
                ":material/info: The patches of a swap can be placed by hand, those of"
                f" {drawing.method} cannot."
            )
        return None
    with place:
        is_on = knobs.toggle(
            ON,
            "Place the patches by hand",
            False,
            help="The two patches of this draw, at places of your own choice: click one place on"
            " the photo, then one of those that light up.",
        )
    if not is_on:
        return None
    hand = _placed(drawing, drawn, _anchors(text))
    _say(hand)
    return hand


def placing_of(drawing: Drawing, drawn: Drawn) -> HandPlacing:
    """Where the patches of a draw may lie, from the page's caches."""
    negatives, clusters = drawing.settings()
    levels = drawing.levels_of(clusters)
    record = drawn.negative.record
    level = drawing.key.levels.index(record.layer or "")
    return hand_placing(
        record,
        levels.map(level),
        negatives,
        clusters,
        levels.clusters(level),
        drawing.inside,
    )


def _placed(drawing: Drawing, drawn: Drawn, anchors: tuple[Anchor, ...]) -> Hand:
    """As many of the anchors as may lie where they do; the others are told and left out."""
    placing = placing_of(drawing, drawn)
    hand = Hand(placing, (), None)
    for count in range(1, len(anchors) + 1):
        chosen = anchors[:count]
        size = placing.places.shape
        outside = any(not (0 <= y < size[0] and 0 <= x < size[1]) for y, x in chosen)
        if outside or not hand.allowed[chosen[-1]]:
            st.warning(
                f"The {('first', 'second')[count - 1]} patch does not fit at row {chosen[-1][0]},"
                f" column {chosen[-1][1]} with these settings; it was placed there with others, or"
                " the link was changed. Choose another place.",
                icon=":material/wrong_location:",
            )
            return hand
        if count == 1:
            hand = Hand(placing, chosen, None)
            continue
        try:
            negative = placing.swap(drawn.positive, chosen[0], chosen[1])
        except CutSwapError as error:
            st.warning(
                f"{plain_text(error.subject)}: {plain_text(error.found)}. The two places look the"
                " same; choose another for the second patch.",
                icon=":material/wrong_location:",
            )
            return hand
        hand = Hand(placing, chosen, replace(drawn, negative=negative))
    return hand


def _say(hand: Hand) -> None:
    """What to click next, why the last click did nothing, and the way back."""
    size, count = _size(hand.box), np.count_nonzero(hand.allowed)
    if not hand.chosen:
        said = (
            "**1 of 2.** Click a lit place on the photo: the upper-left corner of the first"
            f" patch, {size} pixels as this draw has it. {count} places are in the anchor region,"
            " keep the patch inside the photo, and leave room for a second one."
            + (" Smaller patches leave more." if hand.allowed.mean() < _FEW else "")
        )
    elif hand.placed is None:
        said = (
            f"**2 of 2.** Lit are the {count} places for the second patch: in the anchor region,"
            " inside the photo, and apart from the first patch. Click one, and the two swap places."
        )
    else:
        said = "**Swapped.** Click another lit place to move the second patch."
    text, back = st.columns([7, 2], vertical_alignment="center")
    row = back.container(horizontal=True)
    text.markdown(f"{said} By keyboard: Tab to the photo, arrow keys, Enter; Escape takes back.")
    row.button(
        "Undo",
        on_click=partial(hand.pick, None),
        disabled=not hand.chosen,
        key="hand.undo",
        help="Takes the last patch back, as Escape does on the photo.",
    )
    row.button(
        "Clear",
        on_click=_keep,
        args=((),),
        disabled=not hand.chosen,
        key="hand.clear",
        help="Takes both patches back.",
    )
    if refused := st.session_state.pop(_REFUSED, None):
        st.warning(refused, icon=":material/wrong_location:")


def _size(box: tuple[int, int]) -> str:
    return f"{box[0]}x{box[1]}"


def _parse(text: str) -> str | None:
    return text if _TEXT.fullmatch(text) else None


def _anchors(text: str) -> tuple[Anchor, ...]:
    pairs = [part.split(".") for part in text.split("~") if part]
    return tuple((int(y), int(x)) for y, x in pairs)


def _keep(anchors: tuple[Anchor, ...]) -> None:
    knobs.set_knob(AT, "~".join(f"{y}.{x}" for y, x in anchors))

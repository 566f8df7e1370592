"""Painting a region on a photo: rectangles and polygons by clicks or keys, or a mask's upload."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import streamlit as st

from app.data.region_keeping import keeping
from app.figures import where_to_look
from app.shared.caches import PhotoKey
from app.shared.picture_memory import kept
from app.shared.selection import Selection
from app.uploads.photos import MAX_FILE_BYTES
from app.viewer.viewer import Picking, Picture, Point, viewer
from cutswap.data.images import IMAGE_SUFFIXES, photo_size, read_photo, resize_mask, resize_photo
from cutswap.data.regions.painted_region import Corner, PaintedShape, painted
from cutswap.data.regions.region_of_interest import read_region_bytes, region_of

LONGEST = 640  # pixels of the picture's longer side: a corner is set to a six-hundredth of it
PAINT, UPLOAD = "paint it", "upload a mask"
RECTANGLE, POLYGON = "rectangle", "polygon"
LOOK, HIDE = "look here", "hide this"
NOTHING, EVERYTHING, NOW, PROPOSED = "nothing", "everything", "the region now", "the proposed one"
MOST_CORNERS = 60  # of a polygon
_PAINTING = "region.painting"  # session: category key -> what has been painted
_CLOSE = 0.02  # of the picture: a click so near the first corner closes the polygon


@dataclass(frozen=True)
class Painting:
    """What has been painted so far.

    Attributes:
        shapes: whole areas, the later over the earlier.
        corners: of the area that is being painted.
    """

    shapes: tuple[PaintedShape, ...] = ()
    corners: tuple[Corner, ...] = ()

    def undone(self) -> Painting:
        """Without the last corner, or the last area where none is begun."""
        if self.corners:
            return replace(self, corners=self.corners[:-1])
        return replace(self, shapes=self.shapes[:-1])

    def closed(self, *, is_hidden: bool) -> Painting:
        """With the area that is being painted as a whole one."""
        return Painting((*self.shapes, PaintedShape(self.corners, is_hidden)))

    def picked(self, corner: Corner, tool: str, *, is_hidden: bool) -> Painting:
        """After a click.

        Args:
            corner: (y, x) shares in [0, 1].
            tool: `RECTANGLE` or `POLYGON`.
            is_hidden: what a whole area does.
        """
        if tool == POLYGON and len(self.corners) > 2:
            (y, x), (top, left) = corner, self.corners[0]
            if max(abs(y - top), abs(x - left)) <= _CLOSE:
                return self.closed(is_hidden=is_hidden)
        more = replace(self, corners=(*self.corners, corner))
        is_whole = len(more.corners) == (2 if tool == RECTANGLE else MOST_CORNERS)
        return more.closed(is_hidden=is_hidden) if is_whole else more


def painting_section(selected: Selection, proposed: np.ndarray | None) -> None:
    """The choice of ways, and the one chosen; nothing is drawn before.

    Args:
        selected: whose category.
        proposed: (S, S) bool, a guess to begin with; None: none was asked for.

    Raises:
        CutSwapError: a mask that cannot be a region, or a photo that cannot be read.
    """
    way = st.segmented_control(
        "Set where to look",
        (PAINT, UPLOAD),
        key="region.way",
        help="Paint areas on a photo, or upload a picture that is white where to look.",
    )
    if way == PAINT:
        _paint(selected, proposed)
    elif way == UPLOAD:
        _upload(selected)


def _upload(selected: Selection) -> None:
    st.caption(
        "A picture in the photos' shape, white where to look and black elsewhere. Soft edges are"
        " cut in the middle."
    )
    file = st.file_uploader(
        "Mask of where to look",
        [suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES],
        max_upload_size=MAX_FILE_BYTES // 10**6,
        key="region.file",
    )
    if file is None:
        return
    region = read_region_bytes(file.getvalue(), file.name, selected.category)
    photo = _photo(_key(selected))
    st.image(
        where_to_look.shown(photo, region.mask),
        output_format="JPEG",
        alt="The photo with what the mask hides dimmed",
    )
    size = photo_size(_key(selected).path)
    keeping(selected, region.mask if region.mask.shape == size else resize_mask(region.mask, size))


def _paint(selected: Selection, proposed: np.ndarray | None) -> None:
    now = region_of(selected.category)
    starts = [NOTHING, EVERYTHING]
    starts += [NOW] if now is not None else []
    starts += [PROPOSED] if proposed is not None else []
    first, second, third = st.columns([3, 2, 2], vertical_alignment="bottom")
    start = first.segmented_control(
        "Begin with looking at",
        starts,
        default=starts[-1] if len(starts) > 2 else NOTHING,
        required=True,
        key=f"region.start.{selected.key}.{len(starts)}",
        help="What the areas are painted over.",
    )
    tool = second.segmented_control(
        "Area",
        (RECTANGLE, POLYGON),
        default=RECTANGLE,
        required=True,
        key="region.tool",
        on_change=partial(_drop_corners, selected.key),
        help="A rectangle takes two opposite corners; a polygon three and more.",
    )
    effect = third.segmented_control(
        "It says",
        (LOOK, HIDE),
        default=LOOK,
        required=True,
        key="region.effect",
        help="Later areas count over earlier ones.",
    )
    is_hidden = effect == HIDE
    painting = _painting(selected.key)
    photo = _photo(_key(selected))
    base = {
        NOTHING: np.zeros((1, 1), bool),
        EVERYTHING: np.ones((1, 1), bool),
        NOW: None if now is None else now.mask,
        PROPOSED: proposed,
    }[str(start)]
    assert base is not None  # noqa: S101 - a start is offered where it is there
    small = painted(resize_mask(base, photo.shape[:2]), painting.shapes)
    st.caption(_said(painting, str(tool)))
    viewer(
        _picture(selected, photo, small, painting),
        key="region.paint",
        picking=Picking(np.ones(photo.shape[:2], bool), (1, 1)),
        on_pick=partial(
            _pick, selected.key, tool=str(tool), is_hidden=is_hidden, size=photo.shape[:2]
        ),
    )
    row = st.container(horizontal=True)
    row.button(
        "Close the polygon",
        on_click=partial(_close, selected.key, is_hidden=is_hidden),
        disabled=tool != POLYGON or len(painting.corners) < 3,
        key="region.close",
        help="Or click its first corner again.",
    )
    row.button(
        "Undo",
        on_click=partial(_undo, selected.key),
        disabled=painting == Painting(),
        key="region.undo",
        help="Takes back the last corner or area, as Escape does on the photo.",
    )
    row.button(
        "Clear",
        on_click=partial(_keep, selected.key, Painting()),
        disabled=painting == Painting(),
        key="region.clear",
        help="Takes back all areas.",
    )
    if not small.any():
        st.info("Nothing is looked at yet: paint an area.", icon=":material/draw:")
        return
    size = photo_size(_key(selected).path)
    keeping(selected, painted(resize_mask(base, size), painting.shapes))


def _picture(
    selected: Selection, photo: np.ndarray, inside: np.ndarray, painting: Painting
) -> Picture:
    height, width = photo.shape[:2]
    points = [
        Point((y * (height - 1), x * (width - 1)), str(number))
        for number, (y, x) in enumerate(painting.corners, start=1)
    ]
    begun = None
    if len(painting.corners) > 2:
        begun = painted(np.zeros(photo.shape[:2], bool), [PaintedShape(painting.corners)])
    return Picture(
        where_to_look.shown(photo, inside),
        points=points,
        mask=begun,
        outline_name="The polygon so far",
        alt=f"{selected.category.train[0].name} with what is hidden dimmed, {inside.mean():.0%}"
        " looked at. Arrow keys move the corner, with Shift by ten pixels, Enter sets it, Escape"
        " takes the last one back",
        caption="Dimmed: hidden. By keyboard: Tab to the photo, arrow keys, Enter; Escape takes"
        " back.",
    )


def _said(painting: Painting, tool: str) -> str:
    done = len(painting.shapes)
    areas = f" {done} area{'' if done == 1 else 's'} painted." if done else ""
    if tool == RECTANGLE:
        step = "the opposite corner" if painting.corners else "one corner of a rectangle"
        return f"Click {step}.{areas}"
    if len(painting.corners) < 3:
        return f"Click corner {len(painting.corners) + 1} of a polygon.{areas}"
    return f"Click corner {len(painting.corners) + 1}, or corner 1 again to close it.{areas}"


def _key(selected: Selection) -> PhotoKey:
    """The photo that is painted on: the first good one."""
    record = selected.category.train[0]
    return PhotoKey.of(record.image, LONGEST, record.bits)


@kept()
def _photo(key: PhotoKey) -> np.ndarray:
    """(h, w, 3) uint8 in its own shape, its longer side `size`."""
    whole = read_photo(key.path, key.bits)
    factor = key.size / max(whole.shape[:2])
    height, width = (max(1, round(side * factor)) for side in whole.shape[:2])
    return resize_photo(whole, (height, width))


def _painting(key: str) -> Painting:
    found: Painting = st.session_state.get(_PAINTING, {}).get(key, Painting())
    return found


def _keep(key: str, painting: Painting) -> None:
    st.session_state.setdefault(_PAINTING, {})[key] = painting


def _drop_corners(key: str) -> None:
    _keep(key, replace(_painting(key), corners=()))


def _undo(key: str) -> None:
    _keep(key, _painting(key).undone())


def _close(key: str, *, is_hidden: bool) -> None:
    _keep(key, _painting(key).closed(is_hidden=is_hidden))


def _pick(
    key: str,
    place: tuple[int, int] | None,
    *,
    tool: str,
    is_hidden: bool,
    size: tuple[int, int],
) -> None:
    """A callback: the corner that was picked, or with None the last one is taken back."""
    if place is None:
        _undo(key)
        return
    y, x = (at / max(1, side - 1) for at, side in zip(place, size, strict=True))
    _keep(key, _painting(key).picked((y, x), tool, is_hidden=is_hidden))

"""All test images as a list to step through, the worst mistake first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.shared.caches import PhotoKey
from app.shared.selection import select
from app.viewer.pictures import jpeg_url
from cutswap.data.images import read_photo, resize_photo
from cutswap.data.records import Record
from cutswap.errors import CutSwapError

THUMBNAIL = 72
VERDICTS = {  # (is defective, called defective): text
    (True, True): "✔ found",
    (True, False): "✖ missed",
    (False, True): "✖ false alarm",
    (False, False): "✔ passed",
}


def verdict(is_defective: bool, called: bool) -> str:
    """In words and with a mark, readable without colour."""
    return VERDICTS[is_defective, called]


def worst_first(scores: np.ndarray, labels: np.ndarray, threshold: float) -> list[int]:
    """Numbers of images by how wrong they are: mistakes first, the farthest from the threshold.

    Correct ones follow, the closest to the threshold first.

    Args:
        scores: (N,) float.
        labels: (N,) bool, True for defective.
        threshold: scores at or above it are called defective.
    """
    wrongness = np.where(labels, threshold - scores, scores - threshold)
    # A good one exactly at the threshold is a false alarm; a defective one there is found.
    is_wrong = (scores >= threshold) != labels
    return [int(i) for i in np.lexsort((-wrongness, ~is_wrong))]


def gallery(
    names: Sequence[str],
    records: Sequence[Record] | None,
    scores: np.ndarray,
    verdicts: Sequence[str],
    order: Sequence[int],
    shown: str,
    first: str = "Worst mistake",
) -> None:
    """The list; a click or an arrow key in it selects the image for all pages.

    Args:
        names: of the test images.
        records: their files; None where the data set is gone.
        scores: (N,) float.
        verdicts: texts, empty ones where nobody knows.
        order: numbers of images as listed.
        shown: name of the image that is shown now.
        first: what the head of the list is called.
    """
    listed = [names[i] for i in order]
    st.session_state["inspect.order"] = listed
    _step_buttons(listed, shown, first)
    rows: dict[str, list[object]] = {
        "photo": [_thumbnail(records[i]) if records else None for i in order],
        "image": [name.removeprefix("test/") for name in listed],
        "score": [float(scores[i]) for i in order],
        "verdict": [verdicts[i] for i in order],
    }
    if not any(verdicts):
        del rows["verdict"]
    if records is None:
        del rows["photo"]
    st.dataframe(
        rows,
        key="gallery",
        on_select=_chosen,
        selection_mode="single-cell",
        hide_index=True,
        height=min(395, 40 + 46 * len(listed)),
        row_height=46,
        width="stretch",
        column_config={
            "photo": st.column_config.ImageColumn("", width=52),
            "image": st.column_config.TextColumn("Image", width=110),
            "score": st.column_config.NumberColumn("Score", format="%.3f", width=60),
            "verdict": st.column_config.TextColumn("Verdict", width=105),
        },
        alt=f"{len(listed)} images, {first.lower()} first",
    )


def _step_buttons(listed: Sequence[str], shown: str, first: str) -> None:
    at = listed.index(shown) if shown in listed else -1
    row = st.container(horizontal=True)
    row.button(
        first,
        on_click=select,
        kwargs={"image": listed[0]},
        disabled=at == 0,
        icon=":material/priority_high:",
        key="gallery.worst",
        help="The first of the list: what most needs a look.",
    )
    row.button(
        "Next in the list",
        on_click=select,
        kwargs={"image": listed[(at + 1) % len(listed)]},
        icon=":material/arrow_downward:",
        key="gallery.next",
        help="In the list itself, arrow keys step too.",
    )


def _chosen() -> None:
    """Callback of the list."""
    try:
        row = st.session_state["gallery"]["selection"]["cells"][0][0]
        select(image=st.session_state["inspect.order"][int(row)])
    except (LookupError, TypeError, ValueError):  # the selection was taken back
        return


def _thumbnail(record: Record) -> str | None:
    try:
        return _thumbnail_of(PhotoKey.of(record.image, THUMBNAIL, record.bits))
    except CutSwapError:  # the viewer says what is wrong once it is chosen
        return None


@st.cache_resource(max_entries=2000, show_spinner=False)
def _thumbnail_of(key: PhotoKey) -> str:
    # Not by caches.photo: hundreds of these would push others out.
    photo = read_photo(key.path, key.bits)
    return jpeg_url(resize_photo(photo, (key.size, key.size)))

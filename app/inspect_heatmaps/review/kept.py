"""Photos that the visitor keeps, with comments: of this session alone, to take along as CSV."""

from __future__ import annotations

import streamlit as st

from app.inspect_heatmaps.review.reviewed import Reviewed
from app.shared.selection import select
from cutswap.reports.kept_photos import LONGEST, KeptPhoto, KeptRow, kept_csv

_KEPT = "inspect.kept"  # session: category's key -> {name of the photo: comment}


def kept_photos(category: str) -> tuple[KeptPhoto, ...]:
    """Those of a category, in the order they were kept.

    Args:
        category: its key.
    """
    return tuple(KeptPhoto(name, comment) for name, comment in _list(category).items())


def is_kept(category: str, name: str) -> bool:
    """Whether a photo is on the list."""
    return name in _list(category)


def keep(category: str, name: str, is_wanted: bool) -> None:
    """Put a photo on the list, or take it off with its comment."""
    if is_wanted:
        _list(category).setdefault(name, "")
    else:
        _list(category).pop(name, None)


def keep_box(category: str, name: str) -> None:
    """The mark of the photo on the screen, and its comment.

    Args:
        category: its key.
        name: of the photo.
    """
    mark, said = f"keep.this.{category}.{name}", f"keep.said.{category}.{name}"
    st.session_state[mark] = is_kept(category, name)  # the contact sheet marks it too

    def marked() -> None:
        keep(category, name, bool(st.session_state[mark]))

    def commented() -> None:
        _list(category)[name] = str(st.session_state[said])[:LONGEST]

    st.checkbox(
        "Keep this photo",
        key=mark,
        on_change=marked,
        help="Onto the list below, with a comment if you like: for this session, as CSV, and in the"
        " report.",
    )
    if is_kept(category, name):
        st.session_state[said] = _list(category)[name]
        st.text_input(
            "Comment",
            key=said,
            on_change=commented,
            max_chars=LONGEST,
            placeholder="What about it?",
        )


def section(reviewed: Reviewed) -> None:
    """The list: a click opens a photo; what the tab forgets can be downloaded."""
    photos = kept_photos(reviewed.category)
    if not photos:
        st.caption(
            "No photo is kept yet: tick *Keep* below a photo of the contact sheet, or *Keep this"
            " photo* beside the large one."
        )
        return
    rows = rows_of(reviewed, photos)
    st.dataframe(
        {
            "image": [row.photo.name for row in rows],
            "score": [row.score for row in rows],
            "verdict": [row.verdict for row in rows],
            "comment": [row.photo.comment for row in rows],
        },
        key="kept.list",
        on_select=_open,
        selection_mode="single-cell",
        hide_index=True,
        width="stretch",
        height=min(300, 40 + 36 * len(rows)),
        column_config={"score": st.column_config.NumberColumn(format="%.3f")},
        alt="; ".join(f"{row.photo.name}: {row.photo.comment}" for row in rows),
    )
    st.session_state["inspect.kept.shown"] = [row.photo.name for row in rows]
    left = len(photos) - len(rows)
    if left:
        st.caption(f"{left} kept photos are not among those that are scored here.")
    buttons = st.container(horizontal=True)
    buttons.download_button(
        "Download the list (CSV)",
        kept_csv(rows),
        "kept.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        help="Names, scores, verdicts and comments; the command `export report --kept` reads it.",
    )
    buttons.button(
        "Forget all",
        on_click=_list(reviewed.category).clear,
        icon=":material/delete:",
        help="Take every photo off the list, with its comment.",
    )


def rows_of(reviewed: Reviewed, photos: tuple[KeptPhoto, ...]) -> list[KeptRow]:
    """Kept photos that are among the scored ones, with what is said of them."""
    places = {name: i for i, name in enumerate(reviewed.names)}
    verdicts = reviewed.verdicts
    return [
        KeptRow(
            photo=photo,
            defect="" if reviewed.defects is None else reviewed.defects[places[photo.name]],
            score=float(reviewed.scores[places[photo.name]]),
            threshold=reviewed.threshold,
            verdict=verdicts[places[photo.name]].text,
        )
        for photo in photos
        if photo.name in places
    ]


def _list(category: str) -> dict[str, str]:
    every: dict[str, dict[str, str]] = st.session_state.setdefault(_KEPT, {})
    return every.setdefault(category, {})


def _open() -> None:
    """Callback of the list."""
    try:
        row = st.session_state["kept.list"]["selection"]["cells"][0][0]
        select(image=st.session_state["inspect.kept.shown"][int(row)])
    except (LookupError, TypeError, ValueError):  # the selection was taken back
        return

"""Buttons that step through the photos, what most needs a look first."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.shared.selection import select


def step_buttons(listed: Sequence[str], shown: str, first: str) -> None:
    """To the first of a list, and to the next.

    Args:
        listed: names of the photos.
        shown: name of the one that is shown now.
        first: what the head of the list is called.
    """
    at = listed.index(shown) if shown in listed else -1
    row = st.container(horizontal=True)
    row.button(
        first,
        on_click=select,
        kwargs={"image": listed[0]},
        disabled=at == 0,
        icon=":material/priority_high:",
        key="steps.first",
        help="The one that most needs a look.",
    )
    row.button(
        "Next in this order",
        on_click=select,
        kwargs={"image": listed[(at + 1) % len(listed)]},
        icon=":material/arrow_downward:",
        key="steps.next",
        help="Step through the photos, what most needs a look first.",
    )

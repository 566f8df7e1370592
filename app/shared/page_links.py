"""Going to another page from a button, with the shared selection as it is."""

from __future__ import annotations

import streamlit as st


def go_to(name: str) -> None:
    """Open a page of `main.PAGES`; nothing happens where it is not there.

    Streamlit refuses to clear parameters that are bound to the sidebar's widgets, which is what a
    plain switch begins with; an empty set of new ones replaces them, and the widgets write theirs
    anew.

    Args:
        name: key of the page.
    """
    page = st.session_state["pages"].get(name)
    if page is not None:
        st.switch_page(page, query_params={})

"""The browser's Back and Forward: one entry an act, and a page that follows them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_mount = st.components.v2.component(
    "cutswap_history",
    html="<span></span>",
    js=(Path(__file__).parent / "history.js").read_text(encoding="utf-8"),
)


def one_entry_an_act() -> None:
    """Let the browser keep one entry for an act, whatever the page writes by itself after it."""
    _mount(key="history")


def is_back_or_forward() -> bool:
    """Whether Back or Forward asked for this rerun: the URL then says what is to be shown."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and context.is_history_navigation

"""A button that opens the browser's dialogue to print the page, or to keep it as PDF."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_FOLDER = Path(__file__).parent
HELP = "On one sheet, without the controls; the browser keeps it as PDF, too."
_mount = st.components.v2.component(
    "cutswap_print_page",
    html=f"<div class='link'><button type='button' title='{HELP}'>Print</button></div>",
    css=(_FOLDER / "copy_link.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "print_page.js").read_text(encoding="utf-8"),
)


def print_page(key: str) -> None:
    """Draw the button.

    Args:
        key: unique on the page.
    """
    _mount(key=key)

"""A button that copies the address of what is on the screen, without a network."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_FOLDER = Path(__file__).parent
LABEL = "Copy link"
HELP = "The address of this view with all its settings, for a colleague who can open this app."

# With its name: on a busy machine it is there seconds before its script.
HTML = (
    f"<div class='link'><button type='button' title='{HELP}'>{LABEL}</button>"
    "<input readonly hidden aria-label='Address of this view'><span role='status'></span></div>"
)
_mount = st.components.v2.component(
    "cutswap_copy_link",
    html=HTML,
    css=(_FOLDER / "copy_link.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "copy_link.js").read_text(encoding="utf-8"),
)


def copy_link(key: str) -> None:
    """Draw the button.

    Args:
        key: unique on the page.
    """
    _mount(key=key)

"""Asking for what is to be collected, and waiting for it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.features.collecting import Collected, feature_workshop
from app.shared.background import Work


def start_button(wanted: Collected, text: str) -> None:
    """A button that starts it.

    Args:
        wanted: what is to be collected.
        text: on the button.
    """
    st.button(
        text,
        on_click=feature_workshop().start,
        args=(wanted,),
        type="primary",
        icon=":material/play_arrow:",
        key=f"features.start.{wanted.key}",
    )


def wait(work: Work, slot: Any, text: str) -> None:
    """Show the progress, then rerun; called last, so that the page is there meanwhile.

    Args:
        work: that runs.
        slot: an `st.empty` for the bar.
        text: before the stage.
    """
    bar = slot.progress(0.0, f"{text}: {work.stage}")
    while work.is_running and work.thread is not None:
        share = min(work.done / work.total, 1.0) if work.total else 0.0
        bar.progress(share, f"{text}: {work.stage}")
        work.thread.join(0.3)
    bar.empty()
    st.rerun()

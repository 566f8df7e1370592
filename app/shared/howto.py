"""The two panels that close every page: how it works, and the same from the command line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app.shared import public


def how_it_works(text: str) -> None:
    """Markdown with the paper's symbols and equation, folded away."""
    with st.expander("How this works", icon=":material/school:"):
        st.markdown(text)


def command_line(*commands: Sequence[object], note: str = "") -> None:
    """The exact commands that give the same numbers and pictures; they name paths of the host."""
    if public.is_public():
        return
    with st.expander("Do this from the command line", icon=":material/terminal:"):
        lines = [shlex.join(["python", "-m", "cutswap", *map(str, c)]) for c in commands]
        st.code("\n".join(lines), language="bash", wrap_lines=True)
        if note:
            st.caption(note)


def data_flags(root: Path, category: str) -> list[str]:
    """`--data ROOT --category NAME`."""
    return ["--data", str(root), "--category", category]

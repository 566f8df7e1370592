"""Links for a lesson: a page with the controls that its link names, a caption, a presenter view.

`show=k,layer`  only these controls and the picture; of the rest of a page what is named as well
`caption=...`   a line above the picture, shown as it is
`present=1`     large type, no menu, no sidebar

What a link names and the page does not have is told at the page's end, when all its controls and
parts have asked whether they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

SHOW, CAPTION, PRESENT = "show", "caption", "present"
LONGEST = 300  # characters of a caption
# Session, both of this rerun: what the link names, None without; and what has asked for its turn.
_NAMED, _ASKED = "lesson_link.named", "lesson_link.asked"


def begin() -> None:
    """To be called once a rerun, before anything is drawn."""
    names = (name.strip() for name in st.query_params.get(SHOW, "").split(","))
    named = tuple(dict.fromkeys(name for name in names if name))
    st.session_state[_NAMED] = named if SHOW in st.query_params else None
    st.session_state[_ASKED] = {}


def is_active() -> bool:
    """Whether the link asks for a part of the page."""
    return st.session_state.get(_NAMED) is not None


def is_presented() -> bool:
    """Whether the link asks for the presenter view."""
    return st.query_params.get(PRESENT) == "1"


def is_shown(name: str) -> bool:
    """Whether a control or a part of the page is drawn; all are without such a link.

    Args:
        name: of the control in links, or of the part.
    """
    st.session_state.setdefault(_ASKED, {})[name] = None
    named = st.session_state.get(_NAMED)
    return named is None or name in named


def caption() -> None:
    """The link's caption, as plain text; nothing without one."""
    text = " ".join(st.query_params.get(CAPTION, "").split())
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    if text:
        st.text(text)


def tell_unknown() -> None:
    """What the link names and this page does not have; to be called at its end."""
    present = st.query_params.get(PRESENT, "1")
    if present != "1":
        st.warning("The link's present is 1 or nothing.", icon=":material/link_off:")
        st.text(f"Here it is {present[:40]}.")
    named = st.session_state.get(_NAMED)
    if named is None:
        return
    known: Sequence[str] = tuple(st.session_state.get(_ASKED, {}))
    unknown = [name[:40] for name in named if name not in known]
    if unknown:
        st.warning("The link names what this page does not have.", icon=":material/link_off:")
        st.text(f"Not here: {', '.join(unknown[:8])}. Here: {', '.join(known)}.")


def ways_out() -> None:
    """Buttons that undo what the link asks for; to be called at the page's end."""
    with st.container(horizontal=True):
        if is_active():
            st.button(
                "Show the whole page",
                on_click=_leave,
                args=(SHOW, CAPTION),
                icon=":material/open_in_full:",
                key="lesson_link.whole",
                help="With every control and everything below the picture.",
            )
        if is_presented():
            st.button(
                "Leave the presenter view",
                on_click=_leave,
                args=(PRESENT,),
                icon=":material/cancel_presentation:",
                key="lesson_link.leave",
            )


def _leave(*names: str) -> None:
    for name in names:
        st.query_params.pop(name, None)

"""The uploads of a tab after a reload: the tab keeps their token, and a new session asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from app.shared import workspace
from app.shared.selection import LOOKING
from app.uploads.store import stored_uploads
from cutswap.errors import CutSwapError

SESSION = "upload_session"  # session: the token, which names the uploads' folder
REPORT = "upload.report"  # session: what the last upload came to
_ANSWERED = "upload.tab"  # session: whether the tab has said what it keeps
_FORGET = "upload.forget"  # session: whether the tab is to throw its token away
_KEY = "tab_memory"
NONE = "none"
GONE = (
    "The pictures that you uploaded in this tab are gone: they are deleted a few minutes after the"
    " tab is closed, at the latest after a day. Upload them again on the Data page."
)

_mount = st.components.v2.component(
    "cutswap_tab_memory",
    html="<span></span>",
    js=(Path(__file__).parent / "tab_memory.js").read_text(encoding="utf-8"),
)


def expect() -> None:
    """Before the selection is drawn: whether a link to uploads must wait for the tab's answer."""
    waits = SESSION not in st.session_state and not st.session_state.get(_ANSWERED, False)
    st.session_state[LOOKING] = waits and _names_uploads(st.query_params.get("cat", ""))


def remember() -> None:
    """After `expect`: leave the token with the tab, or ask what it keeps of a session before."""
    token = st.session_state.get(SESSION, "")
    _mount(
        data={
            "token": token,
            "asks": not token and not st.session_state.get(_ANSWERED, False),
            "waits": st.session_state.get(LOOKING, False),
            "forget": st.session_state.pop(_FORGET, False),
        },
        key=_KEY,
        on_token_change=_answered,
    )


def forget() -> None:
    """The uploads are deleted: the tab need not ask for them again."""
    st.session_state.pop(SESSION, None)
    st.session_state[_FORGET] = True
    st.session_state[_ANSWERED] = True


def _answered() -> None:
    """Callback: the tab has told its token; what it names is this session's again."""
    said: Any = st.session_state.get(_KEY, {})
    take_back(str(said.get("token") or NONE))


def take_back(token: str) -> None:
    """Make the uploads of a token this session's, or say that they are gone."""
    st.session_state[_ANSWERED] = True
    if token == NONE or SESSION in st.session_state:
        return
    try:
        found = stored_uploads(token)
    except CutSwapError:  # no token of ours: somebody has written into the tab's storage
        found = None
    if found is None:
        st.session_state[_FORGET] = True
        st.toast(GONE, icon=":material/delete:", duration="long")
        return
    st.session_state[SESSION] = token
    st.session_state[REPORT] = found
    st.session_state[workspace.UPLOAD_ROOT] = str(found.root)


def _names_uploads(label: str) -> bool:
    return label.endswith(f" · {workspace.UPLOAD_LABEL}")

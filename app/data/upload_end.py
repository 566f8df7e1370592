"""Uploads go when their tab is gone: closed, reloaded into a new session, or lost for good.

Streamlit empties a session's own cache as its socket closes and tells the entry so (`on_release`).
A lost network looks the same, and the tab may come back within two minutes; so the pictures stay
for a grace, and for as long as the session is there after it.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.uploads.store import remove_uploads

VARIABLE = "CUTSWAP_UPLOAD_GRACE"
GRACE = 180.0  # seconds; Streamlit itself keeps a lost session for 120

_last_seen: dict[Holder, float] = {}
_holding: set[Holder] = set()  # by an open socket; a reloaded tab holds its last session's
_armed: set[Holder] = set()
_arming = threading.Lock()


@dataclass(frozen=True)
class Holder:
    """Who holds an upload.

    Attributes:
        uploads: id of the upload's folder.
        session: Streamlit's id of the tab's session; empty outside a server.
    """

    uploads: str
    session: str


def grace() -> float:
    """Seconds from a closed tab to the end of its pictures."""
    try:
        return max(0.0, float(os.environ.get(VARIABLE, GRACE)))
    except ValueError:
        return GRACE


def hold(uploads: str) -> None:
    """Tie a session's uploads to its socket; cheap, to be called in every rerun.

    Args:
        uploads: id of the upload's folder.
    """
    context = get_script_run_ctx(suppress_warning=True)
    _held(Holder(uploads, "" if context is None else context.session_id))


def _released(holder: Holder) -> None:
    """The socket has closed: look again after the grace. Called by the server's own thread."""
    _holding.discard(holder)
    _last_seen[holder] = time.monotonic()
    _look_again(holder, grace())


@st.cache_resource(scope="session", on_release=_released, show_spinner=False)
def _held(holder: Holder) -> Holder:
    _holding.add(holder)
    return holder


def _look_again(holder: Holder, seconds: float) -> None:
    with _arming:
        if holder in _armed:  # it looks at `_last_seen` anyway
            return
        _armed.add(holder)
    timer = threading.Timer(seconds, _look, (holder,))
    timer.daemon = True
    timer.name = "end of uploads"
    timer.start()


def _look(holder: Holder) -> None:
    with _arming:
        _armed.discard(holder)
    if _is_back(holder.session):  # without a rerun nobody would tell of its next end
        _released(holder)
        return
    left = _last_seen[holder] + grace() - time.monotonic()
    if left > 0.01:
        _look_again(holder, left)
    else:
        del _last_seen[holder]
        if not any(other.uploads == holder.uploads for other in _others(holder)):
            remove_uploads(holder.uploads)


def _others(holder: Holder) -> set[Holder]:
    """Who holds uploads, or did a grace ago and will be looked at yet."""
    return (set(_holding) | set(_last_seen)) - {holder}


def _is_back(session: str) -> bool:
    return bool(session) and runtime.exists() and runtime.get_instance().is_active_session(session)

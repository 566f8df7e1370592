"""The parameters of the page's link, written at once, or after a change of page with its last line.

A browser learns of another page and of its parameters by two messages, and acts on the first only
when it has drawn. Parameters that come meanwhile it writes behind the address of the page before,
as an entry of the history without what that page had: Back then shows its defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

_WAITING = "link.waiting"  # session: parameter -> value, None: taken out; None: nothing waits


@contextmanager
def written_last(waits: bool) -> Iterator[None]:
    """Around a rerun of the whole page.

    Args:
        waits: whether its parameters are written at its end, since it is another page.
    """
    waiting: dict[str, str | None] = {}
    st.session_state[_WAITING] = waiting if waits else None
    try:
        yield
    finally:  # also where the page failed
        st.session_state[_WAITING] = None  # a fragment that runs later writes at once
        changed = {name: v for name, v in waiting.items() if st.query_params.get(name) != v}
        for name in [name for name, value in changed.items() if value is None]:
            del st.query_params[name]
        kept = {name: value for name, value in changed.items() if value is not None}
        if kept:
            st.query_params.update(kept)


def write(name: str, value: str | None) -> None:
    """Put a value into the link.

    Args:
        name: of the parameter.
        value: None takes it out.
    """
    waiting: dict[str, str | None] | None = st.session_state.get(_WAITING)
    if waiting is not None:
        waiting[name] = value
    elif value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value

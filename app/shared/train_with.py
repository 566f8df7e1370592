"""Settings that a page hands to Train: sections of a run's record, for this session."""

from __future__ import annotations

from typing import Any

import streamlit as st

_HANDED = "train_with.record"  # session: the record
_FRESH = "train_with.fresh"  # session: whether the form has still to take its fields from it

Record = dict[str, Any]


def hand_to_train(record: Record) -> None:
    """Leave settings for the form; a callback, before the page is switched.

    Args:
        record: seed and sections as in settings.json.
    """
    st.session_state[_HANDED] = record
    st.session_state[_FRESH] = True


def handed() -> Record | None:
    """What was handed over last, until somebody forgets it."""
    return st.session_state.get(_HANDED)


def take_fresh() -> Record | None:
    """The same, once: the form's fields take it, and may then be changed."""
    return handed() if st.session_state.pop(_FRESH, False) else None


def forget_handed() -> None:
    """The form is on its own again."""
    st.session_state.pop(_HANDED, None)
    st.session_state.pop(_FRESH, None)

"""Negatives: two equally salient patches swap places; what the trainer sees, live."""

from __future__ import annotations

import streamlit as st

from app import negative_view, public
from app.guards import plain_errors
from app.selection import need_selection

st.title("Negatives")
st.caption("Which fake defects does the network train on, and are they plausible?")
public.notice("negatives")
selected = need_selection()
with plain_errors("the negatives"):
    negative_view.show(selected)

"""Negatives: two equally salient patches swap places; what the trainer sees, live."""

from __future__ import annotations

import streamlit as st

from app.negatives import view
from app.shared import public
from app.shared.page_parts import plain_errors
from app.shared.places import next_step
from app.shared.selection import need_selection

st.title("Negatives")
st.caption("Which made-up defects does the network train on, and are they plausible?")
public.notice("negatives")
selected = need_selection()
with plain_errors("the negatives"):
    view.show(selected)
next_step("negatives")

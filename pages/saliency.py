"""Saliency and clusters: where the network looks, level by level, and what K-means makes of it."""

from __future__ import annotations

import streamlit as st

from app.saliency import view
from app.shared import public
from app.shared.page_parts import plain_errors
from app.shared.places import next_step
from app.shared.selection import need_selection

st.title("Saliency and clusters")
st.caption("Where does the network look, and which pixels does it look at alike?")
public.notice("saliency")
selected = need_selection()
with plain_errors("the saliency maps"):
    view.show(selected)
next_step("saliency")

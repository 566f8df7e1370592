"""Stages: everything that happens to one photo, on one page."""

from __future__ import annotations

import streamlit as st

from app.shared import public
from app.shared.page_parts import plain_errors
from app.shared.places import next_step
from app.shared.selection import need_selection
from app.stages import view

st.title("All stages of one photo")
with st.container(key="stages_intro"):
    st.caption("From the photo to its heatmap; every setting acts on all pictures at once.")
    public.notice("stages")
selected = need_selection()
with plain_errors("the stages"):
    view.show(selected)
with st.container(key="stages_next"):
    next_step("stages")

"""Inspect: heatmaps against ground truth, the threshold and what its mistakes cost."""

from __future__ import annotations

import streamlit as st

from app.inspect_heatmaps import view
from app.shared import public
from app.shared.page_parts import plain_errors
from app.shared.places import next_step
from app.shared.selection import need_selection

st.title("Inspect")
st.caption("Does it find the real defects, where in the photo, and what would a mistake cost?")
public.notice("inspect_heatmaps")
selected = need_selection()
with plain_errors("the heatmaps"):
    view.show(selected)
next_step("inspect_heatmaps")

"""Features: what a fine-tuned network has learnt, and whether it holds for real defects."""

from __future__ import annotations

import streamlit as st

from app.features import view
from app.shared import public
from app.shared.page_parts import plain_errors
from app.shared.places import next_step, views
from app.shared.selection import need_selection

st.title("Features")
st.caption("Fine-tuning learns to tell made-up defects from good parts: also real ones?")
views("features")
public.notice("features")
selected = need_selection()
with plain_errors("the features"):
    view.show(selected)
next_step("features")

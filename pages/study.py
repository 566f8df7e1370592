"""Study: the paper's tables repeated on your data, beside what the paper prints."""

from __future__ import annotations

import streamlit as st

from app.shared import public
from app.shared.page_parts import plain_errors
from app.shared.places import next_step, views
from app.study import view

st.title("Study")
st.caption("Do the paper's findings hold on these photos, and by more than other seeds differ?")
views("study")
public.notice("study")
with plain_errors("the study"):
    view.show()
next_step("study")

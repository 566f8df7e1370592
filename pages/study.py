"""Study: the paper's tables repeated on your data, beside what the paper prints."""

from __future__ import annotations

import streamlit as st

from app.shared import public
from app.shared.page_parts import plain_errors
from app.study import view

st.title("Study")
st.caption("Does the paper's finding hold here, and by more than the seeds differ?")
public.notice("study")
with plain_errors("the study"):
    view.show()

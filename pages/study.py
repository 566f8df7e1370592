"""Study: the paper's tables repeated on your data, beside what the paper prints."""

from __future__ import annotations

import streamlit as st

from app import public, study_view
from app.guards import plain_errors

st.title("Study")
st.caption("Does the paper's finding hold here, and by more than the seeds differ?")
public.notice("study")
with plain_errors("the study"):
    study_view.show()

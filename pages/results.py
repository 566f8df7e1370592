"""Results: categories by networks and runs, spread over seeds, the paper's numbers beside."""

from __future__ import annotations

import streamlit as st

from app.results import view
from app.shared import public
from app.shared.page_parts import plain_errors

st.title("Results")
st.caption("Does fine-tuning help, on which parts, and by more than the spread of the seeds?")
public.notice("results")
with plain_errors("the table"):
    view.show()

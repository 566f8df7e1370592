"""Results: categories by networks and runs, spread over seeds, the paper's numbers beside."""

from __future__ import annotations

import streamlit as st

from app.results import view
from app.shared import public
from app.shared.page_parts import plain_errors
from app.shared.places import next_step, views

st.title("Results")
st.caption("Does fine-tuning help, on which parts, and by more than other seeds differ?")
views("results")
public.notice("results")
with plain_errors("the table"):
    view.show()
next_step("results")

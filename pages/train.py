"""Train: a fine-tuning run in its own process, started here and read from its folder."""

from __future__ import annotations

import streamlit as st

from app import run_view
from app.guards import plain_errors
from app.selection import need_selection

st.title("Train")
st.caption("Does the network learn to tell the fakes, and how far is it?")
selected = need_selection()
with plain_errors("the form"):
    run_view.form(selected)
with plain_errors("the runs"):
    run_view.progress()

"""Data: the folders the app reads, your own pictures, what is kept, and the words of the method."""

from __future__ import annotations

import streamlit as st

from app.data import view
from app.shared import public
from app.shared.places import next_step
from app.shared.selection import current

st.title("Data")
st.caption("Which photos can this app use, are they in order, and how do I add mine?")
public.notice("data")
view.show(current())
next_step("data")

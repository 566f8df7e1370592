"""Train: fine-tune a network on fakes, in a process of its own, and watch it learn."""

from __future__ import annotations

import streamlit as st

from app.shared import public
from app.shared.places import next_step, views
from app.shared.selection import current, need_selection
from app.train import view

st.title("Train")
st.caption("Teach a network to tell good parts from made-up defects, and watch it learn.")
views("train")
public.notice("train")
selected = current()
top = st.container()
view.show(selected)
next_step("train")
if selected is None:  # the runs are there all the same; this ends the page, so it comes last
    with top:
        need_selection()

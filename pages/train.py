"""Train: fine-tune a network on fakes, in a process of its own, and watch it learn."""

from __future__ import annotations

import streamlit as st

from app.shared import public
from app.shared.selection import current, need_selection
from app.train import view

st.title("Train")
st.caption("Can the network learn to tell good parts from fakes, and how far is it?")
public.notice("train")
selected = current()
top = st.container()
view.show(selected)
if selected is None:  # the runs are there all the same; this ends the page, so it comes last
    with top:
        need_selection()

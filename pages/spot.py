"""Spot the fake: two photos, one of them a negative; how visible is each method to people?"""

from __future__ import annotations

import streamlit as st

from app.shared import public
from app.shared.page_parts import plain_errors
from app.shared.places import next_step
from app.shared.selection import need_selection
from app.spot import view

st.title("Spot the fake")
st.caption("How visible are made-up defects to people, and to the network?")
public.notice("spot")
selected = need_selection()
with plain_errors("the pair"):
    view.show(selected)
next_step("spot")

"""Lesson: from a good part to a defect found, in steps with one live picture and one question."""

from __future__ import annotations

import streamlit as st

from app.lesson import view
from app.shared import public
from app.shared.page_parts import plain_errors
from app.shared.places import next_step

st.title("Lesson")
st.caption("How does one find defects without having seen any? Step by step, predicting first.")
public.notice("lesson")
with plain_errors("the lesson"):
    view.show()
next_step("lesson")

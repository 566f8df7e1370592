"""Data: the folders the app reads, your own pictures, and the words of the method."""

from __future__ import annotations

import streamlit as st

from app import data_view
from app.guards import plain_errors

st.title("Data")
st.caption("Which pictures can this app show, and how do I add mine?")
with plain_errors("the data folders"):
    data_view.folders()
with plain_errors("the upload"):
    data_view.uploads()
data_view.glossary()

"""Start: the pipeline in four pictures, and what is ready."""

import streamlit as st

st.title("CutSwap Explorer")

"""The explorer: Streamlit state, caches, controls and viewer around the core library."""

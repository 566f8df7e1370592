"""What the browser is asked to do beyond what Streamlit asks of it."""

"""What `cutswap app` starts: Streamlit serves main.py, behind the gate."""

from __future__ import annotations

import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent
if str(HOME.parent) not in sys.path:  # `streamlit run` puts only app/ itself there
    sys.path.insert(0, str(HOME.parent))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from streamlit.starlette import App  # noqa: E402

from app.access import gate  # noqa: E402

app = App(
    HOME / "main.py",
    middleware=[
        Middleware(
            gate.Gate,
            hosts=st.get_option("server.allowedHosts"),
            origins=st.get_option("server.corsAllowedOrigins"),
            token=gate.token(),
        )
    ],
)

"""Keeps the collection of garbage that Streamlit forces after every rerun cheap.

It goes through every object there is; with torch and plotly loaded that is most of what the app
computes while a run is watched: 16% of a core, 5% once what modules have created is set apart
(`gc.freeze`). That lives as long as the process; the objects of reruns are collected as before.
"""

from __future__ import annotations

import gc
import sys

_ENOUGH = 50  # modules loaded since the last time: a large library has come
_known = 0


def freeze_modules() -> None:
    """Set apart what newly loaded libraries have created; nothing to do most of the time."""
    global _known  # noqa: PLW0603 - one process, one heap
    if len(sys.modules) - _known >= _ENOUGH:
        _known = len(sys.modules)
        gc.collect()  # or garbage of the moment would be kept for ever
        gc.freeze()

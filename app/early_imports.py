"""Imports what the first page needs while the browser still loads Streamlit's own files.

The first picture of `cutswap app` comes half a second sooner. Pages wait for it: of two threads
that import modules which import each other, one could see the other's half.
"""

from __future__ import annotations

import importlib
import threading

MODULES = (
    "app.browser.history",
    "app.data.own_photos",
    "app.data.tab_memory",
    "app.memory",
    "app.shared.selection",
    "app.start.readiness",
    "app.start.story",
    "app.train.badge",
)


def _import_all() -> None:
    for name in MODULES:
        importlib.import_module(name)


_thread = threading.Thread(target=_import_all, daemon=True, name="early imports")


def begin() -> None:
    """Begin, in a thread of its own; once a process."""
    _thread.start()


def finish() -> None:
    """Wait until it is done; nothing to wait for where it was never begun."""
    if _thread.ident is not None:
        _thread.join()

"""Where this project keeps what it can compute again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The user's cache folder for this project; the variable CUTSWAP_CACHE overrides it."""
    return Path(os.environ.get("CUTSWAP_CACHE") or platformdirs.user_cache_dir("cutswap"))

"""A thumbnail beside the mouse over a Plotly point, which Plotly itself cannot show.

The charts stay Streamlit's own. A component without a face listens to Plotly's hover events in the
page and cuts the picture out of one sheet of thumbnails. Where that fails, hovering still says in
words what a point is, and a click shows it large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from app.viewer.pictures import jpeg_url

_mount = st.components.v2.component(
    "cutswap_features_hover",
    html="<span></span>",
    js=(Path(__file__).parent / "hover.js").read_text(encoding="utf-8"),
)


def hover_thumbnails(charts: Sequence[str], thumbnails: np.ndarray, *, key: str) -> None:
    """Show the thumbnail of a point while the mouse is on it.

    Args:
        charts: keys of the `st.plotly_chart` elements; their points' customdata is the index.
        thumbnails: (N, T, T, 3) uint8.
        key: unique on the page.
    """
    url, columns = sheet_url(key, thumbnails)
    data = {
        "charts": list(charts),
        "sheet": url,
        "columns": columns,
        "rows": math.ceil(len(thumbnails) / columns),
        "count": len(thumbnails),
    }
    _mount(data=data, key=key)


@st.cache_data(max_entries=6, show_spinner=False)
def sheet_url(key: str, _thumbnails: np.ndarray) -> tuple[str, int]:
    """All thumbnails in one JPEG, row by row, and how many a row has.

    Args:
        key: changes whenever the thumbnails do.
        _thumbnails: (N, T, T, 3) uint8.
    """
    del key
    return jpeg_url(sheet(_thumbnails)), _columns(len(_thumbnails))


def sheet(thumbnails: np.ndarray) -> np.ndarray:
    """(N, T, T, 3) uint8 as one (H, W, 3) uint8, row by row, the rest of the last row black."""
    count, side = thumbnails.shape[:2]
    columns = _columns(count)
    rows = math.ceil(count / columns)
    whole = np.zeros((rows * columns, side, side, 3), np.uint8)
    whole[:count] = thumbnails
    grid = whole.reshape(rows, columns, side, side, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(grid.reshape(rows * side, columns * side, 3))


def _columns(count: int) -> int:
    return max(1, math.ceil(math.sqrt(count)))

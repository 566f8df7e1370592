"""Charts to take home: SVG from the chart's own camera, and the numbers behind its marks."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import plotly.graph_objects as go

_FIELDS = ("x", "y", "z", "text")


def chart_config(name: str) -> dict[str, Any]:
    """`config` of `st.plotly_chart`: one button, a camera that saves the chart as SVG.

    Plotly makes the file in the browser, so that no package is needed here.

    Args:
        name: of the file, without its ending.
    """
    return {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": "svg", "filename": name},
    }


def chart_arrays(figure: go.Figure) -> dict[str, np.ndarray]:
    """What a chart's marks stand for: one array for each of x, y, z and text that a trace has.

    Args:
        figure: of any traces; a mark without a number is NaN.

    Returns:
        By `INDEX_TRACE_FIELD`; numbers float64, everything else text.
    """
    arrays: dict[str, np.ndarray] = {}
    for index, trace in enumerate(figure.data):
        name = re.sub(r"[^A-Za-z0-9]+", "-", trace.name or "").strip("-")
        for field in _FIELDS:
            values = getattr(trace, field, None)
            if values is not None and not isinstance(values, str):
                stem = "_".join(filter(None, (f"{index}", name, field)))
                arrays[stem] = _plain(list(values))
    return arrays


def _plain(values: list[Any]) -> np.ndarray:
    try:
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    except (TypeError, ValueError):  # names
        return np.array([str(v) for v in values])

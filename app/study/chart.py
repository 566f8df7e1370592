"""An ablation as a chart: our mean with its spread, each seed, and the paper's points over it."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.chart_style import COLOURS
from cutswap.studies.tables import Entry

_SEEDS = 0.45  # opacity of single seeds


def ablation(entries: Sequence[Entry], figure_name: str) -> go.Figure:
    """Settings from left to right, one pair of series a coreset.

    Args:
        entries: entries of one category or the average.
        figure_name: title of the vertical axis.
    """
    figure = go.Figure()
    ratios = tuple(dict.fromkeys(e.coreset for e in entries))
    for index, ratio in enumerate(ratios):
        colour = COLOURS[2 * index]
        name = f", coreset {ratio:g}" if len(ratios) > 1 else ""
        ours = [(e, e.ours) for e in entries if e.coreset == ratio and e.ours is not None]
        points = [
            (_label(e.row), v, s) for e, f in ours for v, s in zip(f.values, f.seeds, strict=True)
        ]
        figure.add_scatter(
            x=[x for x, _, _ in points],
            y=[y for _, y, _ in points],
            mode="markers",
            marker={"color": colour, "size": 6, "opacity": _SEEDS},
            showlegend=False,
            customdata=[s for _, _, s in points],
            hovertemplate="%{x}, seed %{customdata}: %{y:.3f}<extra></extra>",
        )
        figure.add_scatter(
            x=[_label(e.row) for e, _ in ours],
            y=[f.mean for _, f in ours],
            mode="markers",
            name=f"ours{name}",
            marker={"color": colour, "size": 11},
            error_y={"array": [f.std or 0.0 for _, f in ours], "color": colour},
            customdata=[f.text() for _, f in ours],
            hovertemplate="%{x}: %{customdata}<extra>ours</extra>",
        )
        printed = [e for e in entries if e.coreset == ratio and e.paper is not None]
        if printed:
            figure.add_scatter(
                x=[_label(e.row) for e in printed],
                y=[e.paper for e in printed],
                mode="markers",
                name=f"the paper{name}",
                marker={
                    "color": COLOURS[2 * index + 1],
                    "size": 12,
                    "symbol": "diamond-open",
                    "line": {"width": 2},
                },
                hovertemplate="%{x}: %{y:.3f}, printed<extra>the paper</extra>",
            )
    order = list(dict.fromkeys(_label(e.row) for e in entries))
    figure.update_layout(
        height=340,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"categoryorder": "array", "categoryarray": order, "title": None},
        yaxis_title=figure_name,
    )
    return figure


def _label(row: str) -> str:
    """Two lines where one would be too wide for a phone."""
    words = row.removeprefix("layers ").removeprefix("anchors ").replace(" + ", "+")
    return words.replace(" Ns=", "<br>Ns=")

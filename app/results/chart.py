"""All cells of a results table as dots: seeds, their mean and spread, the paper for reference."""

from __future__ import annotations

import textwrap

import plotly.graph_objects as go

from app.figures.chart_style import COLOURS
from cutswap.results.table import PAPER_METHODS, Column, ResultsTable

SHAPES = ("circle", "square", "triangle-up", "diamond", "pentagon", "star")
PAPER_COLOURS = ("#7f7f7f", "#b0885a")  # by coreset; the shape tells the method
PAPER_SHAPES = ("x-thin-open", "cross-thin-open", "asterisk-open")


def dots(table: ResultsTable, names: dict[Column, str]) -> go.Figure:
    """One line a category, one dot a column; thin dots are single seeds.

    Args:
        table: one metric.
        names: headings of its columns.
    """
    figure = go.Figure()
    for index, setup in enumerate(table.setups):
        colour, shape = COLOURS[index % len(COLOURS)], SHAPES[index % len(SHAPES)]
        cells = [(r, f) for r in table.rows if (f := table.figures.get((r, setup))) is not None]
        seeds = [(v, r.label, s) for r, f in cells for v, s in zip(f.values, f.seeds, strict=True)]
        figure.add_scatter(
            x=[v for v, _, _ in seeds],
            y=[label for _, label, _ in seeds],
            mode="markers",
            marker={"color": colour, "size": 6, "opacity": 0.45},
            showlegend=False,
            legendgroup=names[setup],
            customdata=[s for _, _, s in seeds],
            hovertemplate="%{y}, seed %{customdata}: %{x:.3f}<extra></extra>",
        )
        figure.add_scatter(
            x=[f.mean for _, f in cells],
            y=[r.label for r, _ in cells],
            mode="markers",
            name=_wrapped(names[setup]),
            legendgroup=names[setup],
            marker={"color": colour, "size": 12, "symbol": shape, "line": {"width": 1}},
            error_x={"array": [f.std or 0.0 for _, f in cells], "color": colour},
            customdata=[f.text() for _, f in cells],
            hovertemplate="%{y}: %{customdata}<extra>" + names[setup] + "</extra>",
        )
    coresets = sorted({c.coreset for c in table.paper})
    for column in table.paper:
        printed = [(r, v) for r in table.rows if (v := table.printed(r, column)) is not None]
        figure.add_scatter(
            x=[v.value for _, v in printed],
            y=[r.label for r, _ in printed],
            mode="markers",
            name=_wrapped(names[column]),
            marker={
                "color": PAPER_COLOURS[coresets.index(column.coreset) % 2],
                "size": 12,
                "symbol": PAPER_SHAPES[PAPER_METHODS.index(column.method)],
                "line": {"width": 2},
            },
            hovertemplate="%{y}: %{x:.3f}, printed<extra>" + names[column] + "</extra>",
        )
    lines = sum(_wrapped(name).count("<br>") + 1 for name in names.values())
    order = [row.label for row in table.rows]
    figure.update_layout(
        height=110 + 46 * len(table.rows) + 24 * lines,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        # Below: long names beside the dots would leave no room for them on a phone.
        legend={"orientation": "h", "y": -0.25, "yanchor": "top", "x": 0},
        xaxis_title=None,  # chosen above the table; a title would lie under the legend
        yaxis={"categoryorder": "array", "categoryarray": [*reversed(order)], "title": None},
        xaxis_range=[_low(table), 1.005],
    )
    return figure


def _wrapped(name: str) -> str:
    """A long heading in lines, as Plotly breaks them: a phone is 40 letters wide."""
    return "<br>".join(textwrap.wrap(name, 38))


def _low(table: ResultsTable) -> float:
    """Left end of the axis: half a tenth below the smallest number, never right of 0.9."""
    values = [v for f in table.figures.values() for v in f.values]
    printed = [table.value(r, c) for r in table.rows for c in table.paper]
    smallest = min([*values, *(v for v in printed if v is not None)], default=0.5)
    return max(0.0, min(0.9, smallest - 0.05))

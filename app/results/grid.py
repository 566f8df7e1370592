"""The results table as a grid: short headings, signed and shaded differences, cells to click."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd  # type: ignore[import-untyped] # Streamlit's own: shading needs its Styler
import streamlit as st

from app.figures.chart_style import BETTER, SAME, WORSE
from cutswap.results.export import signed
from cutswap.results.setups import Setup
from cutswap.results.table import Column, PaperColumn, ResultsTable, Row

_FIRST = "category"


def headings(table: ResultsTable) -> dict[Column, str]:
    """A heading for each column, without what all our columns have in common."""
    ours = table.setups
    shared = shared_parts(ours)
    names: dict[Column, str] = {}
    for setup in ours:
        # What tells columns apart comes first: headings are cut off on the right.
        parts = [f"#{setup.number}"] if setup.number > 1 else []
        if "coreset" not in shared:
            parts.append(setup.scorer.removeprefix("coreset "))
        if "layers" not in shared:
            parts.append("+".join(setup.layers))
        names[setup] = " · ".join([*parts, _network(setup, ours), *filter(None, [setup.rest])])
    for printed in table.paper:
        noun = "Table" if len(printed.tables) == 1 else "Tables"
        text = f"paper {noun} {' and '.join(printed.tables)}: {printed.method}"
        names[printed] = text
    taken: set[str] = set()
    for column, name in names.items():  # short headings of different columns may coincide
        if name in taken:
            names[column] = column.label
        taken.add(names[column])
    return names


def shared_parts(setups: Sequence[Setup]) -> dict[str, str]:
    """What all our columns have in common, by part, in words; empty for none."""
    if not setups:
        return {}
    parts = {
        "backbone": {s.network.partition(", ")[0] for s in setups},
        "coreset": {s.scorer for s in setups},
        "layers": {"+".join(s.layers) for s in setups},
        "image size": {f"{s.image_size} pixels" for s in setups},
    }
    return {name: values.pop() for name, values in parts.items() if len(values) == 1}


def grid(
    table: ResultsTable, names: dict[Column, str], baseline: Column | None
) -> tuple[Row, Column] | None:
    """Draw the table.

    Args:
        table: one metric.
        names: headings.
        baseline: column whose differences are shown.

    Returns:
        The cell that was clicked; None for none, the mean row, or the first column.
    """
    frame, shades = _frames(table, names, baseline)
    styler = frame.style.apply(lambda _: shades, axis=None)
    state = st.dataframe(
        styler,
        hide_index=True,
        width="stretch",
        height="content",
        key=f"results.{table.metric}",
        on_select="rerun",
        selection_mode="single-cell",
        column_config={
            _FIRST: st.column_config.TextColumn("Category", pinned=True, width=140),
            **{
                names[c]: st.column_config.TextColumn(names[c], help=_help(c), width=215)
                for c in table.columns
            },
        },
        alt=f"{len(table.rows)} categories by {len(table.columns)} columns",
    )
    cells = state["selection"].get("cells", []) if state else []
    if not cells:
        return None
    number, heading = cells[0]
    by_heading = {name: column for column, name in names.items()}
    if number >= len(table.rows) or heading not in by_heading:
        return None
    return table.rows[number], by_heading[heading]


def _frames(
    table: ResultsTable, names: dict[Column, str], baseline: Column | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Texts and, in the same shape, their CSS."""
    texts: list[dict[str, str]] = []
    shades: list[dict[str, str]] = []
    for row in table.rows:
        text, shade = {_FIRST: row.label}, {_FIRST: ""}
        for column in table.columns:
            difference = None
            if baseline is not None and column != baseline:
                difference = table.difference(row, column, baseline)
            text[names[column]] = table.text(row, column) + _arrow(difference)
            shade[names[column]] = _shade(difference)
        texts.append(text)
        shades.append(shade)
    mean, shade = {_FIRST: "mean (categories)"}, {_FIRST: ""}
    for column in table.columns:
        mean[names[column]], shade[names[column]] = table.mean_text(column), ""
        if baseline is not None and column != baseline:
            common = table.mean_difference(column, baseline)
            if common is not None:
                mean[names[column]] += f"{_arrow(common[0])} on {common[1]}"
                shade[names[column]] = _shade(common[0])
    columns = [_FIRST, *names.values()]
    return (
        pd.DataFrame([*texts, mean], columns=columns),
        pd.DataFrame([*shades, shade], columns=columns),
    )


def _arrow(difference: float | None) -> str:
    if difference is None:
        return ""
    mark = "=" if abs(difference) < SAME else "▲" if difference > 0 else "▼"
    return f"  {mark} {signed(difference)}"


def _shade(difference: float | None) -> str:
    if difference is None or abs(difference) < SAME:
        return ""
    return BETTER if difference > 0 else WORSE


def _network(setup: Setup, ours: Sequence[Setup]) -> str:
    """Without the backbone's name where all have the same."""
    backbone, _, rest = setup.network.partition(", ")
    return rest if rest and "backbone" in shared_parts(ours) else f"{backbone}, {rest}"


def _help(column: Column) -> str:
    if isinstance(column, PaperColumn):
        return f"{column.label}: printed in the paper, not measured here."
    return f"{column.label}; mean ± sample standard deviation over seeds."

"""A study's table as a grid: ours and the paper's side by side, sortable, shaded by sign."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd  # type: ignore[import-untyped] # Streamlit's own: shading needs its Styler
import streamlit as st

from app.figures.chart_style import BETTER, SAME, WORSE
from cutswap.results.paper_tables import PAPER_TABLES
from cutswap.results.table import METRICS
from cutswap.studies.tables import Entry

GAP = "ours − paper"


def table(number: str, metric: str, entries: Sequence[Entry]) -> None:
    """Draw it; a click on a heading sorts.

    Args:
        number: roman.
        metric: key of `METRICS`.
        entries: entries of this table and metric.
    """
    has_categories = PAPER_TABLES[number].has_categories
    if not has_categories:  # the paper prints nothing but averages there
        entries = sorted(entries, key=lambda e: not e.is_average)
    frame = frame_of(entries)
    styler = frame.style.apply(_shades, axis=None).format(
        {"ours": _number, "±": _number, "paper": _number, GAP: _signed}
    )
    heading = "method" if has_categories else "setting"
    st.dataframe(
        styler,
        hide_index=True,
        placeholder="–",
        width="stretch",
        height="content" if len(entries) <= 30 else 700,
        key=f"study.table.{number}.{metric}",
        column_config={
            "category": st.column_config.TextColumn(pinned=True, width=110),
            "row": st.column_config.TextColumn(heading, width=130 if has_categories else 100),
            "coreset": None if len({e.coreset for e in entries}) == 1 else "coreset",
            "ours": st.column_config.NumberColumn(
                help=f"{METRICS[metric]}, mean over the seeds that are done"
            ),
            "±": st.column_config.NumberColumn(help="sample standard deviation over seeds"),
            "paper": st.column_config.NumberColumn(help="as printed, or the mean of its rows"),
            GAP: st.column_config.NumberColumn(help="blue: ours is higher; orange: lower"),
            "verdict": st.column_config.TextColumn(
                width=120,
                help="whether the difference is more than two of our spreads; other data: ours are"
                " not the paper's photos, so nothing is concluded",
            ),
        },
        alt=f"Table {number}, {METRICS[metric]}: {len(entries)} figures, ours and the paper's",
    )


def frame_of(entries: Sequence[Entry]) -> pd.DataFrame:
    """One line an entry; figures stay numbers, so that they sort as such."""
    return pd.DataFrame(
        [
            {
                "category": e.category,
                "row": e.row,
                "coreset": f"{e.coreset:g}",
                "ours": None if e.ours is None else e.ours.mean,
                "±": None if e.ours is None else e.ours.std,
                "seeds": _seeds(e),
                "paper": e.paper,
                GAP: e.difference,
                "verdict": e.verdict if e.wanted else "paper only",
            }
            for e in entries
        ]
    )


def _seeds(entry: Entry) -> str:
    if not entry.wanted:
        return ""
    done = 0 if entry.ours is None else len(entry.ours.values)
    return f"{done} of {entry.wanted}" + (f", {entry.failed} failed" if entry.failed else "")


def _shades(frame: pd.DataFrame) -> pd.DataFrame:
    shades = pd.DataFrame("", index=frame.index, columns=frame.columns)
    gaps = pd.to_numeric(frame[GAP])
    shades.loc[gaps >= SAME, GAP] = BETTER
    shades.loc[gaps <= -SAME, GAP] = WORSE
    return shades


def _number(value: float | None) -> str:
    return "–" if pd.isna(value) else f"{value:.3f}"


def _signed(value: float | None) -> str:
    if value is None or pd.isna(value):
        return "–"
    return f"{'▲' if value >= SAME else '▼' if value <= -SAME else '='} {value:+.3f}"

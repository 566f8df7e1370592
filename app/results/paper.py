"""The paper's tables to read: printed numbers, marked as the paper's in every heading."""

from __future__ import annotations

import streamlit as st

from app.shared import knobs
from cutswap.results.paper_tables import (
    METRICS,
    PAPER_TABLES,
    SOURCE,
    average_mismatches,
    table_values,
)


def tables() -> None:
    """One of Tables I to VIII, chosen, with the averages that do not follow from their rows.

    Raises:
        CutSwapError: the file of numbers is damaged.
    """
    first, second = st.columns([3, 2])
    with first:
        number = knobs.choice(
            "paper",
            "The paper's table",
            tuple(PAPER_TABLES),
            "II",
            segmented=True,
            help="I, II: MVTec AD; III, IV: VisA; each at two coresets. V to VIII: ablations.",
        )
    with second:
        metric = knobs.choice(
            "papermetric",
            "Printed figure",
            METRICS,
            METRICS[0],
            segmented=True,
            show=lambda m: m.replace("_auroc", " AUROC"),
            help="The paper prints these two, one number a cell, without seeds or spread.",
        )
    table = PAPER_TABLES[number]
    values = table_values(number, metric)
    heading = "category" if table.has_categories else "setting"
    rows = [
        {heading: name, **{c: _shown(v.value) for c, v in cells.items()}}
        for name, cells in values.items()
    ]
    st.markdown(f"**{table.label}**: {table.about}")
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        height="content",
        alt=f"{table.label}, {table.about}",
    )
    for mismatch in average_mismatches():
        if (mismatch.printed.table, mismatch.printed.metric) == (number, metric):
            st.caption(f":material/report: {mismatch.sentence()}. Shown as printed.")
    st.caption(f"Printed in: {SOURCE}. Nothing in this table was measured by this project.")


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

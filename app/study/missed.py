"""Which defects a study's networks miss, a grid for each category of the chosen table."""

from __future__ import annotations

import streamlit as st

from cutswap.studies.folder import Study
from cutswap.studies.tables import MissedTable, missed_tables


def section(study: Study, number: str) -> None:
    """An expander; nothing where no finished cell has counts.

    Args:
        study: with its results.
        number: roman, the table chosen above.
    """
    tables = [table for table in missed_tables(study) if table.table == number]
    if not tables:
        return
    with st.expander("Which defects are missed", icon=":material/troubleshoot:"):
        st.caption(
            "Share of the defective test images called defective, by type and by marked area, and"
            " of good ones the false alarms that this costs; the numbers of images stand in the"
            " headings. Mean over seeds; in brackets 95% (Wilson) for that many images. The"
            " threshold is each evaluation's own best F1 on these very images, so"
            " recall is optimistic."
        )
        for table in tables:
            _grid(table)


def _grid(table: MissedTable) -> None:
    st.markdown(f"**{table.title}**")
    lines = [
        {"row": row, **dict(zip(table.kinds, texts, strict=True))} for row, texts in table.rows
    ]
    st.dataframe(
        lines,
        hide_index=True,
        width="stretch",
        column_config={"row": st.column_config.TextColumn(pinned=True, width=110)},
        alt=f"{table.title}: recall of {', '.join(table.kinds)} for {len(lines)} rows",
    )

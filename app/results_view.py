"""What the Results page shows: the table of `cutswap.results_table`, notes, exports."""

from __future__ import annotations

import streamlit as st

from app import workspace
from app.howto import command_line
from app.selection import found_runs
from cutswap.results_export import protocol_differences, to_csv, to_markdown
from cutswap.results_table import METRICS, build_table


def show() -> None:
    """The page below its title.

    Raises:
        CutSwapError: the runs folder cannot be listed.
    """
    metric = st.segmented_control(
        "Figure", list(METRICS), default=next(iter(METRICS)), required=True,
        format_func=lambda m: m.replace("_", " "),
        help="Image AUROC judges whole images, pixel AUROC and AUPRO the heatmaps.",
    )  # fmt: skip
    found = found_runs(workspace.runs_folder())
    table = build_table(found.evaluations, found.runs, str(metric))
    if not table.rows:
        st.info(
            f"No evaluation under {workspace.runs_folder()} yet. The command below writes one;"
            " Inspect scores the selected category without it.",
            icon=":material/table_chart:",
        )
    else:
        columns = table.columns
        rows = [
            {"category": row.label, **{c.label: table.text(row, c) for c in columns}}
            for row in table.rows
        ]
        rows.append({"category": "mean", **{c.label: table.mean_text(c) for c in columns}})
        st.dataframe(rows, hide_index=True, width="stretch", alt="Results by category")
        st.caption("Columns that begin with paper are the paper's printed numbers, not ours.")
        for text in protocol_differences(table):
            st.caption(f":material/info: {text}")
        tables = [build_table(found.evaluations, found.runs, m) for m in METRICS]
        first, second = st.columns(2)
        first.download_button("CSV", to_csv(tables), "results.csv", "text/csv",
                              icon=":material/download:")  # fmt: skip
        second.download_button("Markdown", to_markdown(table), "results.md", "text/markdown",
                               icon=":material/download:")  # fmt: skip
    broken = [e for e in found.evaluations if e.state == "broken"]
    for evaluation in broken:
        st.warning(f"{evaluation.name} is left out: {evaluation.reason}")
    command_line(
        ["evaluate", "--data", "ROOT", "--category", "NAME", "--out",
         workspace.runs_folder() / "before"],
    )  # fmt: skip

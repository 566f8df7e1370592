"""Which defects the image threshold misses, by type and by marked area."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from cutswap.evaluation.missed import Recall, missed_defects
from cutswap.evaluation.scored_set import ScoredSet


def section(scored: ScoredSet, masks: np.ndarray | None, threshold: float) -> None:
    """Two tables that follow the threshold.

    Args:
        scored: the scored set.
        masks: (N, S, S) bool; None where the data marks no defects.
        threshold: scores at or above it are called defective.
    """
    st.subheader("Which defects are missed", anchor=False)
    st.caption(
        "Of each kind, how many the image threshold finds. The intervals (95%, Wilson) are wide"
        " where images are few: two kinds whose intervals overlap may well be found equally often."
    )
    missed = missed_defects(scored.defects, scored.scores, threshold, masks, scored.seen)
    left, right = st.columns(2)
    with left:
        _table("type of defect", missed.by_type)
    with right:
        if missed.by_area:
            _table("marked area", missed.by_area)
        else:
            st.info("No areas: this data set does not mark its defects.", icon=":material/info:")


def _table(kind: str, rows: Sequence[Recall]) -> None:
    lines = [
        {
            kind: row.name,
            "images": row.count,
            "missed": row.count - int(row.found),
            "recall": f"{row.recall:.2f}",
            "95% interval": "{:.2f} to {:.2f}".format(*row.interval),
        }
        for row in rows
    ]
    alt = f"Recall by {kind}: " + "; ".join(f"{r.name}, {r.text()}" for r in rows)
    narrow = st.column_config.Column(width=62)  # or half a page would cut the last column off
    columns = {"images": narrow, "missed": narrow, "recall": narrow}
    st.dataframe(lines, hide_index=True, width="stretch", column_config=columns, alt=alt)

"""The button that writes the one-page report of what is on the screen."""

from __future__ import annotations

import time

import streamlit as st

from app.inspect_heatmaps.review.kept import kept_photos
from app.shared import public
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.evaluation.thresholds import Prices
from cutswap.reports.inspection import REPORT, inspection_report


def report_button(
    scored: ScoredSet, threshold: float, prices: Prices | None, category: str
) -> None:
    """Write it once the button is pressed: its pictures are made then.

    Args:
        scored: the evaluation.
        threshold: as it is set.
        prices: of mistakes.
        category: key of the category whose kept photos it shows.
    """
    kept, names_folders = kept_photos(category), not public.is_public()

    def written() -> str:
        return inspection_report(
            scored,
            threshold=threshold,
            prices=prices,
            kept=kept,
            written=time.strftime("%Y-%m-%d %H:%M"),
            names_folders=names_folders,
        )

    st.download_button(
        "Report (HTML, to print)",
        written,
        REPORT,
        "text/html",
        on_click="ignore",
        icon=":material/summarize:",
        type="primary",
        help="One page for people who decide: threshold and how it was chosen, confusion, recall by"
        " kind, missed and falsely called parts, kept photos, versions, hashes and the command.",
    )

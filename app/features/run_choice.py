"""Which run the Features page looks at, or what there is to do where none fits."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.shared import workspace
from app.shared.page_parts import plain_text
from app.shared.selection import PRETRAINED, Selection, found_runs, select
from cutswap.errors import CutSwapError
from cutswap.runs.states import DONE, FoundRun
from cutswap.training.flags import trained_in

SHOWN = 6  # runs offered as buttons


def need_run(selected: Selection) -> Path | None:
    """The selected run's folder; None where it does not fit, and the page has said why."""
    if selected.run in PRETRAINED:
        st.info(
            "This page compares a network before and after fine-tuning, and"
            f" **{selected.run_label}** is chosen. Choose a finished run of"
            f" {plain_text(selected.category.name)}.",
            icon=":material/scatter_plot:",
        )
        _offer_runs(selected)
        return None
    run = next((r for r in _finished() if r.name == selected.run), None)
    if run is not None and run.category != selected.category.name:
        st.warning(
            f"The run {selected.run} has learnt from {run.category}, not from"
            f" {plain_text(selected.category.name)}.",
            icon=":material/category:",
        )
        _offer_category(run)
        _offer_runs(selected)
        return None
    trained = "backbone" if run is None else trained_in(run.settings)
    if trained != "backbone":
        st.info(
            f"{selected.run} trained a {trained} on frozen features: before and after are the same"
            " here. What it has learnt shows in Inspect.",
            icon=":material/info:",
        )
    return Path(selected.weights)


def _finished() -> list[FoundRun]:
    try:
        return [r for r in found_runs(workspace.runs_folder()).runs if r.state == DONE]
    except CutSwapError:  # the Train page says why
        return []


def _offer_runs(selected: Selection) -> None:
    runs = [r for r in _finished() if r.category == selected.category.name]
    row = st.container(horizontal=True)
    for run in sorted(runs, key=lambda r: -r.changed)[:SHOWN]:
        row.button(
            plain_text(run.name),
            on_click=select,
            kwargs={"run": run.name},
            key=f"features.run.{run.name}",
            icon=":material/model_training:",
        )
    if not runs:
        st.markdown(f"There is no finished run of {plain_text(selected.category.name)} yet.")
        st.page_link(st.session_state["pages"]["train"], label="Train one on the Train page")


def _offer_category(run: FoundRun) -> None:
    key = next(
        (k for k, (_, name) in workspace.category_keys().items() if name == run.category), None
    )
    if key is not None:
        st.button(
            f"Show {run.category}",
            on_click=select,
            kwargs={"category": key},
            icon=":material/swap_horiz:",
            key="features.category",
        )

"""A run's history on the Features page: shown, waited for, asked for, or why there is none."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from app.features.collecting import WantedHistory, feature_workshop, history_of
from app.features.over_time import show_history
from app.features.waiting import start_button, wait
from app.shared import knobs
from app.shared.page_parts import command_line, go_to, show_error
from app.shared.selection import Selection
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.analysis.over_time.collection import has_snapshots
from cutswap.data.records import Category
from cutswap.errors import CutSwapError
from cutswap.lessons.lesson_file import VARIABLE
from cutswap.runs.folder import RunFolder

STEP = 5  # of the shipped lesson, which has a recorded run


def show_run(selected: Selection, run: Path, category: Category) -> None:
    """The scrubber and what follows it.

    Args:
        selected: whose photo is looked at.
        run: a finished run.
        category: what it has learnt from, as it has read it.

    Raises:
        CutSwapError: a run that is damaged.
    """
    if not has_snapshots(RunFolder(run)):
        st.info(
            "This run kept no states on the way. Tick *Keep states on the way* among the settings"
            " of the Train page, or train with `--snapshots 10`: eight files, of a ResNet18 21 MB"
            " each.",
            icon=":material/timelapse:",
        )
        recorded_link()
        return
    wanted = WantedHistory(run, category)
    slot, body = st.empty(), st.container()
    words = ["features", "--run", run, "--data", selected.dataset.root, "--over-time"]
    command_line(
        [*words, "--out", "runs/features"],
        note="Writes over_time.csv there, and beside the run what this page plays.",
    )
    work = feature_workshop().of(wanted.key)
    if wanted.is_done:
        with body:
            _finished(wanted, selected.record.name)
        return
    with body:
        if work is None or (work.error is None and not work.is_running):
            count = len(category.train) + 2 * len(category.test) + 3 * FeatureSettings().samples
            st.info(
                f"Every state looks at some {count} pictures, once; the result is kept beside the"
                " run. Half a minute to a few minutes on two cores.",
                icon=":material/hourglass_empty:",
            )
            start_button(wanted, "Look at every state")
        elif work.error is not None:
            show_error(work.error)
            start_button(wanted, "Try again")
    if work is not None and work.is_running:
        wait(work, slot, "Looking at every state")


def _finished(wanted: WantedHistory, name: str) -> None:
    try:
        history = history_of(wanted.run)
    except CutSwapError as error:
        show_error(error)
        st.button(
            "Collect it again",
            on_click=_again,
            args=(wanted,),
            icon=":material/refresh:",
            key=f"features.again.{wanted.key}",
        )
        return
    st.markdown(f"**{history.answer()}**")
    command = ("features", "--run", wanted.run, "--over-time", "--out", "out/over_time")
    show_history(history, name, "features.time", (command,))


def _again(wanted: WantedHistory) -> None:
    wanted.forget()
    feature_workshop().start(wanted)


def recorded_link() -> None:
    """To the run that ships with the lesson; nothing where a lecturer's own lesson is open."""
    if os.environ.get(VARIABLE):
        return
    if st.button(
        "Watch a recorded run",
        on_click=knobs.set_knob,
        args=("step", STEP),
        icon=":material/smart_display:",
        key="features.recorded",
        help="In the lesson: ten states of a short run on the demo's hex nut.",
    ):
        go_to("lesson", step=str(STEP), look="time")

"""What the Lesson page shows: one step with its live picture, its task and its question."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from app.browser.lesson_link import CAPTION, PRESENT, SHOW, is_presented
from app.figures.copy_link import copy_link
from app.lesson import arithmetic, bank, fakes, feature_cloud, saliency_steps, swap
from app.lesson.exercises import exercises
from app.lesson.opening import (
    NOTE,
    STEP,
    choose_photo,
    refuse_unknown,
    say_missing,
    say_why,
    start_where_refused,
    step_number,
)
from app.lesson.question import answered, chosen_answer, question
from app.lesson.step_view import StepView, settings_of
from app.shared import knobs, public
from app.shared.caches import changed
from app.shared.page_parts import plain_errors, plain_text
from app.shared.selection import need_selection
from cutswap.lessons.lesson import Lesson, LessonStep
from cutswap.lessons.lesson_file import VARIABLE, read_lesson, shipped_lesson
from cutswap.lessons.live_pictures import SETTINGS
from cutswap.utils.files import user_path

# By the names that lesson files have for them.
DRAWN: dict[str, Callable[[StepView], None]] = {
    "arithmetic": arithmetic.show,
    "depths": saliency_steps.depths,
    "clusters": saliency_steps.clusters,
    "swap": swap.show,
    "features": feature_cloud.show,
    "bank": bank.show,
    "fakes": fakes.show,
}


def show() -> None:
    """The page below its title.

    Raises:
        CutSwapError: a lesson file with a mistake.
    """
    lesson = _lesson()
    top = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom", key="lesson_steps"):
        number = step_number(lesson)
        buttons = st.container(horizontal=True, width="content")  # one row on a phone, too
    with top:
        say_why()
    count = len(lesson.steps)
    with buttons:
        _step_button("Previous step", number - 1, count, "Left", ":material/arrow_back:")
        _step_button("Next step", number + 1, count, "Right", ":material/arrow_forward:")
    step = lesson.steps[number - 1]
    refuse_unknown(step)
    choose_photo(step)
    done = answered(lesson.title)
    st.progress(
        number / count,
        f"Step {number} of {count} · about {step.minutes} of {lesson.minutes} minutes ·"
        f" {done} of {count} questions answered",
    )
    if number == 1 and lesson.introduction:
        st.markdown(lesson.introduction)
    st.subheader(f"{number}. {plain_text(step.title)}", anchor=False)
    st.markdown(step.text)
    say_missing(step)
    selected = need_selection()
    with st.container(border=True):
        st.markdown(f":material/touch_app: **Do.** {step.task}")
    values = settings_of(step)
    start_where_refused()
    view = StepView(step, selected, values, chosen_answer(lesson.title, number) is not None)
    with plain_errors("the picture of this step"):
        DRAWN[step.picture](view)
    st.text(step.caption)
    question(lesson.title, number, step)
    if knobs.toggle(NOTE, "Speaker's note", False, help="For whoever teaches with this step."):
        st.info(step.speaker, icon=":material/record_voice_over:")
    _ways(step)
    if not is_presented():
        exercises()


def _lesson() -> Lesson:
    """The lecturer's own, or the one that ships; read again when its file has changed."""
    own = os.environ.get(VARIABLE, "")
    path = user_path(own) if own else shipped_lesson()
    return _read(path, changed(path))


@st.cache_resource(max_entries=4, show_spinner=False)
def _read(path: Path, modified: int) -> Lesson:
    del modified
    return read_lesson(path, path.name)  # a visitor is not told folders of the host


def _step_button(label: str, number: int, count: int, shortcut: str, icon: str) -> None:
    st.button(
        label,
        on_click=knobs.set_knob,
        args=(STEP, number),
        disabled=not 1 <= number <= count,
        shortcut=shortcut,
        icon=icon,
        key=f"lesson.{shortcut}",
    )


def _ways(step: LessonStep) -> None:
    """To the page that has all of the step's picture, to the presenter view, and to a link."""
    pages = st.session_state["pages"]
    with st.container(horizontal=True, vertical_alignment="center"):
        name = step.live.page
        if name in pages and not (public.is_public() and name in public.CLOSED):
            shown = [SETTINGS[control].page_url for control in step.controls]
            link = {SHOW: ",".join(filter(None, shown)), CAPTION: step.caption}
            st.page_link(
                pages[name],
                label=f"Only this on {pages[name].title}",
                icon=":material/open_in_new:",
                query_params=link,
                width="content",
            )
        if not is_presented():
            st.button(
                "Presenter view",
                on_click=_present,
                icon=":material/slideshow:",
                key="lesson.present",
                help="Large type, no menu, no sidebar; the arrow keys go on and back.",
            )
        if "stages" in pages:
            st.page_link(
                pages["stages"],
                label="All stages on one page",
                icon=":material/grid_view:",
                width="content",
            )
        copy_link("lesson")


def _present() -> None:
    st.query_params[PRESENT] = "1"

"""Which step a link opens, with which photo; a link with nonsense opens the start and says why."""

from __future__ import annotations

import streamlit as st

from app.browser.history import is_back_or_forward
from app.browser.lesson_link import CAPTION, PRESENT, SHOW
from app.shared import knobs, selection
from app.shared.page_parts import plain_text
from app.shared.selection import CATEGORY, IMAGE, RUN
from cutswap.lessons.lesson import Lesson, LessonStep
from cutswap.lessons.live_pictures import SETTINGS

STEP, NOTE = "step", "note"
_AT = "lesson.at"  # session: number of the step that was drawn last
_WHY = "lesson.why"  # session: why a link has opened the start
_MANNER = (SHOW, CAPTION, PRESENT, NOTE)  # of a link: how, and not what
_OF_STEP = (CATEGORY, IMAGE, *SETTINGS)
MOST_SAID = 4


def step_number(lesson: Lesson) -> int:
    """The step, from 1, drawn as a control; another step begins with its own photo and settings.

    Args:
        lesson: whose steps there are.
    """
    number = knobs.choice(
        STEP,
        "Step",
        tuple(range(1, len(lesson.steps) + 1)),
        1,
        segmented=True,
        help="The arrow keys go to the one before and the next.",
    )
    at = st.session_state.get(_AT)
    has_come = knobs.has_come_from_another()
    if has_come or at not in (None, number):
        for name in SETTINGS:
            knobs.forget(name)
        for name in (CATEGORY, IMAGE):
            st.session_state.pop(name, None)
        if not has_come and not is_back_or_forward():  # what the link says is of the step before
            for name in _OF_STEP:
                st.query_params.pop(name, None)
        st.session_state.pop(_WHY, None)
    st.session_state[_AT] = number
    return number


def refuse_unknown(step: LessonStep) -> None:
    """Refuse what a link says and this step has no use for.

    Args:
        step: that it opens.
    """
    known = {STEP, RUN, CATEGORY, IMAGE, *_MANNER, *step.live.settings}
    for name in st.query_params:
        if name not in known:
            says = "is of another step" if name in SETTINGS else "is nothing that a lesson has"
            knobs.refuse(f"The link's {plain_text(name[:40])} {says}.")


def start_where_refused() -> None:
    """Open the lesson's start where something of the link was refused; ends this rerun then."""
    refused = knobs.refused()
    if not refused:
        return
    for name in (STEP, *SETTINGS):
        knobs.forget(name)
    for name in (CATEGORY, IMAGE):
        st.session_state.pop(name, None)
    for name in list(st.query_params):
        if name not in _MANNER:
            st.query_params.pop(name, None)
    st.session_state[_AT] = None
    st.session_state[_WHY] = refused
    st.rerun()


def say_why() -> None:
    """Why the start is shown, until one goes on."""
    refused = st.session_state.get(_WHY, ())
    if not refused:
        return
    more = len(refused) - MOST_SAID
    said = " ".join(refused[:MOST_SAID]) + (f" And {more} more." if more > 0 else "")
    st.warning(f"This is the lesson's start. {said}", icon=":material/link_off:")


def choose_photo(step: LessonStep) -> None:
    """The sidebar's lists, beginning with the photo of the step.

    Args:
        step: whose photo it is.
    """
    category = selection.category_called(step.category) if step.category else ""
    selection.sidebar(category or "", step.photo)


def say_missing(step: LessonStep) -> None:
    """A line where the step's own category or photo is not here.

    Args:
        step: as the lesson's file has it.
    """
    selected = selection.current()
    if selected is None:
        return
    category = selection.category_called(step.category) if step.category else selected.key
    if category is None:
        what = f"category {plain_text(step.category)}"
    elif category == selected.key and step.photo and not _has(selected, step.photo):
        what = f"photo {plain_text(step.photo)}"
    else:
        return
    st.warning(
        f"The lesson's {what} is not here; shown is {plain_text(selected.record.name)} of"
        f" {plain_text(selected.category.name)}.",
        icon=":material/image_not_supported:",
    )


def _has(selected: selection.Selection, name: str) -> bool:
    records = (*selected.category.test, *selected.category.train)
    return any(record.name == name for record in records)

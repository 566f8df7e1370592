"""The exercises below the lesson, one at a time: a link, its Python, and the solution folded."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from app.shared.page_parts import plain_errors
from cutswap.lessons.exercises import Exercise, shipped_exercises

KEY = "lesson.exercise"  # session: number of the one that is shown


def exercises() -> None:
    """An expander; what is in it asks only itself to be drawn again."""
    with st.expander("Five exercises, about an hour each", icon=":material/exercise:"):
        st.fragment(_exercises)()


def _exercises() -> None:
    with plain_errors("the exercises"):
        introduction, every = shipped_exercises()
        st.markdown(introduction)
        number = st.segmented_control(
            "Exercise",
            range(1, len(every) + 1),
            default=1,
            format_func=lambda n: f"{n}. {every[n - 1].title}",
            key=KEY,
            required=True,
            persist_state="session",
            wrap=True,
        )
        _one(every[int(number or 1) - 1], int(number or 1))


def _one(exercise: Exercise, number: int) -> None:
    st.markdown(f"**{exercise.title}.** {exercise.text}")
    # In a tab of its own: there the link decides, here what was chosen on that page before.
    st.link_button(
        f"Open {exercise.address.capitalize()}",
        f"{exercise.address}?{urlencode(exercise.query)}",
        icon=":material/open_in_new:",
    )
    if st.toggle("The same in Python", key=f"{KEY}.{number}.code", persist_state="session"):
        st.code(exercise.code, language="python")
    if st.toggle("Show the solution", key=f"{KEY}.{number}.solution", persist_state="session"):
        st.markdown(exercise.solution)

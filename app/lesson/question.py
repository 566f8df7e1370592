"""The question of a step: the answer is shown once one has chosen."""

from __future__ import annotations

import streamlit as st

from cutswap.lessons.lesson import LessonStep

_ANSWERS = "lesson.answers"  # session: (lesson, number of the step) -> index of what was chosen


def chosen_answer(lesson: str, number: int) -> int | None:
    """What the visitor has answered; None before.

    Args:
        lesson: its title.
        number: of the step, from 1.
    """
    answers: dict[tuple[str, int], int] = st.session_state.get(_ANSWERS, {})
    return answers.get((lesson, number))


def answered(lesson: str) -> int:
    """How many questions of a lesson the visitor has answered."""
    return sum(title == lesson for title, _ in st.session_state.get(_ANSWERS, {}))


def question(lesson: str, number: int, step: LessonStep) -> None:
    """Question and answers, then whether the choice was right, and why.

    Args:
        lesson: its title.
        number: of the step, from 1.
        step: with the question.
    """
    asked = step.question
    chosen = chosen_answer(lesson, number)
    st.markdown(f"**Predict first.** {asked.text}")
    choice = st.radio(
        "Your prediction",
        range(len(asked.answers)),
        index=chosen,
        format_func=lambda index: asked.answers[index],
        key=f"lesson.choice.{number}",
        disabled=chosen is not None,
        persist_state="session",
    )
    if chosen is None:
        st.button(
            "Answer",
            on_click=_answer,
            args=(lesson, number),
            disabled=choice is None,
            type="primary",
            icon=":material/lightbulb:",
            key=f"lesson.answer.{number}",
            help="Then the answer is shown.",
        )
        return
    right = asked.answers[asked.right]
    if chosen == asked.right:
        st.success(f"That is right: {right}", icon=":material/check_circle:")
    else:
        st.warning(f"Not this one. Right is: {right}", icon=":material/cancel:")
    st.markdown(asked.explanation)
    st.button(
        "Ask again",
        on_click=_again,
        args=(lesson, number),
        icon=":material/undo:",
        key=f"lesson.again.{number}",
        help="Hides the answer, for the next one who is to predict.",
    )


def _answer(lesson: str, number: int) -> None:
    choice = st.session_state.get(f"lesson.choice.{number}")
    if choice is not None:
        st.session_state.setdefault(_ANSWERS, {})[lesson, number] = int(choice)


def _again(lesson: str, number: int) -> None:
    st.session_state.get(_ANSWERS, {}).pop((lesson, number), None)
    st.session_state[f"lesson.choice.{number}"] = None

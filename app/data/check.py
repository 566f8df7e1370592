"""All problems of one category: from the headers at once, from every pixel when asked for."""

from __future__ import annotations

import streamlit as st

from app.shared import workspace
from app.shared.page_parts import command_line, data_flags, plain_text
from app.shared.selection import Selection
from cutswap.data.problems import KINDS, find_problems
from cutswap.data.records import Problem

QUICK = 3000  # files whose headers are read without asking: a second or two
_FOUND = "data.problems"  # session: category key -> problems of the thorough look
_SHOWN = 200


def check(selected: Selection) -> None:
    """The selected category's problems."""
    category = selected.category
    st.subheader(f"Are the photos of {plain_text(category.name)} usable?", anchor=False)
    files = len(category.train) + len(category.test)
    deep: dict[str, tuple[Problem, ...]] = st.session_state.setdefault(_FOUND, {})
    slot = st.empty()
    if st.button(
        f"Full check of {files} photos",
        icon=":material/fact_check:",
        help="Reads every pixel: finds damaged files, blank photos, masks that mark nothing or"
        " nearly everything, unused bits, and photos that are in both training and test set.",
    ):
        bar = slot.progress(0.0, "Reading every file")

        def tick(done: int, total: int) -> None:
            bar.progress(done / total, f"Reading every file: {done} of {total}")

        deep[selected.key] = find_problems(category, progress=tick)
        bar.empty()
    if selected.key in deep:
        _say(deep[selected.key], "full check")
    elif files <= QUICK:
        _say(find_problems(category, deep=False), "quick check")
    else:
        st.caption(f"Not checked yet: {files:,} photos take a while.")
    command_line(["check-data", *data_flags(selected.dataset.root, category.name)])


def forget(key: str | None = None) -> None:
    """Throw away what thorough looks found, of one category or of all."""
    if key is None:
        st.session_state.pop(_FOUND, None)
    else:
        st.session_state.get(_FOUND, {}).pop(key, None)


def _say(problems: tuple[Problem, ...], what: str) -> None:
    fatal = sum(p.fatal for p in problems)
    if not problems:
        st.success(f"No problems found ({what}).", icon=":material/check_circle:")
        return
    errors, notes = _counted(fatal, "error"), _counted(len(problems) - fatal, "note")
    text = f"{errors} and {notes} ({what})."
    if fatal:
        st.warning(
            f"{text} Repair or remove the files marked as errors, or leave them out: a tick on the"
            " Train page, --skip-bad on the command line.",
            icon=":material/warning:",
        )
    else:
        st.info(text, icon=":material/info:")
    st.dataframe(
        [
            {
                "": "✖ error" if p.fatal else "○ note",
                "file": _short(p),
                "problem": p.message,
                "kind": KINDS.get(p.kind, p.kind),
            }
            for p in problems[:_SHOWN]
        ],
        hide_index=True,
        width="stretch",
        alt=f"{len(problems)} problems",
    )
    if len(problems) > _SHOWN:
        st.caption(f"The first {_SHOWN} of {len(problems)}; the command below lists all.")


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _short(problem: Problem) -> str:
    """The file from its category's folder on, as far as it lies in a folder the app knows."""
    for source in workspace.sources():
        if problem.path.is_relative_to(source.root):
            return problem.path.relative_to(source.root).as_posix()
    return problem.path.name

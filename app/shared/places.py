"""Seven places in the order of work: which page is a place's second view, and what comes next."""

from __future__ import annotations

import streamlit as st

from app.browser import lesson_link
from app.shared import public

# Second view: the first of its place.
SECOND = {
    "features": "train",
    "study": "results",
    "lesson": "start",
    "spot": "start",
    "stages": "start",
}
# Page: the one that comes after it, and the question that it answers.
NEXT = {
    "start": ("data", "Which photos are there, and how do I add mine?"),
    "data": ("saliency", "Where does a network look on these photos?"),
    "saliency": ("negatives", "Make defects from it, and see whether they look plausible."),
    "negatives": ("train", "Fine-tune a network on such made-up defects."),
    "train": ("inspect_heatmaps", "Does the network find real defects?"),
    "features": ("inspect_heatmaps", "Does the network find real defects?"),
    "inspect_heatmaps": ("results", "Does fine-tuning help, and on which parts?"),
    "results": ("study", "Repeat the paper's tables on your own photos."),
    "study": ("data", "Try it on other photos."),
    "spot": ("negatives", "Make such fakes yourself, with every setting."),
    "stages": ("saliency", "The same pictures large, one place after another."),
    "lesson": ("saliency", "The same pictures with every setting, on any photo."),
}


def is_second_view(page: str) -> bool:
    """Whether a page, a key of `main.PAGES`, is reached from another one and not from the menu."""
    return page in SECOND


def views(page: str) -> None:
    """Links to both views of a page's place, below its title; look.css marks the place's menu.

    Args:
        page: key of `main.PAGES`; nothing is drawn where its place has one view.
    """
    if lesson_link.is_active():
        return
    first = SECOND.get(page, page)
    pages = st.session_state["pages"]
    shown = [first, *(second for second, one in SECOND.items() if one == first)]
    is_closed = public.is_public() and shown[-1] in public.CLOSED
    if len(shown) < 2 or is_closed or any(name not in pages for name in shown):
        return
    with st.container(horizontal=True, gap="small", key=f"views_of_{first}"):
        for name in shown:
            st.page_link(pages[name], width="content")


def next_step(page: str) -> None:
    """The last line of a page: where the work goes on; what a public demo has closed is passed.

    Args:
        page: key of `main.PAGES`.
    """
    if lesson_link.is_active() or lesson_link.is_presented():
        return
    name, question = NEXT[page]
    while public.is_public() and name in public.CLOSED:
        name, question = NEXT[name]
    pages = st.session_state["pages"]
    if name not in pages:
        return
    st.divider()
    with st.container(key="next_step"):
        st.page_link(
            pages[name],
            label=f"Next: **{pages[name].title}**. {question}",
            icon=":material/arrow_forward:",
        )

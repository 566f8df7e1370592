"""Start: the pipeline as a story in four pictures, three ways on, and what is ready."""

from __future__ import annotations

import streamlit as st

from app.shared import public
from app.shared.page_parts import plain_errors, plain_text
from app.shared.places import next_step
from app.start import story
from app.start.readiness import readiness

st.title("CutSwap Explorer")
public.notice("start")
st.markdown(
    "A network that has seen only good parts can learn to find defects, if it is shown"
    " convincing made-up ones. CutSwap makes them: **it looks where a network looks, and swaps two"
    " places it finds equally interesting.**"
)
for column, (step, title, text) in zip(st.columns(4), story.STEPS, strict=True):
    with column:
        if story.picture(step).is_file():
            st.image(str(story.picture(step)), width="stretch", alt=f"{title}. {text}")
        st.markdown(f"**{title}**  \n{text}")

pages = st.session_state["pages"]
for page, label, icon in (
    ("lesson", "**Walk through a lesson** of half an hour", "school"),
    ("spot", "**Spot the fake**: one of two photos is one", "visibility"),
    ("stages", "**All stages of one photo** on one page, to play with and to print", "grid_view"),
):
    if page in pages:
        st.page_link(pages[page], label=label, icon=f":material/{icon}:")
st.subheader("Where to go", anchor=False)
ways = (
    ("saliency", "See what the network looks at", "Saliency maps and clusters, level by level."),
    ("negatives", "Make a defect", "Swap two patches of a good photo; every setting acts at once."),
    (
        "inspect_heatmaps",
        "Find real defects",
        "Heatmaps beside the marked defects, and the threshold to set.",
    ),
)
for column, (page, title, text) in zip(st.columns(3), ways, strict=True):
    with column, st.container(border=True):
        if page in pages:
            st.page_link(pages[page], label=f"**{title}**", icon=":material/arrow_forward:")
        st.caption(text)

st.subheader("What is ready", anchor=False)
with plain_errors("the list of what is ready"):
    for item in readiness():
        name, how, link = st.columns([1, 4, 2], vertical_alignment="center")
        mark = ":green[:material/check_circle:]" if item.is_ready else ":orange[:material/pending:]"
        name.markdown(f"{mark} **{item.name}**")
        how.markdown(plain_text(item.text))
        if item.page in pages:
            link.page_link(pages[item.page], label=item.action)
next_step("start")

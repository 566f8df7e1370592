"""Whether the photo on the Negatives page is one that training may learn from, said in words."""

from __future__ import annotations

import streamlit as st

from app.shared.page_parts import plain_text
from app.shared.selection import Selection, select
from cutswap.data.records import Category, Record

GOOD_ONLY = (
    "Only from a good training photo: the folder train/good would else hold a photo that may show"
    " a defect, or one that is there to test on."
)


def is_good_for_training(category: Category, record: Record) -> bool:
    """Whether somebody has said that it is good and to be learnt from."""
    return record.split == "train" and record.is_good and category.layout != "images"


def say_origin(selected: Selection) -> None:
    """One line where training would not learn from this photo, with the way to one that it does."""
    category, record = selected.category, selected.record
    if is_good_for_training(category, record):
        return
    if category.layout == "images":
        st.info(
            "Nobody has said whether this photo shows a good part. Training makes negatives from"
            " good parts only; on a defective one they teach nothing.",
            icon=":material/help:",
        )
        return
    what = {"good": "a good test photo", "unlabelled": "a photo to look at"}.get(
        record.defect, f"a test photo with a real defect ({plain_text(record.defect)})"
    )
    row = st.container(horizontal=True, vertical_alignment="center")
    row.info(f"This is {what}: **training never sees it**.", icon=":material/visibility_off:")
    row.button(
        "Show a good photo",
        on_click=select,
        kwargs={"image": category.train[0].name},
        icon=":material/school:",
    )

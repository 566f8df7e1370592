"""The last batch as the network saw it, with what the network said about each picture."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import streamlit as st

from app.train.curves import CLASSES
from app.viewer.pictures import jpeg
from cutswap.utils.files import is_own_file
from cutswap.utils.folder_names import SEEN

WIDTH = 108  # pixels of a picture: one photo in its three classes is a line of a phone, two of 1280


def seen(path: Path) -> None:
    """A sheet of positives and negatives; nothing before the first."""
    if not all(is_own_file(path / name) for name in SEEN):
        return
    from cutswap.runs.seen import SIDE, read_seen  # brings torch, which takes two seconds

    shown = read_seen(path)
    if shown is None:
        return
    if shown.cosines is not None:
        _views(shown.step, shown.sheet, shown.cosines, SIDE)
        return
    if shown.probabilities is None:
        return
    rows, ways, _ = shown.probabilities.shape
    st.markdown(f"**What it saw at update {shown.step}**, and how sure it was of the right class")
    with st.container(horizontal=True, gap="small"):
        for row, way in itertools.product(range(rows), range(ways)):
            own = shown.probabilities[row, way]
            sure, said = float(own[way]), CLASSES[int(own.argmax())]
            mark = "" if own.argmax() == way else f", said {said}"
            square = (slice(row * SIDE, (row + 1) * SIDE), slice(way * SIDE, (way + 1) * SIDE))
            st.image(
                jpeg(shown.sheet[square]),
                width=WIDTH,
                caption=f"{CLASSES[way]} {sure:.0%}{mark}",
                alt=f"{CLASSES[way]} of photo {row + 1}, right class at {sure:.0%}",
            )


VIEWS = ("strong view", "strong view", "photo", "weak view", "SmoothBlend")


def _views(step: int, sheet: np.ndarray, cosines: np.ndarray, side: int) -> None:
    """The same of SPD: five views of a photo, each with its cosine to it."""
    rows, count = cosines.shape
    if count != len(VIEWS):
        return
    st.markdown(
        f"**What it saw at update {step}**, and how alike it found each to the photo: the weak view"
        " shall be near 1, the SmoothBlend below it"
    )
    with st.container(horizontal=True, gap="small"):
        for row, view in itertools.product(range(rows), range(count)):
            square = (slice(row * side, (row + 1) * side), slice(view * side, (view + 1) * side))
            st.image(
                jpeg(sheet[square]),
                width=WIDTH,
                caption=f"{VIEWS[view]} {cosines[row, view]:.2f}",
                alt=f"{VIEWS[view]} of photo {row + 1}, cosine {cosines[row, view]:.2f}",
            )

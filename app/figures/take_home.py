"""Figures to take home: print-size PNG, the data as .npy, and a link, from every picture and chart.

Each file says how it was made: title, settings and the commands that repeat it. Nothing is made
before somebody clicks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app.browser.lesson_link import is_shown
from app.figures.chart_files import chart_arrays
from app.figures.copy_link import copy_link
from app.figures.drawn_picture import draw_picture
from app.shared import public
from app.shared.page_parts import plain_text
from app.viewer.viewer import Picture
from cutswap.figures.figure_files import COLUMN, PAGE, Origin, arrays_zip, print_pixels, print_png

LABEL = "Download figures"
_WIDTHS = {"PNG, one column": COLUMN, "PNG, page width": PAGE}


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: of its files, without an ending.
        title: what it shows.
        draw: from the width in pixels to (H, W, 3) uint8; None for a chart, which saves itself.
        arrays: what it shows as arrays, by name; None where that is the picture alone.
    """

    name: str
    title: str
    draw: Callable[[int], np.ndarray] | None
    arrays: Callable[[], Mapping[str, np.ndarray]] | None = None


def of_picture(name: str, title: str, picture: Picture, arrays: Mapping[str, np.ndarray]) -> Figure:
    """The figure of what a viewer shows.

    Args:
        name: of its files.
        title: what it shows.
        picture: as the viewer gets it.
        arrays: what it was drawn from, by name.
    """
    return Figure(name, title, partial(draw_picture, picture), lambda: arrays)


def of_chart(name: str, title: str, chart: go.Figure) -> Figure:
    """The figure of a chart drawn with `chart_config`, which saves it as SVG."""
    return Figure(name, title, None, partial(chart_arrays, chart))


def take_home(figures: Sequence[Figure], origin: Origin, *, key: str) -> None:
    """One button with all files of these figures, and one that copies the link.

    Args:
        figures: in the order of the page.
        origin: how they were made; its commands name paths of the host and are left out in public
            mode. Its title is each figure's own.
        key: unique on the page.
    """
    if not is_shown("download"):
        return
    if public.is_public():
        origin = replace(origin, commands=())
    _row(figures, origin, key)


@st.fragment
def _row(figures: Sequence[Figure], origin: Origin, key: str) -> None:
    """The buttons; the files are made for an open one alone, a tenth of a page's time otherwise."""
    with st.container(horizontal=True, vertical_alignment="center"):
        opened = st.popover(LABEL, icon=":material/download:", key=f"{key}.home", on_change="rerun")
        copy_link(f"{key}.link")
    if not opened.open:
        return
    with opened:
        for figure in figures:
            _files(figure, replace(origin, title=figure.title), f"{key}.{figure.name}")
        st.caption(
            f"PNG at 300 dpi, {COLUMN} or {PAGE} mm wide. Settings and the command that repeats"
            " the figure are in the file: in the text of the PNG, and in settings.json beside the"
            " arrays."
        )


def _files(figure: Figure, origin: Origin, key: str) -> None:
    st.markdown(f"**{plain_text(figure.title)}**")
    with st.container(horizontal=True):
        if figure.draw is not None:
            for label, width in _WIDTHS.items():
                st.download_button(
                    label,
                    partial(_png, figure.draw, origin, width),
                    f"{figure.name}-{width}mm.png",
                    "image/png",
                    key=f"{key}.{width}",
                    on_click="ignore",
                )
        if figure.arrays is not None:
            st.download_button(
                "Data, .npy",
                partial(_arrays, figure.arrays, origin),
                f"{figure.name}.zip",
                "application/zip",
                key=f"{key}.data",
                on_click="ignore",
                help="A ZIP with the arrays and settings.json.",
            )
    if figure.draw is None:
        st.caption("As SVG: the camera at the chart's upper right. For paper, in the light theme.")


def _png(draw: Callable[[int], np.ndarray], origin: Origin, width: float) -> bytes:
    return print_png(draw(print_pixels(width)), origin, width)


def _arrays(arrays: Callable[[], Mapping[str, np.ndarray]], origin: Origin) -> bytes:
    return arrays_zip(arrays(), origin)

"""What the Stages page shows: the settings, all pictures of one photo, and ways on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path

import numpy as np
import streamlit as st

from app.browser.lesson_link import is_active, is_presented
from app.figures.print_page import print_page
from app.figures.take_home import Figure, take_home
from app.lesson.bank import photo_key
from app.negatives.controls import controls
from app.negatives.draws import Drawing
from app.shared import knobs
from app.shared.page_parts import plain_errors, plain_text
from app.shared.selection import Selection
from app.stages.pictures import StagePicture, stage_pictures
from app.viewer.pictures import jpeg_url
from cutswap.data.records import Record
from cutswap.figures.figure_files import Origin
from cutswap.figures.labelled_grid import GridCell, LabelledGrid, draw_grid
from cutswap.lessons.live_pictures import BANK_PHOTOS, SETTINGS

_STYLE = Path(__file__).parent / "stages.css"
COLUMNS = 5


def show(selected: Selection) -> None:
    """The page below its title.

    Raises:
        CutSwapError: an unreadable photo, or weights that cannot be loaded.
    """
    st.html(_STYLE)
    glance = st.container(key="stages_glance")
    with st.container(key="stages_controls"):
        drawing, epoch, *_ = controls(selected, has_layout=False)
        photos = knobs.choice(
            "photos",
            "Good photos in the bank",
            BANK_PHOTOS,
            int(SETTINGS["photos"].default),
            segmented=True,
            help="The first ones of the good training photos, without the one on the page.",
        )
    bank, good = _photos_of_bank(selected, photos)
    with plain_errors("the pictures"):
        pictures = stage_pictures(
            drawing, epoch, tuple(photo_key(one) for one in bank), photo_key(good)
        )
        with glance:
            st.html(_glance(pictures))
        st.caption(_settings_line(selected, drawing, epoch, len(bank)))
        st.html(_figures(pictures))
        with st.container(horizontal=True, vertical_alignment="center", key="stages_ways"):
            _ways(selected, drawing, epoch, pictures)


def _photos_of_bank(selected: Selection, count: int) -> tuple[list[Record], Record]:
    """Good photos for the bank, and one it does not know, where there is one."""
    name = selected.record.name
    train = [one for one in selected.category.train if one.name != name]
    train = train or list(selected.category.train)  # of one photo in all
    bank = train[:count]
    known = {name, *(one.name for one in bank)}
    others = (*(one for one in selected.category.test if one.is_good), *train[::-1])
    return bank, next((one for one in others if one.name not in known), train[-1])


def _settings_line(selected: Selection, drawing: Drawing, epoch: int, count: int) -> str:
    layers = ", ".join(drawing.key.levels[level] for level in drawing.levels)
    return (
        f"**{plain_text(selected.record.name)}** of {plain_text(selected.category.name)} ·"
        f" {drawing.key.backbone}, {drawing.key.weights} · layer {plain_text(layers)} ·"
        f" K {drawing.clusters.k} · {plain_text(drawing.method)}, seed {drawing.seed},"
        f" epoch {epoch} · bank of {count} good photos"
    )


def _figures(pictures: Sequence[StagePicture]) -> str:
    """The pictures as HTML: a grid that a sheet of paper holds, too."""
    parts = []
    for one in pictures:
        mark = " class='chosen'" if one.chosen else ""
        said = f"{one.title}: {one.says}" + (", the one that is drawn from" if one.chosen else "")
        parts.append(
            f"<figure{mark}><b>{escape(one.title)}</b>"
            f"<img src='{jpeg_url(one.picture)}' alt='{escape(said, quote=True)}'>"
            f"<figcaption>{escape(one.says)}</figcaption></figure>"
        )
    return f"<div class='stages'>{''.join(parts)}</div>"


def _glance(pictures: Sequence[StagePicture]) -> str:
    """Photo, negative and the negative's heat in one row: on a phone, above the settings.

    There the first of all pictures would lie below them, on the second screen.
    """
    starts = [one for one in pictures if one.title.startswith(("1 ", "5 "))]
    heat = [one for one in pictures if one.title.startswith("8 ")][1:2]
    parts = [
        f"<figure><img src='{jpeg_url(one.picture)}' alt='{escape(one.title, quote=True)}'>"
        f"<figcaption>{escape(one.title)}</figcaption></figure>"
        for one in (*starts, *heat)
    ]
    return f"<div class='glance'>{''.join(parts)}</div>"


def _ways(
    selected: Selection, drawing: Drawing, epoch: int, pictures: Sequence[StagePicture]
) -> None:
    if not is_active() and not is_presented():
        print_page("stages.print")
    settings = {
        "category": selected.key,
        "image": selected.record.name,
        "method": drawing.method,
        "seed": drawing.seed,
        "epoch": epoch,
        "layers": list(drawing.key.layers),
        "k": drawing.clusters.k,
    }
    figure = Figure(
        "stages",
        "All stages of one photo",
        partial(_sheet, tuple(pictures)),
        lambda: {f"{number:02d}": one.picture for number, one in enumerate(pictures, start=1)},
    )
    take_home([figure], Origin("All stages of one photo", settings), key="stages")


def _sheet(pictures: tuple[StagePicture, ...], width: int) -> np.ndarray:
    """The same on one picture, for a paper."""
    rows = [pictures[start : start + COLUMNS] for start in range(0, len(pictures), COLUMNS)]
    cells = [
        tuple(GridCell(one.picture, (one.title, one.says), one.chosen) for one in row)
        + (GridCell(None),) * (COLUMNS - len(row))
        for row in rows
    ]
    names = (" ",) * len(rows), (" ",) * COLUMNS
    return draw_grid(LabelledGrid(names[0], names[1], tuple(cells)), width)

"""A grid of small pictures in the browser, each a button: Python half. The other is `cells.js`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from app.viewer.pictures import jpeg_url
from cutswap.figures.labelled_grid import LabelledGrid

_FOLDER = Path(__file__).parent

_mount = st.components.v2.component(
    "cutswap_cells",
    html="<div class='scroll'></div>",
    css=(_FOLDER / "cells.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "cells.js").read_text(encoding="utf-8"),
)


def clickable_grid(
    grid: LabelledGrid,
    alts: Sequence[Sequence[str]],
    *,
    label: str,
    key: str,
    on_click: Callable[[int, int], None],
) -> bool:
    """Show the grid.

    Args:
        grid: what it shows.
        alts: of each cell, what is in it and what a click does.
        label: of the whole table, for those who do not see it.
        key: unique on the page and constant between reruns.
        on_click: called with (row, column) before the rerun that a click causes.

    Returns:
        Whether a cell has just been clicked.
    """
    cells = [
        [
            {
                "url": None if cell.picture is None else jpeg_url(cell.picture),
                "lines": list(cell.lines),
                "alt": alt,
                "chosen": cell.chosen,
            }
            for cell, alt in zip(row, said, strict=True)
        ]
        for row, said in zip(grid.cells, alts, strict=True)
    ]

    def clicked() -> None:
        place = st.session_state[key].clicked
        row, column = int(place["row"]), int(place["column"])
        if row < len(grid.rows) and column < len(grid.columns):
            on_click(row, column)

    data = {"label": label, "rows": grid.rows, "columns": grid.columns, "cells": cells}
    result = _mount(data=data, key=key, on_clicked_change=clicked)
    return getattr(result, "clicked", None) is not None

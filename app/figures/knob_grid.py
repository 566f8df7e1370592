"""A grid of any two knobs of a page: cells are pictures with figures, a click takes their values.

The page says which knobs there are and what a cell shows; here are the choice of rows and columns
(in the URL like other knobs), the table, the figures over the category, and the export.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from app.browser.lesson_link import is_shown
from app.figures.cells import clickable_grid
from app.figures.take_home import Figure, take_home
from app.shared import knobs, public
from app.shared.page_parts import plain_errors
from app.shared.picture_memory import MEMORY
from cutswap.analysis.cell_figures import mean_figures, short_lines
from cutswap.analysis.quality_table import MeanWithInterval
from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import Origin
from cutswap.figures.labelled_grid import GridCell, LabelledGrid, draw_grid

SIDE = 160  # pixels of a cell on the screen
HERE, CATEGORY = "this photo", "the category"
BLOCK = 6  # values of a number beside each other
MOST = 12  # rows or columns of names

Values = Mapping[str, Any]  # of a cell: the knob's name in the URL -> its value
Figures = dict[str, float]


@dataclass(frozen=True)
class Axis:
    """A knob that may stand in the rows or columns.

    Attributes:
        url: of the knob, as in links; clicking a cell sets it.
        label: of the knob.
        values: of the rows or columns.
        current: what the knob has now.
        show: a value as the heading of its row or column.
    """

    url: str
    label: str
    values: tuple[Any, ...]
    current: Any
    show: Callable[[Any], str] = str


@dataclass(frozen=True)
class Cells:
    """What the page knows of its cells.

    Attributes:
        shows: what a cell may show, in words; one of them is chosen where there are several.
        says: what the figures mean, one or two sentences.
        draw: values, side in pixels, one of `shows` -> (side, side, 3) uint8 of this photo.
        figures: values -> its figures on this photo.
        over: values and a number below `photos` -> figures on that photo of the category;
            None where nothing is measured.
        photos: how many photos of the category `over` knows.
        key: hashable, everything that decides `over`, its values aside.
        commands: values -> words after `python -m cutswap` that repeat the cell.
        arrays: values -> what the cell shows, by name.
        same: knobs that change nothing here: the method takes no notice of them.
    """

    shows: tuple[str, ...]
    says: str
    draw: Callable[[Values, int, str], np.ndarray]
    figures: Callable[[Values], Figures]
    over: Callable[[Values, int], Figures] | None
    photos: int
    key: tuple[Any, ...]
    commands: Callable[[Values], Sequence[Sequence[object]]]
    arrays: Callable[[Values], Mapping[str, np.ndarray]]
    same: tuple[str, ...] = ()


def block(low: int, high: int, current: int, count: int = BLOCK) -> tuple[int, ...]:
    """`count` numbers of low to high with the current one among them.

    Blocks stand still while the current number moves inside one, so that the cell that is clicked
    stays where it is; the last block ends at `high`.
    """
    first = low + (current - low) // count * count
    first = max(low, min(first, high - count + 1))
    return tuple(range(first, min(first + count, high + 1)))


def window(values: Sequence[Any], current: Any, most: int = MOST) -> tuple[Any, ...]:
    """At most so many of the values, with the current one among them where it is one."""
    at = values.index(current) if current in values else 0
    places = block(0, len(values) - 1, at, most)
    return tuple(values[place] for place in places)


def knob_grid(
    axes: Sequence[Axis],
    cells: Cells,
    origin: Origin,
    *,
    default: tuple[str, str],
) -> None:
    """The switch, and the grid once it is on.

    Args:
        axes: the knobs that may be chosen, at least two.
        cells: what they show.
        origin: of the exported figure; rows, columns and commands are added.
        default: names of the knobs in rows and columns at first.
    """
    if not is_shown("grid"):
        return
    st.subheader("Two knobs at one glance", anchor=False)
    is_on = knobs.toggle(
        "grid",
        "Show the grid",
        False,
        help="Every pair of values of two knobs as a picture; a click takes its values.",
    )
    if not is_on:
        st.caption(f"For example K by layer: in every cell {cells.shows[0]}, and its figures.")
        return
    with plain_errors("the grid"):
        st.fragment(_grid)(axes, cells, origin, default)  # rows and columns ask only this


def _grid(axes: Sequence[Axis], cells: Cells, origin: Origin, default: tuple[str, str]) -> None:
    rows, columns, shown, measured = _controls(axes, default, cells)
    pairs = [
        [{rows.url: row, columns.url: column} for column in columns.values] for row in rows.values
    ]
    grid = _labelled(rows, columns, pairs, cells, SIDE, shown)
    means = _over(pairs, cells) if measured else None
    if means is not None:
        grid = _with_means(grid, means)
    alts = [
        [_alt(rows, columns, pair, cell) for pair, cell in zip(line, drawn, strict=True)]
        for line, drawn in zip(pairs, grid.cells, strict=True)
    ]

    def take(row: int, column: int) -> None:
        for url, value in pairs[row][column].items():
            knobs.set_knob(url, value)

    if clickable_grid(
        grid, alts, label=f"{rows.label} by {columns.label}", key="knob_grid", on_click=take
    ):
        st.rerun()
    _say(rows, columns, cells, shown, is_measured=means is not None)
    about = {
        **origin.settings,
        "rows": {"knob": rows.url, "values": list(rows.values)},
        "columns": {"knob": columns.url, "values": list(columns.values)},
        "figures": [[list(cell.lines) for cell in line] for line in grid.cells],
        "figures_of": CATEGORY if means is not None else HERE,
    }
    commands = [c for line in pairs for pair in line for c in cells.commands(pair)]
    take_home(
        [
            Figure(
                f"grid-{rows.url}-{columns.url}",
                f"{rows.label} by {columns.label}",
                partial(_drawn, rows, columns, pairs, cells, grid, shown),
                partial(_arrays, pairs, cells),
            )
        ],
        Origin(origin.title, about, list(dict.fromkeys(tuple(map(str, c)) for c in commands))),
        key="grid",
    )


def _controls(
    axes: Sequence[Axis], default: tuple[str, str], cells: Cells
) -> tuple[Axis, Axis, str, bool]:
    by_url = {axis.url: axis for axis in axes}
    names = tuple(by_url)

    def label(url: str) -> str:
        return by_url[url].label

    places = iter(st.columns([2, 2, 3, 3] if len(cells.shows) > 1 else [2, 2, 6]))
    first, second = next(places), next(places)
    with first:
        row = knobs.choice(
            "rows", "Rows", names, default[0], show=label, help="The knob that changes downwards."
        )
    with second:
        others = tuple(name for name in names if name != row)
        column = knobs.choice(
            "cols",
            "Columns",
            others,
            default[1] if default[1] != row else others[0],
            show=label,
            help="The knob that changes from left to right.",
        )
    shown, measured = cells.shows[0], False
    if len(cells.shows) > 1:
        with next(places):
            shown = knobs.choice(
                "cells",
                "Cells show",
                cells.shows,
                cells.shows[0],
                segmented=True,
                help="Of this photo, whatever the figures are of.",
            )
    if cells.over is not None and not public.is_public():  # a minute for everybody who asks
        with next(places):
            measured = (
                knobs.choice(
                    "figures",
                    "Figures of",
                    (HERE, CATEGORY),
                    HERE,
                    segmented=True,
                    help="Over the category: mean over good training photos, measured when asked"
                    " for. Clusters take seconds, negatives a minute or so; then they are kept.",
                )
                == CATEGORY
            )
    return by_url[row], by_url[column], shown, measured


def _labelled(
    rows: Axis,
    columns: Axis,
    pairs: list[list[dict[str, Any]]],
    cells: Cells,
    side: int,
    shown: str,
) -> LabelledGrid:
    now = {rows.url: rows.current, columns.url: columns.current}
    return LabelledGrid(
        tuple(map(rows.show, rows.values)),
        tuple(map(columns.show, columns.values)),
        tuple(
            tuple(_cell(pair, cells, side, shown, chosen=pair == now) for pair in line)
            for line in pairs
        ),
    )


def _cell(pair: Values, cells: Cells, side: int, shown: str, *, chosen: bool) -> GridCell:
    """One cell; where its values cannot be shown, why."""
    try:
        return GridCell(cells.draw(pair, side, shown), short_lines(cells.figures(pair)), chosen)
    except CutSwapError as error:
        return GridCell(None, (f"{error.subject}: {error.found}",), chosen)


def _alt(rows: Axis, columns: Axis, pair: Values, cell: GridCell) -> str:
    names = f"{rows.show(pair[rows.url])}, {columns.show(pair[columns.url])}"
    end = "the page's knobs" if cell.chosen else "click to take these values"
    return f"{names}: {', '.join(cell.lines)}; {end}"


def _over(
    pairs: list[list[dict[str, Any]]], cells: Cells
) -> list[list[dict[str, MeanWithInterval]]]:
    """Means over the category's photos, of each cell; with a bar while it is measured."""
    key = ("knob_grid", cells.key, tuple(tuple(tuple(p.items()) for p in line) for line in pairs))
    place = st.empty()

    def measure() -> list[list[dict[str, MeanWithInterval]]]:
        flat = [pair for line in pairs for pair in line]
        found: list[list[Figures]] = [[] for _ in flat]
        bar = place.progress(0.0, "measuring")
        for photo in range(cells.photos):  # photo by photo: a photo's maps serve all cells
            for index, pair in enumerate(flat):
                if cells.over is not None:
                    found[index].append(cells.over(pair, photo))
                done = photo * len(flat) + index + 1
                bar.progress(
                    done / (cells.photos * len(flat)), f"photo {photo + 1} of {cells.photos}"
                )
        means = iter([mean_figures(one) for one in found])
        return [[next(means) for _ in line] for line in pairs]

    means = MEMORY.get(key, measure)
    place.empty()
    return means


def _with_means(grid: LabelledGrid, means: list[list[dict[str, MeanWithInterval]]]) -> LabelledGrid:
    return LabelledGrid(
        grid.rows,
        grid.columns,
        tuple(
            tuple(
                GridCell(
                    cell.picture, short_lines({n: m.mean for n, m in one.items()}), cell.chosen
                )
                for cell, one in zip(line, lines, strict=True)
            )
            for line, lines in zip(grid.cells, means, strict=True)
        ),
    )


def _say(rows: Axis, columns: Axis, cells: Cells, shown: str, *, is_measured: bool) -> None:
    of = f", means over {cells.photos} good photos" if is_measured else " of this photo"
    text = f"A cell shows {shown}. Figures{of}: {cells.says} Click a cell to take its values."
    for axis in (rows, columns):
        if axis.current not in axis.values:
            text += f" {axis.label} is {axis.show(axis.current)} now, which is none of these."
    if {rows.url, columns.url} <= set(cells.same):
        text += " This method takes no notice of these two knobs: all cells are the same."
    st.caption(text)


def _drawn(
    rows: Axis,
    columns: Axis,
    pairs: list[list[dict[str, Any]]],
    cells: Cells,
    grid: LabelledGrid,
    shown: str,
    width: int,
) -> np.ndarray:
    """The grid on paper: finer pictures, the same lines."""
    fine = _labelled(rows, columns, pairs, cells, 2 * SIDE, shown)
    lines = tuple(
        tuple(GridCell(a.picture, b.lines, b.chosen) for a, b in zip(one, two, strict=True))
        for one, two in zip(fine.cells, grid.cells, strict=True)
    )
    return draw_grid(LabelledGrid(grid.rows, grid.columns, lines), width)


def _arrays(pairs: list[list[dict[str, Any]]], cells: Cells) -> dict[str, np.ndarray]:
    """Each cell's arrays, named by row and column from 0."""
    found: dict[str, np.ndarray] = {}
    for row, line in enumerate(pairs):
        for column, pair in enumerate(line):
            try:
                arrays = cells.arrays(pair)
            except CutSwapError:  # its place in the grid says why
                continue
            found |= {f"{row}_{column}_{name}": array for name, array in arrays.items()}
    return found

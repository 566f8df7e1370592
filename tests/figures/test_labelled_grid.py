"""A grid of cells drawn as one picture: every cell in its place, names, figures, the frame."""

from __future__ import annotations

import numpy as np
import pytest

from cutswap.errors import CutSwapError
from cutswap.figures.labelled_grid import GridCell, LabelledGrid, draw_grid

COLOURS = np.array(
    [[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0], [0, 200, 200], [90, 0, 90]]
)


def grid_of(rows: int, columns: int, **cell: object) -> LabelledGrid:
    cells = [
        GridCell(np.full((16, 16, 3), COLOURS[i % 6], np.uint8), **cell)  # type: ignore[arg-type]
        for i in range(rows * columns)
    ]
    return LabelledGrid(
        tuple(f"K = {r}" for r in range(rows)),
        tuple(f"layer {c}" for c in range(columns)),
        tuple(tuple(cells[r * columns : (r + 1) * columns]) for r in range(rows)),
    )


def centres(page: np.ndarray, colour: np.ndarray) -> tuple[float, float]:
    y, x = np.nonzero((page == colour).all(axis=-1))
    return float(y.mean()), float(x.mean())


def test_cells_stand_in_the_order_of_rows_and_columns():
    page = draw_grid(grid_of(2, 3), 600)
    assert (page.shape[1], page.dtype) == (600, np.uint8)
    places = np.array([centres(page, colour) for colour in COLOURS]).reshape(2, 3, 2)
    assert (np.diff(places[:, :, 1], axis=1) > 100).all()  # from left to right
    assert (np.diff(places[:, :, 0], axis=0) > 100).all()  # and downwards
    assert np.ptp(places[0, :, 0]) < 2
    assert np.ptp(places[:, 0, 1]) < 2
    names = page[: int(places[0, 0, 0]) - 60].max(axis=-1) < 60  # above the cells
    for x in places[0, :, 1]:
        assert names[:, int(x) - 40 : int(x) + 40].any()


def test_names_and_figures_are_written_beside_the_cells():
    """Ink stands left of the first column, above the first row, and below cells with lines."""
    bare, said = (
        draw_grid(grid_of(1, 1), 300),
        draw_grid(grid_of(1, 1, lines=("on part 92%",)), 300),
    )
    assert said.shape[0] > bare.shape[0]

    def dark(part: np.ndarray) -> bool:
        return bool((part.max(axis=-1) < 60).any())

    y, x = np.nonzero((said == COLOURS[0]).all(axis=-1))
    assert dark(said[: y.min()])
    assert dark(said[:, : x.min()])
    assert dark(said[y.max() + 1 :])
    assert not dark(bare[y.max() + 2 :])


def test_the_chosen_cell_is_framed():
    plain, chosen = draw_grid(grid_of(1, 2), 400), draw_grid(grid_of(1, 2, chosen=True), 400)
    assert (plain != chosen).any()
    assert centres(plain, COLOURS[0]) == pytest.approx(centres(chosen, COLOURS[0]), abs=1)


def test_a_cell_without_a_picture_says_why():
    (cell,) = (GridCell(None, ("saliency map: 1 (the map is blank)",)),)
    page = draw_grid(LabelledGrid(("K = 8",), ("layer 4",), ((cell,),)), 300)
    assert (page < 60).any()


@pytest.mark.parametrize(
    ("rows", "columns", "cells"),
    [
        ((), (), ()),
        (("a",), (), ((),)),
        (("a",), ("b",), ()),
        (("a", "b"), ("c",), ((GridCell(None),),)),
        (("a",), ("b", "c"), ((GridCell(None),),)),
    ],
)
def test_a_grid_has_a_cell_for_each_row_and_column(rows, columns, cells):
    with pytest.raises(CutSwapError, match="at least one"):
        LabelledGrid(rows, columns, cells)


def test_too_narrow_is_said():
    with pytest.raises(CutSwapError, match="at least 256 pixels for 3 columns"):
        draw_grid(grid_of(1, 3), 255)
    assert draw_grid(grid_of(1, 3), 256).shape[1] == 256

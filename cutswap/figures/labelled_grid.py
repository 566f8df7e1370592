"""Pictures in rows and columns with names and figures, as one picture.

A cell is one choice of two knobs, for example K = 4 at layer 16; what it shows is the caller's.
Drawn with Pillow and the font it brings, so that no package and no system font is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cutswap.errors import CutSwapError

_INK, _FAINT, _FRAME = (20, 20, 20), (120, 120, 120), (213, 94, 0)
_TEXT = 0.085  # height of a line of text as a share of a cell's side
_SMALLEST = 9  # pixels a line; below it nobody reads


@dataclass(frozen=True)
class GridCell:
    """One cell.

    Attributes:
        picture: (S, S, 3) uint8, of one size in all cells; None where there is none to show.
        lines: what stands below it: its figures, or why there is no picture.
        chosen: whether its values are those of the page's knobs; it is framed.
    """

    picture: np.ndarray | None
    lines: tuple[str, ...] = ()
    chosen: bool = False


@dataclass(frozen=True)
class LabelledGrid:
    """Cells with the names of their rows and columns.

    Attributes:
        rows: name of each row, from the top.
        columns: name of each column, from the left.
        cells: of each row, as many as there are columns.

    Raises:
        CutSwapError: no cell, or not one for each row and column.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[GridCell, ...], ...]

    def __post_init__(self) -> None:
        shape = [len(row) for row in self.cells]
        if not self.rows or not self.columns or shape != [len(self.columns)] * len(self.rows):
            raise CutSwapError(
                "grid",
                expected=f"{len(self.rows)} rows of {len(self.columns)} cells, at least one",
                found=f"rows of {', '.join(map(str, shape)) or 'no'} cells",
                fix="give a cell for every row and column",
            )


def draw_grid(grid: LabelledGrid, width: int) -> np.ndarray:
    """The whole grid on white.

    Args:
        grid: the cells.
        width: of the result, pixels; at least 64 a column and 64 for the names of the rows.

    Returns:
        (H, width, 3) uint8.

    Raises:
        CutSwapError: too narrow for its columns.
    """
    least = 64 * (len(grid.columns) + 1)
    if width < least:
        raise CutSwapError(
            "width of the grid",
            expected=f"at least {least} pixels for {len(grid.columns)} columns",
            found=width,
            fix="make it wider or show fewer columns",
        )
    font, margin = _font_and_margin(grid, width)
    gap = max(2, width // 300)
    side = (width - margin) // len(grid.columns) - gap
    line = _line_height(font)
    most = max(len(cell.lines) for row in grid.cells for cell in row)
    pitch = side + most * line + gap * 2
    page = Image.new("RGB", (width, line * 2 + pitch * len(grid.rows)), (255, 255, 255))
    pen = ImageDraw.Draw(page)
    for column, name in enumerate(grid.columns):
        x = margin + column * (side + gap)
        pen.text((x + side // 2, line), name, fill=_INK, font=font, anchor="mm")
    for row, (name, cells) in enumerate(zip(grid.rows, grid.cells, strict=True)):
        y = line * 2 + row * pitch
        pen.text((margin - 2 * gap, y + side // 2), name, fill=_INK, font=font, anchor="rm")
        for column, cell in enumerate(cells):
            _draw_cell(page, cell, (margin + column * (side + gap), y), side, gap, font)
    return np.asarray(page)


def _draw_cell(
    page: Image.Image,
    cell: GridCell,
    corner: tuple[int, int],
    side: int,
    gap: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    x, y = corner
    pen = ImageDraw.Draw(page)
    if cell.picture is None:
        pen.rectangle((x, y, x + side - 1, y + side - 1), outline=_FAINT)
    else:
        page.paste(
            Image.fromarray(cell.picture).resize((side, side), _resampling(cell, side)), corner
        )
    if cell.chosen:
        pen.rectangle((x, y, x + side - 1, y + side - 1), outline=_FRAME, width=max(2, gap))
    for index, text in enumerate(cell.lines):
        place = (x, y + side + gap // 2 + index * _line_height(font))
        pen.text(place, _fitting(text, side, font), fill=_INK, font=font)


def _resampling(cell: GridCell, side: int) -> Image.Resampling:
    """Fine where it becomes smaller; nothing is invented where it becomes larger."""
    larger = cell.picture is not None and side > cell.picture.shape[0]
    return Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS


def _font_and_margin(
    grid: LabelledGrid, width: int
) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, int]:
    """A font for the size of the cells, and the pixels that the rows' names need at the left."""
    about = width // (len(grid.columns) + 1)
    font = ImageFont.load_default(max(_SMALLEST, round(about * _TEXT)))
    longest = max(font.getlength(name) for name in grid.rows)
    return font, min(int(longest) + max(8, width // 60), width // 3)


def _line_height(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    top, bottom = font.getbbox("Ag")[1], font.getbbox("Ag")[3]
    return int((bottom - top) * 1.45) + 1


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, or its beginning with three dots where it is wider than the cell."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."

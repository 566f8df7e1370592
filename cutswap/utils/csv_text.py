"""CSV with names from data in it: lines that stay whole, and cells that no spreadsheet computes.

A folder or file may be called `=HYPERLINK(...)`; Excel, LibreOffice and Google Sheets take a cell
that begins with = + - @, a tab or a carriage return for a formula. An apostrophe in front makes it
text (OWASP, "CSV Injection"). Numbers of ours are written as they are: `-0.5` stays a number.

A file's name may also hold a line break. `csv.writer` quotes a cell for the characters of its own
line ending alone (before Python 3.13): with lines that end in LF a lone CR stays bare, and readers
that take it for a line break (Excel, pandas, Python's own) find two broken lines.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable

_BOTH = "\r\n"  # what `csv.writer` is told, so that a cell with either of the two is quoted
# What already begins with apostrophes before such a character gets one more, so that reading
# takes off exactly what writing has put on.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def guarded(name: str) -> str:
    """A name as a cell that no spreadsheet computes.

    Args:
        name: of a category, a defect, a file, a method.
    """
    return f"'{name}" if _FORMULA.match(name) else name


def unguarded(cell: str) -> str:
    """The name that `guarded` was given; cells that were never guarded stay as they are."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


class CsvText:
    """CSV text that grows row by row; a cell with a line break of any kind in it is quoted.

    Args:
        end: of each line.
    """

    def __init__(self, end: str = "\n") -> None:
        self._lines = _Lines(end)
        self._writer = csv.writer(self._lines, lineterminator=_BOTH)

    def row(self, cells: Iterable[object]) -> None:
        """Add a row.

        Args:
            cells: numbers, and texts; those that are names from data `guarded` first.
        """
        self._writer.writerow(cells)

    def text(self) -> str:
        """All rows so far."""
        return "".join(self._lines.written)


class _Lines:
    """The file of a `csv.writer`, which writes a whole line at once."""

    def __init__(self, end: str) -> None:
        self.end = end
        self.written: list[str] = []

    def write(self, line: str) -> None:
        self.written.append(line.removesuffix(_BOTH) + self.end)

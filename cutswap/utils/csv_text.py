"""Names from data in a CSV: a spreadsheet must show them, never compute them.

A folder or file may be called `=HYPERLINK(...)`; Excel, LibreOffice and Google Sheets take a cell
that begins with = + - @, a tab or a carriage return for a formula. An apostrophe in front makes it
text (OWASP, "CSV Injection"). Numbers of ours are written as they are: `-0.5` stays a number.
"""

from __future__ import annotations

import re

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

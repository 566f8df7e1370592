"""Photos that a person has kept, each with a comment: as a table to take along and to read back."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cutswap.errors import CutSwapError
from cutswap.utils.csv_text import CsvText, guarded, unguarded

COLUMNS = ("image", "defect", "score", "threshold", "verdict", "comment")
LONGEST = 500  # letters of a comment: a report prints it below a small picture
_BYTES = 10_000_000  # of a table; 10,000 of the longest comments have less


@dataclass(frozen=True)
class KeptPhoto:
    """One photo of the list.

    Attributes:
        name: of the photo in its category, `test/crack/003`.
        comment: what the person wrote; may be empty.
    """

    name: str
    comment: str = ""


@dataclass(frozen=True)
class KeptRow:
    """A kept photo beside what was said of it.

    Attributes:
        photo: the photo.
        defect: type of defect, `good` for none; empty where nobody knows.
        score: of the photo.
        threshold: at which the verdict was given; None where there was none.
        verdict: in words.
    """

    photo: KeptPhoto
    defect: str
    score: float
    threshold: float | None
    verdict: str


def kept_csv(rows: Sequence[KeptRow]) -> str:
    """CSV text of the list; no spreadsheet computes what a name or a comment holds.

    Args:
        rows: in the order wanted.
    """
    table = CsvText(end="\r\n")
    table.row(COLUMNS)
    for row in rows:
        threshold = "" if row.threshold is None else f"{row.threshold:.9g}"
        names = guarded(row.photo.name), guarded(row.defect)
        table.row([*names, f"{row.score:.9g}", threshold, row.verdict, guarded(row.photo.comment)])
    return table.text()


def read_kept(path: Path) -> tuple[KeptPhoto, ...]:
    """The photos of such a table, by their names and comments; the other columns are not read.

    Args:
        path: the table.

    Raises:
        CutSwapError: no such table, or one without these two columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            text = file.read(_BYTES + 1)
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise _bad(path, error) from error
    if len(text) > _BYTES:
        raise _bad(path, f"more than {_BYTES} letters")
    photos = []
    for row in rows:
        name, comment = row.get("image"), row.get("comment")
        if not name or comment is None:
            raise _bad(path, "a line without image or comment")
        photos.append(KeptPhoto(unguarded(name), unguarded(comment)[:LONGEST]))
    return tuple(photos)


def _bad(path: Path, found: object) -> CutSwapError:
    reason = found.strerror if isinstance(found, OSError) and found.strerror else found
    return CutSwapError(
        path,
        expected="a table with the columns image and comment",
        found=reason,
        fix="download it from the Inspect page, or write one such line a photo",
    )

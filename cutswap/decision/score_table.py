"""scores.csv of photos that came in: one line a photo, written as soon as it is scored.

photo      its place below the folder, with forward slashes
score      anomaly score; empty where the photo cannot be read
p_value    share of good photos that score at least as high; empty without good photos' scores
verdict    good, defective or unreadable
threshold  a score at or above it is called defective
modified   when the photo's file was last changed, UTC
problem    what is the matter with the photo or its heatmap; empty where nothing is

A photo that changed while a folder is watched gets another line; its last one counts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cutswap.decision.open_detector import DEFECTIVE, GOOD
from cutswap.errors import CutSwapError
from cutswap.utils.csv_text import CsvText, guarded, unguarded
from cutswap.utils.files import append_own, open_own, unreadable, write_text

COLUMNS = ("photo", "score", "p_value", "verdict", "threshold", "modified", "problem")
UNREADABLE = "unreadable"
VERDICTS = (GOOD, DEFECTIVE, UNREADABLE)


@dataclass(frozen=True)
class ScoredPhoto:
    """A line of the table.

    Attributes:
        name: the photo's place below the folder.
        score: None where it cannot be read.
        p_value: None there, and without good photos' scores.
        verdict: one of `VERDICTS`.
        threshold: that the verdict was made by.
        modified: when its file was last changed.
        problem: one line, or empty.
    """

    name: str
    score: float | None
    p_value: float | None
    verdict: str
    threshold: float
    modified: str
    problem: str = ""

    def cells(self) -> list[str]:
        """Its cells in the order of `COLUMNS`; scores keep every digit of a float32."""
        return [
            guarded(self.name),
            "" if self.score is None else f"{self.score:.9g}",
            "" if self.p_value is None else f"{self.p_value:.6g}",
            self.verdict,
            f"{self.threshold:.9g}",
            self.modified,
            guarded(self.problem),
        ]

    def text(self) -> str:
        """One line for the screen."""
        if self.score is None:
            return f"{self.name}: {self.verdict}: {self.problem}"
        p_value = "" if self.p_value is None else f", p {self.p_value:.3g}"
        problem = f"; {self.problem}" if self.problem else ""
        return f"{self.name}: {self.verdict}, score {self.score:.4g}{p_value}{problem}"


def begin_table(path: Path, photos: Iterable[ScoredPhoto] = ()) -> None:
    """Write the table whole, with these lines.

    Raises:
        CutSwapError: it cannot be written.
    """
    write_text(path, _text([list(COLUMNS), *(photo.cells() for photo in photos)]))


def add_to_table(path: Path, photos: Sequence[ScoredPhoto]) -> None:
    """Append lines, in one write.

    Raises:
        OSError: it cannot be written.
    """
    with append_own(path) as file:
        file.write(_text([photo.cells() for photo in photos]).encode())


def read_table(path: Path) -> list[ScoredPhoto]:
    """The lines of a table; a last one that was cut short is left out.

    Raises:
        CutSwapError: it cannot be read, or is another table.
    """
    try:
        with open_own(path) as file:
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        raise unreadable(path, error) from error
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or tuple(rows[0]) != COLUMNS:
        raise _bad(path, rows[0] if rows else "nothing")
    photos = []
    for number, row in enumerate(rows[1:], start=2):
        try:
            name, score, p_value, verdict, threshold, modified, problem = row
            if verdict not in VERDICTS:
                raise ValueError(verdict)
            photos.append(
                ScoredPhoto(
                    unguarded(name),
                    float(np.float32(score)) if score else None,  # written with all its digits
                    float(p_value) if p_value else None,
                    verdict,
                    float(np.float32(threshold)),
                    modified,
                    unguarded(problem),
                )
            )
        except ValueError as error:
            if number == len(rows):
                break
            raise _bad(path, f"line {number}: {','.join(row)[:80]}") from error
    return photos


def _text(rows: Iterable[Sequence[str]]) -> str:
    table = CsvText()
    for row in rows:
        table.row(row)
    return table.text()


def _bad(path: Path, found: object) -> CutSwapError:
    return CutSwapError(
        path,
        expected=f"a table of the columns {', '.join(COLUMNS)}",
        found=found,
        fix="choose another --out; or delete the folder, if nothing in it is needed",
    )

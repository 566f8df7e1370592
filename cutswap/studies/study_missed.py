"""Which defects a study's networks miss: recall by type and by area, row beside row."""

from __future__ import annotations

from dataclasses import dataclass

from cutswap.evaluation.missed import Recall, over_seeds
from cutswap.studies.folder import DONE, PlannedCell, Study
from cutswap.studies.plan import coresets


@dataclass(frozen=True)
class MissedTable:
    """One category of one table.

    Attributes:
        table: roman number.
        title: table, category and coreset.
        kinds: false alarms, types of defect, bands of area, with their numbers of images.
        rows: each row's name and its texts, in the order of `kinds`.
    """

    table: str
    title: str
    kinds: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def missed_tables(study: Study) -> tuple[MissedTable, ...]:
    """A table for every category, table and coreset that has counts.

    Args:
        study: with its results; cells of earlier versions have no counts and are left out.
    """
    found = []
    for number in study.tables:
        for coreset in coresets(number):
            for category in study.categories:
                cells = [
                    c for c in study.cells
                    if (c.table, c.category, c.coreset) == (number, category, coreset)
                ]  # fmt: skip
                title = f"Table {number}, {category}, coreset {coreset:g}"
                if table := _table(study, number, title, cells):
                    found.append(table)
    return tuple(found)


def _table(study: Study, number: str, title: str, cells: list[PlannedCell]) -> MissedTable | None:
    rows: dict[str, dict[str, Recall]] = {}
    for row in dict.fromkeys(c.row for c in cells):
        results = [study.result(c) for c in cells if c.row == row]
        counts = [r.missed for r in results if r.state == DONE and r.missed]
        kinds = [r for kind in ("alarms", "by_type", "by_area") for r in over_seeds(counts, kind)]
        if kinds:
            rows[row] = {f"{r.name} ({r.count})": r for r in kinds}
    names = tuple(dict.fromkeys(name for row in rows.values() for name in row))
    if not names:
        return None
    return MissedTable(
        number,
        title,
        names,
        tuple((row, tuple(_text(own.get(name)) for name in names)) for row, own in rows.items()),
    )


def _text(recall: Recall | None) -> str:
    if recall is None:
        return "–"
    low, high = recall.interval
    return f"{recall.recall:.2f} ({low:.2f} to {high:.2f})"

"""Categories by setups: what all evaluations of a runs folder say, the paper's numbers beside.

A cell is the mean over seeds, with its spread. Cells that were not run stay empty: no figure is
made up, and a mean row says over how many categories it goes. The paper's numbers are their own
kind of column and are never averaged with ours.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cutswap.results.paper_tables import (
    CUTPASTE,
    CUTSWAP,
    PAPER_TABLES,
    UNTUNED,
    PaperValue,
    paper_category,
    paper_value,
)
from cutswap.results.setups import Setup, each_score, setup_of
from cutswap.runs.states import DONE, FoundEvaluation, FoundRun

METRICS = {"image_auroc": "Image AUROC", "pixel_auroc": "Pixel AUROC", "aupro": "AUPRO"}
METRIC_HELP = {
    "image_auroc": "chance that a random defective image scores above a random good one",
    "pixel_auroc": "the same for pixels, all test images pooled",
    "aupro": "mean covered share of each defect up to 30% false positive pixels; not in the paper",
}
PAPER_METHODS = (UNTUNED, CUTPASTE, CUTSWAP)


@dataclass(frozen=True)
class Row:
    """One category of one data set; equal names elsewhere are other rows.

    Attributes:
        category: the folder's name.
        root: the category's folder.
        n_train: training images used.
        n_test: test images scored.
        is_demo: rendered by this project: no number of the paper is about it.
        number: 2 and up where several rows read alike, else 1.
    """

    category: str
    root: str
    n_train: int
    n_test: int
    is_demo: bool = False
    number: int = 1

    @property
    def label(self) -> str:
        """The row's name; several of one name say how many images they had."""
        if self.number == 1:
            return self.category + (" (demo)" if self.is_demo else "")
        return f"{self.category} ({self.n_train} + {self.n_test} images, #{self.number})"

    @property
    def paper_name(self) -> tuple[str, str] | None:
        """Data set and printed name in the paper, where this row may stand beside it."""
        return None if self.is_demo else paper_category(self.category)


@dataclass(frozen=True)
class SeedStatistics:
    """One metric over the seeds that were run.

    Attributes:
        values: one a seed, in [0, 1].
        seeds: of the evaluations.
        names: of the evaluations' folders, the newest last.
    """

    values: tuple[float, ...]
    seeds: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over the seeds; None for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def text(self) -> str:
        """For a cell: `0.912`, or `0.912 ± 0.004 (n=3)`."""
        if self.std is None:
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} ± {self.std:.3f} (n={len(self.values)})"


@dataclass(frozen=True)
class PaperColumn:
    """A method of the paper at one coreset.

    Attributes:
        method: as printed.
        coreset: 0.001 or 0.01.
        tables: roman numbers of the tables its cells come from.
    """

    method: str
    coreset: float
    tables: tuple[str, ...]

    @property
    def label(self) -> str:
        """The column's heading, with the source of its numbers."""
        noun = "Table" if len(self.tables) == 1 else "Tables"
        return f"paper {noun} {' and '.join(self.tables)}: {self.method}, coreset {self.coreset:g}"


Column = Setup | PaperColumn


@dataclass(frozen=True)
class ResultsTable:
    """One metric of all evaluations.

    Attributes:
        metric: a key of `METRICS`.
        rows: categories, by name.
        setups: our columns, the untuned first.
        paper: the paper's columns; empty where it says nothing of these rows.
        figures: our cells; a missing key was not run, or the metric is not defined there.
        scored: rows by setup that were run, whether or not this metric is defined there.
    """

    metric: str
    rows: tuple[Row, ...]
    setups: tuple[Setup, ...]
    paper: tuple[PaperColumn, ...]
    figures: dict[tuple[Row, Setup], SeedStatistics]
    scored: frozenset[tuple[Row, Setup]]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Ours, then the paper's."""
        return (*self.setups, *self.paper)

    def value(self, row: Row, column: Column) -> float | None:
        """A cell's number: the mean over seeds, or the printed one."""
        if isinstance(column, PaperColumn):
            printed = self.printed(row, column)
            return printed.value if printed else None
        figure = self.figures.get((row, column))
        return figure.mean if figure else None

    def printed(self, row: Row, column: PaperColumn) -> PaperValue | None:
        """The paper's cell for a row."""
        if row.paper_name is None:
            return None
        return paper_value(row.category, column.method, column.coreset, self.metric)

    def text(self, row: Row, column: Column) -> str:
        """A cell's text; `not run` and `no masks` differ."""
        if isinstance(column, PaperColumn):
            printed = self.printed(row, column)
            return f"{printed.value:.3f}" if printed else "–"
        figure = self.figures.get((row, column))
        if figure is not None:
            return figure.text()
        return "no masks" if (row, column) in self.scored else "not run"

    def difference(self, row: Row, column: Column, baseline: Column) -> float | None:
        """`column` minus `baseline` in one row; None where either is missing."""
        here, there = self.value(row, column), self.value(row, baseline)
        return None if here is None or there is None else here - there

    def mean(self, column: Column) -> tuple[float, int] | None:
        """(unweighted mean over the rows that have a number, their count)."""
        values = [v for row in self.rows if (v := self.value(row, column)) is not None]
        return (statistics.fmean(values), len(values)) if values else None

    def mean_difference(self, column: Column, baseline: Column) -> tuple[float, int] | None:
        """The same of the differences: over the rows that both columns have, and no others."""
        values = [
            d for row in self.rows if (d := self.difference(row, column, baseline)) is not None
        ]
        return (statistics.fmean(values), len(values)) if values else None

    def mean_text(self, column: Column) -> str:
        """The mean row's cell, which says over how many categories it goes."""
        mean = self.mean(column)
        if mean is None:
            return "–"
        return f"{mean[0]:.3f} ({mean[1]} of {len(self.rows)})"


def build_table(
    evaluations: Iterable[FoundEvaluation], runs: Sequence[FoundRun], metric: str
) -> ResultsTable:
    """Sort evaluations into rows and columns; broken ones are left out.

    The same network scored twice with the same seed counts once, the newest: a copy is no
    further seed. One of a head stands in a column for each of its scores.

    Args:
        evaluations: of `find_runs`.
        runs: of the same, to name tuned networks by their settings.
        metric: a key of `METRICS`.
    """
    sound = sorted((e for e in each_score(evaluations) if e.state == DONE), key=lambda e: e.changed)
    places = [(_row(e), setup_of(e, runs), e) for e in sound]
    rows = _numbered_rows([row for row, _, _ in places])
    setups = _numbered_setups([setup for _, setup, _ in places])
    cells: dict[tuple[Row, Setup], dict[tuple[int, str], FoundEvaluation]] = {}
    for row, setup, evaluation in places:
        cell = cells.setdefault((rows[row], setups[setup.key]), {})
        once = (evaluation.summary["seed"], str(evaluation.summary.get("fingerprint")))
        cell.pop(once, None)
        cell[once] = evaluation
    figures = {
        place: figure
        for place, cell in cells.items()
        if (figure := figure_of(list(cell.values()), metric)) is not None
    }
    shown_rows = tuple(sorted(rows.values(), key=lambda r: (r.category.casefold(), r.number)))
    shown = sorted(setups.values(), key=lambda s: (s.is_tuned, s.coreset or 0, s.label))
    return ResultsTable(
        metric=metric,
        rows=shown_rows,
        setups=tuple(shown),
        paper=_paper_columns(shown_rows, shown, metric),
        figures=figures,
        scored=frozenset(cells),
    )


def _row(evaluation: FoundEvaluation) -> Row:
    summary = evaluation.summary
    counts = [summary.get(key) for key in ("n_train", "n_test")]
    train, test = (c if isinstance(c, int) else 0 for c in counts)
    return Row(
        category=evaluation.category,
        root=evaluation.root,
        n_train=train,
        n_test=test,
        is_demo=is_demo(evaluation.root),
    )


def is_demo(root: str) -> bool:
    """Whether a category is of the rendered demo set (its `leather` is not MVTec's)."""
    parts = root.replace("\\", "/").rstrip("/").split("/")
    return len(parts) > 1 and parts[-2].startswith("demo-v")


def _numbered_rows(rows: Sequence[Row]) -> dict[Row, Row]:
    """Each row with its number among those that read alike."""
    numbered: dict[Row, Row] = {}
    for row in rows:
        if row not in numbered:
            alike = sum(other.category == row.category for other in numbered)
            numbered[row] = replace(row, number=alike + 1)
    return numbered


def _numbered_setups(setups: Sequence[Setup]) -> dict[str, Setup]:
    numbered: dict[str, Setup] = {}
    for setup in setups:
        if setup.key not in numbered:
            alike = sum(replace(o, number=1).label == setup.label for o in numbered.values())
            numbered[setup.key] = replace(setup, number=alike + 1)
    return numbered


def figure_of(evaluations: Sequence[FoundEvaluation], metric: str) -> SeedStatistics | None:
    """One metric over evaluations of one network; None where none of them has it."""
    defined = [e for e in evaluations if e.summary.get(metric) is not None]
    if not defined:
        return None
    return SeedStatistics(
        tuple(float(e.summary[metric]) for e in defined),
        tuple(int(e.summary["seed"]) for e in defined),
        tuple(e.name for e in defined),
    )


def _paper_columns(
    rows: Sequence[Row], setups: Sequence[Setup], metric: str
) -> tuple[PaperColumn, ...]:
    """Columns for the coresets that were run, each with at least one number for these rows."""
    columns = []
    for coreset in sorted({s.coreset for s in setups if s.coreset is not None}):
        for method in PAPER_METHODS:
            values = [
                paper_value(row.category, method, coreset, metric)
                for row in rows
                if row.paper_name is not None
            ]
            numbers = {v.table for v in values if v is not None}
            tables = tuple(n for n in PAPER_TABLES if n in numbers)
            if tables:
                columns.append(PaperColumn(method, coreset, tables))
    return tuple(columns)

"""A study's figures in the shape of the paper's tables: ours, the paper's, and the difference.

Ours is the mean over seeds with the sample standard deviation. An average is taken over the
categories seed by seed, so that its spread is the seeds' and not the categories'. Where the paper's
number is about other data than ours the entry says so, and no verdict is drawn from it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cutswap.data.published import PUBLISHED_COUNTS
from cutswap.evaluation.missed import Recall, over_seeds
from cutswap.results.paper_tables import (
    AVERAGE,
    METRICS,
    PAPER_TABLES,
    PaperValue,
    paper_category,
    published_counts,
    recomputed_average,
    table_values,
)
from cutswap.results.table import SeedStatistics
from cutswap.studies.folder import DONE, FAILED, PlannedCell, Study
from cutswap.studies.plan import coresets, variants

SPREADS = 2  # standard deviations beyond which a difference is called one
PRINTED = 0.0005  # half a unit of the paper's third decimal: what rounding alone explains


@dataclass(frozen=True)
class Entry:
    """One figure of a table, ours and the paper's.

    Attributes:
        table: roman number.
        category: folder name, the paper's where only it has a number, or `Average`.
        row: setting of an ablation, or the method.
        coreset: share of patches kept in the bank.
        metric: one of `METRICS`.
        ours: over the seeds that are done; None where none is.
        paper: the number to stand beside; None where there is none.
        wanted: seeds asked for; 0 where only the paper has a number.
        failed: seeds that failed.
        reservations: what keeps the two numbers from being about the same data.
    """

    table: str
    category: str
    row: str
    coreset: float
    metric: str
    ours: SeedStatistics | None
    paper: float | None
    wanted: int
    failed: int = 0
    reservations: tuple[str, ...] = ()

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's; None where either is missing."""
        return None if self.ours is None or self.paper is None else self.ours.mean - self.paper

    @property
    def is_beyond(self) -> bool | None:
        """Whether the difference exceeds two spreads and rounding; None without a spread."""
        if self.difference is None or self.ours is None or self.ours.std is None:
            return None
        return abs(self.difference) > max(SPREADS * self.ours.std, PRINTED)

    @property
    def verdict(self) -> str:
        """What the difference says; nothing where there is none or no spread."""
        if self.is_beyond is None:
            return ""
        if self.reservations:
            return "other data"
        return "does not reproduce" if self.is_beyond else f"within {SPREADS} spreads"

    @property
    def is_average(self) -> bool:
        """Over the categories."""
        return self.category == AVERAGE

    def text(self) -> str:
        """Ours for a table cell: the figure, `failed`, `not yet run` or `–`."""
        if self.ours is not None:
            count = len(self.ours.values)
            if count == self.wanted:
                return self.ours.text()
            spread = "" if self.ours.std is None else f" ± {self.ours.std:.3f}"
            return f"{self.ours.mean:.3f}{spread} ({count} of {self.wanted} seeds)"
        if self.failed:
            return "failed"
        return "not yet run" if self.wanted else "–"


def entries(study: Study, number: str, metric: str) -> tuple[Entry, ...]:
    """All figures of one table: by category, then row, then coreset; averages last.

    Args:
        study: with its results.
        number: roman.
        metric: one of `METRICS`.

    Raises:
        CutSwapError: no such table or metric.
    """
    table, printed = PAPER_TABLES[number], table_values(number, metric)
    cells: dict[tuple[str, str, float], list[PlannedCell]] = {}
    for cell in study.cells:
        if cell.table == number:
            cells.setdefault((cell.category, cell.row, cell.coreset), []).append(cell)
    names = sorted({category for category, _, _ in cells}, key=str.casefold)
    rows = []
    for category in names:
        for row, coreset in _places(study, number):
            value = _printed_rows(printed, category).get(row)
            paper = value.value if value is not None else None
            about = _data_reservations(study, category) if paper is not None else ()
            own = cells.get((category, row, coreset), [])
            rows.append(_entry(study, number, category, row, coreset, metric, own, paper, about))
        if table.has_categories:
            rows += _paper_only(study, printed, number, metric, category)
    if names:
        rows += [
            _average(study, number, metric, names, row, coreset, cells, printed)
            for row, coreset in _places(study, number)
        ]
    return tuple(rows)


def pairs(study: Study, number: str) -> tuple[tuple[Entry, Entry], ...]:
    """Image and pixel AUROC of every line of a table, in the order of `entries`.

    The paper prints only one of the two for some methods (STPM on leather): the other is then an
    entry with no figure.

    Args:
        study: with its results.
        number: roman.
    """
    image, pixel = (
        {(e.category, e.row, e.coreset): e for e in entries(study, number, metric)}
        for metric in ("image_auroc", "pixel_auroc")
    )
    places = list(dict.fromkeys(category for category, _, _ in image))
    keys = sorted(dict.fromkeys([*image, *pixel]), key=lambda key: places.index(key[0]))
    return tuple(
        (
            image.get(key) or Entry(number, *key, "image_auroc", None, None, 0),
            pixel.get(key) or Entry(number, *key, "pixel_auroc", None, None, 0),
        )
        for key in keys
    )


def all_entries(study: Study) -> tuple[Entry, ...]:
    """Every table of a study at both of the paper's metrics."""
    return tuple(e for number in study.tables for m in METRICS for e in entries(study, number, m))


def _places(study: Study, number: str) -> list[tuple[str, float]]:
    rows = variants(number, study.others)
    return [(v.row, coreset) for v in rows for coreset in coresets(number)]


def _entry(
    study: Study,
    number: str,
    category: str,
    row: str,
    coreset: float,
    metric: str,
    cells: Sequence[PlannedCell],
    paper: float | None,
    reservations: tuple[str, ...],
) -> Entry:
    values = {c.seed: v for c in cells if (v := _value(study, c, metric)) is not None}
    failed = sum(study.result(c).state == FAILED for c in cells)
    return Entry(
        table=number,
        category=category,
        row=row,
        coreset=coreset,
        metric=metric,
        ours=_figure(values),
        paper=paper,
        wanted=len(cells),
        failed=failed,
        reservations=reservations,
    )


def _average(
    study: Study,
    number: str,
    metric: str,
    names: Sequence[str],
    row: str,
    coreset: float,
    cells: Mapping[tuple[str, str, float], list[PlannedCell]],
    printed: Mapping[str, Mapping[str, PaperValue]],
) -> Entry:
    """Seed by seed over all categories; a seed that one of them lacks does not count."""
    by_seed: dict[int, list[float]] = {}
    wanted: dict[int, int] = {}
    failed = set()
    for name in names:
        for cell in cells.get((name, row, coreset), []):
            wanted[cell.seed] = wanted.get(cell.seed, 0) + 1
            value = _value(study, cell, metric)
            if value is not None:
                by_seed.setdefault(cell.seed, []).append(value)
            if study.result(cell).state == FAILED:
                failed.add(cell.seed)
    whole = {s: statistics.fmean(v) for s, v in by_seed.items() if len(v) == len(names)}
    paper, about = _printed_average(study, number, names, row, coreset, printed)
    return Entry(
        table=number,
        category=AVERAGE,
        row=row,
        coreset=coreset,
        metric=metric,
        ours=_figure(whole),
        paper=paper,
        wanted=len(wanted),
        failed=len(failed),
        reservations=about,
    )


def _value(study: Study, cell: PlannedCell, metric: str) -> float | None:
    result = study.result(cell)
    return result.metrics.get(metric) if result.state == DONE else None


def _figure(values: Mapping[int, float]) -> SeedStatistics | None:
    if not values:
        return None
    seeds = tuple(sorted(values))
    return SeedStatistics(tuple(values[s] for s in seeds), seeds, tuple(f"seed {s}" for s in seeds))


def _printed_rows(
    printed: Mapping[str, Mapping[str, PaperValue]], category: str
) -> Mapping[str, PaperValue]:
    """The paper's numbers of a category, by method; none for another data set's."""
    known = paper_category(category)
    return printed.get(known[1], {}) if known is not None else {}


def _paper_only(
    study: Study,
    printed: Mapping[str, Mapping[str, PaperValue]],
    number: str,
    metric: str,
    category: str,
) -> list[Entry]:
    """Methods of the paper that this study does not run."""
    own = {variant.row for variant in variants(number, study.others)}
    return [
        Entry(
            table=number,
            category=category,
            row=method,
            coreset=coresets(number)[0],
            metric=metric,
            ours=None,
            paper=value.value,
            wanted=0,
        )
        for method, value in _printed_rows(printed, category).items()
        if method not in own and value.value is not None
    ]


def _printed_average(
    study: Study,
    number: str,
    names: Sequence[str],
    row: str,
    coreset: float,
    printed: Mapping[str, Mapping[str, PaperValue]],
) -> tuple[float | None, tuple[str, ...]]:
    """The paper's mean over the same categories; of an ablation its only number, an average."""
    table = PAPER_TABLES[number]
    about = tuple(text for name in names for text in _data_reservations(study, name))
    if table.has_categories:
        rows = [_printed_rows(printed, name) for name in names]
        there = [values[row] for values in rows if row in values]
        return (recomputed_average(there), about) if len(there) == len(names) else (None, ())
    value = printed.get(row, {}).get(f"coreset {coreset:g}")
    published = set(PUBLISHED_COUNTS[table.data])
    missing = published - set(names)
    if missing or set(names) - published:
        about = (
            f"the paper averages the {len(published)} categories of {table.data}, ours is over"
            f" {', '.join(names)}",
            *about,
        )
    return (value.value if value is not None else None), about


def _data_reservations(study: Study, category: str) -> tuple[str, ...]:
    """Where our images are not those of the published set."""
    published = published_counts(category)
    data = study.data.get(category)
    counts = data if isinstance(data, dict) else {}
    here = (counts.get("n_train"), counts.get("n_test"))
    if published is None or here == published:
        return ()
    return (
        f"{category}: {here[0]} training and {here[1]} test images here, the published set has"
        f" {published[0]} and {published[1]}",
    )


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
    tables = []
    for number in study.tables:
        for coreset in coresets(number):
            for category in study.categories:
                cells = [
                    c
                    for c in study.cells
                    if (c.table, c.category, c.coreset) == (number, category, coreset)
                ]
                title = f"Table {number}, {category}, coreset {coreset:g}"
                if table := _table(study, number, title, cells):
                    tables.append(table)
    return tuple(tables)


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

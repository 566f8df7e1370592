"""A results table as CSV and Markdown, with what keeps it from being the paper's experiment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cutswap.results.paper_tables import SOURCE, published_counts
from cutswap.results.table import METRICS, Column, ResultsTable
from cutswap.utils.csv_text import CsvText, guarded

HEADER = (
    "category",
    "data",
    "source",
    "column",
    "coreset",
    "metric",
    "mean",
    "std",
    "n",
    "seeds",
)
OURS = "this project"


def to_csv(tables: Sequence[ResultsTable]) -> str:
    """All cells, one a line, the paper's marked by their table in `source`.

    Args:
        tables: one a metric; cells that were not run have no line.
    """
    lines = CsvText()
    lines.row(HEADER)
    for table in tables:
        for row in table.rows:
            place = [guarded(row.category), guarded(row.root)]
            for setup in table.setups:
                figure = table.figures.get((row, setup))
                if figure is not None:
                    lines.row(
                        [
                            *place,
                            OURS,
                            guarded(setup.label),
                            "" if setup.coreset is None else f"{setup.coreset:g}",
                            table.metric,
                            f"{figure.mean:.6f}",
                            "" if figure.std is None else f"{figure.std:.6f}",
                            len(figure.values),
                            " ".join(map(str, figure.seeds)),
                        ]
                    )
            for column in table.paper:
                printed = table.printed(row, column)
                if printed is not None:
                    lines.row(
                        [
                            *place,
                            f"paper Table {printed.table}",
                            column.method,
                            f"{column.coreset:g}",
                            table.metric,
                            f"{printed.value:.3f}",
                            "",
                            "",
                            "",
                        ]
                    )
    return lines.text()


def to_markdown(table: ResultsTable, baseline: Column | None = None) -> str:
    """One metric as a Markdown table with its reservations below.

    Args:
        table: the metric.
        baseline: column whose difference stands signed behind every number.
    """
    columns = table.columns
    lines = [
        _line(["category", *(c.label for c in columns)]),
        "|" + "---|" * (len(columns) + 1),
    ]
    for row in table.rows:
        cells = [
            table.text(row, c) + _signed(table.difference(row, c, baseline), c, baseline)
            if baseline is not None
            else table.text(row, c)
            for c in columns
        ]
        lines.append(_line([row.label, *cells]))
    lines.append(_line(["**mean (categories)**", *(table.mean_text(c) for c in columns)]))
    notes = [f"{METRICS[table.metric]}; mean ± sample standard deviation over seeds."]
    if baseline is not None:
        notes.append(f"In brackets: difference to {baseline.label}.")
    if table.paper:
        notes.append(f"Columns named paper are printed numbers of {SOURCE}.")
        notes += [f"- {text}" for text in protocol_differences(table)]
    return "\n".join([*lines, "", *notes]) + "\n"


def protocol_differences(table: ResultsTable) -> tuple[str, ...]:
    """What keeps our numbers and the paper's from being one experiment, most telling first."""
    differences = []
    for row in table.rows:
        counts = published_counts(row.category) if row.paper_name else None
        if counts and counts != (row.n_train, row.n_test):
            differences.append(
                f"{row.label}: {row.n_train} training and {row.n_test} test images here, the"
                f" published set has {counts[0]} and {counts[1]}"
            )
    sizes = sorted({s.image_size for s in table.setups})
    layers = sorted({"+".join(s.layers) for s in table.setups})
    networks = sorted({s.network for s in table.setups if not s.is_tuned})
    if sizes:
        differences += [
            f"square images of {' and '.join(map(str, sizes))} pixels, squashed where a column"
            " says no other way; the paper names no size",
            f"features of {' and '.join(layers)}; the paper names no layers",
        ]
    differences += [
        f"{network}; the paper's ResNet18 is ImageNet's"
        for network in networks
        if "imagenet" not in network
    ]
    return (*differences, "the paper prints one number a cell, without seeds or spread")


def signed(value: float) -> str:
    """`+0.012`, `-0.003`, `±0.000`: the sign is there for those who see no colour."""
    rounded = f"{value:+.3f}"
    return "±0.000" if rounded in ("+0.000", "-0.000") else rounded


def _signed(value: float | None, column: Column, baseline: Column) -> str:
    return "" if value is None or column == baseline else f" ({signed(value)})"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"

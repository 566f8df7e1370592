"""The paper's own numbers, always called the paper's: Tables I to VIII as printed.

`assets/paper_tables.csv` holds one number a row, checked digit by digit against the text. Nothing
here was measured by this project. An average that does not follow from its own rows is reported
by `average_mismatches` and shown as printed.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cutswap.data.published import PUBLISHED_COUNTS
from cutswap.errors import CutSwapError
from cutswap.installation.shipped import assets, how_to_restore

TABLES_FILE = assets() / "paper_tables.csv"
SOURCE = (
    "Qin, Gu, Yu, Zhang: Multilevel Saliency-Guided Self-Supervised Learning for Image Anomaly"
    " Detection"
)
AVERAGE = "Average"
METRICS = ("image_auroc", "pixel_auroc")  # the paper gives no AUPRO
# Three printed decimals round each row and the average by half a unit each: 0.001 in all.
ROUNDING = 0.001
CUTSWAP, UNTUNED, CUTPASTE = "CutSwap + PC", "ResNet18 + PC", "CutPaste + PC"
SPD_PADIM = "SPD + Padim"
_HEADER = ("table", "category", "method", "coreset", "metric", "value")


@dataclass(frozen=True)
class PaperTable:
    """What one printed table is about.

    Attributes:
        number: roman, as printed.
        about: one line for its heading.
        data: `MVTec AD` or `VisA`.
        has_categories: rows are categories; otherwise settings, averaged over the data set.
    """

    number: str
    about: str
    data: str
    has_categories: bool

    @property
    def label(self) -> str:
        """Its name on screens and in files, which says that it is the paper's."""
        return f"paper Table {self.number}"


PAPER_TABLES: dict[str, PaperTable] = {
    table.number: table
    for table in (
        PaperTable("I", "MVTec AD, coreset 0.001", "MVTec AD", True),
        PaperTable("II", "MVTec AD, coreset 0.01", "MVTec AD", True),
        PaperTable("III", "VisA, coreset 0.001", "VisA", True),
        PaperTable("IV", "VisA, coreset 0.01", "VisA", True),
        PaperTable("V", "number of clusters K, MVTec AD averages", "MVTec AD", False),
        PaperTable("VI", "which cluster anchors lie in, MVTec AD averages", "MVTec AD", False),
        PaperTable("VII", "which saliency layers are used, MVTec AD averages", "MVTec AD", False),
        PaperTable("VIII", "K-means or saliency sorting, MVTec AD averages", "MVTec AD", False),
    )
}

_PRINTED_OTHERWISE = {"candle": "Candles"}


@dataclass(frozen=True)
class PaperValue:
    """One printed number.

    Attributes:
        table: roman number of the table.
        category: as printed, or `Average`.
        method: as printed, with " + PC" where PatchCore scored.
        coreset: share of patches kept in the bank.
        metric: `image_auroc` or `pixel_auroc`.
        value: in [0, 1], three decimals; None where the paper prints a dash.
    """

    table: str
    category: str
    method: str
    coreset: float
    metric: str
    value: float | None

    @property
    def label(self) -> str:
        """Its place in the paper, for example `paper Table II, CutSwap + PC`."""
        return f"{PAPER_TABLES[self.table].label}, {self.method}"


@dataclass(frozen=True)
class Mismatch:
    """A printed average that its rows do not give.

    Attributes:
        printed: the average as printed.
        recomputed: unweighted mean of the rows, in [0, 1].
    """

    printed: PaperValue
    recomputed: float

    def sentence(self) -> str:
        """One line for the screen."""
        return (
            f"{self.printed.label}, {self.printed.metric.replace('_auroc', ' AUROC')}: the printed"
            f" average is {self.printed.value:.3f}, its own rows give {self.recomputed:.3f}"
        )


def paper_values(path: Path | None = None) -> tuple[PaperValue, ...]:
    """Every number of Tables I to VIII, in the paper's order.

    Args:
        path: another file of the same columns; default: the one in `assets`.

    Raises:
        CutSwapError: the file is missing or damaged; the line is named.
    """
    return _read(path or TABLES_FILE)


def table_values(number: str, metric: str) -> dict[str, dict[str, PaperValue]]:
    """One table as it is read: row, then column.

    Args:
        number: roman.
        metric: one of `METRICS`.

    Returns:
        For tables of categories {category: {method: value}}, `Average` last; for the others
        {setting: {`coreset 0.001`: value}}.

    Raises:
        CutSwapError: no such table or metric.
    """
    if number not in PAPER_TABLES or metric not in METRICS:
        raise CutSwapError(
            f"Table {number}, {metric}",
            expected=f"a table among {', '.join(PAPER_TABLES)} and {' or '.join(METRICS)}",
            found="neither" if number not in PAPER_TABLES else metric,
            fix="pick one of these",
        )
    rows: dict[str, dict[str, PaperValue]] = {}
    for value in paper_values():
        if (value.table, value.metric) == (number, metric):
            if PAPER_TABLES[number].has_categories:
                rows.setdefault(value.category, {})[value.method] = value
            else:
                setting = value.method.removeprefix(f"{CUTSWAP}; ")
                rows.setdefault(setting, {})[f"coreset {value.coreset:g}"] = value
    return rows


def paper_category(name: str) -> tuple[str, str] | None:
    """The data set and printed name of a category's folder; None where the paper has none.

    Case, spaces, hyphens and underscores do not count: `metal_nut` is `Metal nut`. A folder of
    that name may hold other images; whoever asks must check (see `PUBLISHED_COUNTS`).
    """
    folder = "_".join(name.replace("-", " ").replace("_", " ").lower().split())
    for data, counts in PUBLISHED_COUNTS.items():
        if folder in counts:
            plain = folder.replace("_", " ").capitalize()
            return data, _PRINTED_OTHERWISE.get(folder, plain)
    return None


def published_counts(name: str) -> tuple[int, int] | None:
    """(training, test) images of the category in its published data set."""
    printed_name = paper_category(name)
    if printed_name is None:
        return None
    folder = "_".join(name.replace("-", " ").replace("_", " ").lower().split())
    return PUBLISHED_COUNTS[printed_name[0]][folder]


def paper_value(category: str, method: str, coreset: float, metric: str) -> PaperValue | None:
    """The printed number for a category's folder name.

    Args:
        category: folder name, for example `metal_nut`.
        method: as printed.
        coreset: 0.001 or 0.01; others were not printed.
        metric: one of `METRICS`; others were not printed.

    Returns:
        The number, or None where the paper has no such cell or prints a dash.
    """
    printed_name = paper_category(category)
    if printed_name is None:
        return None
    data, printed = printed_name
    for value in paper_values():
        table = PAPER_TABLES[value.table]
        if (
            table.has_categories
            and (table.data, value.category, value.method) == (data, printed, method)
            and value.metric == metric
            and math.isclose(value.coreset, coreset)
        ):
            return value if value.value is not None else None
    return None


def recomputed_average(values: Iterable[PaperValue]) -> float | None:
    """Unweighted mean of the categories, `Average` itself left out; None when a cell is a dash."""
    numbers = [v.value for v in values if v.category != AVERAGE]
    present = [n for n in numbers if n is not None]
    return sum(present) / len(present) if present and len(present) == len(numbers) else None


def average_mismatches(values: Iterable[PaperValue] | None = None) -> tuple[Mismatch, ...]:
    """Printed averages further from their rows than rounding explains.

    Args:
        values: default: the paper's. In the paper it is one: Table IV, Draem, pixel.
    """
    columns: dict[tuple[str, str, float, str], list[PaperValue]] = {}
    for value in paper_values() if values is None else values:
        key = (value.table, value.method, value.coreset, value.metric)
        columns.setdefault(key, []).append(value)
    wrong = []
    for column in columns.values():
        printed = next((v for v in column if v.category == AVERAGE), None)
        mean = recomputed_average(column)
        if printed is None or printed.value is None or mean is None:
            continue
        if abs(mean - printed.value) > ROUNDING:
            wrong.append(Mismatch(printed, mean))
    return tuple(wrong)


@functools.cache
def _read(path: Path) -> tuple[PaperValue, ...]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise _damaged(path, getattr(error, "strerror", None) or error) from error
    if not lines or tuple(lines[0]) != _HEADER:
        raise _damaged(f"{path}, line 1", lines[0] if lines else "an empty file")
    return tuple(_value(path, number, line) for number, line in enumerate(lines[1:], start=2))


def _value(path: Path, number: int, line: list[str]) -> PaperValue:
    try:
        table, category, method, coreset, metric, text = line
        value = float(text) if text else None
        sound = table in PAPER_TABLES and metric in METRICS and 0 < float(coreset) <= 1
        if not sound or (value is not None and not 0 <= value <= 1):
            raise ValueError
        return PaperValue(
            table=table,
            category=category,
            method=method,
            coreset=float(coreset),
            metric=metric,
            value=value,
        )
    except ValueError:
        raise _damaged(f"{path}, line {number}", ",".join(line)[:80]) from None


def _damaged(subject: object, found: object) -> CutSwapError:
    return CutSwapError(
        subject,
        expected=f"the paper's numbers with columns {', '.join(_HEADER)}",
        found=found,
        fix=how_to_restore("assets/paper_tables.csv"),
    )

"""A study's report: one HTML file with its charts inside, to open in any browser, for ever."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutswap.reports.page import html_page
from cutswap.results.export import signed
from cutswap.results.paper_tables import METRICS, PAPER_TABLES, SOURCE
from cutswap.studies.export import reservations_of, to_csv, to_latex
from cutswap.studies.findings import average_checks, statements
from cutswap.studies.flags import repeat_study
from cutswap.studies.folder import DONE, FAILED, MISSING, Study
from cutswap.studies.guidance import differences, differences_by_type
from cutswap.studies.plan import coresets
from cutswap.studies.tables import Entry, entries, missed_tables, pairs
from cutswap.utils.files import write_text

WIDTH, HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 46
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


_WORDS = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC"}
REPORT, CSV, LATEX = "report.html", "study.csv", "study.tex"


def write_reports(study: Study) -> Path:
    """Write report.html, study.csv and study.tex into the study's folder.

    Args:
        study: with its results; it need not be finished.

    Returns:
        The report.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    write_text(study.path / CSV, to_csv(study))
    write_text(study.path / LATEX, to_latex(study))
    write_text(study.path / REPORT, to_html(study))
    return study.path / REPORT


def to_html(study: Study) -> str:
    """The whole report as a text.

    Args:
        study: with its results.
    """
    failed = [
        (c.label, study.result(c).error) for c in study.distinct if study.result(c).state == FAILED
    ]
    missing = [c.label for c in study.distinct if study.result(c).state == MISSING]
    return html_page(
        "cutswap.studies",
        "study.html",
        study=study,
        done=study.count(DONE),
        total=len(study.distinct),
        statements=statements(study),
        tables=[_table(study, number) for number in study.tables],
        checks=average_checks(),
        words=_WORDS,
        failed=failed,
        missing=missing,
        accuracies=_accuracies(study),
        missed=missed_tables(study),
        guidance=[d for d in differences(study, "image_auroc") if len(d.values) > 1],
        guidance_by_type=[d for d in differences_by_type(study) if len(d.values) > 1],
        command=shlex.join(["python", "-m", "cutswap", *repeat_study(study)]),
        source=SOURCE,
    )


def _table(study: Study, number: str) -> dict[str, Any]:
    both = [entries(study, number, metric) for metric in METRICS]
    groups: dict[str, list[tuple[Entry, Entry]]] = {}
    for image, pixel in pairs(study, number):
        groups.setdefault(image.category, []).append((image, pixel))
    charts = []
    if not PAPER_TABLES[number].has_categories:
        for metric, of_metric in zip(METRICS, both, strict=True):
            for coreset in dict.fromkeys(e.coreset for e in of_metric):
                averages = [e for e in of_metric if e.is_average and e.coreset == coreset]
                drawn = chart(averages)
                if drawn is not None:
                    charts.append((f"{_WORDS[metric]}, coreset {coreset:g}", drawn))
    return {
        "number": number,
        "about": PAPER_TABLES[number].about,
        "groups": [
            (name, [(_name(i), [_shown(i), _shown(p)]) for i, p in rows])
            for name, rows in groups.items()
        ],
        "charts": charts,
        "reservations": reservations_of([*both[0], *both[1]]),
    }


def _shown(entry: Entry) -> dict[str, str]:
    """One figure for the template: texts, and which way it falls."""
    gap = entry.difference
    way = "" if gap is None or abs(gap) < 0.0005 else "up" if gap > 0 else "down"
    mark = {"up": "▲ ", "down": "▼ ", "": "= "}[way] if gap is not None else ""
    return {
        "ours": entry.text(),
        "paper": "–" if entry.paper is None else f"{entry.paper:.3f}",
        "gap": "–" if gap is None else mark + signed(gap),
        "way": way,
        "verdict": entry.verdict if entry.wanted else "paper only",
    }


def _name(entry: Entry) -> str:
    """A row's heading; its coreset where the table has several."""
    return entry.row + (f", {entry.coreset:g}" if len(coresets(entry.table)) > 1 else "")


def _accuracies(study: Study) -> tuple[float, float] | None:
    """Lowest and highest training accuracy of the networks."""
    accuracies = [a for c in study.distinct if (a := study.result(c).accuracy) is not None]
    return (min(accuracies), max(accuracies)) if accuracies else None


@dataclass(frozen=True)
class Column:
    """One setting.

    Attributes:
        x: its middle, SVG units.
        label: lines below the axis.
        mean: y of our mean; None where nothing is done.
        low: y of the mean less one standard deviation; None for a single seed.
        high: y of the mean plus one.
        seeds: y of every seed.
        paper: y of the paper's number; None where there is none.
        text: for the reader's mouse and for those who see no picture.
    """

    x: float
    label: tuple[str, ...]
    mean: float | None
    low: float | None
    high: float | None
    seeds: tuple[float, ...]
    paper: float | None
    text: str


@dataclass(frozen=True)
class Chart:
    """Everything the template draws, origin upper left.

    Attributes:
        columns: settings, in the paper's order.
        ticks: (y, label) of the horizontal lines.
        left: x where the lines begin.
        right: x where they end.
        base: y of the axis.
        width: of the picture.
        height: of the picture.
    """

    columns: tuple[Column, ...]
    ticks: tuple[tuple[float, str], ...]
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    base: float = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def chart(entries: Sequence[Entry]) -> Chart | None:
    """Draw entries of one category or the average, one coreset.

    Args:
        entries: in order; without any number there is no chart.
    """
    values = [v for e in entries for v in _values(e)]
    if not values:
        return None
    low, high = min(values), max(values)
    step = next((s for s in _TICKS if (high - low) / s <= 5), 0.5)
    first, last = int(low / step), -int(-min(high, 1.0) / step // 1)
    last = max(last, first + 1)
    bottom, top = first * step, last * step

    def y(value: float) -> float:
        share = (min(max(value, bottom), top) - bottom) / (top - bottom)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP), 1)

    wide = (WIDTH - _LEFT - _RIGHT) / len(entries)
    columns = tuple(
        Column(
            x=round(_LEFT + wide * (i + 0.5), 1),
            label=_label(e.row),
            mean=None if e.ours is None else y(e.ours.mean),
            low=None if e.ours is None or e.ours.std is None else y(e.ours.mean - e.ours.std),
            high=None if e.ours is None or e.ours.std is None else y(e.ours.mean + e.ours.std),
            seeds=() if e.ours is None else tuple(y(v) for v in e.ours.values),
            paper=None if e.paper is None else y(e.paper),
            text=f"{e.row}: ours {e.text()}"
            + ("" if e.paper is None else f", paper {e.paper:.3f}"),
        )
        for i, e in enumerate(entries)
    )
    ticks = tuple((y(n * step), f"{n * step:.2f}") for n in range(first, last + 1))
    return Chart(columns, ticks)


def _values(entry: Entry) -> list[float]:
    values = [] if entry.paper is None else [entry.paper]
    if entry.ours is not None:
        spread = entry.ours.std or 0.0
        values += [*entry.ours.values, entry.ours.mean - spread, min(1, entry.ours.mean + spread)]
    return values


def _label(row: str) -> tuple[str, ...]:
    """Short lines: `layers #4 + #16 Ns=2` is too wide for one."""
    words = row.removeprefix("layers ").removeprefix("anchors ").replace(" + ", "+")
    head, _, tail = words.rpartition(" ")
    return (head, tail) if head else (words,)

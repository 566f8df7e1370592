"""A study's report: one HTML file with its charts inside, to open in any browser, for ever."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from cutswap.results.export import signed
from cutswap.results.paper_tables import METRICS, PAPER_TABLES, SOURCE
from cutswap.studies.export import reservations_of, to_csv, to_latex
from cutswap.studies.findings import average_checks, statements
from cutswap.studies.flags import repeat_study
from cutswap.studies.folder import DONE, FAILED, MISSING, Study
from cutswap.studies.plan import coresets
from cutswap.studies.study_chart import chart
from cutswap.studies.study_missed import missed_tables
from cutswap.studies.tables import Entry, entries, pairs
from cutswap.utils.files import write_text

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
    environment = Environment(loader=PackageLoader("cutswap.studies", "."), autoescape=True)
    failed = [(c.label, study.result(c).error) for c in study.distinct
              if study.result(c).state == FAILED]  # fmt: skip
    missing = [c.label for c in study.distinct if study.result(c).state == MISSING]
    return environment.get_template("study.html").render(
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
        for metric, found in zip(METRICS, both, strict=True):
            for coreset in dict.fromkeys(e.coreset for e in found):
                averages = [e for e in found if e.is_average and e.coreset == coreset]
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
    found = [a for c in study.distinct if (a := study.result(c).accuracy) is not None]
    return (min(found), max(found)) if found else None

"""A study as CSV, one figure a line, and as LaTeX tables shaped like the paper's."""

from __future__ import annotations

from collections.abc import Sequence

from cutswap.results.export import signed
from cutswap.results.paper_tables import PAPER_TABLES
from cutswap.studies.findings import average_checks, settings_sentence
from cutswap.studies.folder import Study
from cutswap.studies.tables import Entry, all_entries, pairs
from cutswap.utils.csv_text import CsvText, guarded

HEADER = (
    "table",
    "category",
    "row",
    "coreset",
    "metric",
    "mean",
    "std",
    "n",
    "seeds",
    "seeds_wanted",
    "seeds_failed",
    "paper",
    "difference",
    "beyond_2_spreads",
    "reservations",
)
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def to_csv(study: Study) -> str:
    """All entries, those not computed yet with empty figures.

    Args:
        study: with its results.
    """
    table = CsvText()
    table.row(HEADER)
    for e in all_entries(study):
        ours = e.ours
        table.row(
            [
                e.table,
                guarded(e.category),
                guarded(e.row),
                f"{e.coreset:g}",
                e.metric,
                "" if ours is None else f"{ours.mean:.6f}",
                "" if ours is None or ours.std is None else f"{ours.std:.6f}",
                0 if ours is None else len(ours.values),
                "" if ours is None else " ".join(map(str, ours.seeds)),
                e.wanted,
                e.failed,
                "" if e.paper is None else f"{e.paper:.4f}".rstrip("0"),
                "" if e.difference is None else f"{e.difference:.6f}",
                "" if e.is_beyond is None else str(e.is_beyond).lower(),
                guarded("; ".join(e.reservations)),
            ]
        )
    return table.text()


def to_latex(study: Study) -> str:
    """One tabular a table, without packages; the paper's numbers in brackets behind ours.

    Args:
        study: with its results.
    """
    return "\n".join(
        [f"% {settings_sentence(study)}", *(_tabular(study, number) for number in study.tables)]
    )


def _tabular(study: Study, number: str) -> str:
    both = pairs(study, number)
    columns = ["", *(("image AUROC", "pixel AUROC"))]
    lines = [
        r"\begin{table}",
        rf"\caption{{Table {number} of the paper repeated ({escape(PAPER_TABLES[number].about)}):"
        r" mean $\pm$ standard deviation over seeds (n), in brackets the paper's number and our"
        r" difference to it.}",
        r"\begin{tabular}{lll}",
        r"\hline",
        " & ".join(columns) + r" \\",
    ]
    category = None
    for image, pixel in both:
        if image.category != category:
            category = image.category
            lines += [r"\hline", rf"\multicolumn{{3}}{{l}}{{{escape(category)}}} \\"]
        name = f"{image.row}, coreset {image.coreset:g}"
        lines.append(f"{escape(name)} & {_latex(image)} & {_latex(pixel)} \\\\")
    notes = dict.fromkeys(text for line in both for e in line for text in e.reservations)
    lines += [r"\hline", r"\end{tabular}", *(f"% {text}" for text in notes)]
    wrong = [c for c in average_checks() if c.is_mismatch and c.table == number]
    lines += [
        f"% The paper's average of {c.method}, {c.metric}, is printed as {c.printed:.3f}; its rows"
        f" give {c.recomputed:.3f}."
        for c in wrong
    ]
    return "\n".join([*lines, r"\end{table}", ""])


def _latex(entry: Entry) -> str:
    ours = escape(entry.text()).replace("±", r"$\pm$").replace("–", "--")
    if entry.paper is None:
        return ours
    text = f"{ours} [{entry.paper:.3f}"
    if entry.difference is not None:
        text += f", {signed(entry.difference)}".replace("±", r"$\pm$")
    return text + "]"


def escape(text: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(_SPECIAL.get(c, c) for c in text)


def reservations_of(entries: Sequence[Entry]) -> tuple[str, ...]:
    """What keeps some entries from being about the paper's data, each said once."""
    return tuple(dict.fromkeys(text for e in entries for text in e.reservations))

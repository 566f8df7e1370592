"""Names in CSVs: no spreadsheet computes them, and ours come back as they were."""

from __future__ import annotations

import csv
import inspect
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cutswap
from cutswap.analysis import quality_table as quality_figures
from cutswap.analysis.feature_projection import Projection, points_csv
from cutswap.decision.score_table import ScoredPhoto, add_to_table, begin_table, read_table
from cutswap.evaluation import evaluate as evaluation
from cutswap.evaluation.scored_set import read_scored
from cutswap.reports.kept_photos import KeptPhoto, KeptRow, kept_csv, read_kept
from cutswap.results import export as results_export
from cutswap.studies import export as study_export
from cutswap.studies.tables import Entry
from cutswap.utils.csv_text import CsvText, guarded, unguarded
from tests.analysis.test_feature_projection import made_up
from tests.helpers.scored import build_parts, score_parts
from tests.results.test_table import evaluation as found_evaluation
from tests.results.test_table import table_of

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://x")')


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_gets_an_apostrophe(name: str):
    assert guarded(name) == f"'{name}"


@pytest.mark.parametrize("name", ["good", "a=b", "'quoted", "1-2", "", "hex_nut"])
def test_other_names_stay(name: str):
    assert guarded(name) == name


@given(st.text(alphabet="'=+-@\t\rab", max_size=6))
def test_reading_takes_off_what_writing_put_on(name: str):
    cell = guarded(name)
    assert unguarded(cell) == name
    assert cell[:1] not in set("=+-@\t\r")


def test_every_writer_of_csv_guards():
    """A new export must not forget: `CsvText` alone writes lines, and who uses it names `guarded`.

    The runner beside an exported detector stands alone, without this package.
    """
    core = Path(cutswap.__file__).parent
    sources = {p.relative_to(core).as_posix(): p.read_text() for p in core.rglob("*.py")}
    alone = ("utils/csv_text.py", "decision/run_detector.py")
    assert {n for n, text in sources.items() if "csv.writer(" in text} == set(alone)
    writers = {n: text for n, text in sources.items() if "CsvText(" in text}
    assert len(writers) > len(EXPORTS)
    assert [n for n, text in writers.items() if "guarded(" not in text] == []
    assert "lineterminator" not in sources[alone[1]]  # Python's CR LF quotes both


# Each export with a name in it, as CSV text.


def of_an_evaluation(name: str) -> str:
    record = SimpleNamespace(name=name, defect="spot", is_good=False)
    return evaluation.scores_table(cast(Any, [record]), np.array([0.7], np.float32), 0.5)


def of_results(name: str) -> str:
    return results_export.to_csv([table_of(found_evaluation(category=name, root="/d/x"))])


def of_a_study(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    entry = Entry("IV", name, "K=4", 0.01, "image_auroc", None, 0.9, 3)
    monkeypatch.setattr(study_export, "all_entries", lambda _: [entry])
    return study_export.to_csv(cast(Any, None))


def of_quality(name: str) -> str:
    figure = quality_figures.MeanWithInterval(0.5, (0.4, 0.6), (), 3)
    return quality_figures.to_csv({name: {"ssim": figure}})


def of_features(name: str) -> str:
    some = made_up(["positive", "patch", "scar", "good"], np.eye(4, 5, dtype=np.float32))
    odd = replace(some, points=tuple(replace(p, name=name) for p in some.points))
    places = np.zeros((4, 2))
    return points_csv(odd, Projection("pca", places, places, ("", ""), ("", "")))


def of_scored_photos(name: str, folder: Path) -> str:
    photo = ScoredPhoto(name, 0.7, 0.1, "defective", 0.5, "2026-01-01")
    begin_table(folder / "scores.csv")
    add_to_table(folder / "scores.csv", [photo])
    assert [p.name for p in read_table(folder / "scores.csv")] == [name]
    return (folder / "scores.csv").read_bytes().decode()


def of_kept_photos(name: str, folder: Path) -> str:
    text = kept_csv([KeptRow(KeptPhoto(name, "why"), "spot", 0.7, 0.5, "defective")])
    (folder / "kept.csv").write_bytes(text.encode())
    assert [p.name for p in read_kept(folder / "kept.csv")] == [name]
    return text


EXPORTS = (  # how, and in which column the name stands
    (of_an_evaluation, 0),
    (of_results, 0),
    (of_a_study, 1),
    (of_quality, 0),
    (of_features, 1),
    (of_scored_photos, 0),
    (of_kept_photos, 0),
)


@pytest.mark.parametrize(("export", "column"), EXPORTS)
@pytest.mark.parametrize(
    "name", ["a\rb", "a\nb", "a\r\nb", "\r", "b\r", "=1\r2", 'a"\r"b', "a,\rb"]
)
def test_a_line_break_in_a_name_stays_in_its_cell(export, column, name, monkeypatch, tmp_path):
    given = {"monkeypatch": monkeypatch, "folder": tmp_path}
    wanted = set(inspect.signature(export).parameters)
    text = export(name, **{k: v for k, v in given.items() if k in wanted})
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert rows
    assert {len(row) for row in rows} == {len(head)}
    assert unguarded(rows[0][column]) == name
    # and for a reader to whom any of CR, LF and both ends a line that is not inside quotes
    outside = "".join(text.split('"')[::2])
    assert "\r" not in outside.replace("\r\n", "\n")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@given(rows=st.lists(st.lists(st.text("ab,\"'\r\n"), min_size=2, max_size=3), max_size=4))
def test_what_is_written_is_what_a_reader_finds(end: str, rows: list[list[str]]):
    table = CsvText(end)
    for row in rows:
        table.row(row)
    assert list(csv.reader(io.StringIO(table.text(), newline=""))) == rows
    assert len(table.text()) == 0 or table.text().endswith(end)


def test_an_evaluation_of_a_folder_called_like_a_formula_comes_back(tmp_path: Path):
    parts = build_parts(tmp_path / "parts")
    for kind in ("test", "ground_truth"):
        spot = next(tmp_path.rglob(f"{kind}/spot"))
        spot.rename(spot.with_name("=1+1"))
    written = score_parts(parts, tmp_path / "run")
    assert ",'=1+1,1," in (written.folder / "scores.csv").read_text()
    found = read_scored(written.folder)
    assert sorted(found.defects) == ["=1+1"] * 3 + ["good"] * 3
    assert found.records == written.evaluation.records

"""Names in CSVs: no spreadsheet computes them, and ours come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cutswap
from cutswap.analysis import quality_table as quality_figures
from cutswap.evaluation import evaluate as evaluation
from cutswap.evaluation.scored_set import read_scored
from cutswap.results import export as results_export
from cutswap.studies import export as study_export
from cutswap.utils.csv_text import guarded, unguarded
from tests.helpers.scored import build_parts, score_parts

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
    """A new export must not forget: each module that writes one names `guarded`."""
    core = Path(cutswap.__file__).parent
    writers = [p for p in core.rglob("*.py") if "csv.writer(" in p.read_text()]
    assert {p.stem for p in writers} >= {
        m.__name__.rpartition(".")[2]
        for m in (evaluation, quality_figures, results_export, study_export)
    }
    assert [p.name for p in writers if "guarded(" not in p.read_text()] == []


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

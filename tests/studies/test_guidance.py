"""Paired differences of a study, worked by hand on figures that are made up here."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.results.paper_tables import AVERAGE, CUTPASTE, CUTSWAP, UNTUNED
from cutswap.studies.findings import statements
from cutswap.studies.folder import DONE, FAILED, CellResult, PlannedCell, Study
from cutswap.studies.guidance import (
    PairedDifference,
    differences,
    differences_by_type,
    guidance_sentences,
    student_half,
)
from cutswap.studies.report import to_html
from tests.helpers.studies import LAPTOP


def cell(row: str, seed: int, *, category: str = "bolt", coreset: float = 0.001, table: str = "II"):
    return PlannedCell(
        table=table,
        row=row,
        method=row,
        category=category,
        coreset=coreset,
        seed=seed,
        id=f"{row} {category} {coreset} {seed}",
        run="",
    )


def study(figures: dict[PlannedCell, CellResult]) -> Study:
    return Study(
        Path("study"),
        "study",
        LAPTOP.to_dict(),
        data={c.category: {} for c in figures},
        weights={"phi": "a", "saliency": "b"},
        cells=tuple(figures),
        results={c.id: r for c, r in figures.items()},
    )


def done(auroc: float, **recall: float) -> CellResult:
    kinds = [{"name": n, "found": r * 10, "count": 10, "recall": r} for n, r in recall.items()]
    return CellResult(DONE, {"image_auroc": auroc}, missed={"by_type": kinds} if kinds else {})


def example() -> Study:
    """Two categories; the third seed of bolt has one side only, nut has one seed."""
    return study(
        {
            cell("CutSwap projector", 0): done(0.90, scratch=0.9, hole=0.5),
            cell("CutSwap projector", 1): done(0.80, scratch=0.7, hole=0.5),
            cell("CutSwap projector", 2): done(0.10),
            cell("Random swap projector", 0): done(0.86, scratch=0.6, hole=0.6),
            cell("Random swap projector", 1): done(0.80, scratch=0.6, hole=0.6),
            cell("CutSwap projector", 0, category="nut"): done(0.70),
            cell("Random swap projector", 0, category="nut"): done(0.65),
            cell("CutPaste projector", 0, category="nut"): CellResult(FAILED),
            cell("Gaussian", 0, category="nut"): done(0.75),
            cell(CUTSWAP, 0): done(0.5),
            cell(UNTUNED, 0): done(0.4),
            cell(CUTSWAP, 0, coreset=0.01, table="I"): done(0.6),
        }
    )


def test_pairs_are_of_the_same_category_seed_and_bank():
    found = {(d.trained, d.against, d.place): d for d in differences(example(), "image_auroc")}
    assert set(found) == {
        ("projector", "Random swap projector", AVERAGE),
        ("projector", "Random swap projector", "bolt"),
        ("projector", "Random swap projector", "nut"),
        ("projector", "Gaussian", AVERAGE),
        ("projector", "Gaussian", "nut"),
        ("backbone", UNTUNED, AVERAGE),
        ("backbone", UNTUNED, "bolt"),
    }
    whole = found["projector", "Random swap projector", AVERAGE]
    assert sorted(whole.values) == pytest.approx([0.0, 0.04, 0.05])
    assert whole.mean == pytest.approx(0.03)
    # Deviation sqrt(7) / 100, t of two degrees of freedom 4.3027.
    assert whole.half == pytest.approx(4.302653 * math.sqrt(7e-4 / 3), rel=1e-6)
    assert whole.text() == "+0.030 ± 0.066"
    assert whole.verdict == "not shown"
    assert found["projector", "Gaussian", "nut"].text() == "-0.050"
    assert found["projector", "Gaussian", "nut"].verdict == "one pair says nothing"
    assert found["backbone", UNTUNED, "bolt"].values == pytest.approx((0.1,))


def test_a_cell_that_two_tables_share_is_one_pair():
    both = {
        cell(row, seed, table=table): done(0.5 + seed / 10)
        for table in ("II", "IV")
        for row in (CUTSWAP, CUTPASTE)
        for seed in (0, 1)
    }
    (whole, _) = differences(study(both), "image_auroc")
    assert len(whole.values) == 2


def test_types_of_defect_have_pairs_of_their_own():
    found = {d.place: d for d in differences_by_type(example())}
    assert set(found) == {"bolt: scratch", "bolt: hole"}
    assert found["bolt: scratch"].values == pytest.approx((0.3, 0.1))
    assert found["bolt: hole"].mean == pytest.approx(-0.1)
    assert found["bolt: hole"].verdict == "costs"  # the same in both seeds


def test_it_stands_in_the_findings_and_the_report():
    told = example()
    (sentence,) = guidance_sentences(told)
    assert "projector, coreset 0.001: CutSwap less random swap +0.030 ± 0.066" in sentence
    assert "3 pairs" in sentence
    assert sentence.endswith("no effect is shown.")
    assert sentence in statements(told)
    page = to_html(told)
    assert "Does saliency guidance help" in page
    assert "bolt: scratch" in page


def test_without_anything_to_stand_against_nothing_is_said():
    alone = study({cell(CUTSWAP, 0): done(0.9), cell(UNTUNED, 1): done(0.8)})
    assert differences(alone, "image_auroc") == differences_by_type(alone) == ()
    assert guidance_sentences(alone) == ()
    assert "Does saliency guidance help" not in to_html(alone)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=9), st.floats(-0.5, 0.5))
def test_the_interval_moves_with_the_values_and_verdicts_turn_with_the_sign(values, shift):
    half = student_half(values)
    assert half is not None
    moved = student_half([v + shift for v in values])
    assert moved == pytest.approx(half, abs=1e-9)
    one = PairedDifference("backbone", 0.01, "NSA", AVERAGE, tuple(values))
    other = PairedDifference("backbone", 0.01, "NSA", AVERAGE, tuple(-v for v in values))
    turned = {"helps": "costs", "costs": "helps", "not shown": "not shown"}
    assert other.verdict == turned[one.verdict]


def test_one_value_has_no_interval():
    assert student_half([0.3]) is None
    assert student_half([]) is None

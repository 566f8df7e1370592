"""Recall by type and area against counts made by hand, and Wilson's interval against the books."""

from __future__ import annotations

import numpy as np
import pytest

from cutswap.errors import CutSwapError
from cutswap.evaluation.missed import Recall, missed_defects, over_seeds, wilson
from cutswap.studies.folder import read_study, write_cell
from cutswap.studies.report import to_html
from cutswap.studies.tables import missed_tables
from tests.helpers.studies import done, write_small_study


@pytest.mark.parametrize(
    ("found", "count", "low", "high"),
    [(8, 10, 0.4901625, 0.9433178), (0, 5, 0.0, 0.4344825), (5, 5, 0.5655175, 1.0),
     (1, 1, 0.2065493, 1.0)],
)  # fmt: skip
def test_wilson(found, count, low, high):
    assert wilson(found, count) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(("found", "count"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_is_refused(found, count):
    with pytest.raises(CutSwapError, match="a share"):
        wilson(found, count)


DEFECTS = ("good", "crack", "crack", "scratch", "crack2", "good")
SCORES = np.array([0.9, 0.5, 0.4, 0.8, 0.1, 0.2], dtype=np.float32)


def masks() -> np.ndarray:
    """Of 1,000 pixels each: 4, 5, 19, 100 and nothing for the good ones."""
    found = np.zeros((6, 20, 50), dtype=bool)
    for index, pixels in ((1, 4), (2, 5), (3, 19), (4, 100)):
        found[index].flat[:pixels] = True
    return found


def test_counts_by_type_and_area():
    found = missed_defects(DEFECTS, SCORES, 0.5, masks())
    # crack: 0.5 is found (the threshold itself counts), 0.4 is missed; a good one never counts
    assert [(r.name, r.found, r.count) for r in found.by_type] == [
        ("crack", 1, 2),
        ("crack2", 0, 1),
        ("scratch", 1, 1),
    ]
    # 0.4% | 0.5% and 1.9% | none | exactly 10% belongs to the last band
    assert [(r.name, r.found, r.count) for r in found.by_area] == [
        ("area under 0.5%", 1, 1),
        ("area 0.5% to 2%", 1, 2),
        ("area from 10%", 0, 1),
    ]
    assert found.by_type[0].text() == "1 of 2: 0.50 (0.09 to 0.91)"
    assert found.to_dict()["by_type"][0]["recall"] == 0.5
    assert found.alarms == Recall("good, called defective", 1, 2)  # 0.9 of 0.9 and 0.2


def test_without_masks_types_alone():
    assert missed_defects(DEFECTS, SCORES, 0.5, None).by_area == ()
    with pytest.raises(CutSwapError, match="one each an image"):
        missed_defects(DEFECTS, SCORES[:3], 0.5, None)


def test_seeds_share_their_images():
    results = [missed_defects(DEFECTS, SCORES, t, masks()).to_dict() for t in (0.5, 0.3)]
    types = over_seeds([*results, {}, {"by_type": [{"name": "x", "count": True}]}], "by_type")
    assert types[0] == Recall("crack", 1.5, 2)
    assert types[0].text() == "1.5 of 2: 0.75 (0.20 to 0.97)"
    assert [r.found for r in over_seeds(results, "by_area")] == [1, 1.5, 0]


def test_the_report_shows_each_row_beside_the_others(tmp_path):
    study = write_small_study(tmp_path / "s", lambda _: 0.9, tables=("VI",), seeds=2)
    assert missed_tables(study) == ()  # cells of an earlier version
    for cell in study.cells:
        threshold = 0.5 if cell.seed == 0 else 0.3
        missed = missed_defects(DEFECTS, SCORES, threshold, None).to_dict()
        write_cell(study.path, cell.id, done(cell.id, 0.9, missed=missed))
    study = read_study(study.path)
    (table,) = missed_tables(study)
    assert table.kinds == (
        "good, called defective (2)",
        "crack (2)",
        "crack2 (1)",
        "scratch (1)",
    )
    assert [row for row, _ in table.rows] == ["Random cluster", "Min cluster", "Max cluster"]
    assert table.rows[0][1][1] == "0.75 (0.20 to 0.97)"
    assert "0.75 (0.20 to 0.97)" in to_html(study)

"""How small a defect, in the report on an evaluation: numbers by hand, and what leaves it out."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cutswap.decision.detectable.measured import FILE, Measured, write_measured
from cutswap.evaluation.scored_set import ScoredSet, read_scored
from cutswap.reports.inspection import inspection_report
from tests.helpers.painted import made_up
from tests.helpers.scored import build_parts, score_parts

TITLE = "<h2>How small a defect?</h2>"
HITS = {
    ("scratch", 50): {2: 0, 4: 0, 8: 0},
    ("spot", 50): {2: 1, 4: 15, 8: 29},
    ("spot", 90): {2: 30, 4: 30, 8: 30},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    score_parts(build_parts(folder / "data"), folder / "scored")
    return folder


@pytest.fixture
def folder(world: Path, tmp_path: Path) -> Path:
    return shutil.copytree(world / "scored", tmp_path / "scored")


def painted(folder: Path) -> Measured:
    scored = read_scored(folder)
    good = [name for name, bad in zip(scored.names, scored.labels, strict=True) if not bad]
    return made_up(folder, good, HITS)


def report(folder: Path, scored: ScoredSet | None = None) -> str:
    return inspection_report(scored or read_scored(folder), threshold=5.0)


def test_without_a_measurement_there_is_no_word_of_it(folder: Path):
    assert "How small a defect" not in report(folder)


def test_sizes_curves_and_map(folder: Path):
    write_measured(painted(folder), folder)
    page = report(folder)
    assert TITLE in page
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "270 scratches, spots and swapped patches painted on 3 photos" in plain
    assert "Unpainted, 0 of 3 good photos are called defective" in plain
    assert "none of 90 found; of 8 px at most 10% are" in plain
    assert "all 90 found: a90/95 is 2 px, the smallest painted, or less" in plain
    # 1, 15 and 29 of 30: symmetric about 4 px; its slope is log 29 / log 2, so 90% are at
    # 4 * 9 ** (log 2 / log 29) = 6.29 px, and 9.8% of 64
    assert "6.29 px (9.8%)" in plain
    assert page.count("<svg") == 2  # one a contrast
    assert page.count("<polyline") == 4  # a curve with its bound; two without
    assert page.count('<circle class="k') == 9
    assert 'alt="Map of blind spots over a good photo"' in page
    # nothing is fetched and nothing runs
    assert "<script" not in page
    assert set(re.findall(r'src="(\w+):', page)) == {"data"}


def test_an_edited_kind_stays_text(folder: Path):
    found = replace(painted(folder), source="<b>x</b>")
    write_measured(found, folder)
    assert "<b>x</b>" not in report(folder)


def test_of_another_detector_it_is_left_out_with_a_remark(folder: Path):
    write_measured(replace(painted(folder), mark="0 bank"), folder)
    page = report(folder)
    assert TITLE not in page
    assert "measured of another detector or score, and is left out: run detectable again" in page


def test_damaged_it_is_left_out_with_a_remark(folder: Path):
    (folder / FILE).write_text("{}")
    page = report(folder)
    assert TITLE not in page
    assert "How small a defect is found cannot be told" in page


def test_photos_that_are_gone_leave_the_numbers(folder: Path):
    write_measured(painted(folder), folder)
    page = report(folder, replace(read_scored(folder), records=None))
    assert TITLE in page
    assert "Map of blind spots" not in page

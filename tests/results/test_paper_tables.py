"""The paper's numbers: complete, findable by folder name, and its one wrong average found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cutswap.data.published import PUBLISHED_COUNTS
from cutswap.errors import CutSwapError
from cutswap.results.paper_tables import (
    AVERAGE,
    CUTSWAP,
    METRICS,
    PAPER_TABLES,
    PaperValue,
    average_mismatches,
    paper_category,
    paper_value,
    paper_values,
    published_counts,
    recomputed_average,
    table_values,
)


def test_every_cell_of_the_paper_is_there_once():
    values = paper_values()
    assert len(values) == 504
    assert sum(v.value is None for v in values) == 15  # STPM's image column is dashes
    cells = Counter((v.table, v.category, v.method, v.coreset, v.metric) for v in values)
    assert set(cells.values()) == {1}
    assert {v.table for v in values} == set(PAPER_TABLES)


@pytest.mark.parametrize(
    ("category", "method", "coreset", "metric", "expected"),
    [
        # read by eye from the printed tables
        ("bottle", "CutPaste + PC", 0.001, "pixel_auroc", 0.952),
        ("metal_nut", CUTSWAP, 0.001, "image_auroc", 0.972),
        ("Metal nut", CUTSWAP, 0.001, "image_auroc", 0.972),
        ("screw", "ResNet18 + PC", 0.01, "image_auroc", 0.949),
        ("screw", "ResNet18 + PC", 0.01, "pixel_auroc", 0.985),
    ],
)
def test_cells_are_found_by_folder_name(category, method, coreset, metric, expected):
    found = paper_value(category, method, coreset, metric)
    assert found is not None
    assert found.value == expected


def test_what_the_paper_has_not_is_none():
    assert paper_value("magnetic_tile", CUTSWAP, 0.01, "image_auroc") is None  # no such category
    assert paper_value("bottle", CUTSWAP, 0.1, "image_auroc") is None  # no such coreset
    assert paper_value("bottle", CUTSWAP, 0.01, "aupro") is None  # no such metric
    assert paper_value("bottle", "STPM", 0.01, "image_auroc") is None  # a dash
    assert paper_value("bottle", "SPD + Padim", 0.01, "image_auroc") is None  # VisA only


def test_labels_say_that_it_is_the_papers():
    value = paper_value("candle", CUTSWAP, 0.01, "image_auroc")
    assert value is not None
    assert value.label == "paper Table IV, CutSwap + PC"
    assert all(table.label.startswith("paper ") for table in PAPER_TABLES.values())


@pytest.mark.parametrize("data", list(PUBLISHED_COUNTS))
def test_every_printed_category_belongs_to_one_folder_and_back(data):
    printed = {
        v.category
        for v in paper_values()
        if PAPER_TABLES[v.table].data == data and v.category != AVERAGE
    }
    assert {paper_category(folder) for folder in PUBLISHED_COUNTS[data]} == {
        (data, name) for name in printed
    }


def test_capsule_and_capsules_are_two():
    assert paper_category("capsule") == ("MVTec AD", "Capsule")
    assert paper_category("capsules") == ("VisA", "Capsules")
    assert paper_category("caps") is None
    assert paper_category("") is None


def test_published_counts_sum_to_the_published_totals():
    sums = {
        data: tuple(sum(c[i] for c in counts.values()) for i in (0, 1))
        for data, counts in PUBLISHED_COUNTS.items()
    }
    assert sums == {"MVTec AD": (3629, 467 + 1258), "VisA": (8659, 962 + 1200)}
    assert published_counts("transistor") == (213, 100)
    assert published_counts("Pipe fryum") == (450, 150)
    assert published_counts("bolt") is None


def test_one_printed_average_does_not_follow_from_its_rows():
    (wrong,) = average_mismatches()
    assert (wrong.printed.table, wrong.printed.method) == ("IV", "Draem")
    assert wrong.printed.metric == "pixel_auroc"
    assert wrong.printed.value == 0.888
    assert wrong.recomputed == pytest.approx(0.9357, abs=5e-5)
    assert "0.888" in wrong.sentence()
    assert "0.936" in wrong.sentence()


def column(*numbers: float | None, average: float | None) -> list[PaperValue]:
    rows = [PaperValue("I", f"c{i}", "M", 0.01, "image_auroc", n) for i, n in enumerate(numbers)]
    return [*rows, PaperValue("I", AVERAGE, "M", 0.01, "image_auroc", average)]


def test_averages_by_hand():
    assert recomputed_average(column(0.5, 0.7, average=0.1)) == pytest.approx(0.6)
    assert recomputed_average(column(0.5, None, average=0.5)) is None  # cannot be checked
    assert recomputed_average([]) is None
    assert average_mismatches(column(0.5, 0.7, average=0.6009)) == ()  # rounding may do that
    assert len(average_mismatches(column(0.5, 0.7, average=0.6012))) == 1
    assert average_mismatches(column(0.5, None, average=0.9)) == ()
    assert average_mismatches(column(0.5, 0.7, average=None)) == ()


def test_tables_read_by_row():
    table = table_values("II", "pixel_auroc")
    assert list(table)[-1] == AVERAGE
    assert len(table) == 16
    assert table["Zipper"]["STPM"].value is not None
    clusters = table_values("V", "image_auroc")
    assert list(clusters) == [f"K={k}" for k in range(1, 7)]
    both = table_values("VIII", "image_auroc")
    assert list(both["anchors K-means"]) == ["coreset 0.001", "coreset 0.01"]
    # the ablations' standard setting is Table I's average
    for metric in METRICS:
        average = table_values("I", metric)[AVERAGE][CUTSWAP].value
        assert table_values("V", metric)["K=4"]["coreset 0.001"].value == average
    with pytest.raises(CutSwapError, match="a table among"):
        table_values("IX", "image_auroc")
    with pytest.raises(CutSwapError, match="aupro"):
        table_values("I", "aupro")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "table,category\nI,Bottle\n",
        "table,category,method,coreset,metric,value\nI,Bottle,M,0.01,image_auroc,1.2\n",
        "table,category,method,coreset,metric,value\nI,Bottle,M,0.01,image_auroc\n",
        "table,category,method,coreset,metric,value\nIX,Bottle,M,0.01,image_auroc,0.2\n",
        "table,category,method,coreset,metric,value\nI,Bottle,M,none,image_auroc,0.2\n",
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(CutSwapError, match="git checkout"):
        paper_values(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(CutSwapError, match="No such file"):
        paper_values(tmp_path / "none.csv")

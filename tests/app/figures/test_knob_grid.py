"""The grid of two knobs: what stands in it, what a click takes, what is measured and exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import streamlit as st

from app.figures import knob_grid as grids
from app.figures.knob_grid import block, window
from app.saliency.grid import saliency_command
from app.shared import caches, public, workspace
from app.shared.caches import PhotoKey, SaliencyKey
from app.shared.picture_memory import MEMORY
from cutswap.commands.parser import parse
from cutswap.config import SaliencySettings
from cutswap.data.reading import ReadingSettings
from cutswap.errors import CutSwapError
from cutswap.flags import settings_from
from cutswap.saliency.clusters import Clusters, cluster_saliency
from tests.helpers.app import assert_alive, open_page, small_app, texts

PART = "part · mine"
LAYERS = ("4", "9", "16", "23", "30")


@pytest.mark.parametrize(
    ("low", "high", "current", "numbers"),
    [
        (1, 8, 4, range(1, 7)),
        (1, 8, 6, range(1, 7)),  # as long as it is inside, the block stands still
        (1, 8, 7, range(3, 9)),  # the last one ends at the end
        (0, 2**31 - 1, 0, range(6)),
        (0, 2**31 - 1, 13, range(12, 18)),
        (0, 2**31 - 1, 2**31 - 1, range(2**31 - 6, 2**31)),
        (0, 2, 1, range(3)),
    ],
)
def test_a_block_holds_the_current_number(low, high, current, numbers):
    assert block(low, high, current) == tuple(numbers)


def test_a_window_of_many_names_holds_the_chosen_one():
    names = [f"layer {i}" for i in range(31)]
    assert window(names, "layer 14", 12) == tuple(names[12:24])
    assert window(names, "layer 30", 12) == tuple(names[19:])
    assert window(names, "gone", 12) == tuple(names[:12])
    assert window(names[:3], "layer 1", 12) == tuple(names[:3])


class Seen:
    """Stands for the table in the browser: keeps the grid, and clicks by a plain button."""

    def __init__(self) -> None:
        self.grid: Any = None
        self.alts: Any = None
        self.place = (0, 0)

    def __call__(
        self, grid: Any, alts: Any, *, label: str, key: str, on_click: Callable[[int, int], None]
    ) -> bool:
        self.grid, self.alts, self.label = grid, alts, label
        return st.button("click", key=f"{key}.click", on_click=on_click, args=self.place)


@pytest.fixture
def seen(monkeypatch, tmp_path) -> Seen:
    small_app(tmp_path, monkeypatch)
    table = Seen()
    monkeypatch.setattr(grids, "clickable_grid", table)
    return table


def chosen(seen: Seen) -> list[tuple[str, str]]:
    return [
        (row, column)
        for row, cells in zip(seen.grid.rows, seen.grid.cells, strict=True)
        for column, cell in zip(seen.grid.columns, cells, strict=True)
        if cell.chosen
    ]


def click(at: Any, seen: Seen, row: int, column: int) -> None:
    seen.place = (row, column)
    at.run()  # the button is drawn with the place
    at.button(key="knob_grid.click").click().run()
    assert_alive(at)


def test_saliency_shows_k_by_layer_and_a_click_takes_the_values(seen):
    at = open_page("saliency", cat=PART, size="128")
    assert seen.grid is None  # a page that nobody asked for thirty cells is as fast as before
    at.toggle(key="knob.grid").set_value(True).run()
    assert_alive(at)
    assert seen.grid.rows == tuple(f"K = {k}" for k in range(1, 7))
    assert seen.grid.columns == (*(f"layer {name}" for name in LAYERS), "fused")
    assert chosen(seen) == [("K = 4", "layer 16")]
    click(at, seen, 1, 4)
    assert (at.query_params["k"], at.query_params["layer"]) in ((["2"], ["30"]), ("2", "30"))
    assert at.slider(key="knob.k").value == 2
    assert chosen(seen) == [("K = 2", "layer 30")]
    assert "K = 2, layer 30" in seen.alts[1][4]


def test_a_cell_s_figures_are_those_of_its_clusters(seen):
    at = open_page("saliency", cat=PART, img="train/good/001", size="128", grid="1")
    assert_alive(at)
    path = at.session_state["selection"].record.image
    key = SaliencyKey(PhotoKey.of(path, 128), "vgg16", "embedded", LAYERS)
    maps = caches.explained(key).maps
    for row, k in enumerate(range(1, 7)):
        for column in range(5):
            regions = cluster_saliency(maps[column], k).regions(maps[column])
            share = (regions == k - 1).mean()
            assert f"area {share:.1%}" in seen.grid.cells[row][column].lines


def test_rows_and_columns_are_in_the_link_and_never_one_knob(seen):
    at = open_page(
        "negatives", cat=PART, size="128", grid="1", rows="method", cols="seed", seed="7"
    )
    assert_alive(at)
    assert seen.grid.columns == tuple(f"seed {s}" for s in range(6, 12))
    assert chosen(seen) == [("CutSwap", "seed 7")]
    click(at, seen, 2, 4)
    assert chosen(seen) == [("CutPaste", "seed 10")]
    assert at.session_state["knob.method"] == "CutPaste"
    at.selectbox(key="knob.rows").set_value("seed").run()
    assert_alive(at)
    assert "Seed" in at.selectbox(key="knob.rows").options
    assert "Seed" not in at.selectbox(key="knob.cols").options
    assert seen.grid.rows == tuple(f"seed {s}" for s in range(6, 12))


def test_every_knob_of_negatives_stands_in_the_rows(seen):
    at = open_page("negatives", cat=PART, size="128", grid="1", cols="seed")
    for knob in ("k", "layer", "method", "epoch", "anchors", "w"):
        at.selectbox(key="knob.rows").set_value(knob).run()
        assert_alive(at)
        assert not at.error
        assert len(chosen(seen)) == 1, knob
        assert all(cell.picture is not None for line in seen.grid.cells for cell in line), knob
    assert seen.grid.rows == ("embedded", "random")  # no grid begins a download


def test_knobs_that_a_method_ignores_are_said(seen):
    at = open_page(
        "negatives", cat=PART, size="128", grid="1", method="NSA", rows="k", cols="layer"
    )
    assert_alive(at)
    assert "takes no notice of these two knobs" in texts(at)
    lines = {cell.lines for line in seen.grid.cells for cell in line}
    assert len(lines) == 1


def test_anchors_are_another_picture_of_the_same_cell(seen):
    at = open_page("negatives", cat=PART, size="128", grid="1")
    negatives, lines = seen.grid.cells[3][2].picture, seen.grid.cells[3][2].lines
    at.session_state["knob.cells"] = "the anchors"
    at.run()
    assert_alive(at)
    assert not np.array_equal(seen.grid.cells[3][2].picture, negatives)
    assert seen.grid.cells[3][2].lines == lines


def test_figures_over_the_category_are_means_over_its_good_photos(seen):
    at = open_page("saliency", cat=PART, img="train/good/000", size="128", grid="1")
    first = seen.grid.cells[3][2].lines
    at = open_page("saliency", cat=PART, img="train/good/002", size="128", grid="1")
    second = seen.grid.cells[3][2].lines
    at.session_state["knob.figures"] = grids.CATEGORY
    at.run()
    assert_alive(at)
    assert "means over 2 good photos" in texts(at)

    def share(lines: tuple[str, ...]) -> float:
        (area,) = [line for line in lines if line.startswith("area")]
        return float(area.removeprefix("area ").removesuffix("%"))

    both = (share(first) + share(second)) / 2
    assert share(seen.grid.cells[3][2].lines) == pytest.approx(both, abs=0.11)


def test_negatives_over_the_category_are_also_measured_in_features(seen):
    at = open_page("negatives", cat=PART, size="128", grid="1", rows="anchors", cols="w")
    assert not any("to normal" in said for said in seen.grid.cells[0][0].lines)
    at.session_state["knob.figures"] = grids.CATEGORY
    at.run()
    assert_alive(at)
    assert all(
        any(said.startswith("to normal") for said in cell.lines)
        for line in seen.grid.cells
        for cell in line
    )


def test_in_public_nothing_is_measured_over_the_category(seen, monkeypatch, tmp_path):
    monkeypatch.setattr(public, "is_public", lambda: True)
    monkeypatch.setattr(workspace, "folders", lambda: (tmp_path / "mine",))
    at = open_page("saliency", cat=PART, size="128", grid="1", figures=grids.CATEGORY)
    assert_alive(at)
    assert seen.grid is not None
    assert "knob.figures" not in at.session_state
    assert "Figures of this photo" in texts(at)


def test_a_cell_that_cannot_be_shown_says_why_and_the_others_stay(seen, monkeypatch):
    real = caches.clusters_of_regions

    def few(key: SaliencyKey, level: int, k: int) -> Clusters:
        if k > 2:
            raise CutSwapError(
                "saliency map", expected="3 values", found="2 distinct values", fix="lower K"
            )
        return real(key, level, k)

    monkeypatch.setattr(caches, "clusters_of_regions", few)
    MEMORY.clear()
    open_page("saliency", cat=PART, size="128", grid="1")
    for row, cells in enumerate(seen.grid.cells):
        assert all((cell.picture is None) == (row > 1) for cell in cells)
    assert seen.grid.cells[2][0].lines == ("saliency map: 2 distinct values",)


def test_too_few_photos_leave_the_grid_without_the_category(seen, tmp_path):
    (tmp_path / "mine/part/train/good/003.png").unlink()
    at = open_page("saliency", cat=PART, size="128", grid="1")
    assert_alive(at)
    assert seen.grid is not None
    assert "knob.figures" not in at.session_state


def test_the_exported_grid_is_a_figure_that_says_how_it_was_made(seen, monkeypatch):
    homes: dict[str, Any] = {}
    monkeypatch.setattr(
        grids, "take_home", lambda figures, origin, *, key: homes.update({key: (figures, origin)})
    )
    at = open_page("negatives", cat=PART, img="train/good/001", size="128", grid="1", rows="seed")
    assert_alive(at)
    (figure,), origin = homes["grid"]
    assert figure.name == "grid-seed-layer"
    picture = figure.draw(1004)
    assert (picture.shape[1:], picture.dtype) == ((1004, 3), np.uint8)
    assert origin.settings["rows"] == {"knob": "seed", "values": list(range(6))}
    assert origin.settings["columns"]["values"] == [*LAYERS, "fused", "all levels"]
    assert origin.settings["figures"][0][0] == list(seen.grid.cells[0][0].lines)
    json.dumps(origin.settings)
    assert len(origin.commands) == 36  # "all levels" draws one of the six: its command is theirs
    for words in origin.commands:
        parse(list(words))
    arrays = figure.arrays()
    assert arrays["0_0_negative"].shape == (128, 128, 3)
    assert len(arrays) == 2 * 6 * 7


def test_the_command_of_a_cell_is_one_that_the_program_knows(tmp_path):
    key = SaliencyKey(
        PhotoKey(tmp_path / "a.png", 0, 256, 12), "vgg16", "embedded", LAYERS, 5, (1.0, 2, 3, 4, 5)
    )
    options = parse([str(word) for word in saliency_command(key)])
    assert settings_from(options, ReadingSettings).bits == 12
    settings = settings_from(options, SaliencySettings)
    assert (settings.target_class, settings.image_size) == (5, 256)
    assert settings.fusion == (1, 2, 3, 4, 5)

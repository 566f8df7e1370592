"""Figures to take home: what is offered on a page, and what its files hold."""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image, ImageFont

from app.figures import copy_link, drawn_picture
from app.figures import take_home as homes
from app.figures.chart_files import chart_arrays, chart_config
from app.figures.drawn_picture import draw_picture
from app.figures.take_home import LABEL
from app.viewer.viewer import Box, Legend, Picture, Point
from cutswap.figures.figure_files import Origin
from tests.helpers.app import assert_alive, open_page, small_app

GREY = np.full((32, 32, 3), 90, np.uint8)


def changed(**parts: object) -> np.ndarray:
    """(H, W) bool: where a picture with these parts differs from the plain photo."""
    plain = draw_picture(Picture(GREY), 320)
    return (draw_picture(Picture(GREY, **parts), 320)[:320] != plain).any(axis=-1)  # type: ignore[arg-type]


def test_a_photo_alone_is_the_photo_enlarged():
    drawn = draw_picture(Picture(GREY), 320)
    assert drawn.shape == (320, 320, 3)
    assert (drawn == 90).all()


def test_heat_lies_over_the_photo_by_its_opacity_and_alpha():
    heat = np.zeros_like(GREY)
    heat[..., 0] = 250
    assert (draw_picture(Picture(GREY, heat=heat, opacity=50), 320)[..., 0] == 170).all()
    alpha = np.zeros((32, 32), np.uint8)
    alpha[:, 16:] = 255
    half = draw_picture(Picture(GREY, heat=heat, heat_alpha=alpha, opacity=100), 320)
    assert (half[:, :140, 0] == 90).all()
    assert (half[:, 180:, 0] == 250).all()


@pytest.mark.parametrize(
    ("parts", "inside"),
    [
        ({"boxes": (Box((8, 4, 10, 20)),)}, (70, 190, 30, 250)),
        ({"boxes": (Box((8, 4, 10, 20), dashed=True),)}, (70, 190, 30, 250)),
        ({"points": (Point((10, 20)),)}, (90, 110, 190, 210)),
        ({"mask": np.pad(np.ones((8, 8), bool), 12)}, (110, 210, 110, 210)),
    ],
)
def test_shapes_stand_at_their_place(parts, inside):
    y, x = np.nonzero(changed(**parts))
    top, bottom, left, right = inside
    assert top - 6 <= y.min() <= y.max() <= bottom + 6
    assert left - 6 <= x.min() <= x.max() <= right + 6
    assert y.max() - y.min() > (bottom - top) / 3


def test_a_second_photo_stands_beside_the_first():
    drawn = draw_picture(Picture(GREY, after=GREY + 100), 330)
    assert (drawn[20:60, :150] == 90).all()
    assert (drawn[20:60, 180:320] == 190).all()


@pytest.mark.parametrize(
    ("legend", "colours"),
    [
        (
            Legend(swatches=(("#0072b2", "cluster 1"), ("#56b4e9", "cluster 2"))),
            ["0072b2", "56b4e9"],
        ),
        (Legend("0", "1", "saliency", ((0.5, "threshold 3"),)), ["000004"]),
    ],
)
def test_the_legend_is_below_the_picture(legend, colours):
    drawn = draw_picture(Picture(GREY, legend=legend), 320)
    below = drawn[320:].reshape(-1, 3)
    assert len(below) > 0
    for colour in colours:
        rgb = np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)])
        assert (np.abs(below.astype(int) - rgb).max(axis=1) <= 2).any()


def test_the_link_s_button_has_a_name_before_its_script_runs():
    assert re.findall(r"<button[^>]*>(.*?)</button>", copy_link.HTML) == ["Copy link"]


def test_a_chart_saves_itself_as_svg_and_gives_its_numbers():
    config = chart_config("saliency-histogram")
    assert config["toImageButtonOptions"] == {"format": "svg", "filename": "saliency-histogram"}
    figure = go.Figure(
        [go.Bar(x=[0.5, 1], y=[2, None]), go.Scatter(x=["a", "b"], y=[1, 2], name="Good, test")]
    )
    arrays = chart_arrays(figure)
    assert set(arrays) == {"0_x", "0_y", "1_Good-test_x", "1_Good-test_y"}
    assert np.array_equal(arrays["0_y"], [2, np.nan], equal_nan=True)
    assert arrays["1_Good-test_x"].tolist() == ["a", "b"]
    for array in arrays.values():
        np.save(io.BytesIO(), array, allow_pickle=False)


@pytest.mark.parametrize(
    ("page", "titles"),
    [
        ("saliency", ["Saliency, layer 16", "Clusters, K = 4", "Histogram", "All levels"]),
        (
            "negatives",
            ["CutSwap", "Difference", "Twelve epochs", "Every method", "Every level"],
        ),
    ],
)
def test_every_picture_of_a_page_is_offered_and_made(page, titles, tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    offered: list[tuple[homes.Figure, Origin]] = []
    real = homes._files
    monkeypatch.setattr(
        homes, "_files", lambda f, origin, key: (offered.append((f, origin)), real(f, origin, key))
    )
    at = open_page(page, cat="part · mine", img="train/good/001", size="128")
    assert_alive(at)
    assert LABEL in [popover.proto.popover.label for popover in at.get("popover")]
    assert not offered  # a closed one costs nothing
    at.session_state[f"{page}.home"] = True  # as a click opens it
    at.run()
    assert_alive(at)
    assert [figure.title for figure, _ in offered] == titles
    for figure, origin in offered:
        assert origin.title == figure.title
        if figure.draw is not None:
            image = Image.open(io.BytesIO(homes._png(figure.draw, origin, 85)))
            image.load()
            assert image.width == 1004
            assert json.loads(image.text["Settings"])["image"] == "train/good/001"
            assert str(tmp_path) in image.text["Command"]
        with zipfile.ZipFile(io.BytesIO(homes._arrays(figure.arrays, origin))) as store:
            assert any(name.endswith(".npy") for name in store.namelist())


def test_in_public_no_file_tells_a_path_of_the_host(tmp_path, monkeypatch):
    monkeypatch.setattr(homes.public, "is_public", lambda: True)
    told: list[Origin] = []
    monkeypatch.setattr(homes, "_row", lambda _figures, origin, _key: told.append(origin))
    figure = homes.of_chart("c", "chart", go.Figure())
    homes.take_home([figure], Origin("t", {}, (("saliency", tmp_path),)), key="k")
    assert [origin.lines for origin in told] == [[]]


def charts_without_a_file(root: Path) -> list[str]:
    """Calls of `st.plotly_chart` whose camera has no name for its file."""
    return [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in sorted(root.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "st.plotly_chart"
        if not any(
            k.arg == "config" and ast.unparse(k.value).startswith("chart_config(")
            for k in node.keywords
        )
    ]


def test_every_chart_saves_itself():
    assert charts_without_a_file(Path(homes.__file__).parents[1]) == []


def test_a_long_unit_is_broken_into_lines_that_fit():
    font = ImageFont.load_default(12)
    text = "distance to normal; one range for all 28 test images; " * 3
    lines = drawn_picture._wrapped(text, font, 200)
    assert " ".join(lines) == text.strip()
    assert len(lines) > 1
    assert max(map(font.getlength, lines)) <= 200
    assert drawn_picture._wrapped("", font, 200) == []
    short, long = (
        draw_picture(Picture(GREY, legend=Legend("0", "1", t)), 320) for t in ("a", text)
    )
    assert long.shape[0] - short.shape[0] >= 20


def test_every_chart_of_a_page_is_taken_home():
    app = Path(homes.__file__).parents[1]
    left = []
    for file in sorted(app.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if file.parent.name != "lesson" and "st.plotly_chart(" in text and "of_chart(" not in text:
            left.append(file.name)
    assert not left

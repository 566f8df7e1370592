"""The artwork of the chip's circuit board: where copper, holes, parts and print lie.

Drawn once per process on a sheet larger than the canvas and then moved into place for every
picture. The chip's own pins, solder and package are in `chip.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cutswap.data.demo.optics import CANVAS, STEP, UNITS, Field

LOTS = 3  # different prints on the package
PINS = 8  # in a row
PIN_PITCH = 36.0
FIRST_PIN = -PIN_PITCH * (PINS - 1) / 2
BODY = (88.0, 152.0)  # half height and half width of the package

BRICK = 32.0  # height that the brightest value of the layer "brick" stands for

_SHEET = UNITS + 192  # its pixels are one unit wide; room to shift and turn
_LOTS = ("2611 K3C", "2614 K2B", "2618 K1D")
_PARTS = ((-206.0, 8.0), (206.0, -12.0))  # centres of the capacitor and the resistor
_PART = (35.0, 17.0)  # half length (along v) and half width


def board_layers(angle: float, shift: NDArray[np.float64]) -> dict[str, Field]:
    """Masks of the artwork, 0 to 1, each (CANVAS, CANVAS), turned and shifted into place.

    Args:
        angle: radians, x towards y.
        shift: (x, y) of the board's centre, from the canvas' centre.
    """
    names, pages = _artwork()
    placed = [plane for page in pages for plane in cv2.split(_placed(page, angle, shift))]
    return {name: _unit(plane) for name, plane in zip(names, placed, strict=True)}


def package_text(
    angle: float, shift: NDArray[np.float64], lot: int, slip: NDArray[np.float64]
) -> Field:
    """The laser print on the package with one of the lot codes, `slip` (x, y) off its place."""
    c, s = np.cos(angle), np.sin(angle)
    moved = shift + np.array([c * slip[0] - s * slip[1], s * slip[0] + c * slip[1]])
    return _unit(_placed(_print(lot % LOTS), angle, moved))


def _placed(sheet: NDArray[np.uint8], angle: float, shift: NDArray[np.float64]) -> Any:
    """The sheet, or page of sheets, turned and shifted onto the canvas, still uint8."""
    c, s = np.cos(angle) / STEP, np.sin(angle) / STEP
    middle, target = (_SHEET - 1) / 2, (CANVAS - 1) / 2 + shift / STEP
    move = np.array(
        [
            [c, -s, target[0] - c * middle + s * middle],
            [s, c, target[1] - s * middle - c * middle],
        ]
    )
    return cv2.warpAffine(sheet, move, (CANVAS, CANVAS), flags=cv2.INTER_LINEAR)


def _unit(plane: Any) -> Field:
    return np.multiply(plane, np.float32(1 / 255), dtype=np.float32)


@cache
def _artwork() -> tuple[tuple[str, ...], list[NDArray[np.uint8]]]:
    """Names of the layers, and their sheets four to a page: moving a page costs as one sheet.

    Most are shares of the pixel; `brick` is the height of the two small parts.
    """
    names = ("copper", "ring", "hole", "silk", "part", "terminal", "resistor")
    sheets = {name: np.zeros((_SHEET, _SHEET), np.uint8) for name in names}
    copper, silk = sheets["copper"], sheets["silk"]
    edge = _SHEET / 2
    jogs = (-44, -44, -26, 0, 0, 26, 44, 44)
    for k, jog in enumerate(jogs):
        u = FIRST_PIN + k * PIN_PITCH
        _box(copper, (u, -BODY[0] - 39), (14, 26))
        _box(copper, (u, BODY[0] + 39), (14, 26))
        _track(copper, u, -1, BODY[0] + 72 + abs(jog) * 0.2, jog)
        if k in (2, 5):
            _line(copper, [(u, BODY[0] + 40), (u, BODY[0] + 96)], 9)
            _via(sheets, (u, BODY[0] + 100))
        else:
            _track(copper, u, 1, BODY[0] + 84, -(jogs[-1 - k] // 2))
    # A ground pour on the right, a supply track on the left, stitched with vias.
    pour = [(176, -62), (edge, -62), (edge, 92), (196, 92), (176, 72)]
    cv2.fillPoly(copper, [_points(pour)], 255, cv2.LINE_AA, 4)
    _line(copper, [(-206, -edge), (-206, edge)], 22)
    for spot in ((-250, -120), (248, 70), (248, -44), (-250, 130), (-228, -205), (236, 210)):
        _via(sheets, spot)
    for (u, v), name in zip(_PARTS, ("capacitor", "resistor"), strict=True):
        for end in (-1, 1):
            _box(copper, (u, v + end * 34), (22, 18))
            _box(sheets["terminal"], (u, v + end * 27), (_PART[1], 9))
        _box(sheets["part"], (u, v), (_PART[1], _PART[0] + 1))
        if name == "resistor":
            _box(sheets["resistor"], (u, v), (_PART[1] + 4, _PART[0] + 4))
        for side in (-1, 1):
            _line(silk, [(u + side * 29, v - 52), (u + side * 29, v + 52)], 3)
    for side in (-1, 1):
        beside = side * (BODY[1] + 12)
        _line(silk, [(beside, -BODY[0] + 12), (beside, BODY[0] - 12)], 3)
    cv2.circle(silk, _points([(-BODY[1] - 14, BODY[0] + 34)])[0], 6 * 16, 255, -1, cv2.LINE_AA, 4)
    for text, place in (("C7", (-206, -70)), ("R4", (206, -90)), ("U3", (-186, -128))):
        _write(silk, text, place, 24)
    silk[sheets["ring"] > 0] = 0
    # Bricks with rounded edges and thicker, tinned ends.
    body = 26 * cv2.GaussianBlur(sheets["part"].astype(np.float32), (0, 0), 2.2)
    ends = 2.5 * cv2.GaussianBlur(sheets["terminal"].astype(np.float32), (0, 0), 1.5)
    brick = np.round((body + ends) / BRICK).astype(np.uint8)
    planes = [*sheets.values(), brick]
    return (*names, "brick"), [np.stack(planes[k : k + 4], axis=-1) for k in (0, 4)]


@cache
def _print(lot: int) -> NDArray[np.uint8]:
    sheet = np.zeros((_SHEET, _SHEET), np.uint8)
    _write(sheet, "CS74K16", (12, -30), 44)
    _write(sheet, _LOTS[lot], (12, 22), 36)
    return sheet


def _points(places: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
    """Board coordinates as sheet coordinates in 1/16 pixels, cv2's fixed point."""
    return np.round((np.array(places) + (_SHEET - 1) / 2) * 16).astype(np.int32)


def _line(sheet: NDArray[np.uint8], places: Sequence[tuple[float, float]], width: int) -> None:
    cv2.polylines(sheet, [_points(places)], False, 255, width, cv2.LINE_AA, 4)


def _track(copper: NDArray[np.uint8], u: float, side: int, bend: float, jog: float) -> None:
    """From a pad straight out, aside by `jog` at 45 degrees, and on to the sheet's edge."""
    outwards = (BODY[0] + 40, bend, bend + abs(jog), _SHEET / 2)
    across = (u, u, u + jog, u + jog)
    _line(copper, [(x, side * y) for x, y in zip(across, outwards, strict=True)], 9)


def _box(sheet: NDArray[np.uint8], centre: tuple[float, float], half: tuple[float, float]) -> None:
    (u, v), (a, b) = centre, half
    corners = [(u - a, v - b), (u + a, v - b), (u + a, v + b), (u - a, v + b)]
    cv2.fillPoly(sheet, [_points(corners)], 255, cv2.LINE_AA, 4)


def _via(sheets: dict[str, NDArray[np.uint8]], place: tuple[float, float]) -> None:
    centre = _points([place])[0]
    for name, radius in (("copper", 15), ("ring", 12), ("hole", 6)):
        cv2.circle(sheets[name], centre, radius * 16, 255, -1, cv2.LINE_AA, 4)


def _write(sheet: NDArray[np.uint8], text: str, place: tuple[float, float], size: int) -> None:
    """Text centred on a place, in the font that comes with Pillow."""
    layer = Image.new("L", (_SHEET, _SHEET))
    middle = (_SHEET - 1) / 2
    where = (place[0] + middle, place[1] + middle)
    ImageDraw.Draw(layer).text(
        where, text, fill=255, font=ImageFont.load_default(size), anchor="mm"
    )
    np.maximum(sheet, np.asarray(layer), out=sheet)

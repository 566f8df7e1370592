"""A 16-pin chip soldered on a green circuit board, between a capacitor and a resistor.

Defects: a bent pin, a solder bridge between two pins, a corner chipped off the package, a scratch
on the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from cutswap.demo_scenes import optics
from cutswap.demo_scenes.board import (
    BODY,
    BRICK,
    FIRST_PIN,
    LOTS,
    PIN_PITCH,
    PINS,
    board_layers,
    package_text,
)
from cutswap.demo_scenes.optics import Field, Light
from cutswap.demo_scenes.scene import Flaw, Painting

DEFECTS = ("bent_pin", "chipped", "scratch", "solder_bridge")

_TOP = 84.0  # of the package above the board
_LEAD = 8.0  # half the width of a pin
_REACH = 50.0  # of a pin beyond the package
_PAD = (16.0, 62.0, 12.5)  # begin and end beyond the package, half width

_MASK = np.array([0.004, 0.046, 0.022], np.float32)  # solder mask over bare board
_LIFT = np.array([0.010, 0.062, 0.022], np.float32)  # what copper below it adds
_EPOXY = np.array([0.021, 0.021, 0.023], np.float32)
_TIN = np.array([0.90, 0.91, 0.90], np.float32)
_SILK = np.array([0.62, 0.64, 0.60], np.float32)
_TAN = np.array([0.30, 0.20, 0.12], np.float32)


@dataclass(frozen=True)
class Board:
    """One assembled board under the camera.

    Attributes:
        u: along the rows of pins, from the package's centre; `v` across them.
        layers: masks 0 to 1 by name, in place.
        pin: number of the nearest pin in its row; `lateral` is the distance from its axis.
        lateral: see `pin`.
        beyond: distance outwards from the package's long side, negative below it.
        solder: thickness of the solder at each pad, relative.
        weave: relief of the glass cloth and the solder mask.
        speckle: grain of the moulded package, about unit deviation.
        dull: oxidation of the metal, about unit deviation.
        light: the lamp.
    """

    u: Field
    v: Field
    layers: dict[str, Field]
    pin: Field
    lateral: Field
    beyond: Field
    solder: Field
    weave: Field
    speckle: Field
    dull: Field
    light: Light


def arrange(rng: Generator) -> Board:
    """See `scene.Scene.arrange`."""
    angle = rng.normal(0, 0.011)
    shift = rng.uniform(-6, 6, 2)
    x, y = optics.grid()
    u, v = optics.turned(x - np.float32(shift[0]), y - np.float32(shift[1]), angle)
    layers = board_layers(angle, shift)
    layers["text"] = package_text(angle, shift, int(rng.integers(LOTS)), rng.normal(0, 0.8, 2))

    along = (u - np.float32(FIRST_PIN)) * np.float32(1 / PIN_PITCH)
    pin = np.clip(np.round(along), 0, PINS - 1)
    row = (v > 0).astype(np.int32)
    number = row * PINS + pin.astype(np.int32)
    aside = optics.as_field(rng.normal(0, 0.6, 2 * PINS))
    solder = optics.as_field(1 + rng.normal(0, 0.10, 2 * PINS))
    threads = np.sin(u * np.float32(2 * np.pi / 9.5)) * np.sin(v * np.float32(2 * np.pi / 8))
    return Board(
        u=u,
        v=v,
        layers=layers,
        pin=optics.as_field(number),
        lateral=optics.as_field((along - pin) * np.float32(PIN_PITCH) - aside[number]),
        beyond=optics.as_field(np.abs(v) - np.float32(BODY[0])),
        solder=solder[number],
        weave=optics.as_field(0.035 * threads + 0.16 * optics.clouds(rng, 16, 2)),
        speckle=optics.as_field(0.8 * optics.clouds(rng, 190) + 0.4 * optics.clouds(rng, 60)),
        dull=optics.clouds(rng, 20, 3),
        light=Light.draw(rng, azimuth=-2.1, elevation=0.85),
    )


def paint(board: Board, flaw: Flaw | None) -> Painting:
    """See `scene.Scene.paint`."""
    lateral, extra, dent, mark, support = board.lateral, None, None, None, None
    if flaw is not None:
        lateral, extra, dent, mark, support = _damage(flaw, board)
    layers, light = board.layers, board.light

    # Heights of the parts, laid over each other by the share of the pixel that each covers.
    tin, tin_share = _solder(board, extra)
    lead, lead_share = _leads(board, lateral)
    epoxy, epoxy_share = _package(board, dent)
    small_share = layers["part"]
    small = BRICK * layers["brick"] + 0.1 * board.dull
    height = 1.3 * layers["copper"] + 0.8 * layers["silk"] - 3.0 * layers["hole"]
    height = height + board.weave + tin * tin_share
    height = height + (small - height) * small_share
    height = height + (lead - height) * lead_share
    height = height + (epoxy - height) * epoxy_share
    n = optics.normals(optics.blur(optics.as_field(height), 0.9))

    lit = light.shadow(optics.as_field(np.maximum(height - 8, 0)), steps=10)
    near = optics.blur(np.maximum(epoxy_share, small_share), 8)
    lit = optics.as_field((0.34 + 0.66 * lit) * (1 - 0.45 * near))
    open_board = (1 - epoxy_share) * (1 - small_share)
    metal = np.maximum(tin_share, lead_share) * (1 - epoxy_share)
    metal = np.maximum(metal, layers["terminal"] * small_share)
    metal = np.maximum(metal, 0.7 * layers["ring"] * (1 - layers["hole"]))
    flat = light.diffuse(n, ambient=0.35)
    gloss = light.gloss(n, 6)
    radiance = (
        _board_light(board, open_board * (1 - metal), flat * lit, gloss, lit)
        + _metal_light(board, n, metal, np.maximum(lit, 0.8 * lead_share))
        + _package_light(board, epoxy_share, flat, gloss, mark)
    )
    brown = small_share * (1 - layers["terminal"]) * flat
    black = brown * layers["resistor"]
    radiance = radiance + _share(brown - black) * _TAN + _share(black) * (1.5 * _EPOXY)
    return Painting(optics.as_field(1.9 * radiance), support)


def _share(field: Any) -> Field:
    return optics.shrink(optics.as_field(field))[..., None]


def _board_light(board: Board, seen: Field, diffuse: Field, gloss: Field, lit: Field) -> Field:
    """Solder mask, the copper below it, the print on it; `seen` is where nothing covers them."""
    silk, hole = board.layers["silk"], board.layers["hole"]
    bare = seen * (1 - silk) * (1 - 0.85 * hole)
    mask = bare * diffuse
    coat = 0.050 * bare * lit * cv2.pow(gloss, 5)
    return optics.as_field(
        _share(mask) * _MASK
        + _share(mask * board.layers["copper"]) * _LIFT
        + _share(silk * seen * diffuse) * _SILK
        + _share(coat)
    )


def _metal_light(board: Board, n: tuple[Field, Field, Field], metal: Field, lit: Field) -> Field:
    """Tin on pins, pads and terminals: what it mirrors, dulled here and there."""
    shiny = metal > 0.004  # a twentieth of the picture: worth picking out
    mirror = board.light.mirror((n[0][shiny], n[1][shiny], n[2][shiny]), 0.5)
    shine = np.zeros_like(metal)
    shine[shiny] = np.clip(mirror * (0.60 + 0.07 * board.dull[shiny]), 0.02, 2)
    return optics.as_field(_share(metal * shine * lit) * _TIN)


def _package_light(
    board: Board, share: Field, flat: Field, gloss: Field, mark: Field | None
) -> Field:
    """Speckled epoxy, its haze, the laser print and, where there is one, a lighter mark."""
    haze = 0.030 * gloss * (1 + 0.25 * board.speckle)
    pale = haze + 0.11 * board.layers["text"] * (0.75 + 0.10 * board.speckle)
    if mark is not None:
        pale = pale + mark
    face = share * flat * (1 + 0.08 * board.speckle)
    return optics.as_field(_share(face) * _EPOXY + _share(share * pale))


def _solder(board: Board, extra: Field | None) -> tuple[Field, Field]:
    """Menisci on the pads (and a bridge, if any): thickness and share covered."""
    begin, end, half = _PAD
    out = np.maximum(np.float32(begin) - board.beyond, board.beyond - np.float32(end))
    # The distance inside the pad, its sides and its ends alike, makes the dome.
    inner = -np.maximum(np.abs(board.lateral) - np.float32(half), out)
    if extra is not None:
        inner = np.maximum(inner, extra)
    dome = np.sqrt(np.clip(inner * np.float32(2 / half), 0, 1))
    uneven = 1 + 0.06 * board.dull
    share = optics.smoothstep(optics.as_field(inner), -0.8, 0.8)
    return optics.as_field(6.0 * dome * board.solder * uneven), share


def _leads(board: Board, lateral: Field) -> tuple[Field, Field]:
    """Gull-wing pins: a shoulder, a slope, a foot on the pad."""
    side = np.float32(_LEAD) - np.abs(lateral)
    length = np.minimum(np.float32(_REACH) - board.beyond, board.beyond + np.float32(14))
    share = optics.smoothstep(optics.as_field(np.minimum(side, length)), -0.8, 0.8)
    fall = optics.smoothstep(board.beyond, 7.0, 27.0)
    rounded = np.clip(np.minimum(side, length) * np.float32(0.4), 0, 1)
    height = 42.0 - 32.0 * fall + 3.2 * np.sqrt(rounded) + 0.10 * board.dull
    return optics.as_field(height), share


def _package(board: Board, dent: Field | None) -> tuple[Field, Field]:
    """The moulded body: a flat top with drafted sides, a dimple at pin 1."""
    outside = np.maximum(board.beyond, np.abs(board.u) - np.float32(BODY[1]))
    corner = np.maximum(board.beyond, -8) + np.maximum(np.abs(board.u) - BODY[1], -8)
    outside = np.maximum(outside, (corner + 5).astype(np.float32) * np.float32(0.8))
    draft = np.maximum(outside + np.float32(9), 0)
    height = _TOP - 1.5 * draft - 0.05 * draft * draft + 0.22 * board.speckle
    away = np.sqrt((board.u + (BODY[1] - 27)) ** 2 + (board.v - (BODY[0] - 27)) ** 2)
    height = height - 5.0 * optics.smoothstep(optics.as_field(away), 12.0, 9.0)
    if dent is not None:
        height = height - dent
    return optics.as_field(height), optics.smoothstep(optics.as_field(outside), 0.9, -0.9)


def _damage(
    flaw: Flaw, board: Board
) -> tuple[Field, Field | None, Field | None, Field | None, Field]:
    """Pin axis distance, solder to add, package to remove, light marks, support of the defect."""
    rng = flaw.rng
    lateral, beyond = board.lateral, board.beyond
    number = int(rng.integers(2 * PINS))
    mine = np.abs(board.pin - number) < 0.5
    if flaw.kind == "bent_pin":
        bend = float(rng.choice([-1, 1]) * rng.uniform(9.0, 13.0))
        moved = lateral - bend * optics.smoothstep(beyond, 2.0, _REACH - 4)
        near = (np.abs(lateral) < _LEAD + 18) & (beyond > -2) & (beyond < _PAD[1] + 22)
        return (
            optics.as_field(np.where(mine, moved, lateral)),
            None,
            None,
            None,
            optics.as_field(near & mine),
        )
    if flaw.kind == "solder_bridge":
        row, number = divmod(number, PINS)
        number = min(number, PINS - 2)
        middle = FIRST_PIN + (number + 0.5) * PIN_PITCH
        place = rng.uniform(_PAD[0] + 18, _PAD[1] - 9)
        thick = rng.uniform(8.5, 12)
        u = board.u - np.float32(middle)
        waist = thick + 0.030 * u * u + 1.2 * optics.clouds(rng, 40)
        bridge = waist - np.abs(beyond - np.float32(place))
        same_row = (board.v > 0) == bool(row)
        between = same_row & (np.abs(u) < PIN_PITCH * 0.5)
        extra = np.where(between, np.minimum(bridge, _PAD[2]), np.float32(-9))
        near = same_row & (np.abs(u) < PIN_PITCH) & (np.abs(beyond - place) < 30)
        return lateral, optics.as_field(extra), None, None, optics.as_field(near)
    if flaw.kind == "chipped":
        sign = rng.choice([-1, 1], 2)
        corner = np.array([sign[0] * BODY[1], sign[1] * BODY[0]])
        island = optics.blob(rng, board.u, board.v, corner, rng.uniform(34, 46), 0.25)
        on_package = (beyond < 2) & (np.abs(board.u) < BODY[1] + 2)
        broken = optics.smoothstep(island, 0.0, 0.18)
        rubble = 1.2 * optics.clouds(rng, 70, 2)
        crater = broken * (5 + 14 * np.clip(island, 0, 1) + rubble)
        fresh = 0.060 * broken * (1 + 0.4 * np.clip(optics.clouds(rng, 90), -2, 2))
        return (
            lateral,
            None,
            optics.as_field(crater),
            optics.as_field(fresh),
            optics.as_field((island > -0.25) & on_package),
        )
    middle = rng.uniform(-1, 1, 2) * (BODY[1] - 50, BODY[0] - 35)
    angle = rng.uniform(0, np.pi)
    step = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(30, 55)
    across, along = optics.segment(board.u, board.v, middle - step, middle + step)
    across = across + 1.5 * optics.clouds(rng, 6)
    ends = optics.smoothstep(along, 0.0, 0.3) * optics.smoothstep(along, 1.0, 0.7)
    line = optics.bump(across, 2.3) * ends * (0.75 + 0.2 * board.speckle)
    near = (np.abs(across) < 9) & (along > -0.05) & (along < 1.05)
    return (
        lateral,
        None,
        optics.as_field(1.2 * line),
        optics.as_field(0.20 * line),
        optics.as_field(near),
    )

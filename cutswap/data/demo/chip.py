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

from cutswap.data.demo import optics
from cutswap.data.demo.board import (
    BODY,
    BRICK,
    FIRST_PIN,
    LOTS,
    PIN_PITCH,
    PINS,
    board_layers,
    package_text,
)
from cutswap.data.demo.optics import Field, Light, Mask
from cutswap.data.demo.scene import Flaw, Painting

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
    damage = _MAKERS[flaw.kind](flaw.rng, board) if flaw is not None else None
    layers, light = board.layers, board.light

    # Heights of the parts, laid over each other by the share of the pixel that each covers.
    tin, tin_share = _solder(board, damage)
    lead, lead_share = _leads(board, damage)
    epoxy, epoxy_share = _package(board, damage)
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
        + _package_light(board, epoxy_share, flat, gloss, damage)
    )
    brown = small_share * (1 - layers["terminal"]) * flat
    black = brown * layers["resistor"]
    radiance = radiance + _share(brown - black) * _TAN + _share(black) * (1.5 * _EPOXY)
    return Painting(optics.as_field(1.9 * radiance), damage.support if damage else None)


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
    """Tin on pins, pads and terminals: reflections, dulled in places."""
    shiny = metal > 0.004  # a twentieth of the picture: worth picking out
    mirror = board.light.mirror((n[0][shiny], n[1][shiny], n[2][shiny]), 0.5)
    shine = np.zeros_like(metal)
    shine[shiny] = np.clip(mirror * (0.60 + 0.07 * board.dull[shiny]), 0.02, 2)
    return optics.as_field(_share(metal * shine * lit) * _TIN)


def _package_light(
    board: Board, share: Field, flat: Field, gloss: Field, damage: _Damage | None
) -> Field:
    """Speckled epoxy, its haze, the laser print and, where there is one, a lighter mark."""
    haze = 0.030 * gloss * (1 + 0.25 * board.speckle)
    pale = haze + 0.11 * board.layers["text"] * (0.75 + 0.10 * board.speckle)
    if damage is not None and damage.pale is not None:
        pale = pale + damage.pale
    face = share * flat * (1 + 0.08 * board.speckle)
    return optics.as_field(_share(face) * _EPOXY + _share(share * pale))


def _solder(board: Board, damage: _Damage | None) -> tuple[Field, Field]:
    """Menisci on the pads (and a bridge, if any): thickness and share covered."""
    begin, end, half = _PAD
    out = np.maximum(np.float32(begin) - board.beyond, board.beyond - np.float32(end))
    # The distance inside the pad, its sides and its ends alike, makes the dome.
    inner = -np.maximum(np.abs(board.lateral) - np.float32(half), out)
    if damage is not None and damage.solder is not None:
        inner = np.maximum(inner, damage.solder)
    dome = np.sqrt(np.clip(inner * np.float32(2 / half), 0, 1))
    uneven = 1 + 0.06 * board.dull
    share = optics.smoothstep(optics.as_field(inner), -0.8, 0.8)
    return optics.as_field(6.0 * dome * board.solder * uneven), share


def _leads(board: Board, damage: _Damage | None) -> tuple[Field, Field]:
    """Gull-wing pins: a shoulder, a slope, a foot on the pad."""
    lateral = board.lateral
    if damage is not None and damage.aside is not None:
        lateral = lateral - damage.aside
    side = np.float32(_LEAD) - np.abs(lateral)
    length = np.minimum(np.float32(_REACH) - board.beyond, board.beyond + np.float32(14))
    share = optics.smoothstep(optics.as_field(np.minimum(side, length)), -0.8, 0.8)
    fall = optics.smoothstep(board.beyond, 7.0, 27.0)
    rounded = np.clip(np.minimum(side, length) * np.float32(0.4), 0, 1)
    height = 42.0 - 32.0 * fall + 3.2 * np.sqrt(rounded) + 0.10 * board.dull
    return optics.as_field(height), share


def _package(board: Board, damage: _Damage | None) -> tuple[Field, Field]:
    """The moulded body: a flat top with drafted sides, a dimple at pin 1."""
    outside = np.maximum(board.beyond, np.abs(board.u) - np.float32(BODY[1]))
    corner = np.maximum(board.beyond, -8) + np.maximum(np.abs(board.u) - BODY[1], -8)
    outside = np.maximum(outside, (corner + 5).astype(np.float32) * np.float32(0.8))
    draft = np.maximum(outside + np.float32(9), 0)
    height = _TOP - 1.5 * draft - 0.05 * draft * draft + 0.22 * board.speckle
    away = np.sqrt((board.u + (BODY[1] - 27)) ** 2 + (board.v - (BODY[0] - 27)) ** 2)
    height = height - 5.0 * optics.smoothstep(optics.as_field(away), 12.0, 9.0)
    if damage is not None and damage.dent is not None:
        height = height - damage.dent
    return optics.as_field(height), optics.smoothstep(optics.as_field(outside), 0.9, -0.9)


@dataclass(frozen=True)
class _Damage:
    """The effects of a defect; an effect that is `None` leaves the board as it is.

    Attributes:
        support: where it may reach.
        aside: by how much pins are moved along their row.
        solder: depth inside additional solder, negative outside it.
        dent: height taken from the package.
        pale: light added to the package.
    """

    support: Mask
    aside: Field | None = None
    solder: Field | None = None
    dent: Field | None = None
    pale: Field | None = None


def _bent_pin(rng: Generator, board: Board) -> _Damage:
    mine = np.abs(board.pin - np.float32(rng.integers(2 * PINS))) < 0.5
    bend = np.float32(rng.choice([-1, 1]) * rng.uniform(9.0, 13.0))
    near = (np.abs(board.lateral) < _LEAD + 18) & (np.abs(board.beyond - 40) < 42)
    aside = bend * optics.smoothstep(board.beyond, 2.0, _REACH - 4) * mine
    return _Damage(near & mine, aside=optics.as_field(aside))


def _solder_bridge(rng: Generator, board: Board) -> _Damage:
    row, number = int(rng.integers(2)), int(rng.integers(PINS - 1))
    u = board.u - np.float32(FIRST_PIN + (number + 0.5) * PIN_PITCH)
    away = np.abs(board.beyond - np.float32(rng.uniform(_PAD[0] + 18, _PAD[1] - 9)))
    # Surface tension: thin in the middle between the pads, wide where it wets them.
    width = rng.uniform(9.5, 12.5) + 0.030 * u * u + 1.2 * optics.clouds(rng, 40)
    same_row = (board.v > 0) == bool(row)
    between = same_row & (np.abs(u) < PIN_PITCH / 2)
    inside = np.where(between, np.minimum(width - away, _PAD[2]), np.float32(-9))
    near = same_row & (np.abs(u) < PIN_PITCH) & (away < 30)
    return _Damage(near, solder=optics.as_field(inside))


def _chipped(rng: Generator, board: Board) -> _Damage:
    corner = rng.choice([-1, 1], 2) * (BODY[1], BODY[0])
    island = optics.blob(rng, board.u, board.v, corner, rng.uniform(36, 50), 0.25)
    broken = optics.smoothstep(island, 0.0, 0.18)
    crater = broken * (5 + 14 * np.clip(island, 0, 1) + 1.2 * optics.clouds(rng, 70, 2))
    fresh = 0.085 * broken * (1 + 0.4 * np.clip(optics.clouds(rng, 90), -2, 2))
    on_package = (board.beyond < 2) & (np.abs(board.u) < BODY[1] + 2)
    return _Damage(
        (island > -0.25) & on_package, dent=optics.as_field(crater), pale=optics.as_field(fresh)
    )


def _scratch(rng: Generator, board: Board) -> _Damage:
    middle = rng.uniform(-1, 1, 2) * (BODY[1] - 50, BODY[0] - 35)
    angle, half = rng.uniform(0, np.pi), rng.uniform(30, 55)
    across, fade = optics.stroke(rng, board.u, board.v, middle, angle, half, 1.5)
    line = optics.bump(across, 2.3) * fade * (0.75 + 0.2 * board.speckle)
    return _Damage(
        (np.abs(across) < 9) & (fade > 0),
        dent=optics.as_field(1.2 * line),
        pale=optics.as_field(0.26 * line),
    )


_MAKERS = {
    "bent_pin": _bent_pin,
    "chipped": _chipped,
    "scratch": _scratch,
    "solder_bridge": _solder_bridge,
}
DEFECTS = tuple(_MAKERS)

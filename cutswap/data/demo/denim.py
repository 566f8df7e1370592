"""Indigo denim, a 3/1 twill: blue warp over pale weft, every yarn its own thickness and dye.

Defects: a broken end (a warp yarn missing for a stretch), a float (a warp yarn that skips its
interlacings), a faint oil stain, a strand of foreign lint.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cutswap.data.demo import optics
from cutswap.data.demo.optics import CANVAS, STEP, Field, Light, Mask
from cutswap.data.demo.scene import Flaw, Painting

_END = 13.5  # from one warp yarn to the next
_PICK = 11.0  # from one weft yarn to the next
_REPEAT = 4  # picks in one repeat of the twill: over three, under one

_INDIGO = np.array([0.010, 0.022, 0.062], np.float32)
_WORN = np.array([0.120, 0.185, 0.320], np.float32)
_LINTS = np.array([[0.34, 0.33, 0.31], [0.25, 0.10, 0.09]], np.float32)
_OIL = np.array([0.24, 0.40, 0.72], np.float32)  # share of the light it takes away
_ECRU = np.array([0.520, 0.500, 0.430], np.float32)


@dataclass(frozen=True)
class Cloth:
    """A piece of cloth: where every pixel lies in the weave, and how its yarns differ.

    Attributes:
        end: warp yarn number, whole numbers as floats; `across` is -1 to 1 over its width.
        across: see `end`.
        down: coordinate along the warp.
        weft_across: -1 to 1 over the weft yarn's width.
        phase: position in the repeat of the yarn's interlacing, 0 to `_REPEAT`.
        thick: relative thickness of the warp yarn here, about 1.
        dye: relative paleness of the warp yarn here, about 0.
        twist: spun-fibre pattern of the warp, about unit deviation.
        fuzz: fibres that stand off, 0 to 1.
        creases: broad height of the lying cloth.
        light: the lamp.
    """

    end: Field
    across: Field
    down: Field
    weft_across: Field
    phase: Field
    thick: Field
    dye: Field
    twist: Field
    fuzz: Field
    creases: Field
    light: Light


def arrange(rng: Generator) -> Cloth:
    """See `scene.Scene.arrange`."""
    x, y = optics.turned(*optics.grid(), rng.normal(0, 0.025))
    x = x + rng.uniform(0, 500) + 1.6 * optics.clouds(rng, 5) + 0.8 * optics.clouds(rng, 40)
    y = y + rng.uniform(0, 500) + 1.6 * optics.clouds(rng, 5) + 0.7 * optics.clouds(rng, 40)
    warp = x * np.float32(1 / _END)
    end = np.floor(warp)
    pick = y * np.float32(1 / _PICK)
    weft = np.floor(pick)
    turn = (pick + end) * np.float32(1 / _REPEAT)
    # Tables of (yarn, coarse place along it): slubs and uneven dye run along the yarns.
    yarns = int(end.max() - end.min()) + 2
    thick = 1 + 0.06 * _slivers(rng, yarns, 9) + 0.03 * _slivers(rng, yarns, 40)
    dye = 0.75 * _slivers(rng, yarns, 3) + 0.5 * _slivers(rng, yarns, 30)
    column, row = end - end.min(), y - y.min()
    along = optics.as_field(row * np.float32(CANVAS / max(float(row.max()), 1)))
    across = optics.as_field(2 * (warp - end) - 1)
    slant = 2 * np.pi * (y * np.float32(1 / 8.5) + 0.42 * across)
    twist = np.sin(slant + 1.3 * optics.clouds(rng, 50)) + optics.clouds(rng, 170)
    return Cloth(
        end=optics.as_field(end),
        across=across,
        down=optics.as_field(y),
        weft_across=optics.as_field(2 * (pick - weft) - 1),
        phase=optics.as_field(_REPEAT * (turn - np.floor(turn))),
        thick=_look_up(thick, column, along),
        dye=_look_up(dye, column, along),
        twist=optics.as_field(0.7 * twist),
        fuzz=_hairs(rng, 130),
        creases=optics.as_field(2.2 * optics.clouds(rng, 2.5, 2)),
        light=Light.draw(rng, azimuth=-2.6, elevation=0.75),
    )


def paint(cloth: Cloth, flaw: Flaw | None) -> Painting:
    """See `scene.Scene.paint`."""
    # A warp yarn dives under the weft at the middle of its phase.
    dive = optics.bump(cloth.phase - np.float32(_REPEAT / 2), 0.50)
    thick = cloth.thick
    damage = _MAKERS[flaw.kind](flaw.rng, cloth) if flaw is not None else None
    if damage is not None:
        dive = dive if damage.dive is None else np.clip(dive + damage.dive, 0, 2)
        thick = thick if damage.swell is None else thick * (1 + damage.swell)
    round_warp = np.sqrt(np.maximum(1 - (cloth.across / (1.02 * thick)) ** 2, 0))
    round_weft = np.sqrt(np.maximum(1 - 0.85 * cloth.weft_across**2, 0))
    warp = 5.2 * round_warp * thick - 7.5 * dive + 0.28 * cloth.twist * round_warp
    weft = 4.0 * round_weft - 3.2
    over = optics.smoothstep(optics.as_field(warp - weft), -0.5, 0.5)
    height = np.maximum(warp, weft)
    relief = optics.as_field(optics.blur(optics.as_field(height), 0.8) + cloth.creases)
    n = optics.normals(relief)
    sky = np.clip(0.78 + 0.085 * (height - optics.blur(optics.as_field(height), 6)), 0.25, 1.15)
    lit = cloth.light.diffuse(n, ambient=0.42) * sky
    crest = np.clip(0.16 + 0.05 * warp + 0.10 * cloth.dye + 0.06 * cloth.twist, 0.02, 0.95)
    pale = np.clip(0.85 + 0.08 * cloth.twist, 0.4, 1.1)
    fuzz = 0.5 * cloth.fuzz
    shares = [lit * over * (1 - crest), lit * over * crest, lit * (1 - over) * pale, lit * fuzz]
    dark, worn, ecru, hair = (optics.shrink(optics.as_field(s))[..., None] for s in shares)
    radiance = dark * _INDIGO + (worn + 0.6 * hair) * _WORN + ecru * _ECRU
    if damage is not None and damage.oil is not None:
        radiance = radiance * (1 - _OIL * optics.shrink(damage.oil)[..., None])
    if damage is not None and damage.thread is not None and damage.colour is not None:
        cover = optics.shrink(damage.thread)[..., None]
        thread = damage.colour * np.float32(cloth.light.strength)
        radiance = radiance + cover * (thread - radiance)
    return Painting(optics.as_field(1.9 * radiance), damage.support if damage else None)


def _slivers(rng: Generator, yarns: int, places: int) -> Field:
    """(yarns, CANVAS) smooth noise along every yarn, unit deviation, independent yarns."""
    knots = rng.standard_normal((yarns, places), dtype=np.float32)
    return optics.as_field(cv2.resize(knots, (CANVAS, yarns), interpolation=cv2.INTER_CUBIC))


def _look_up(table: Field, row: Field, column: Field) -> Field:
    """Entries of `table` at (row, column), the nearest one."""
    return optics.as_field(
        cv2.remap(
            optics.as_field(table),
            optics.as_field(column),
            optics.as_field(row),
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _hairs(rng: Generator, count: int) -> Field:
    """Short curved fibres, 0 to 1."""
    sheet = np.zeros((CANVAS, CANVAS), np.uint8)
    place = rng.uniform(0, CANVAS, (count, 1, 2))
    heading = rng.uniform(0, 2 * np.pi, (count, 1)) + np.cumsum(rng.normal(0, 0.35, (count, 9)), 1)
    step = (
        np.stack([np.cos(heading), np.sin(heading)], -1) * rng.uniform(2, 6, (count, 1, 1)) / STEP
    )
    curves = ((place + np.cumsum(step, 1)) * 16).round().astype(np.int32)
    for curve, grey in zip(curves, rng.integers(60, 200, count), strict=True):
        cv2.polylines(sheet, [curve], False, int(grey), 1, cv2.LINE_AA, 4)
    return optics.as_field(sheet) * np.float32(1 / 255)


@dataclass(frozen=True)
class _Damage:
    """The effects of a defect; an effect that is `None` leaves the cloth as it is.

    Attributes:
        support: where it may reach.
        dive: added to the warp's dive under the weft; -1 keeps it on top.
        swell: share by which the warp yarn is thicker.
        oil: share of the surface that is soaked.
        thread: share that a foreign thread covers.
        colour: of that thread.
    """

    support: Mask
    dive: Field | None = None
    swell: Field | None = None
    oil: Field | None = None
    thread: Field | None = None
    colour: Field | None = None


def _broken_end(rng: Generator, cloth: Cloth) -> _Damage:
    stretch, support = _along_one_end(rng, cloth, rng.uniform(14, 24))
    return _Damage(support, dive=stretch)


def _float(rng: Generator, cloth: Cloth) -> _Damage:
    stretch, support = _along_one_end(rng, cloth, rng.uniform(45, 70))
    # Released from the weft the yarn also relaxes and thickens a little.
    return _Damage(support, dive=-stretch, swell=np.float32(0.12) * stretch)


def _along_one_end(rng: Generator, cloth: Cloth, half: float) -> tuple[Field, Mask]:
    """A stretch of one warp yarn, 0 to 1, and its surroundings."""
    column, row = (int(optics.at(v)) for v in _spot(rng))
    mine = optics.as_field(np.abs(cloth.end - cloth.end[row, column]) < 0.5)
    away = np.abs(cloth.down - cloth.down[row, column])
    ragged = optics.as_field(away + 3 * optics.clouds(rng, 60))
    support = (optics.blur(mine, 4) > 0.02) & (away < half + 25)
    return optics.as_field(optics.smoothstep(ragged, half + 4, half - 4) * mine), support


def _oil_stain(rng: Generator, cloth: Cloth) -> _Damage:
    island = optics.blob(rng, *optics.grid(), _spot(rng), rng.uniform(42, 60), 0.25)
    tide = optics.bump(island - np.float32(0.12), 0.10)
    soaked = 0.75 * optics.smoothstep(island, 0.0, 0.25) + 0.25 * tide
    # Oil is drawn along the yarns: the thicker they are, the more.
    return _Damage(island > -0.2, oil=optics.as_field(soaked * np.clip(cloth.thick, 0.8, 1.1)))


def _lint(rng: Generator, cloth: Cloth) -> _Damage:
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.28, 26))
    step = np.stack([np.cos(heading), np.sin(heading)], -1) * rng.uniform(2.5, 4.5)
    curve = optics.at(_spot(rng) + np.cumsum(step, 0) - step.sum(0) / 2)
    sheet = np.zeros_like(cloth.fuzz, np.uint8)
    cv2.polylines(sheet, [(curve * 16).round().astype(np.int32)], False, 255, 2, cv2.LINE_AA, 4)
    cover = optics.blur(optics.as_field(sheet) * np.float32(0.9 / 255), 0.8)
    colour = _LINTS[int(rng.integers(len(_LINTS)))]
    return _Damage(cover > 0.004, thread=cover, colour=colour)


def _spot(rng: Generator) -> NDArray[np.float64]:
    return rng.uniform(-165, 165, 2)


_MAKERS = {"broken_end": _broken_end, "float": _float, "lint": _lint, "oil_stain": _oil_stain}
DEFECTS = tuple(_MAKERS)

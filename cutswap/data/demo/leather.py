"""Full-grain leather under raking light: pebbled grain, pores, a waxed finish.

Defects: a shallow cut, a prick with a raised rim, a scuff where the grain is worn flat, a faint
stain of a darker, glossier finish.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cutswap.data.demo import optics
from cutswap.data.demo.optics import CANVAS, STEP, UNITS, Field, Light, Mask
from cutswap.data.demo.scene import Flaw, Painting

_TAN = np.array([0.235, 0.088, 0.034], np.float32)
_DARK = np.array([0.070, 0.024, 0.012], np.float32)


@dataclass(frozen=True)
class Hide:
    """One crop of hide.

    Attributes:
        grain: 0 in the creases between the pebbles, 1 on their tops.
        relief: height of pebbles and pores.
        undulation: broad height of the hide.
        dye: unevenness of the colour, about unit deviation.
        wax: strength of the finish's gloss.
        tint: (3,) colour of this hide against the usual one, about 1.
        light: the lamp.
    """

    grain: Field
    relief: Field
    undulation: Field
    dye: Field
    wax: Field
    tint: Field
    light: Light


def arrange(rng: Generator) -> Hide:
    """See `scene.Scene.arrange`."""
    grain = _pebbles(rng, float(np.exp(rng.normal(np.log(16), 0.03))))
    depth = 3.0 + 0.2 * optics.clouds(rng, 4)
    return Hide(
        grain=grain,
        relief=optics.as_field(depth * grain + 0.30 * optics.clouds(rng, 120)),
        undulation=optics.as_field(1.8 * optics.clouds(rng, 2.5, 2)),
        dye=optics.clouds(rng, 5, 3, stretch=rng.uniform(1, 2)),
        wax=optics.as_field(0.17 + 0.02 * optics.clouds(rng, 6)),
        tint=optics.as_field(np.exp(rng.normal(0, 0.025, 3))),
        light=Light.draw(rng, azimuth=-2.3, elevation=0.72),
    )


def paint(hide: Hide, flaw: Flaw | None) -> Painting:
    """See `scene.Scene.paint`."""
    damage = _MAKERS[flaw.kind](flaw.rng, hide) if flaw is not None else None
    relief, wax = hide.relief, hide.wax
    if damage is not None:
        relief = relief if damage.relief is None else damage.relief
        wax = wax if damage.wax is None else damage.wax
    n = optics.normals(relief + hide.undulation)
    # Light reaches the creases less: a cheap stand-in for ambient occlusion.
    open_sky = np.clip(hide.grain - optics.blur(hide.grain, 5) * 0.6, 0, 1)
    lit = hide.light.diffuse(n, ambient=0.35) * (0.72 + 0.40 * open_sky)
    if damage is not None and damage.darker is not None:
        lit = lit * (1 - damage.darker)
    dyed = np.clip(0.28 + 0.62 * hide.grain + 0.08 * hide.dye, 0, 1) * lit
    shine = wax * hide.light.gloss(n, 32) * (0.4 + 0.6 * hide.grain)
    colour = _DARK * optics.shrink(optics.as_field(lit))[..., None]
    colour = colour + (_TAN - _DARK) * optics.shrink(optics.as_field(dyed))[..., None]
    radiance = 2.3 * hide.tint * colour + optics.shrink(optics.as_field(shine))[..., None]
    return Painting(optics.as_field(radiance), damage.support if damage else None)


def _pebbles(rng: Generator, cell: float) -> Field:
    """Rounded cells of about the given width: 0 in the creases, 1 on the tops."""
    count = int(UNITS / cell) + 3
    rows, columns = np.mgrid[0:count, 0:count].astype(np.float32)
    rows += np.float32(0.5) * (np.arange(count, dtype=np.float32) % 2)[None, :]
    jitter = rng.uniform(-0.46, 0.46, (2, count, count)).astype(np.float32)
    points = (np.stack([rows, columns]) + jitter - 1) * np.float32(cell / STEP)
    row, column = points.reshape(2, -1).astype(np.int32)
    inside = (row >= 0) & (row < CANVAS) & (column >= 0) & (column < CANVAS)
    empty = np.ones((CANVAS, CANVAS), np.uint8)
    empty[row[inside], column[inside]] = 0
    _, labels = cv2.distanceTransformWithLabels(
        empty, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    same = np.ones((CANVAS, CANVAS), np.uint8)
    same[:, :-1] &= labels[:, 1:] == labels[:, :-1]
    same[:-1, :] &= labels[1:, :] == labels[:-1, :]
    inner = cv2.distanceTransform(same, cv2.DIST_L2, 5) * np.float32(STEP)
    # Straight cell walls look drawn: bend them, and let some creases nearly close.
    x, y = optics.grid()
    bend, bends = np.float32(0.16 * cell), 1.1 * UNITS / cell
    walls = cv2.remap(
        inner,
        optics.at(x + bend * optics.clouds(rng, bends)),
        optics.at(y + bend * optics.clouds(rng, bends)),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    width = np.float32(0.24 * cell) * (1 + 0.28 * optics.clouds(rng, 30))
    slope = np.clip(walls / np.maximum(width, 1.0), 0, 1)
    return optics.blur(optics.as_field(slope * (2 - slope)), 1.1)


@dataclass(frozen=True)
class _Damage:
    """The effects of a defect; an effect that is `None` leaves the hide as it is.

    `darker` is the share of the light that it takes, below 0 that it adds.
    """

    support: Mask
    relief: Field | None = None
    wax: Field | None = None
    darker: Field | None = None


def _cut(rng: Generator, hide: Hide) -> _Damage:
    angle, half = rng.uniform(0, np.pi), rng.uniform(35, 60)
    across, fade = optics.stroke(rng, *optics.grid(), _spot(rng), angle, half, 3.0)
    slit = optics.bump(across, 3.0) * fade
    lips = optics.bump(across, 8.0) * fade
    return _Damage(
        support=(np.abs(across) < 16) & (fade > 0),
        relief=optics.as_field(hide.relief * (1 - 0.6 * lips) + 3.0 * lips - 8.0 * slit),
        darker=optics.as_field(0.75 * slit),
    )


def _poke(rng: Generator, hide: Hide) -> _Damage:
    away = optics.distance(*optics.grid(), _spot(rng)) + 1.2 * optics.clouds(rng, 40)
    size = rng.uniform(5.5, 8.0)
    hole = optics.smoothstep(away, size + 2, size - 2)
    rim = optics.bump(away - np.float32(size + 5), 4.5)
    return _Damage(
        support=away < size + 18,
        relief=optics.as_field(hide.relief * (1 - hole) - 6.0 * hole + 2.2 * rim),
        darker=optics.as_field(0.65 * hole),
    )


def _scuff(rng: Generator, hide: Hide) -> _Damage:
    island = optics.blob(rng, *optics.grid(), _spot(rng), rng.uniform(56, 76), 0.22)
    worn = optics.smoothstep(island, 0.0, 0.35)
    hairs = optics.clouds(rng, 160, stretch=8)
    hairs = hairs.T if rng.random() < 0.5 else hairs
    flat = hide.relief * 0.10 + 1.6 + 0.70 * hairs
    # What is worn has lost its dyed skin: paler, with torn fibres.
    pale = worn * (0.32 + 0.08 * np.clip(hairs, -2, 2))
    return _Damage(
        support=island > -0.1,
        relief=optics.as_field(hide.relief + worn * 0.97 * (flat - hide.relief)),
        wax=optics.as_field(hide.wax * (1 - 0.45 * worn)),
        darker=optics.as_field(-pale),
    )


def _stain(rng: Generator, hide: Hide) -> _Damage:
    island = optics.blob(rng, *optics.grid(), _spot(rng), rng.uniform(42, 60), 0.22)
    wet = optics.smoothstep(island, 0.0, 0.25)
    tide = optics.bump(island - np.float32(0.08), 0.08)
    return _Damage(
        support=island > -0.3,
        wax=optics.as_field(hide.wax * (1 + 0.5 * wet)),
        darker=optics.as_field((0.36 * wet + 0.22 * tide) * (0.7 + 0.3 * hide.grain)),
    )


def _spot(rng: Generator) -> NDArray[np.float64]:
    return rng.uniform(-170, 170, 2)


_MAKERS = {"cut": _cut, "poke": _poke, "scuff": _scuff, "stain": _stain}
DEFECTS = tuple(_MAKERS)

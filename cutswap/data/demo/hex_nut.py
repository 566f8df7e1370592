"""A zinc-plated hex nut on a dark mat, seen from above under a softbox.

Defects: a scratch over the face, a nick in the outer edge, rust spots, a burr in the thread.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cutswap.data.demo import optics
from cutswap.data.demo.optics import Field, Light, Mask
from cutswap.data.demo.scene import Flaw, Painting

_FLAT = 172.0  # centre to a flat side
_CHAMFER = 163.0  # where the outer chamfer cone starts
_SINK = 113.0  # rim of the countersink
_BORE = 96.0  # inner ends of the thread
_TALL = 92.0
_DISTANCE = 380.0  # camera to the top face: how much of the bore's wall is seen
_PITCH = 25.0  # of the thread

_ZINC = np.array([0.93, 0.95, 0.97], np.float32)
_RUST = np.array([0.34, 0.16, 0.07], np.float32)
_MAT = np.array([0.040, 0.045, 0.052], np.float32)


@dataclass(frozen=True)
class Nut:
    """One nut where it lies.

    Attributes:
        x: coordinates from the nut's centre, not turned; `y` likewise.
        radius: distance from the centre.
        edge: distance outwards from the hexagon's outline, negative inside.
        depth: how far down the bore's wall is seen, as a share of the height; 1 at its foot.
        angle: around the centre, radians in [0, 2 pi].
        turning: marks the lathe left, a function of the radius, about unit deviation.
        peel: unevenness of the plating.
        plating: colour drift of the zinc, about unit deviation.
        mat: the mat's grain, about 1.
        light: the lamp.
    """

    x: Field
    y: Field
    radius: Field
    edge: Field
    depth: Field
    angle: Field
    turning: Field
    peel: Field
    plating: Field
    mat: Field
    light: Light


def arrange(rng: Generator) -> Nut:
    """See `scene.Scene.arrange`."""
    x, y = optics.grid()
    dx, dy, turn = rng.uniform(-14, 14), rng.uniform(-14, 14), rng.uniform(-0.16, 0.16)
    x, y = x - np.float32(dx), y - np.float32(dy)
    radius = np.sqrt(x * x + y * y) + np.float32(1e-3)
    across = [(float(np.cos(a)), float(np.sin(a))) for a in turn + np.arange(3) * np.pi / 3]
    sides = [np.abs(c * x + s * y) for c, s in across]
    edge = np.maximum(np.maximum(sides[0], sides[1]), sides[2]) - np.float32(_FLAT)
    # Seen from one point, a circle at depth z shrinks and moves by the same share.
    view = np.clip(rng.normal(0, 22, 2), -40, 40) - (dx, dy)
    towards = (x * np.float32(view[0]) + y * np.float32(view[1])) / radius
    share = (_BORE - radius) / (_BORE - towards)
    depth = np.clip(share, 0, 1) / np.float32(_TALL / (_DISTANCE + _TALL))
    # A worn tool and a slightly eccentric chuck.
    off = rng.normal(0, 3, 2)
    lathe = np.sqrt((x - np.float32(off[0])) ** 2 + (y - np.float32(off[1])) ** 2)
    marks = rng.standard_normal(400).astype(np.float32)
    coarse = np.convolve(marks, np.full(9, 0.5, np.float32), "same")
    profile = (0.8 * marks + 0.6 * coarse)[None, :]
    ring = cv2.remap(profile, lathe, np.zeros_like(lathe), cv2.INTER_LINEAR)
    return Nut(
        x=x,
        y=y,
        radius=optics.as_field(radius),
        edge=optics.as_field(edge),
        depth=optics.as_field(depth),
        angle=optics.as_field(cv2.phase(x, y)),
        turning=optics.as_field(ring),
        peel=optics.as_field(0.07 * optics.clouds(rng, 70, 2) + 0.4 * optics.clouds(rng, 8)),
        plating=optics.clouds(rng, 5, 3),
        mat=optics.as_field(1 + 0.16 * optics.clouds(rng, 150) + 0.10 * optics.clouds(rng, 40, 2)),
        light=Light.draw(rng, azimuth=-2.2, elevation=0.95),
    )


def paint(nut: Nut, flaw: Flaw | None) -> Painting:
    """See `scene.Scene.paint`."""
    height, cover = _body(nut)
    thread = _thread(nut)
    damage = _MAKERS[flaw.kind](flaw.rng, nut) if flaw is not None else None
    if damage is not None and damage.raised is not None:
        height = height + damage.raised
    if damage is not None and damage.folded is not None:
        share, grey = damage.folded
        thread = thread + share * (grey - thread)
    metal, spread = _metal(nut, height)
    inside = optics.smoothstep(nut.radius, _BORE + 1, _BORE - 1)
    foot = optics.smoothstep(nut.depth, 0.96, 1.04) * inside
    metal = metal * (1 - inside) + thread * inside

    lit = nut.light.shadow(optics.as_field(_TALL * cover * (1 - foot)))
    contact = optics.blur(optics.as_field(cover), 9)
    mat = nut.mat * (0.35 + 0.65 * lit) * (1 - 0.45 * contact) * (1 - 0.25 * foot)
    nut_share = cover * (1 - foot)
    grey = optics.shrink(optics.as_field(metal * nut_share))[..., None]
    drift = optics.shrink(optics.as_field(spread * metal * nut_share))[..., None]
    ground = optics.shrink(optics.as_field(mat * (1 - nut_share)))[..., None]
    radiance = grey * _ZINC + drift * np.array([0.055, 0.02, -0.06], np.float32)
    if damage is not None and damage.rust is not None:
        share = optics.shrink(damage.rust * nut_share)[..., None]
        brown = _RUST * (0.35 + 0.65 * radiance.mean(axis=2, keepdims=True))
        radiance = radiance * (1 - share) + brown * share
    radiance = radiance + ground * _MAT * np.float32(nut.light.strength)
    return Painting(optics.as_field(1.15 * radiance), damage.support if damage else None)


def _body(nut: Nut) -> tuple[Field, Field]:
    """Height above the mat, going on beyond the outline, and the share the nut covers, 0 to 1."""
    cone = 0.577 * np.maximum(nut.radius - np.float32(_CHAMFER), 0)
    bevel = np.maximum(nut.edge + np.float32(5), 0) ** 2 * np.float32(0.10)
    sink = np.maximum(np.float32(_SINK) - nut.radius, 0)
    height = optics.blur(optics.as_field(_TALL - cone - bevel - sink), 1.6)
    return height, optics.smoothstep(nut.edge, 1.0, -1.0)


def _metal(nut: Nut, height: Field) -> tuple[Field, Field]:
    """Reflected grey of the plated steel, and where its colour drifts."""
    face = optics.smoothstep(nut.radius, _CHAMFER + 1, _CHAMFER - 3)
    face = face * optics.smoothstep(nut.radius, _SINK - 1, _SINK + 2)
    ring = 0.05 * nut.turning
    n = optics.normals(optics.as_field(height + nut.peel + ring * (1 - face)))
    mirror = nut.light.mirror(n)
    # Grooves around the centre shine where they lie across the light: two opposite fans.
    lx, ly, _ = nut.light.direction
    flat = float(np.hypot(lx, ly))
    along = (nut.y * (lx / flat) - nut.x * (ly / flat)) / nut.radius
    tilt = (n[0] * nut.x + n[1] * nut.y) / nut.radius
    fan = optics.bump(optics.as_field(along + 0.05 * nut.turning), 0.50)
    wide = optics.bump(optics.as_field(along), 1.1)
    brushed = 0.15 + 0.62 * fan * (1 + 0.20 * nut.turning) + 0.15 * wide
    brushed = brushed * (1 + 0.07 * nut.turning) * (1 - 1.5 * np.abs(tilt)) * nut.light.strength
    brushed = brushed + 0.5 * (nut.light.diffuse(n, 0.2) - nut.light.strength)
    grey = 0.75 * mirror * (1 - face) + brushed * face + 0.10 * mirror * face
    sheltered = np.clip(1 - 0.012 * (_TALL - height), 0.3, 1)
    return optics.as_field(np.maximum(grey, 0.01) * sheltered), nut.plating


def _thread(nut: Nut) -> Field:
    """Reflected grey of the bore's wall: helical ridges, darker towards the foot."""
    turns = nut.depth * np.float32(_TALL / _PITCH) + nut.angle * np.float32(0.5 / np.pi)
    ridge = 0.5 + 0.5 * np.cos(2 * np.pi * turns)
    lx, ly, _ = nut.light.direction
    facing = -(nut.x * np.float32(lx) + nut.y * np.float32(ly)) / nut.radius
    glow = 0.16 + 0.75 * optics.smoothstep(optics.as_field(facing), -0.4, 1.0)
    sharp = optics.smoothstep(optics.as_field(ridge), 0.15, 0.95)
    return optics.as_field((0.10 + sharp) * glow * np.clip(1 - 0.85 * nut.depth, 0.12, 1))


@dataclass(frozen=True)
class _Damage:
    """The effects of a defect; an effect that is `None` leaves the nut as it is.

    Attributes:
        support: where it may reach.
        raised: added to the height.
        folded: (share, grey): the thread's wall, smeared over.
        rust: share of the surface.
    """

    support: Mask
    raised: Field | None = None
    folded: tuple[Field, Field] | None = None
    rust: Field | None = None


def _burr(rng: Generator, nut: Nut) -> _Damage:
    heading, half = rng.uniform(-np.pi, np.pi), rng.uniform(0.12, 0.19)
    gap = optics.as_field(np.abs((nut.angle - np.float32(heading) + np.pi) % (2 * np.pi) - np.pi))
    sector = optics.smoothstep(gap, half, 0.4 * half)
    smear = 0.10 + 0.16 * np.clip(0.5 + 0.4 * optics.clouds(rng, 60), 0, 1)
    lip = optics.bump(nut.radius - np.float32(_BORE + 5), 4.0) * sector
    return _Damage(
        support=(gap < 1.3 * half) & (nut.radius < _SINK + 6) & (nut.radius > _BORE - 30),
        raised=optics.as_field(2.2 * lip),
        folded=(np.float32(0.8) * sector, optics.as_field(smear * (nut.depth < 0.55))),
    )


def _nick(rng: Generator, nut: Nut) -> _Damage:
    away = optics.distance(nut.x, nut.y, _outwards(rng) * _FLAT * 1.04)
    away = away + 3.0 * optics.clouds(rng, 30)
    size = rng.uniform(17, 26)
    bowl = optics.smoothstep(away, size, 0.15 * size)
    return _Damage(away < size + 14, raised=optics.as_field(-rng.uniform(4.5, 8) * bowl))


def _rust(rng: Generator, nut: Nut) -> _Damage:
    spot = _outwards(rng) * rng.uniform(_SINK + 4, _CHAMFER + 4)
    island = optics.blob(rng, nut.x, nut.y, spot, rng.uniform(17, 27), 0.45)
    flakes = 0.36 + 0.14 * np.clip(optics.clouds(rng, 90), -2, 1.4)
    share = optics.as_field(optics.smoothstep(island, 0.05, 0.55) * flakes)
    return _Damage(island > -0.4, rust=share)


def _scratch(rng: Generator, nut: Nut) -> _Damage:
    out = _outwards(rng)
    angle = np.arctan2(out[1], out[0]) + rng.choice([-1, 1]) * rng.uniform(0.3, 1.2)
    middle = out * rng.uniform(_SINK + 12, _CHAMFER - 12)
    across, fade = optics.stroke(rng, nut.x, nut.y, middle, angle, rng.uniform(22, 36), 1.2)
    groove = optics.bump(across, 2.2) - 0.5 * optics.bump(across, 4.6)
    return _Damage(
        (np.abs(across) < 14) & (fade > 0), raised=optics.as_field(-1.35 * groove * fade)
    )


def _outwards(rng: Generator) -> NDArray[np.float64]:
    heading = rng.uniform(-np.pi, np.pi)
    return np.array([np.cos(heading), np.sin(heading)])


_MAKERS = {"burr": _burr, "nick": _nick, "rust": _rust, "scratch": _scratch}
DEFECTS = tuple(_MAKERS)

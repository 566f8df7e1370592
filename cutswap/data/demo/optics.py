"""Light, surfaces and the camera that all demo scenes share.

A scene is a height map with colours on a canvas 1.5 times finer than the photo; `normals`
and `Light` turn it into linear radiance, `Camera` turns radiance into what a sensor would store.
Every random number comes from a generator handed in, so the same generator gives the same pixels.

Arrays on the canvas are (CANVAS, CANVAS) or (CANVAS, CANVAS, 3) float32, rows downwards, RGB.
Lengths are half photo pixels, so a picture is `UNITS` wide whatever the canvas; directions are
(x right, y down, z to the camera).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIDE = 256  # of the photo, pixels
UNITS = 512  # of the photo's side: all lengths of scenes are in this unit
CANVAS = 384  # pixels painted; 512 looks the same and takes twice as long
STEP = UNITS / CANVAS  # length of one canvas pixel


@cache
def grid() -> tuple[Field, Field]:
    """Coordinates x, y of the canvas pixels, (CANVAS, CANVAS) each, zero in the middle."""
    axis = (np.arange(CANVAS, dtype=np.float32) - np.float32((CANVAS - 1) / 2)) * np.float32(STEP)
    x, y = np.meshgrid(axis, axis)
    x.flags.writeable = y.flags.writeable = False  # cached: a scene must not write into them
    return x, y


def turned(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates seen from axes turned by `angle` radians (x towards y)."""
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def at(position: Any) -> Any:
    """Canvas pixel, not rounded, of a coordinate of `grid`."""
    return position / STEP + (CANVAS - 1) / 2


def blur(field: Field, sigma: float) -> Field:
    """Gaussian blur of a field on the canvas."""
    return blur_pixels(field, sigma / STEP)


def blur_pixels(field: Field, sigma: float) -> Field:
    """Gaussian blur, sigma in pixels; wide ones work on a smaller copy, at a tenth of the cost."""
    step = 4 if sigma >= 4 else 1
    if step == 1:
        return as_field(cv2.GaussianBlur(field, (0, 0), sigma))
    height, width = field.shape[:2]
    small = cv2.resize(field, (width // step, height // step), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return as_field(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def as_field(values: Any) -> Field:
    """The values as a float32 array, without a copy where they already are."""
    return np.asarray(values, dtype=np.float32)


def clouds(rng: Generator, cells: float, octaves: int = 1, stretch: float = 1.0) -> Field:
    """Smooth noise, about zero mean and unit deviation, (CANVAS, CANVAS).

    Args:
        rng: source of randomness.
        cells: bumps across the canvas at the coarsest octave.
        octaves: layers, each twice as fine and half as strong.
        stretch: above 1 the bumps are this much longer along x than along y.
    """
    total = np.zeros((CANVAS, CANVAS), np.float32)
    power = 0.0
    for octave in range(octaves):
        rows = max(2, round(cells * 2**octave))
        columns = max(2, round(rows / stretch))
        knots = rng.standard_normal((rows + 3, columns + 3), dtype=np.float32)
        # Cubic on a small sheet, then linear: as smooth to the eye, and 3 to 10 times cheaper.
        if rows <= CANVAS // 5:
            small = CANVAS // 4 if rows <= CANVAS // 16 else CANVAS // 2
            knots = as_field(cv2.resize(knots, (small, small), interpolation=cv2.INTER_CUBIC))
        layer = cv2.resize(knots, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)
        total += layer * np.float32(0.5**octave)
        power += 0.25**octave
    return total * np.float32(1.4 / np.sqrt(power))


def smoothstep(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, a soft S between (also with low > high, then falling)."""
    t = np.clip((field - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return as_field(t * t * (3 - 2 * t))


def normals(height: Field) -> tuple[Field, Field, Field]:
    """Unit surface normals (nx, ny, nz) of a height map."""
    dx = cv2.Scharr(height, cv2.CV_32F, 1, 0, scale=1 / (32 * STEP))
    dy = cv2.Scharr(height, cv2.CV_32F, 0, 1, scale=1 / (32 * STEP))
    nz = 1 / np.sqrt(dx * dx + dy * dy + 1)
    return as_field(-dx * nz), as_field(-dy * nz), as_field(nz)


def bump(field: Field, width: float) -> Field:
    """exp(-(field / width)^2): a soft ridge where the field is 0."""
    return as_field(cv2.exp(field * field * np.float32(-1 / width**2)))


def shrink(field: Field) -> Field:
    """From the canvas to the photo's (SIDE, SIDE[, 3]), every pixel the mean of its share."""
    return as_field(cv2.resize(field, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def distance(x: Field, y: Field, place: Any) -> Field:
    """Distance of every pixel from a place (x, y)."""
    u, v = x - np.float32(place[0]), y - np.float32(place[1])
    return as_field(np.sqrt(u * u + v * v))


def stroke(
    rng: Generator, x: Field, y: Field, middle: Any, angle: float, half: float, wander: float
) -> tuple[Field, Field]:
    """A drawn line: signed distance across it, and a fade from 1 along it to 0 past its ends.

    Args:
        rng: source of randomness.
        x: coordinates in which the rest is given; `y` likewise.
        y: see `x`.
        middle: (x, y) of the line's middle.
        angle: its direction, radians.
        half: half its length.
        wander: how far it strays from straight.
    """
    along, across = turned(x - np.float32(middle[0]), y - np.float32(middle[1]), angle)
    across = across + np.float32(wander) * clouds(rng, 7)
    return as_field(across), smoothstep(np.abs(along), half, 0.45 * half)


def blob(rng: Generator, x: Field, y: Field, center: Any, radius: float, rough: float) -> Field:
    """An irregular island: 1 at its centre, falling linearly, 0 at its ragged shore."""
    ratio, angle = rng.uniform(0.6, 1.0), rng.uniform(0, np.pi)
    u, v = turned(x - np.float32(center[0]), y - np.float32(center[1]), angle)
    away = np.sqrt(u * u + v * v / np.float32(ratio**2)) / np.float32(radius)
    return as_field(1 - away + np.float32(rough) * clouds(rng, UNITS / radius, 3))


@dataclass(frozen=True)
class Light:
    """A softbox: position and brightness.

    Attributes:
        azimuth: where it stands, radians from +x towards +y.
        elevation: radians above the table.
        strength: overall gain, about 1.
    """

    azimuth: float
    elevation: float
    strength: float

    @classmethod
    def draw(cls, rng: Generator, azimuth: float, elevation: float) -> Light:
        """A lamp near the given place, as a rig is never quite the same twice."""
        return cls(
            azimuth + rng.normal(0, 0.06),
            elevation + rng.normal(0, 0.03),
            float(np.exp(rng.normal(0, 0.05))),
        )

    @property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector from the scene to the lamp."""
        flat = float(np.cos(self.elevation))
        return (
            flat * float(np.cos(self.azimuth)),
            flat * float(np.sin(self.azimuth)),
            float(np.sin(self.elevation)),
        )

    def diffuse(self, n: tuple[Field, Field, Field], ambient: float = 0.3) -> Field:
        """Lambert with a sky: 1 on a plane that lies flat."""
        lx, ly, lz = self.direction
        lit = np.maximum(n[0] * lx + n[1] * ly + n[2] * lz, 0) / lz
        return as_field(self.strength * ((1 - ambient) * lit + ambient * n[2]))

    def gloss(self, n: tuple[Field, Field, Field], sharpness: float) -> Field:
        """Highlight of a rough coat, in [0, 1]; a higher `sharpness` makes it smaller."""
        lx, ly, lz = self.direction
        scale = float(1 / np.sqrt(lx * lx + ly * ly + (lz + 1) ** 2))
        half = n[0] * (lx * scale) + n[1] * (ly * scale) + n[2] * ((lz + 1) * scale)
        return as_field(cv2.pow(np.maximum(half, 0), sharpness) * np.float32(self.strength))

    def mirror(self, n: tuple[Field, Field, Field], softness: float = 0.35) -> Field:
        """What polished metal reflects: a softbox, a dim room, a dark table edge. About [0, 2]."""
        # The reflected view is r = 2 nz n - z.
        lx, ly, lz = self.direction
        twice = 2 * n[2]
        up = twice * n[2] - 1
        aside = twice * (n[0] * lx + n[1] * ly)
        box = smoothstep(as_field(aside + lz * up), 0.80 - softness, 0.80 + softness / 2)
        room = 0.16 + 0.22 * up - 0.10 * aside
        return as_field(self.strength * (1.25 * box + np.maximum(room, 0.03)))

    def shadow(self, height: Field, detail: int = 3, steps: int = 12) -> Field:
        """Soft shadow that things cast on the plane at height 0: 0 (dark) to 1 (lit).

        Args:
            height: of the things above the plane.
            detail: worked out on a copy this many times smaller.
            steps: marching steps towards the lamp; the penumbra grows with the way.
        """
        lx, ly, lz = self.direction
        side, pixel = CANVAS // detail, detail * STEP
        small = cv2.resize(height, (side, side), interpolation=cv2.INTER_AREA)
        small = as_field(small / pixel)
        dark = np.zeros_like(small)
        for step in range(1, steps + 1):
            way = float(small.max()) / max(lz, 0.2) * step / steps
            move = np.array([[1, 0, -lx * way], [0, 1, -ly * way]], np.float32)
            seen = cv2.warpAffine(small, move, (side, side), borderMode=cv2.BORDER_REPLICATE)
            soft = 6.0 / pixel + 0.3 * way
            np.maximum(dark, np.clip((seen - way * lz) / soft + 0.15, 0, 1), out=dark)
        lit = 1 - cv2.GaussianBlur(dark, (0, 0), 6.0 / pixel)
        return as_field(cv2.resize(lit, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC))


@dataclass(frozen=True)
class Camera:
    """From linear radiance to 8 bits: optics, exposure, sensor noise, tone curve.

    Noise is drawn when the camera is made, so two scenes photographed by one camera differ only
    where the scenes do.

    Attributes:
        exposure: gain, about 1.
        white_balance: (3,) gains of the channels, about 1.
        vignette: (SIDE, SIDE, 1) share of the light that arrives, uneven lighting included.
        defocus: sigma of the lens' blur, photo pixels.
        noise: (SIDE, SIDE, 3), about unit deviation.
    """

    exposure: float
    white_balance: Field
    vignette: Field
    defocus: float
    noise: Field

    @classmethod
    def draw(cls, rng: Generator, spread: float = 0.06) -> Camera:
        """A camera for one picture; `spread` is the deviation of log exposure."""
        axis = np.linspace(-1, 1, SIDE, dtype=np.float32)
        cx, cy, across, down = (float(v) for v in rng.normal(0, (0.12, 0.12, 0.03, 0.03)))
        radius = (axis[None, :] - cx) ** 2 + (axis[:, None] - cy) ** 2
        falloff = (1 - rng.uniform(0.05, 0.08) * radius) * (
            1 + across * axis[None, :] + down * axis[:, None]
        )
        # Demosaicing smears colour noise; brightness noise stays sharp.
        grey = rng.standard_normal((SIDE, SIDE, 1), dtype=np.float32)
        chroma = rng.standard_normal((SIDE // 2, SIDE // 2, 3), dtype=np.float32)
        smear = cv2.resize(chroma, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        return cls(
            exposure=float(np.exp(rng.normal(0, spread))),
            white_balance=as_field(np.exp(rng.normal(0, 0.012, 3))),
            vignette=as_field(falloff)[..., None],
            defocus=float(rng.uniform(0.45, 0.7)),
            noise=as_field(0.9 * grey + 0.55 * smear),
        )

    def develop(self, radiance: Field) -> Field:
        """What falls on the sensor, linear, (SIDE, SIDE, 3), of a scene's radiance."""
        image = cv2.GaussianBlur(radiance, (0, 0), self.defocus)
        # Veiling glare: bright metal bleeds a little light over its surroundings.
        image = 0.96 * image + 0.04 * blur_pixels(as_field(image), 14)
        return as_field(image * self.vignette * self.white_balance * self.exposure)

    def expose(self, image: Field) -> NDArray[np.uint8]:
        """Sensor noise, tone curve and 8 bits: (SIDE, SIDE, 3) uint8 from `develop`'s output."""
        light = np.maximum(image, 0)
        light = light + np.sqrt(0.000012 + 0.00028 * light) * self.noise
        return as_bytes(tone(as_field(light)))


def tone(light: Field) -> Field:
    """Display tones, about [0, 1], of linear light: a soft shoulder, then gamma 2."""
    light = np.maximum(light, 0)
    shoulder = light * (1 + light * np.float32(1 / 2.6)) / (1 + light * np.float32(0.75))
    return as_field(np.sqrt(shoulder))


def as_bytes(tones: Field) -> NDArray[np.uint8]:
    """Tones in [0, 1] as rounded uint8."""
    return np.clip(tones * 255 + 0.5, 0, 255).astype(np.uint8)

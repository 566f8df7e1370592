"""Colour jitter whose draw is separate from its use, so that a record can repeat it exactly.

The result is that of torchvision's `ColorJitter` on PIL images (8 bits, hue by HSV), bit for bit,
in a third of Pillow's time and without torch, which previews do not need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cutswap.config import WeakAugmentation
from cutswap.negatives.hue import Planes, turned_hue

_LEVELS = np.arange(256, dtype=np.uint8)
STEPS = ("brightness", "contrast", "saturation", "hue")


@dataclass(frozen=True)
class Jitter:
    """One drawn jitter.

    Attributes:
        brightness: factor around 1.
        contrast: factor around 1.
        saturation: factor around 1.
        hue: share of the colour circle, around 0.
        order: the four steps in the order they are applied.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float
    order: tuple[str, ...] = STEPS

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; Python floats survive JSON exactly."""
        return {**{step: getattr(self, step) for step in STEPS}, "order": list(self.order)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Jitter:
        """Rebuild from `to_dict`.

        Raises:
            ValueError, TypeError or KeyError: a field is missing, unknown or no jitter.
        """
        jitter = cls(**{**values, "order": tuple(values["order"])})
        factors = (jitter.brightness, jitter.contrast, jitter.saturation)
        if not all(_is_within(f, 0, 2) for f in factors) or not _is_within(jitter.hue, -0.5, 0.5):
            raise ValueError(f"factors in 0..2 and hue in -0.5..0.5 wanted, {values} found")
        if sorted(jitter.order) != sorted(STEPS):
            raise ValueError(f"each of {', '.join(STEPS)} wanted once, {values['order']} found")
        return jitter


def _is_within(value: object, low: float, high: float) -> bool:
    """Whether this is a number in the range; NaN, true and texts are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def draw_jitter(amount: float, rng: np.random.Generator) -> Jitter | None:
    """Draw factors in 1 +- amount, hue in +- amount, and a random order; None for amount 0."""
    if amount == 0:
        return None
    brightness, contrast, saturation = (float(f) for f in rng.uniform(1 - amount, 1 + amount, 3))
    hue = float(rng.uniform(-amount, amount))
    order = tuple(STEPS[i] for i in rng.permutation(len(STEPS)))
    return Jitter(
        brightness=brightness, contrast=contrast, saturation=saturation, hue=hue, order=order
    )


def apply_jitter(photo: np.ndarray, jitter: Jitter | None) -> np.ndarray:
    """(H, W, 3) uint8 to (H, W, 3) uint8; None changes nothing."""
    import cv2

    if jitter is None:
        return photo
    planes: Planes = cv2.split(photo)  # by planes: interleaved channels take twice as long
    for step in jitter.order:
        value = getattr(jitter, step)
        if step == "hue":
            planes = turned_hue(planes, int(value * 255) % 256)
        elif step == "saturation":
            grey = _luminance(planes)
            planes = [_blended(grey, plane, value) for plane in planes]
        else:  # the same for all pixels of a level
            base = _mean(_luminance(planes)) if step == "contrast" else 0
            levels = _blended(np.full(256, base, np.uint8), _LEVELS, value)
            planes = [cv2.LUT(plane, levels) for plane in planes]
    return cv2.merge(planes)


def weakly_augment(
    photo: np.ndarray,
    settings: WeakAugmentation,
    rng: np.random.Generator,
    positive: np.ndarray | None = None,
) -> tuple[np.ndarray, Jitter | None]:
    """The positive x+ of a training image x, and the draw that made it.

    Colours only: geometry stays, so that anchors found on x fit x+ (Algorithm 1 of the paper
    takes saliency from x and patches from x+). Where the same draw has been made before, its
    `positive` is taken as it is.
    """
    jitter = draw_jitter(settings.jitter, rng)
    return (apply_jitter(photo, jitter) if positive is None else positive), jitter


def _luminance(planes: Planes) -> np.ndarray:
    """(H, W) uint8, `Image.convert("L")`: ITU-R 601-2 in whole numbers.

    They stay below 2^24, where single precision is exact.
    """
    import cv2

    red, green, blue = planes
    light: np.ndarray = cv2.addWeighted(red, 19595, green, 38470, 2.0**15, dtype=cv2.CV_32F)
    np.add(light, blue * np.float32(7471), out=light)
    np.multiply(light, np.float32(2.0**-16), out=light)
    return light.astype(np.uint8)


def _mean(plane: np.ndarray) -> int:
    """The mean level as `ImageEnhance.Contrast` rounds it."""
    import cv2

    return int(cv2.sumElems(plane)[0] / plane.size + 0.5)


def _blended(base: np.ndarray, plane: np.ndarray, factor: float) -> np.ndarray:
    """uint8, `Image.blend(base, plane, factor)`: base + factor * (plane - base), cut off."""
    blended = np.subtract(plane, base, dtype=np.float32)
    blended *= np.float32(factor)
    blended += base
    if factor > 1:  # only then it leaves the range
        np.clip(blended, 0, 255, out=blended)
    return blended.astype(np.uint8)

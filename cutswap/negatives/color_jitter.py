"""Colour jitter whose draw is separate from its use, so that a record can repeat it exactly.

The arithmetic is torchvision's `ColorJitter` on PIL images (8 bits, hue by HSV), done with Pillow
alone so that previews need no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from cutswap.config import WeakAugmentation

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
    return Jitter(brightness, contrast, saturation, hue, order)


def apply_jitter(photo: np.ndarray, jitter: Jitter | None) -> np.ndarray:
    """(H, W, 3) uint8 to (H, W, 3) uint8; None changes nothing."""
    if jitter is None:
        return photo
    image = Image.fromarray(photo)
    for step in jitter.order:
        if step == "hue":
            image = _shift_hue(image, jitter.hue)
        else:
            enhance: Any = {
                "brightness": ImageEnhance.Brightness,
                "contrast": ImageEnhance.Contrast,
                "saturation": ImageEnhance.Color,
            }[step]
            image = enhance(image).enhance(getattr(jitter, step))
    return np.asarray(image)


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


def _shift_hue(image: Image.Image, share: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    shift = int(share * 255) % 256
    hue = hue.point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")

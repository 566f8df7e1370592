"""What one update of SPD sees of a photo: two strong views, itself, a weak one, a SmoothBlend.

    strong, strong     crop, mirror, colours, grey, blur: what the base loss draws together
    photo              as it is: what the other two are compared with
    weak               nearly the whole photo, its colours jittered: nothing that matters changed
    smoothblend        the photo with one patch pasted and faded out: something changed, locally

As everywhere, a draw is seeded by the run's seed and the sample's running number alone.
"""

from __future__ import annotations

import cv2
import numpy as np

from cutswap.config import (
    SPD_VIEWS,
    ClusterSettings,
    NegativeSettings,
    SpdSettings,
    WeakAugmentation,
)
from cutswap.negatives.color_jitter import Jitter, apply_jitter, draw_jitter, weakly_augment
from cutswap.negatives.draw import draw_negative
from cutswap.negatives.samples import TrainingSamples

# Second entry of the seed tuples; `samples` has 0 to 2.
_STRONG, _WEAK, _BLEND = 11, 12, 13
_COLOURED = 0.8  # share of strong views with jittered colours (SimCLR's, and SimSiam's)
_HUE = 0.25  # of the jitter of the rest: 0.1 of 0.4
_SIGMA = (0.1, 2.0)  # pixels of a photo of 224
_ASPECT = (3 / 4, 4 / 3)  # of a strong crop
_TRIES = 10  # crops drawn before the whole photo is taken


class SpdSamples(TrainingSamples):
    """All samples of a run of SPD, by running number.

    Args:
        photos: (N, H, W, 3) uint8, the good training images.
        spd: which views.
        negatives: geometry of the SmoothBlend; its `method` is set here.
        weak: colours of the weak view.
        seed: of the run.
        count: number of samples in the run.
        names: of the photos, for messages.
        inside: (H, W) bool, where a SmoothBlend may lie, see `draw_negative`; None: everywhere.
    """

    def __init__(
        self,
        photos: np.ndarray,
        *,
        spd: SpdSettings,
        negatives: NegativeSettings,
        weak: WeakAugmentation,
        seed: int,
        count: int,
        names: tuple[str, ...] = (),
        inside: np.ndarray | None = None,
    ) -> None:
        super().__init__(
            photos,
            None,
            family=SPD_VIEWS[-1],
            ways=2,
            negatives=negatives,
            clusters=ClusterSettings(),
            weak=weak,
            seed=seed,
            count=count,
            names=names,
            inside=inside,
        )
        self.spd = spd

    def __getitem__(self, number: int) -> np.ndarray:
        """(5, H, W, 3) uint8 in the order of `config.SPD_VIEWS`.

        Raises:
            CutSwapError: a photo in which no draw changes a pixel; the message names it.
        """
        index = self.index_of(number)
        photo = self.photos[index]
        with self.naming(index):
            blend = draw_negative(
                photo,
                None,
                self.methods[0],
                self.cluster_settings,
                seed=(self.seed, _BLEND, number),
                inside=self.inside,
            ).photo
        strong = [
            strong_view(photo, self.spd, np.random.default_rng((self.seed, _STRONG, number, which)))
            for which in (0, 1)
        ]
        weak = weak_view(
            photo, self.spd, self.weak, np.random.default_rng((self.seed, _WEAK, number))
        )
        return np.stack([*strong, photo, weak, blend])


def strong_view(photo: np.ndarray, settings: SpdSettings, rng: np.random.Generator) -> np.ndarray:
    """One view as SimSiam and MoCo v2 draw it.

    Args:
        photo: (H, W, 3) uint8.
        settings: how strong.
        rng: of its draws.

    Returns:
        (H, W, 3) uint8: a crop at the photo's size.
    """
    view = _resized(photo, _crop(photo.shape[:2], settings.crop, rng))
    if settings.flip and rng.random() < 0.5:
        view = np.ascontiguousarray(view[:, ::-1])
    if rng.random() < _COLOURED:
        view = apply_jitter(view, _colours(settings.colour, rng))
    if rng.random() < settings.grey:
        view = cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < settings.blur:
        sigma = float(rng.uniform(*_SIGMA)) * max(photo.shape[:2]) / 224
        view = cv2.GaussianBlur(view, (0, 0), sigma)
    return view


def weak_view(
    photo: np.ndarray, settings: SpdSettings, weak: WeakAugmentation, rng: np.random.Generator
) -> np.ndarray:
    """Nearly the whole photo in its own shape, its colours weakly jittered.

    Args:
        photo: (H, W, 3) uint8.
        settings: how much of it.
        weak: how much its colours change.
        rng: of its draws.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = photo.shape[:2]
    side = float(np.sqrt(rng.uniform(*settings.weak_crop)))
    box = _placed((height, width), round(height * side), round(width * side), rng)
    return weakly_augment(_resized(photo, box), weak, rng)[0]


def _crop(
    size: tuple[int, ...], area: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """(y, x, height, width) as torchvision's RandomResizedCrop draws it."""
    height, width = size
    for _ in range(_TRIES):
        pixels = height * width * float(rng.uniform(*area))
        aspect = float(np.exp(rng.uniform(*np.log(_ASPECT))))
        w, h = round(np.sqrt(pixels * aspect)), round(np.sqrt(pixels / aspect))
        if 0 < w <= width and 0 < h <= height:
            return _placed((height, width), h, w, rng)
    return 0, 0, height, width


def _placed(
    size: tuple[int, int], height: int, width: int, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    y, x = (
        int(rng.integers(0, room - side, endpoint=True))
        for room, side in zip(size, (height, width), strict=True)
    )
    return y, x, height, width


def _resized(photo: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The box of a photo at the photo's size."""
    y, x, height, width = box
    if (height, width) == photo.shape[:2]:
        return photo
    part = np.ascontiguousarray(photo[y : y + height, x : x + width])
    return cv2.resize(part, (photo.shape[1], photo.shape[0]), interpolation=cv2.INTER_LINEAR)


def _colours(amount: float, rng: np.random.Generator) -> Jitter | None:
    """Brightness, contrast and saturation by `amount`, the hue by a quarter of it."""
    drawn = draw_jitter(amount, rng)
    if drawn is None:
        return None
    return Jitter(drawn.brightness, drawn.contrast, drawn.saturation, drawn.hue * _HUE, drawn.order)

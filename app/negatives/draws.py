"""Draws of the Negatives page: settings from the controls, samples as the trainer would see them.

A training photo is met once an epoch under a running number that follows from the seed; a test
photo is drawn as if it were the only photo of a run. Either way `draw_sample` is what the trainer
itself calls, so the picture here is the trainer's, bit for bit.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.figures import where_to_look
from app.figures.where_to_look import RegionKey
from app.shared import caches
from app.shared.caches import PhotoKey, SaliencyKey
from app.shared.picture_memory import kept
from app.viewer.pictures import png, thumbnail
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.errors import CutSwapError
from cutswap.negatives.color_jitter import Jitter
from cutswap.negatives.draw import Negative
from cutswap.negatives.samples import draw_sample, sample_number
from cutswap.saliency.clusters import Clusters
from cutswap.utils.overlays import sheet

METHODS = {  # shown name: (method, anchors forced)
    "CutSwap": ("cutswap", None),
    "CutSwap scar": ("cutswap-scar", None),
    "CutPaste": ("cutpaste", None),
    "CutPaste scar": ("cutpaste-scar", None),
    "Random swap": ("cutswap", "whole-image"),
    "SmoothBlend": ("smoothblend", None),
    "SmoothBlend scar": ("smoothblend-scar", None),
    "NSA": ("nsa", None),
    "NSA scar": ("nsa-scar", None),
    "Perlin": ("perlin", None),
    "Perlin scar": ("perlin-scar", None),
}


@dataclass(frozen=True)
class CachedLevels:
    """`samples.Levels` out of the caches.

    Attributes:
        key: photo and network.
        chosen: indices of the levels that negatives draw from.
        clusters_settings: K and the anchor strategy.
    """

    key: SaliencyKey
    chosen: tuple[int, ...]
    clusters_settings: ClusterSettings

    def name(self, level: int) -> str:
        """The level's layer."""
        return self.key.levels[level]

    def map(self, level: int) -> np.ndarray:
        """(S, S) float32 in [0, 1]."""
        return caches.explained(self.key).maps[level]

    def clusters(self, level: int) -> Clusters | None:
        """Clusters of the map; None where the strategy needs none or the map is degenerate."""
        if self.clusters_settings.anchors in ("whole-image", "top-n"):
            return None
        try:
            return caches.clusters_of_regions(self.key, level, self.clusters_settings.k)
        except CutSwapError:  # `draw_negative` meets it again and records the fallback
            return None


@dataclass(frozen=True)
class Drawing:
    """Everything that decides a draw, except its number.

    Attributes:
        key: photo and network.
        method: one of `METHODS`.
        levels: indices into the key's layers that negatives draw from.
        negatives: geometry and appearance.
        clusters: K and anchors.
        weak: from photo to positive.
        seed: of the run.
        index: which training photo it is; None for a photo that is not trained on.
        count: training photos.
        region: where to look, outside which nothing changes; None: everywhere.
    """

    key: SaliencyKey
    method: str
    levels: tuple[int, ...]
    negatives: NegativeSettings
    clusters: ClusterSettings
    weak: WeakAugmentation
    seed: int
    index: int | None
    count: int
    region: RegionKey | None = None

    @property
    def inside(self) -> np.ndarray | None:
        """(S, S) bool, the region's pixels; None: everywhere.

        Raises:
            CutSwapError: see `read_region`.
        """
        return where_to_look.pixels(self.region, self.key.photo.size)

    def shown(self, photo: np.ndarray) -> np.ndarray:
        """A picture (S, S, 3) uint8 of its photo with what is not looked at dimmed."""
        return where_to_look.shown(photo, self.inside)

    def number(self, epoch: int) -> int:
        """Running number of the sample in an epoch."""
        if self.index is None:
            return epoch
        return sample_number(self.index, self.count, self.seed, epoch)

    def levels_of(self, clusters: ClusterSettings, level: int | None = None) -> CachedLevels:
        """Its saliency out of the caches, to be drawn from all its levels or from one."""
        return CachedLevels(self.key, self.levels if level is None else (level,), clusters)

    def settings(self, method: str | None = None) -> tuple[NegativeSettings, ClusterSettings]:
        """Settings of the method, or of another one that shares all the rest."""
        name, anchors = METHODS[method or self.method]
        clusters = self.clusters.replace(anchors=anchors) if anchors else self.clusters
        return self.negatives.replace(method=name), clusters


@dataclass(frozen=True)
class Drawn:
    """One sample.

    Attributes:
        epoch: of the run.
        number: running number.
        positive: (S, S, 3) uint8.
        jitter: how it was made from the photo.
        negative: photo, exact mask, record.
    """

    epoch: int
    number: int
    positive: np.ndarray
    jitter: Jitter | None
    negative: Negative


def draw(
    drawing: Drawing, epoch: int, *, method: str | None = None, level: int | None = None
) -> Drawn:
    """The sample of an epoch, perhaps by another method or from one level alone."""
    return _draw(drawing, epoch, method or drawing.method, level)


@kept()
def _draw(drawing: Drawing, epoch: int, method: str, level: int | None) -> Drawn:
    return draw_anew(drawing, epoch, method, level)


@dataclass(frozen=True)
class Small:
    """One of many negatives beside each other, a fiftieth of the bytes of its `Drawn`.

    Attributes:
        jpeg: of the negative.
        changed: share of its pixels.
    """

    jpeg: bytes
    changed: float


@dataclass(frozen=True)
class ContactSheet:
    """Negatives of some epochs in one picture.

    Attributes:
        jpeg: their rows.
        changed: (count,) share of each one's pixels.
        rejected: draws by reason.
        fallbacks: departures by sentence.
    """

    jpeg: bytes
    changed: np.ndarray
    rejected: Counter[str]
    fallbacks: Counter[str]


def small(
    drawing: Drawing, epoch: int, width: int, *, method: str | None = None, level: int | None = None
) -> Small:
    """The negative of `draw` at most `width` pixels wide."""
    return _small(drawing, epoch, width, method or drawing.method, level)


@kept()
def _small(drawing: Drawing, epoch: int, width: int, method: str, level: int | None) -> Small:
    negative = draw_anew(drawing, epoch, method, level).negative
    return Small(thumbnail(drawing.shown(negative.photo), width), float(negative.mask.mean()))


@kept()
def contact_sheet(
    drawing: Drawing, epoch: int, count: int, columns: int, width: int
) -> ContactSheet:
    """The negatives of `count` epochs from this one, `columns` a row, at most `width` wide."""
    drawn = [draw(drawing, e) for e in range(epoch, epoch + count)]
    photos = [drawing.shown(one.negative.photo) for one in drawn]
    changed = np.array([one.negative.mask.mean() for one in drawn])
    rows = sheet(photos, columns, gap=max(2, photos[0].shape[1] // 64))
    return ContactSheet(thumbnail(rows, width), changed, *tally(drawn))


def draw_anew(
    drawing: Drawing, epoch: int, method: str | None = None, level: int | None = None
) -> Drawn:
    """`draw` without a place in the memory, for many draws of which only figures are kept."""
    negatives, clusters = drawing.settings(method)
    guided = negatives.method.startswith("cutswap")
    number = drawing.number(epoch)
    positive, jitter, (negative,) = draw_sample(
        caches.photo(drawing.key.photo),
        drawing.levels_of(clusters, level) if guided else None,
        (negatives,),
        clusters,
        drawing.weak,
        seed=drawing.seed,
        number=number,
        positive=_positive(drawing.key.photo, drawing.weak, drawing.seed, number),
        inside=drawing.inside,
    )
    return Drawn(epoch=epoch, number=number, positive=positive, jitter=jitter, negative=negative)


@kept()
def _positive(photo: PhotoKey, weak: WeakAugmentation, seed: int, number: int) -> np.ndarray:
    """What all methods and levels begin with: (S, S, 3) uint8."""
    return draw_sample(
        caches.photo(photo), None, (), ClusterSettings(), weak, seed=seed, number=number
    )[0]


def tally(drawn: list[Drawn]) -> tuple[Counter[str], Counter[str]]:
    """Rejected draws by reason and departures by sentence, over some samples."""
    rejected: Counter[str] = Counter()
    fallbacks: Counter[str] = Counter()
    for one in drawn:
        rejected.update(one.negative.record.rejected)
        fallbacks.update(
            text.split(":")[0].split(" from ")[0] for text in one.negative.record.fallbacks
        )
    return rejected, fallbacks


def archive(drawn: list[Drawn], about: dict[str, Any], *, as_folders: bool = False) -> bytes:
    """Positives, negatives, masks and records as a ZIP, lossless.

    Args:
        drawn: samples, all of one method.
        about: what the record says besides.
        as_folders: in the layout of MVTec AD, as `export negatives` writes it; else names are those
            of the `augment` command. The record's layout is that command's either way.
    """
    names = ("positive_{:03d}", "negative_{:03d}", "mask_{:03d}")
    if as_folders and drawn:
        method = drawn[0].negative.record.method
        names = (
            "train/good/{:04d}",
            f"test/{method}/{{:04d}}",
            f"ground_truth/{method}/{{:04d}}_mask",
        )
    data = io.BytesIO()
    records = []
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as store:
        for index, one in enumerate(drawn):
            pictures = (one.positive, one.negative.photo, one.negative.mask)
            for name, picture in zip(names, pictures, strict=True):
                store.writestr(f"{name.format(index)}.png", png(picture))
            records.append(
                {
                    **one.negative.record.to_dict(),
                    "epoch": one.epoch,
                    "number": one.number,
                    "positive_jitter": one.jitter.to_dict() if one.jitter else None,
                    "changed_share": round(float(one.negative.mask.mean()), 6),
                }
            )
        store.writestr("record.json", json.dumps({**about, "negatives": records}, indent=2))
    return data.getvalue()

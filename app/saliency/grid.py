"""The Saliency page's grid: the clusters of one photo at every pair of values of two knobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from app.figures import where_to_look
from app.figures.knob_grid import Axis, Cells, Values, block, knob_grid, window
from app.figures.part import part_of
from app.figures.where_to_look import RegionKey
from app.shared import caches
from app.shared.caches import PhotoKey, SaliencyKey
from app.shared.networks import Looking, fusion_flags, looking_weights
from app.shared.picture_memory import kept
from app.shared.selection import Selection
from cutswap.analysis.cell_figures import cluster_figures, split_photos
from cutswap.config import ClusterSettings
from cutswap.data.reading import SQUASH
from cutswap.data.records import Record
from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import Origin
from cutswap.saliency.fusion import FUSED
from cutswap.settings import control_of
from cutswap.utils.overlays import blend, colour_regions, outline

PHOTOS = 8  # of the category that a cell is measured on
OPACITY = 0.6


@dataclass(frozen=True)
class _Asked:
    """The page's own values, from which a cell differs in two."""

    key: SaliencyKey
    level: int
    k: int
    region: RegionKey | None
    records: tuple[Record, ...]  # good photos that cells are measured on

    def at(self, values: Values) -> tuple[SaliencyKey, int, int]:
        """Network and photo of a cell, its level, and its K."""
        key = replace(self.key, weights=values.get("w", self.key.weights))
        level = key.levels.index(values.get("layer", key.levels[self.level]))
        return key, level, values.get("k", self.k)

    def draw(self, values: Values, side: int, _shown: str) -> np.ndarray:
        """The cell of this photo: (side, side, 3) uint8."""
        cell = _cluster_cell(*self.at(values), side)
        return where_to_look.shown(cell, where_to_look.pixels(self.region, self.key.photo.size))

    def figures(self, values: Values) -> dict[str, float]:
        """Of the cell, on this photo."""
        return _cluster_figures(*self.at(values))

    def over(self, values: Values, photo: int) -> dict[str, float]:
        """Of the cell, on a photo of the category."""
        key, level, k = self.at(values)
        record = self.records[photo]
        of = PhotoKey.of_record(record, key.photo.size)
        return _cluster_figures(replace(key, photo=of), level, k)

    def commands(self, values: Values) -> Sequence[Sequence[object]]:
        """What computes the cell's map again."""
        return [saliency_command(self.at(values)[0])]

    def arrays(self, values: Values) -> Mapping[str, np.ndarray]:
        """Of the cell, on this photo."""
        key, level, k = self.at(values)
        return {
            "regions": caches.clusters_of_regions(key, level, k)
            .regions(caches.explained(key).maps[level])
            .astype(np.uint8)
        }


def saliency_grid(
    selected: Selection,
    key: SaliencyKey,
    level: int,
    k: int,
    origin: Origin,
    region: RegionKey | None,
) -> None:
    """K by layer, or by weights.

    Args:
        selected: whose good photos the figures over the category are measured on.
        key: network and photo of the page, with all its levels.
        level: the page's.
        k: the page's.
        origin: of the page's figures.
        region: of the category; None where there is none that can be used.
    """
    train = selected.category.train
    try:
        made_of, _ = split_photos(len(train), PHOTOS, 0)
    except CutSwapError:  # too few photos: nothing is measured over them
        made_of = range(0)
    asked = _Asked(key, level, k, region, tuple(train[i] for i in made_of))
    ends = control_of(ClusterSettings, "k")
    axes = [
        Axis("k", "Clusters K", block(int(ends.low), int(ends.high), k), k, "K = {}".format),
        Axis("layer", "Layer", window(key.levels, key.levels[level]), key.levels[level], _named),
    ]
    weights = looking_weights(key.backbone, key.weights)
    if len(weights) > 1:
        axes.append(Axis("w", "Weights", weights, key.weights, str))
    cells = Cells(
        shows=("the clusters, the most salient one outlined",),
        says="the most salient cluster's share on the part, as another network guesses the part,"
        " and of the photo's area.",
        draw=asked.draw,
        figures=asked.figures,
        over=asked.over if asked.records else None,
        photos=len(asked.records),
        key=(asked,),
        commands=asked.commands,
        arrays=asked.arrays,
    )
    knob_grid(axes, cells, origin, default=("k", "layer"))


def saliency_command(key: SaliencyKey) -> list[object]:
    """Words of the command that computes a key's maps."""
    looking = Looking(key.backbone, key.weights, key.layers)
    flags: list[object] = ["--backbone", looking.name, "--weights", looking.weights]
    flags += fusion_flags(looking, key.fusion)
    flags += ["--image-size", key.photo.size]
    if key.target_class is not None:
        flags += ["--target-class", key.target_class]
    if key.photo.resize != SQUASH:
        flags += ["--resize", key.photo.resize]
    if key.photo.bits is not None:
        flags += ["--bits", key.photo.bits]
    return ["saliency", key.photo.path, *flags, "--out", "maps"]


def _named(level: str) -> str:
    return level if level == FUSED else f"layer {level}"


@kept()
def _cluster_figures(key: SaliencyKey, level: int, k: int) -> dict[str, float]:
    return cluster_figures(_most_salient(key, level, k), part_of(key))


def _most_salient(key: SaliencyKey, level: int, k: int) -> np.ndarray:
    """(S, S) bool, the cluster that anchors patches."""
    clusters = caches.clusters_of_regions(key, level, k)
    return clusters.region(caches.explained(key).maps[level], clusters.k - 1)


@kept()
def _cluster_cell(key: SaliencyKey, level: int, k: int, side: int) -> np.ndarray:
    """(side, side, 3) uint8: clusters over the photo, the most salient one outlined."""
    clusters = caches.clusters_of_regions(key, level, k)
    # Small first, then cut into regions: a sixth of the pixels, and edges stay sharp.
    small = cv2.resize(caches.explained(key).maps[level], (side, side))
    photo = cv2.resize(caches.photo(key.photo), (side, side), interpolation=cv2.INTER_AREA)
    mixed = blend(photo, colour_regions(clusters.regions(small)), OPACITY)
    return outline(mixed, clusters.region(small, clusters.k - 1)) if clusters.k > 1 else mixed

"""The Negatives page's grid: one photo's negative at every pair of values of two knobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from app.figures.drawn_picture import draw_picture
from app.figures.knob_grid import Axis, Cells, Values, block, knob_grid, window
from app.figures.part import judge_of, part_of
from app.negatives.command import augment_command
from app.negatives.controls import ALL
from app.negatives.draws import METHODS, Drawing, Drawn, draw, draw_anew
from app.negatives.shapes import region, shapes
from app.shared import caches
from app.shared.caches import PhotoKey, network
from app.shared.networks import looking_weights
from app.shared.picture_memory import kept
from app.shared.selection import Selection
from app.viewer.viewer import Picture
from cutswap.analysis.cell_figures import (
    TO_NORMAL,
    distance_to_normal,
    distances_to,
    negative_figures,
    split_photos,
)
from cutswap.analysis.quality_distances import Distances, Patches
from cutswap.config import ANCHORS, ClusterSettings
from cutswap.data.records import Record
from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import Origin
from cutswap.networks.backbone import SALIENCY_LEVELS
from cutswap.saliency.fusion import FUSED
from cutswap.settings import control_of

PHOTOS, NORMAL = 8, 16  # of the category: to draw on, and others that say what is normal
NEGATIVE, PLACES = "the negative", "the anchors"
GUIDE = ("k", "layer", "anchors", "w")  # knobs that only a guided method has


@dataclass(frozen=True)
class _Asked:
    """The page's own values, from which a cell differs in two."""

    drawing: Drawing
    epoch: int
    records: tuple[Record, ...]  # good photos that cells are measured on
    indices: tuple[int, ...]  # theirs among the training photos
    normal: tuple[PhotoKey, ...]  # others

    def at(self, values: Values) -> tuple[Drawing, int]:
        """The drawing of a cell, and its epoch."""
        drawing, key = self.drawing, self.drawing.key
        clusters = drawing.clusters.replace(
            k=values.get("k", drawing.clusters.k),
            anchors=values.get("anchors", drawing.clusters.anchors),
        )
        levels = drawing.levels
        if "layer" in values:
            is_all = values["layer"] == ALL
            layers = tuple(range(len(key.layers)))
            levels = layers if is_all else (key.levels.index(values["layer"]),)
        return (
            replace(
                drawing,
                key=replace(key, weights=values.get("w", key.weights)),
                method=values.get("method", drawing.method),
                levels=levels,
                clusters=clusters,
                seed=values.get("seed", drawing.seed),
            ),
            values.get("epoch", self.epoch),
        )

    def draw(self, values: Values, side: int, shown: str) -> np.ndarray:
        """The cell of this photo: (side, side, 3) uint8."""
        drawing, epoch = self.at(values)
        drawn = draw(drawing, epoch)
        if shown == NEGATIVE:
            small = cv2.resize(drawn.negative.photo, (side, side), interpolation=cv2.INTER_AREA)
            return drawing.shown(small)
        boxes, points = shapes(drawn)
        picture = Picture(
            drawing.shown(drawn.positive),
            boxes=[replace(box, label="") for box in boxes],  # unreadable in a small cell
            points=[replace(point, label="") for point in points],
            mask=region(drawing, drawn),
        )
        return draw_picture(picture, side)

    def figures(self, values: Values) -> dict[str, float]:
        """Of the cell, on this photo."""
        return _figures_here(*self.at(values))

    def over(self, values: Values, photo: int) -> dict[str, float]:
        """Of the cell, of its draw on a photo of the category."""
        drawing, epoch = self.at(values)
        record, size = self.records[photo], drawing.key.photo.size
        of = replace(
            drawing,
            key=replace(drawing.key, photo=PhotoKey.of_record(record, size)),
            index=self.indices[photo],
        )
        drawn = draw_anew(of, epoch)
        patches, distances = _normal(self.normal, judge_of(drawing.key.backbone))
        negative = drawn.negative
        to_normal = distance_to_normal(negative.photo, negative.mask, patches, distances)
        return {**_figures(of, drawn), TO_NORMAL: to_normal}

    def commands(self, values: Values) -> Sequence[Sequence[object]]:
        """What draws the cell again."""
        drawing, epoch = self.at(values)
        try:
            return [augment_command(drawing, draw(drawing, epoch))]
        except CutSwapError:  # its place in the grid says why
            return []

    def arrays(self, values: Values) -> Mapping[str, np.ndarray]:
        """Of the cell, on this photo."""
        drawn = draw(*self.at(values))
        return {"negative": drawn.negative.photo, "mask": drawn.negative.mask}


def negatives_grid(drawing: Drawing, epoch: int, selected: Selection, origin: Origin) -> None:
    """K by layer, or any two of method, seed, epoch, anchors and weights.

    Args:
        drawing: the page's.
        epoch: the page's.
        selected: whose good photos the figures over the category are measured on.
        origin: of the page's figures.
    """
    train, size = selected.category.train, drawing.key.photo.size
    try:
        made_of, others = split_photos(len(train), PHOTOS, NORMAL)
    except CutSwapError:  # too few photos: nothing is measured over them
        made_of = others = range(0)
    asked = _Asked(
        drawing=drawing,
        epoch=epoch,
        records=tuple(train[i] for i in made_of),
        indices=tuple(made_of),
        normal=tuple(PhotoKey.of_record(train[i], size) for i in others),
    )
    is_guided = METHODS[drawing.method][0].startswith("cutswap")
    knob_grid(
        _axes(drawing, epoch),
        Cells(
            shows=(NEGATIVE, PLACES),
            says="share of what changed on the part, as another network guesses the part; changed"
            " share of the photo; mean change there, levels of 255, and SSIM, 1 where nobody sees"
            " it. Over the category also the distance to normal photos, in features.",
            draw=asked.draw,
            figures=asked.figures,
            over=asked.over if asked.records else None,
            photos=len(asked.records),
            key=(asked,),
            commands=asked.commands,
            arrays=asked.arrays,
            same=() if is_guided else GUIDE,
        ),
        origin,
        default=("k", "layer") if is_guided else ("method", "seed"),
    )


def _axes(drawing: Drawing, epoch: int) -> list[Axis]:
    key, k = drawing.key, drawing.clusters.k
    ends = control_of(ClusterSettings, "k")
    levels = (*key.levels, ALL)
    level = ALL if len(drawing.levels) > 1 else key.levels[drawing.levels[0]]
    weights = looking_weights(key.backbone, key.weights)
    axes = [
        Axis("k", "Clusters K", block(int(ends.low), int(ends.high), k), k, "K = {}".format),
        Axis("layer", "Layer", window(levels, level), level, _named),
        Axis("method", "Method", tuple(METHODS), drawing.method),
        Axis("seed", "Seed", block(0, 2**31 - 1, drawing.seed), drawing.seed, "seed {}".format),
        Axis("epoch", "Epoch", block(0, 255, epoch), epoch, "epoch {}".format),
        Axis("anchors", "Anchors", ANCHORS, drawing.clusters.anchors),
    ]
    return axes + ([Axis("w", "Weights", weights, key.weights)] if len(weights) > 1 else [])


def _named(level: str) -> str:
    return level if level in (FUSED, ALL) else f"layer {level}"


@kept()
def _figures_here(drawing: Drawing, epoch: int) -> dict[str, float]:
    return _figures(drawing, draw(drawing, epoch))


def _figures(drawing: Drawing, drawn: Drawn) -> dict[str, float]:
    negative = drawn.negative
    return negative_figures(drawn.positive, negative.photo, negative.mask, part_of(drawing.key))


@kept()
def _normal(photos: tuple[PhotoKey, ...], judge: str) -> tuple[Patches, Distances]:
    """What measures the distance to these photos, in features of the judge's fourth level."""
    patches = Patches(network(judge, "embedded"), SALIENCY_LEVELS[judge][3])
    return patches, distances_to(np.stack([caches.photo(photo) for photo in photos]), patches)

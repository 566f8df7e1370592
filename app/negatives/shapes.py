"""Where a draw took its patches from and put them: boxes, anchors, and the region they lie in."""

from __future__ import annotations

import numpy as np

from app.negatives.draws import Drawing, Drawn
from app.viewer.viewer import Box, Point
from cutswap.errors import CutSwapError
from cutswap.negatives.draw import CLUSTER_OUTSIDE, NO_CHANGE_IN_REGION
from cutswap.negatives.geometry import rotated_size
from cutswap.saliency.clusters import anchor_region

COLOURS = ("#ffd500", "#00c8ff")


def shapes(drawn: Drawn) -> tuple[list[Box], list[Point]]:
    """Boxes of the patches or of the texture, and the anchors of a swap."""
    record = drawn.negative.record
    boxes, points = [], []
    if record.method.startswith("cutswap"):
        for move, colour, label in zip(record.moves, COLOURS, ("a1", "a2"), strict=True):
            (y, x), (h, w) = move.target, move.placed_size
            boxes.append(Box((y, x, h, w), "", colour))
            points.append(Point((y, x), label, colour))
        return boxes, points
    if record.texture is not None:
        if record.texture.strip is not None:
            y, x, h, w = record.texture.strip
            place = (y, x, *rotated_size((h, w), record.texture.angle))
            boxes.append(Box(place, "texture", COLOURS[1]))
        return boxes, points
    (move,) = record.moves
    y, x, h, w = move.source
    boxes.append(Box((y, x, h, w), "from", COLOURS[0], dashed=True))
    boxes.append(Box((*move.target, *move.placed_size), "to", COLOURS[1]))
    return boxes, points


def region(drawing: Drawing, drawn: Drawn) -> np.ndarray | None:
    """Pixels anchors were drawn from; None where that is the whole image or was a chance."""
    record = drawn.negative.record
    _, clusters = drawing.settings()
    if record.layer is None or clusters.anchors in ("whole-image", "random-cluster"):
        return None
    levels = drawing.levels_of(clusters)
    level = drawing.key.levels.index(record.layer)
    try:
        found = anchor_region(
            levels.map(level), clusters, np.random.default_rng(0), levels.clusters(level)
        )
    except CutSwapError:
        return None
    if drawing.inside is not None:
        is_everywhere = {NO_CHANGE_IN_REGION, CLUSTER_OUTSIDE} & set(record.fallbacks)
        found = drawing.inside if is_everywhere else found & drawing.inside
    return None if found.all() else found

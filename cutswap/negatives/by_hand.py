"""A swap placed by hand: the two patches of a draw at anchors of one's own choice.

Size, angle and colours of the patches are the draw's, and so are the rules: both anchors in the
region that the draw took its own from, both patches inside the image, the two apart unless the
settings allow overlap. At the draw's own anchors they give its negative again, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cutswap.config import ClusterSettings, NegativeSettings
from cutswap.errors import CutSwapError
from cutswap.negatives.anchors import Point, Size, fitting_corners
from cutswap.negatives.draw import CLUSTER_OUTSIDE, NO_CHANGE_IN_REGION, Negative, redraw
from cutswap.negatives.geometry import rotated_size
from cutswap.negatives.record import Move, NegativeRecord
from cutswap.negatives.regions import find_region
from cutswap.saliency.clusters import Clusters

BY_HAND = "anchors placed by hand"  # among the fallbacks of a record


@dataclass(frozen=True)
class HandPlacing:
    """Where the patches of one drawn swap may be placed instead.

    Attributes:
        drawn: record of the draw.
        room: (height, width) that a patch takes: its strip and, of a turned one, the box around it.
        places: (H, W) bool, the anchors (upper-left corners) that either patch may have.
        may_overlap: whether the two patches may overlap.
    """

    drawn: NegativeRecord
    room: Size
    places: np.ndarray
    may_overlap: bool

    @cached_property
    def firsts(self) -> np.ndarray:
        """(H, W) bool: the places beside which a second patch finds one.

        In a compact region these are few: a patch in its middle leaves no room for another.
        """
        total = np.count_nonzero(self.places)
        if self.may_overlap:
            return self.places if total > 1 else np.zeros_like(self.places)
        sums = np.pad(self.places.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        (height, width), (h, w) = self.places.shape, self.room
        top, left = (np.maximum(np.arange(n) - r + 1, 0) for n, r in ((height, h), (width, w)))
        low, right = (np.minimum(np.arange(n) + r, n) for n, r in ((height, h), (width, w)))
        # places in the window in which a second patch would overlap the first
        near = sums[np.ix_(low, right)] - sums[np.ix_(top, right)]
        near -= sums[np.ix_(low, left)] - sums[np.ix_(top, left)]
        return self.places & (near < total)

    def partners(self, first: Point) -> np.ndarray:
        """(H, W) bool: the places that are left for the second patch once the first lies there.

        Args:
            first: (y, x), one of `places`.

        Raises:
            CutSwapError: `first` is none of them.
        """
        self._need(first, self.places, "first anchor", "where a patch fits in the anchor region")
        left = self.places.copy()
        left[first] = False
        if not self.may_overlap:
            (y, x), (h, w) = first, self.room
            left[max(0, y - h + 1) : y + h, max(0, x - w + 1) : x + w] = False
        return left

    def swap(self, positive: np.ndarray, first: Point, second: Point) -> Negative:
        """The draw's patches swapped at two anchors.

        Args:
            positive: (H, W, 3) uint8, x+ of the draw.
            first: (y, x), one of `places`.
            second: (y, x), one of `partners(first)`.

        Returns:
            The negative with its exact mask. Its record repaints it; `rejected` is empty and
            `fallbacks` end with `BY_HAND`, for its seed alone does not give it.

        Raises:
            CutSwapError: an anchor that is none of these, a positive of another size, or two areas
                that look the same, so that their swap changes no pixel.
        """
        apart = "" if self.may_overlap else ", apart from the first patch"
        self._need(second, self.partners(first), "second anchor", f"where a patch fits{apart}")
        anchors = (first, second)
        moves = tuple(
            replace(move, source=(*source, *move.source[2:]), target=target)
            for move, source, target in zip(self.drawn.moves, anchors[::-1], anchors, strict=True)
        )
        fallbacks = (*self.drawn.fallbacks, BY_HAND)
        record = replace(self.drawn, anchors=anchors, moves=moves, rejected={}, fallbacks=fallbacks)
        negative = redraw(positive, record)
        if not negative.mask.any():
            raise CutSwapError(
                f"swap of {_said(first)} and {_said(second)}",
                expected="two areas that differ",
                found="no pixel that changes",
                fix="choose another anchor",
            )
        return negative

    def _need(self, anchor: Point, places: np.ndarray, subject: str, where: str) -> None:
        height, width = places.shape
        if 0 <= anchor[0] < height and 0 <= anchor[1] < width and places[anchor]:
            return
        count = np.count_nonzero(places)
        raise CutSwapError(
            subject,
            expected=f"one of the {count} places {where}, {self.room[0]}x{self.room[1]} pixels",
            found=_said(anchor),
            fix="choose one of them, or draw smaller patches",
        )


def hand_placing(
    drawn: NegativeRecord,
    saliency: np.ndarray,
    settings: NegativeSettings,
    cluster_settings: ClusterSettings,
    clusters: Clusters | None = None,
    inside: np.ndarray | None = None,
) -> HandPlacing:
    """Where the patches of a drawn swap may be placed, by the rules it was drawn by.

    Args:
        drawn: record that `draw_negative` made with the settings below.
        saliency: (H, W) float in [0, 1] that it was drawn from.
        settings: patch geometry.
        cluster_settings: K and the anchor strategy.
        clusters: of this saliency at this K, where they are known already.
        inside: (H, W) bool, where to look: a patch lies in it wholly; None: everywhere.

    Raises:
        CutSwapError: a record of a method that swaps nothing, or saliency of another size.
    """
    if not drawn.method.startswith("cutswap"):
        raise CutSwapError(
            "placing by hand",
            expected="a method that swaps two patches: cutswap or cutswap-scar",
            found=drawn.method,
            fix="choose one of them",
        )
    if saliency.shape != drawn.image_size:
        raise CutSwapError(
            "saliency",
            expected=f"a map of shape {drawn.image_size}, as the record",
            found=saliency.shape,
            fix="compute it at the size of the positive",
        )
    # The generator in the state in which the draw had it: a random cluster is the same one.
    rng = np.random.default_rng(drawn.seed)
    region = find_region(saliency, cluster_settings, rng, clusters).mask
    everywhere = np.ones_like(region) if inside is None else inside
    if NO_CHANGE_IN_REGION in drawn.fallbacks or CLUSTER_OUTSIDE in drawn.fallbacks:
        region = everywhere
    room = _room(drawn.moves)
    places = fitting_corners(region & everywhere, room) & _holds(everywhere, room)
    # A strip that was shrunk may take less room than was drawn for it, and then anchors that had
    # to be moved inward lie outside the region.
    for anchor in drawn.anchors:
        places[anchor] = True
    return HandPlacing(drawn, room, places, may_overlap=settings.overlap == "allow")


def _room(moves: tuple[Move, ...]) -> Size:
    size, angle = moves[0].source[2:], moves[0].angle
    turned = rotated_size(size, angle)
    return max(size[0], turned[0]), max(size[1], turned[1])


def _holds(inside: np.ndarray, room: Size) -> np.ndarray:
    """(H, W) bool: the corners whose patch lies wholly inside."""
    (height, width), (h, w) = inside.shape, room
    padded = np.pad(inside, ((0, h), (0, w))).astype(np.int64)
    sums = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    count = sums[h : h + height, w : w + width] - sums[:height, w : w + width]
    count = count - sums[h : h + height, :width] + sums[:height, :width]
    return np.asarray(count == h * w)


def _said(anchor: Point) -> str:
    return f"row {anchor[0]}, column {anchor[1]}"

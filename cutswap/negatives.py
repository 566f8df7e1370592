"""CutSwap and CutPaste negatives: drawn once into a record, painted from it bit for bit.

A record is a list of moves: a patch is cut from the positive, jittered, rotated and placed. CutSwap
is two moves that exchange places, CutPaste is one. All patches are cut before any is placed.
Photos are (H, W, 3) uint8 and stay so: what a page shows is what the trainer sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from cutswap.anchors import Point, Size, Tally, draw_corner, draw_pair
from cutswap.clusters import Clusters, anchor_region
from cutswap.color_jitter import apply_jitter, draw_jitter
from cutswap.config import ClusterSettings, NegativeSettings
from cutswap.errors import CutSwapError
from cutswap.negative_record import Move, NegativeRecord, rotated_size

__all__ = ["Move", "Negative", "NegativeRecord", "draw_negative", "paint", "redraw", "rotated_size"]

SCAR_REFERENCE_SIDE = 256  # scar sizes are given for an image of this side
PUBLISHED_JITTER = {"cutswap": 0.0, "cutpaste": 0.1}


@dataclass(frozen=True)
class Negative:
    """A painted negative.

    Attributes:
        photo: (H, W, 3) uint8.
        mask: (H, W) bool, exactly the pixels that differ from the positive in any channel.
        record: how it was drawn.
    """

    photo: np.ndarray
    mask: np.ndarray
    record: NegativeRecord


def draw_negative(
    positive: np.ndarray,
    saliency: np.ndarray | None,
    settings: NegativeSettings,
    cluster_settings: ClusterSettings,
    *,
    seed: tuple[int, ...],
    layer: str | None = None,
    clusters: Clusters | None = None,
) -> Negative:
    """Draw one negative of a positive (Algorithm 1 of the paper, lines 3 to 6).

    Args:
        positive: (H, W, 3) uint8, x+.
        saliency: (H, W) float in [0, 1] of the un-augmented x; not used by CutPaste.
        settings: method and patch geometry.
        cluster_settings: K and the anchor strategy; not used by CutPaste.
        seed: integers that seed every draw; the same ones give the same negative.
        layer: name of the saliency's layer, for the record.
        clusters: of this saliency at this K, where they are known already.

    Raises:
        CutSwapError: no draw changes a pixel (a constant image), or shapes that do not match.
    """
    rng = np.random.default_rng(seed)
    tally = Tally()
    guided = settings.method.startswith("cutswap")
    region = np.ones(positive.shape[:2], dtype=bool)
    if guided:
        if saliency is None or saliency.shape != positive.shape[:2]:
            raise CutSwapError(
                "saliency",
                expected=f"a map of shape {positive.shape[:2]} for {settings.method}",
                found="none" if saliency is None else saliency.shape,
                fix="compute it at the size of the positive",
            )
        region = _region(saliency, cluster_settings, rng, tally, clusters)
    # A swap of two equal areas changes nothing; then draw again, at last from the whole image.
    for attempt in range(2 * settings.max_tries):
        if attempt == settings.max_tries:
            if region.all():
                break
            region = np.ones_like(region)
            tally.fallbacks.append("uniform anchors: no draw in the region changed a pixel")
        notes = len(tally.fallbacks)
        anchors, moves = _draw_moves(positive.shape[:2], region, settings, rng, tally)
        photo = paint(positive, moves)
        mask = (photo != positive).any(axis=-1)
        if mask.any():
            record = NegativeRecord(
                method=settings.method,
                image_size=(positive.shape[0], positive.shape[1]),
                anchors=anchors,
                moves=moves,
                layer=layer if guided else None,
                k=cluster_settings.k if guided else None,
                strategy=cluster_settings.anchors if guided else None,
                seed=tuple(int(s) for s in seed),
                rejected={reason: n for reason, n in tally.rejected.items() if n},
                fallbacks=tuple(tally.fallbacks),
            )
            return Negative(photo, mask, record)
        tally.rejected["unchanged"] += 1
        del tally.fallbacks[notes:]
    raise CutSwapError(
        "positive image",
        expected=f"an image that {settings.method} can change",
        found="no pixel changed in any draw: the image is constant or nearly so",
        fix="leave this image out",
    )


def redraw(positive: np.ndarray, record: NegativeRecord) -> Negative:
    """Paint a recorded negative again.

    Raises:
        CutSwapError: the positive has another size than the recorded one, or a move leaves it.
    """
    size = (positive.shape[0], positive.shape[1])
    if size != record.image_size:
        raise CutSwapError(
            "positive image",
            expected=f"{record.image_size[0]}x{record.image_size[1]} pixels as recorded",
            found=f"{size[0]}x{size[1]}",
            fix="resize it as the record's settings say",
        )
    for move in record.moves:
        # The source first: a huge one must be refused before its rotated size is asked for.
        if not _is_inside(move.source, size) or not _is_inside(
            (*move.target, *move.placed_size), size
        ):
            raise CutSwapError(
                "negative record",
                expected=f"boxes inside {size[0]}x{size[1]} pixels",
                found=f"(y, x, height, width) {move.source} placed at {move.target}",
                fix="use a record written by this version, unedited",
            )
    photo = paint(positive, record.moves)
    return Negative(photo, (photo != positive).any(axis=-1), record)


def _is_inside(box: tuple[int, ...], size: Size) -> bool:
    y, x, h, w = box
    return min(y, x) >= 0 and min(h, w) >= 1 and y + h <= size[0] and x + w <= size[1]


def paint(positive: np.ndarray, moves: tuple[Move, ...]) -> np.ndarray:
    """Cut all patches, then place them in order: (H, W, 3) uint8 to a new (H, W, 3) uint8."""
    patches = [_prepare(positive, move) for move in moves]
    canvas = positive.copy()
    for move, (patch, covered) in zip(moves, patches, strict=True):
        (y, x), (h, w) = move.target, covered.shape
        place = canvas[y : y + h, x : x + w]
        place[covered] = patch[covered]
    return canvas


def _prepare(positive: np.ndarray, move: Move) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) uint8 patch as it will be placed, and (h, w) bool where it covers."""
    y, x, h, w = move.source
    patch = apply_jitter(np.ascontiguousarray(positive[y : y + h, x : x + w]), move.jitter)
    if move.angle == 0:
        return patch, np.ones((h, w), dtype=bool)
    rotated = Image.fromarray(patch).rotate(move.angle, expand=True)
    covered = Image.new("L", (w, h), 255).rotate(move.angle, expand=True)
    return np.asarray(rotated), np.asarray(covered) > 0


def _region(
    saliency: np.ndarray,
    settings: ClusterSettings,
    rng: np.random.Generator,
    tally: Tally,
    clusters: Clusters | None,
) -> np.ndarray:
    """Pixels for anchors; a degenerate map gives the whole image, said so in the tally."""
    try:
        region = anchor_region(saliency, settings, rng, clusters)
    except CutSwapError as error:
        tally.fallbacks.append(f"uniform anchors: {error.subject} has {error.found}")
        return np.ones(saliency.shape, dtype=bool)
    if region.sum() < 2:
        # One bright pixel can be a cluster of its own: take the pixels nearest to it in saliency.
        centre = saliency[region].mean() if region.any() else saliency.max()
        nearest = np.argsort(np.abs(saliency - centre), axis=None, kind="stable")
        region = np.zeros(saliency.size, dtype=bool)
        region[nearest[: max(2, saliency.size // 100)]] = True
        region = region.reshape(saliency.shape)
        tally.fallbacks.append("region widened: the cluster had fewer than two pixels")
    return region


def _draw_moves(
    image_size: Size,
    region: np.ndarray,
    settings: NegativeSettings,
    rng: np.random.Generator,
    tally: Tally,
) -> tuple[tuple[Point, ...], tuple[Move, ...]]:
    family, _, scar = settings.method.partition("-")
    if scar:
        size, angle = _scar_size(image_size, settings, rng), float(rng.uniform(*settings.angle))
        if any(t > s for t, s in zip(rotated_size(size, angle), image_size, strict=True)):
            angle = 0.0  # in an image of one or two rows even one pixel, turned, does not fit
    else:
        size, angle = _patch_size(image_size, settings, rng), 0.0
    amount = PUBLISHED_JITTER[family] if settings.jitter is None else settings.jitter
    if family == "cutpaste":
        source = draw_corner(image_size, size, rng)
        target = draw_corner(image_size, rotated_size(size, angle), rng)
        move = Move((*source, *size), target, angle, draw_jitter(amount, rng))
        return (source, target), (move,)
    turned = rotated_size(size, angle)
    room = (max(size[0], turned[0]), max(size[1], turned[1]))  # a strip and its rotated box
    pair = draw_pair(
        region,
        room,
        rng,
        tally,
        max_tries=settings.max_tries,
        avoid_overlap=settings.overlap == "avoid",
    )
    if pair.size != room:
        size, angle = _shrunk_to(size, angle, pair.size)
    first, second = pair.first, pair.second
    moves = (
        Move((*second, *size), first, angle, draw_jitter(amount, rng)),  # P2 to a1
        Move((*first, *size), second, angle, draw_jitter(amount, rng)),  # P1 to a2
    )
    return (first, second), moves


def _patch_size(image_size: Size, settings: NegativeSettings, rng: np.random.Generator) -> Size:
    """(height, width): area uniform, aspect log-uniform, clipped to the image."""
    area = rng.uniform(*settings.area) * image_size[0] * image_size[1]
    aspect = np.exp(rng.uniform(*np.log(settings.aspect)))  # width over height
    return _clipped(np.sqrt(area / aspect), np.sqrt(area * aspect), image_size)


def _scar_size(image_size: Size, settings: NegativeSettings, rng: np.random.Generator) -> Size:
    scale = min(image_size) / SCAR_REFERENCE_SIDE
    width = rng.uniform(*settings.scar_width) * scale
    height = rng.uniform(*settings.scar_height) * scale
    limit = max(1, int(min(image_size) / np.sqrt(2)) - 1)  # so that any rotation still fits
    return _clipped(height, width, (limit, limit))


def _clipped(height: float, width: float, limit: Size) -> Size:
    return (
        int(np.clip(round(float(height)), 1, limit[0])),
        int(np.clip(round(float(width)), 1, limit[1])),
    )


def _shrunk_to(size: Size, angle: float, room: Size) -> tuple[Size, float]:
    """The largest scaling of a strip whose rotated box, and itself, fit into `room`; its angle."""
    if angle == 0:
        return room, angle
    height, width = size
    while (height, width) != (1, 1):
        turned = rotated_size((height, width), angle)
        if max(height, turned[0]) <= room[0] and max(width, turned[1]) <= room[1]:
            return (height, width), angle
        height, width = max(1, height - 1), max(1, int(width * (height - 1) / height))
    return (1, 1), 0.0  # one pixel, turned, would fill a box of two

"""Negatives of every method: drawn once into a record, painted from it bit for bit.

A record is a list of moves: a patch is cut from the positive, jittered, rotated and placed. CutSwap
is two moves that exchange places; CutPaste, SmoothBlend and NSA are one, each placed in its way;
Perlin moves nothing and records a texture. All patches are cut before any is placed.
Photos are (H, W, 3) uint8 and stay so: what a page shows is what the trainer sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cutswap.config import ClusterSettings, NegativeSettings
from cutswap.errors import CutSwapError
from cutswap.negatives.anchors import DrawLog, Point, Size, draw_corner, draw_pair
from cutswap.negatives.color_jitter import draw_jitter
from cutswap.negatives.foreground import draw_places
from cutswap.negatives.geometry import clipped, fitting_angle, patch_size, rotated_size, scar_size
from cutswap.negatives.painting import paint
from cutswap.negatives.record import POISSON, SMOOTH, Move, NegativeRecord
from cutswap.negatives.regions import AnchorRegion, find_region
from cutswap.negatives.textures import Texture, draw_texture, paint_texture
from cutswap.saliency.clusters import Clusters

PUBLISHED_JITTER = {"cutswap": 0.0, "cutpaste": 0.1, "smoothblend": 0.1, "nsa": 0.0}
ZOOM_SPREAD = 0.5  # NSA: a normal factor around 1, clipped to the range of the setting


_SHRINK = 0.85  # of what a draw that reached beyond the region covers, for the next
_LEAST = 0.002  # share of the image: a patch of 11 x 11 pixels of 256 x 256


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


class UnchangedError(CutSwapError):
    """No draw changes a pixel of a photo: it shows nothing, or its jitter left nothing."""


def draw_negative(
    positive: np.ndarray,
    saliency: np.ndarray | None,
    settings: NegativeSettings,
    cluster_settings: ClusterSettings,
    *,
    seed: tuple[int, ...],
    layer: str | None = None,
    clusters: Clusters | None = None,
    region: AnchorRegion | None = None,
    inside: np.ndarray | None = None,
) -> Negative:
    """Draw one negative of a positive (Algorithm 1 of the paper, lines 3 to 6).

    Args:
        positive: (H, W, 3) uint8, x+.
        saliency: (H, W) float in [0, 1] of the un-augmented x; used by CutSwap alone.
        settings: method and patch geometry.
        cluster_settings: K and the anchor strategy; used by CutSwap alone.
        seed: integers that seed every draw; the same ones give the same negative.
        layer: name of the saliency's layer, for the record.
        clusters: of this saliency at this K, where they are known already.
        region: of this saliency under these settings, where it is known already; saliency and
            clusters are then not looked at.
        inside: (H, W) bool, the category's region of where to look: anchors and all that changes
            lie in it. A draw that reaches beyond is thrown away, and the next is smaller.

    Raises:
        CutSwapError: no draw changes a pixel (a constant image), none stays inside, or shapes that
            do not match.
    """
    rng = np.random.default_rng(seed)
    tally = DrawLog()
    guided = settings.method.startswith("cutswap")
    mask = np.ones(positive.shape[:2], dtype=bool)
    if guided:
        size = region.mask.shape if region else None if saliency is None else saliency.shape
        if size != positive.shape[:2]:
            raise CutSwapError(
                "saliency",
                expected=f"a map of shape {positive.shape[:2]} for {settings.method}",
                found=size or "none",
                fix="compute it at the size of the positive",
            )
        if region is None and saliency is not None:
            region = find_region(saliency, cluster_settings, rng, clusters)
        if region is not None:
            mask = region.mask
            tally.fallbacks += region.fallbacks
    everywhere = np.ones_like(mask) if inside is None else inside
    if inside is not None:
        if inside.shape != mask.shape or np.count_nonzero(inside) < 2:
            raise CutSwapError(
                "region",
                expected=f"{'x'.join(map(str, mask.shape))} pixels, at least two inside",
                found=f"{'x'.join(map(str, inside.shape))}, {np.count_nonzero(inside)} inside",
                fix="draw it larger, or in the size of the photo",
            )
        mask = mask & inside
        if np.count_nonzero(mask) < 2:
            mask = inside
            tally.fallbacks.append(
                "uniform anchors: the cluster lies outside the region to look at"
            )
    # A swap of two equal areas changes nothing; then draw again, at last from the whole image.
    wanted = settings
    for attempt in range(2 * settings.max_tries):
        if attempt == settings.max_tries and (mask != everywhere).any():
            mask = everywhere
            tally.fallbacks.append("uniform anchors: no draw in the region changed a pixel")
        elif attempt == settings.max_tries and inside is None:
            break
        notes = len(tally.fallbacks)
        anchors, moves, texture = _draw(positive, mask, wanted, rng, tally)
        photo = paint(positive, moves) if texture is None else paint_texture(positive, texture)
        changed = _changed(photo, positive, moves)
        is_beyond = inside is not None and bool((changed & ~inside).any())
        if is_beyond:
            wanted = _smaller(wanted)
        elif changed.any():
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
                texture=texture,
            )
            return Negative(photo, changed, record)
        tally.rejected["outside" if is_beyond else "unchanged"] += 1
        del tally.fallbacks[notes:]
    if tally.rejected["outside"]:
        raise CutSwapError(
            "region",
            expected=f"room for what {settings.method} changes, {_LEAST:.1%} of the photo or more",
            found=f"{everywhere.mean():.1%} inside, and no draw that stays there",
            fix="draw it larger, choose another --augment, or pass --region none",
        )
    raise UnchangedError(
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
    _need_boxes_inside(record, size)
    if record.texture is None:
        photo = paint(positive, record.moves)
    else:
        photo = paint_texture(positive, record.texture)
    return Negative(photo, _changed(photo, positive, record.moves), record)


def _smaller(settings: NegativeSettings) -> NegativeSettings:
    """Patches and scars of a little less than these settings', down to `_LEAST` of the image."""
    low, high = (max(min(_LEAST, area), area * _SHRINK) for area in settings.area)
    return settings.replace(
        area=(low, high),
        scar_width=_narrower(settings.scar_width),
        scar_height=_narrower(settings.scar_height),
    )


def _narrower(pixels: tuple[int, int]) -> tuple[int, int]:
    low, high = (max(1, int(side * _SHRINK)) for side in pixels)
    return low, high


def _changed(photo: np.ndarray, positive: np.ndarray, moves: tuple[Move, ...]) -> np.ndarray:
    """(H, W) bool: some channel differs; looked for where patches were placed, if any were."""
    changed = np.zeros(photo.shape[:2], dtype=bool)
    boxes = [(*move.target, *move.placed_size) for move in moves] or [(0, 0, *photo.shape[:2])]
    for y, x, h, w in boxes:
        place = np.s_[y : y + h, x : x + w]
        differs = photo[place] != positive[place]
        # By planes, as `any` over three channels takes longer.
        changed[place] = differs[..., 0] | differs[..., 1] | differs[..., 2]
    return changed


def _need_boxes_inside(record: NegativeRecord, size: Size) -> None:
    """Refuse what leaves the image; unturned first, a huge box is never turned to be measured."""
    if record.texture is None:
        boxes = [(m.source, m.target, m.size or m.source[2:], m.angle) for m in record.moves]
    else:
        y, x, h, w = record.texture.strip or (0, 0, *size)
        boxes = [((0, 0, h, w), (y, x), (h, w), record.texture.angle)]
        if (record.texture.pixels or 0) > size[0] * size[1]:
            raise CutSwapError(
                "negative record",
                expected=f"a texture of at most {size[0] * size[1]} pixels",
                found=record.texture.pixels,
                fix="use a record written by this version, unedited",
            )
    for source, target, cut, angle in boxes:
        if (
            not _is_inside(source, size)
            or not _is_inside((0, 0, *cut), size)
            or not _is_inside((*target, *rotated_size(cut, angle)), size)
        ):
            raise CutSwapError(
                "negative record",
                expected=f"boxes inside {size[0]}x{size[1]} pixels",
                found=f"(y, x, height, width) {source} placed at {target}",
                fix="use a record written by this version, unedited",
            )


def _is_inside(box: tuple[int, ...], size: Size) -> bool:
    y, x, h, w = box
    return min(y, x) >= 0 and min(h, w) >= 1 and y + h <= size[0] and x + w <= size[1]


def _draw(
    positive: np.ndarray,
    region: np.ndarray,
    settings: NegativeSettings,
    rng: np.random.Generator,
    tally: DrawLog,
) -> tuple[tuple[Point, ...], tuple[Move, ...], Texture | None]:
    image_size = (positive.shape[0], positive.shape[1])
    family, _, scar = settings.method.partition("-")
    if family == "perlin":
        texture = draw_texture(image_size, settings, rng, scar=bool(scar))
        return (() if texture.strip is None else (texture.strip[:2],)), (), texture
    if scar:
        size = scar_size(image_size, settings, rng)
        angle = fitting_angle(size, float(rng.uniform(*settings.angle)), image_size)
    else:
        size, angle = patch_size(image_size, settings, rng), 0.0
    amount = PUBLISHED_JITTER[family] if settings.jitter is None else settings.jitter
    if family == "cutswap":
        return *_draw_swap(region, settings, size, angle, amount, rng, tally), None
    source, target, move = _draw_paste(positive, settings, size, angle, amount, rng, tally)
    return (source, target), (move,), None


def _draw_swap(
    region: np.ndarray,
    settings: NegativeSettings,
    size: Size,
    angle: float,
    jitter: float,
    rng: np.random.Generator,
    tally: DrawLog,
) -> tuple[tuple[Point, ...], tuple[Move, ...]]:
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
        Move((*second, *size), first, angle, draw_jitter(jitter, rng)),  # P2 to a1
        Move((*first, *size), second, angle, draw_jitter(jitter, rng)),  # P1 to a2
    )
    return (first, second), moves


def _draw_paste(
    positive: np.ndarray,
    settings: NegativeSettings,
    size: Size,
    angle: float,
    jitter: float,
    rng: np.random.Generator,
    tally: DrawLog,
) -> tuple[Point, Point, Move]:
    """One patch of the positive to another place, as CutPaste, SmoothBlend or NSA does it."""
    image_size = (positive.shape[0], positive.shape[1])
    if settings.method.startswith("nsa"):
        scaled = size
        if not settings.method.endswith("-scar"):
            zoom = float(np.clip(rng.normal(1, ZOOM_SPREAD), *settings.zoom))
            scaled = clipped(size[0] * zoom, size[1] * zoom, image_size)
        source, target = draw_places(
            positive, size, rotated_size(scaled, angle), rng, tally, max_tries=settings.max_tries
        )
        colours = draw_jitter(jitter, rng)
        kept = None if scaled == size else scaled
        return (
            source,
            target,
            Move(
                source=(*source, *size),
                target=target,
                angle=angle,
                jitter=colours,
                blend=POISSON,
                size=kept,
            ),
        )
    smooth = settings.method.startswith("smoothblend")
    softness = float(rng.uniform(*settings.softness)) if smooth else 0.0
    source = draw_corner(image_size, size, rng)
    target = draw_corner(image_size, rotated_size(size, angle), rng)
    move = Move((*source, *size), target, angle, draw_jitter(jitter, rng))
    if smooth:
        move = replace(move, blend=SMOOTH, softness=softness)
    return source, target, move


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

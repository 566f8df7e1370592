"""The stages of one photo as small pictures, from the photo to the heatmap of its negative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from app.figures.drawn_picture import draw_picture
from app.lesson.bank import small_bank
from app.negatives.draws import Drawing, Drawn, draw
from app.negatives.shapes import region, shapes
from app.shared import caches, public
from app.shared.caches import PhotoKey
from app.shared.networks import layer_name
from app.shared.picture_memory import kept
from app.viewer.viewer import Picture
from cutswap.analysis.patch_colours import patch_colours
from cutswap.config import PatchCoreSettings
from cutswap.data.images import resize_photo, to_image
from cutswap.errors import CutSwapError
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.memory_bank import Prediction
from cutswap.utils.overlays import blend, colour_regions, colourise, rising, veil

WIDE = 320  # pixels of a picture: two centimetres on paper need 240
CLEAR = 0.35  # share of the range up to which heat is not seen


@dataclass(frozen=True)
class StagePicture:
    """One picture.

    Attributes:
        title: which stage it is of, with its number.
        picture: (WIDE, WIDE, 3) uint8.
        says: a line below it.
        chosen: whether it is the one of several that the next stage goes on with.
    """

    title: str
    picture: np.ndarray
    says: str
    chosen: bool = False


@dataclass(frozen=True)
class BankAnswer:
    """What a bank of good photos says of the photo, its negative and a good photo.

    Attributes:
        features: (3, h, w, 3) uint8, their patches by colour.
        prediction: of the three; the last one of a good photo that is not in the bank.
        items: patches in the bank.
    """

    features: np.ndarray
    prediction: Prediction
    items: int


def stage_pictures(
    drawing: Drawing, epoch: int, bank: tuple[PhotoKey, ...], good: PhotoKey
) -> list[StagePicture]:
    """All of them, in their order.

    Args:
        drawing: every setting of the draw.
        epoch: of the draw.
        bank: good photos that the bank is fitted on, at its size.
        good: another one, at its size.

    Raises:
        CutSwapError: an unreadable photo, or see `caches.explained`.
    """
    drawn = draw(drawing, epoch)
    photo = caches.photo(drawing.key.photo)
    return [
        StagePicture("1 Photo", _at(photo), f"{photo.shape[0]} x {photo.shape[1]} pixels"),
        *_maps(drawing, drawn),
        *_grouped(drawing, drawn),
        _negative(drawn),
        StagePicture("6 Changed pixels", _at(_mask(drawn)), _share(drawn.negative.mask)),
        *_features(drawing, epoch, bank, good),
    ]


def level_of(drawing: Drawing, drawn: Drawn) -> int:
    """Index of the map that anchored the patches; of a method without saliency the chosen one."""
    layer = drawn.negative.record.layer
    return drawing.levels[0] if layer is None else drawing.key.levels.index(layer)


def _maps(drawing: Drawing, drawn: Drawn) -> Iterator[StagePicture]:
    photo, level = caches.photo(drawing.key.photo), level_of(drawing, drawn)
    is_guided = drawn.negative.record.layer is not None
    for index, layer in enumerate(drawing.key.levels):
        is_extra = drawing.key.fusion is not None and index == len(drawing.key.layers)
        if is_extra and index != level:
            continue  # the fused map is made of the others, and nothing goes on with it here
        yield StagePicture(
            "2 Saliency",
            _at(blend(photo, caches.heat(drawing.key, index), 0.6)),
            layer_name(drawing.key.backbone, layer, drawing.key.photo.size),
            chosen=is_guided and index == level,
        )


def _grouped(drawing: Drawing, drawn: Drawn) -> Iterator[StagePicture]:
    """Clusters of the map that was drawn from, and the anchors in one of them."""
    photo, level = caches.photo(drawing.key.photo), level_of(drawing, drawn)
    k = drawing.clusters.k
    try:
        groups = caches.clusters(drawing.key, level, k)
        regions = groups.regions(caches.explained(drawing.key).maps[level])
        share = float((regions == groups.k - 1).mean())
        picture = blend(photo, colour_regions(regions), 0.6)
        says = f"K = {groups.k}, the most salient one {share:.1%}"
    except CutSwapError:
        picture, says = photo, f"fewer than {k} distinct values: no clusters"
    yield StagePicture("3 Clusters", _at(picture), says)
    inside = region(drawing, drawn)
    positive = drawn.positive if inside is None else veil(drawn.positive, drawn.positive, inside)
    boxes, points = shapes(drawn)
    anchored = draw_picture(Picture(positive, boxes=boxes, points=points), WIDE)
    where = "anywhere" if inside is None else f"in {inside.mean():.1%} of the photo"
    yield StagePicture("4 Anchors", anchored, f"drawn {where}")


def _negative(drawn: Drawn) -> StagePicture:
    record = drawn.negative.record
    return StagePicture("5 Negative", _at(drawn.negative.photo), f"{record.method}")


def _mask(drawn: Drawn) -> np.ndarray:
    return np.repeat(drawn.negative.mask[..., None].astype(np.uint8) * 255, 3, axis=2)


def _share(mask: np.ndarray) -> str:
    return f"{mask.mean():.1%} of the photo"


def _features(
    drawing: Drawing, epoch: int, bank: tuple[PhotoKey, ...], good: PhotoKey
) -> Iterator[StagePicture]:
    answer = _answer(drawing, epoch, bank, good)
    photos = _three(drawing, epoch, good)
    names = ("photo", "negative", "a good photo")
    said = answer.prediction
    grid = f"{answer.features.shape[1]} x {answer.features.shape[2]} patches"
    for name, picture in zip(names[:2], answer.features, strict=False):
        yield StagePicture("7 Features", _at(picture), f"{name}: {grid}")
    low, high = float(said.heatmaps.min()), float(said.heatmaps.max())
    start = low + CLEAR * (high - low)
    for name, photo, values, score in zip(names, photos, said.heatmaps, said.scores, strict=True):
        seen = 0.75 * rising(values, start, start + 0.3 * (high - start))
        heat = blend(photo, colourise(values, low, high), seen)
        yield StagePicture("8 Heatmap", _at(heat), f"{name}: score {float(score):.2f}")


def _three(drawing: Drawing, epoch: int, good: PhotoKey) -> np.ndarray:
    """(3, S, S, 3) uint8 at the bank's size: photo, negative, and a good photo."""
    size = (good.size, good.size)
    photo = caches.photo(drawing.key.photo)
    negative = draw(drawing, epoch).negative.photo
    return np.stack([resize_photo(photo, size), resize_photo(negative, size), caches.photo(good)])


@kept()
def _answer(drawing: Drawing, epoch: int, bank: tuple[PhotoKey, ...], good: PhotoKey) -> BankAnswer:
    """The bank's answer; its heat and features are of one pass through the network."""
    memory = small_bank(bank)
    images = to_image(_three(drawing, epoch, good))
    settings: PatchCoreSettings = memory.settings
    with public.turn(memory.backbone.name, settings.layers, good.size):
        embedded = embed(memory.backbone, images, settings.layers)
        prediction = memory.score_patches(embedded, (good.size, good.size))
    return BankAnswer(patch_colours(embedded.numpy()), prediction, memory.size)


def _at(picture: np.ndarray) -> np.ndarray:
    """A square picture at `WIDE`; patches stay squares, photos smooth."""
    side = picture.shape[0]
    if side * 2 <= WIDE:
        factor = -(-WIDE // side)
        picture = np.kron(picture, np.ones((factor, factor, 1), np.uint8))
    return resize_photo(picture, (WIDE, WIDE)) if picture.shape[0] != WIDE else picture

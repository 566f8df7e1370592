"""A memory bank of some good photos, fitted on the spot: heat of two photos and a nearest patch."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.inspect_heatmaps.picture import boxed
from app.lesson.step_view import SIZE, StepView
from app.shared import caches, public
from app.shared.caches import PhotoKey
from app.shared.page_parts import plain_text
from app.shared.picture_memory import kept
from app.viewer.pictures import jpeg
from app.viewer.viewer import Legend, Picture, viewer
from cutswap.config import PatchCoreSettings
from cutswap.data.images import to_image
from cutswap.data.loading import load_masks
from cutswap.data.records import Category, Record
from cutswap.patchcore.memory_bank import MemoryBank, Prediction
from cutswap.patchcore.nearest_normal import nearest_normal
from cutswap.utils.overlays import colourise

NETWORK, WEIGHTS = "resnet18", "embedded"
# A twentieth of 1,024 patches a photo: a bank of one photo would else keep ten.
SETTINGS = PatchCoreSettings(image_size=SIZE, coreset=0.05)
_ENLARGED = 160  # pixels of a crop


def photo_key(record: Record) -> PhotoKey:
    """A photo at the size that the bank wants."""
    return PhotoKey.of_record(record, SIZE)


@st.cache_resource(max_entries=24, show_spinner="Fitting a small bank")
def small_bank(photos: tuple[PhotoKey, ...]) -> MemoryBank:
    """A bank of some good photos; 0.1 s a photo on one core.

    Args:
        photos: at `SIZE`.

    Raises:
        CutSwapError: an unreadable photo.
    """
    with public.turn(NETWORK, SETTINGS.layers, SIZE):
        network = caches.network(NETWORK, WEIGHTS)
        images = [to_image(caches.photo(photo)[None]) for photo in photos]
        return MemoryBank.fit(network, images, SETTINGS, count=len(images))


@kept()
def scored(bank: tuple[PhotoKey, ...], photo: PhotoKey) -> Prediction:
    """What a bank says about a photo.

    Raises:
        CutSwapError: an unreadable photo.
    """
    whole = small_bank(bank)
    with public.turn(NETWORK, SETTINGS.layers, SIZE):
        return whole.score(to_image(caches.photo(photo)[None]))


def show(view: StepView) -> None:
    """The chosen photo beside a good one that the bank has not seen, on one range of colours.

    Raises:
        CutSwapError: an unreadable photo.
    """
    category, record = view.selected.category, view.selected.record
    inside = category.train[: view.values["photos"]]
    bank = tuple(photo_key(one) for one in inside)
    shown = [record]
    good = _unseen_good(category, inside)
    if good is not None and good.name != record.name:
        shown.append(good)
    predictions = [scored(bank, photo_key(one)) for one in shown]
    top = max(float(p.heatmaps.max()) for p in predictions)
    for place, (column, one, prediction) in enumerate(
        zip(st.columns(2), shown, predictions, strict=False)
    ):
        with column:
            viewer(
                _heat(one, prediction, top),
                key=f"lesson.bank.{place}",
                memory="lesson.bank",
                group="lesson.bank",
            )
    _nearest(view, bank, inside, predictions[0])


def _unseen_good(category: Category, inside: tuple[Record, ...]) -> Record | None:
    """The first good test photo, else a good one that the bank lacks."""
    names = {one.name for one in inside}
    rest = (*category.test, *category.train[::-1])
    return next((one for one in rest if one.is_good and one.name not in names), None)


def _heat(record: Record, prediction: Prediction, top: float) -> Picture:
    score = float(prediction.scores[0])
    masks = None if record.mask is None else load_masks([record], SIZE)
    return Picture(
        caches.photo(photo_key(record)),
        heat=colourise(prediction.heatmaps[0], 0.0, top),
        mask=None if masks is None else masks[0],
        left=plain(record.name),
        right=f"score {score:.2f}",
        legend=Legend("0", f"{top:.2f}", "distance to the bank; one range for both photos"),
        alt=f"Heatmap of {record.name}, score {score:.2f}",
    )


def plain(name: str) -> str:
    """A photo's name without its folder of the split."""
    return name.removeprefix("test/").removeprefix("train/")


def _nearest(
    view: StepView, bank: tuple[PhotoKey, ...], inside: tuple[Record, ...], prediction: Prediction
) -> None:
    """The hottest patch beside the patch of the bank that is most like it."""
    record = view.selected.record
    found = nearest_normal(caches.photo(photo_key(record)), prediction, small_bank(bank), inside)
    left, right, words = st.columns([1, 1, 3])
    for column, crop, says in (
        (left, found.test, "hottest patch"),
        (right, found.normal, "nearest in the bank"),
    ):
        scale = max(1, _ENLARGED // max(crop.photo.shape[0], 1))
        picture = np.ascontiguousarray(boxed(crop.photo, crop.inner, scale))
        column.image(jpeg(picture), caption=says, alt=f"The {says}, framed")
    words.markdown(
        f"The bank holds **{small_bank(bank).size}** patches of {len(inside)} good"
        f" photo{'s' if len(inside) > 1 else ''}. The hottest patch of"
        f" {plain_text(plain(record.name))} is **{found.distance:.2f}** from the one that is most"
        f" like it, of {plain_text(plain(found.record.name))}."
    )

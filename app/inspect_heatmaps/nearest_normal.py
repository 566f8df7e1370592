"""The most similar normal thing the bank has seen, as two crops side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps.caches import BankKey
from app.inspect_heatmaps.picture import boxed
from app.shared.caches import PhotoKey
from app.shared.page_parts import plain_text
from app.viewer.pictures import jpeg
from cutswap.data.images import photo_size
from cutswap.data.reading import FIT
from cutswap.data.records import Record
from cutswap.data.regions.frame import Frame
from cutswap.patchcore.memory_bank import Prediction
from cutswap.patchcore.nearest_normal import Crop, NearestNormal, Place, patch_at

CROP = 360  # pixels, about as wide as it is shown
_PLACE = "inspect.place"


def compared(
    bank: BankKey,
    record: Record,
    size: int,
    train: Sequence[Record],
    hottest: tuple[int, int] | None = None,
) -> NearestNormal:
    """The patch that was clicked on in this image, or its hottest, and its nearest normal one.

    Args:
        bank: the memory bank.
        record: the photo.
        size: side it was scored at, pixels.
        train: training photos of the bank.
        hottest: row and column of the hottest patch, where the heat is not the bank's alone.

    Raises:
        CutSwapError: see `nearest_normal`.
    """
    key = PhotoKey.of_record(record, size)
    cell = hottest
    kept = st.session_state.get(_PLACE)
    if kept is not None and kept[0] == record.name:
        grid = inspect_caches.prediction(bank, key).distances.shape[1:]
        cell = patch_at(kept[1], (int(grid[0]), int(grid[1])))
    return inspect_caches.nearest(bank, key, train, cell)


def compared_in_tiles(
    bank: BankKey, record: Record, values: np.ndarray, train: Sequence[Record]
) -> tuple[NearestNormal, Place]:
    """The same of a large photo that was cut into tiles.

    Args:
        bank: the memory bank of tiles.
        record: the photo, which keeps its shape.
        values: (S, S) float32, its heat in the square of such photos.
        train: training photos of the bank.

    Returns:
        The two patches, cut out at the photos' own size; and (y, x, height, width) of the test
        patch in the square.

    Raises:
        CutSwapError: see `nearest_in_tiles`.
    """
    size = values.shape[0]
    photo = photo_size(record.image)
    top, left, height, width = Frame(photo, size, FIT).target
    kept = st.session_state.get(_PLACE)
    if kept is not None and kept[0] == record.name:
        y, x = (share * size for share in kept[1])
    else:
        row, column = np.unravel_index(int(values.argmax()), values.shape)
        y, x = float(row) + 0.5, float(column) + 0.5
    scale = photo[0] / height, photo[1] / width
    place = (y - top) * scale[0], (x - left) * scale[1]
    found = inspect_caches.nearest_by_tiles(bank, PhotoKey.of_record(record, size), place, train)
    at_y, at_x, tall, wide = found.test.box
    box = at_y / scale[0] + top, at_x / scale[1] + left, tall / scale[0], wide / scale[1]
    return found, box


def hottest_patch(said: Prediction) -> tuple[int, int]:
    """Row and column of the highest patch score of one photo."""
    scores = said.distances[0]
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return int(row), int(column)


def remember_place(record: Record, place: tuple[float, float]) -> None:
    """Keep a click for the next rerun; it counts for this image only."""
    st.session_state[_PLACE] = (record.name, place)


def section(
    nearest: NearestNormal, record: Record, *, is_heat: bool = True, is_paired: bool = False
) -> None:
    """Both crops and their caption.

    Args:
        nearest: the two.
        record: the photo.
        is_heat: whether their distance is the heat on the screen, and not a part of it at most.
        is_paired: whether a whitened bank stands beside the plain one, whose patch is shown.
    """
    st.subheader("The most similar normal patch", anchor=False)
    kept = st.session_state.get(_PLACE)
    is_clicked = kept is not None and kept[0] == record.name
    left, right, words = st.columns([1, 1, 2])
    with left:
        _crop(
            nearest.test,
            f"{'The place you clicked' if is_clicked else 'Hottest patch'} of {record.name}",
        )
    with right:
        _crop(nearest.normal, f"Nearest normal patch, of {nearest.record.name}")
    heat = "heat" if is_heat else "bank's heat, and not the head's,"
    apart = f"They are **{nearest.distance:.3g}** apart"
    if is_paired:
        apart += " (mean of the plain bank's distance and the whitened one's; shown is the plain)"
    with words:
        st.markdown(
            f"{apart}; that is the {heat} at this place"
            f" before it is smoothed. The normal patch is number {nearest.item + 1} of the bank:"
            f" row {nearest.normal.cell[0] + 1}, column {nearest.normal.cell[1] + 1} of"
            f" {plain_text(nearest.record.name)}."
        )
        st.caption(
            "The frame is the patch, the rest its surroundings; the network sees about that much."
            " Do the two look alike? Then the network calls something unusual that you would"
            " not. Click anywhere in the heatmap to compare another place."
        )
        if is_clicked:
            st.button(
                "Back to the hottest patch",
                on_click=_forget,
                icon=":material/undo:",
                help="The patch that the image's score is about.",
            )


def _crop(crop: Crop, says: str) -> None:
    scale = max(1, CROP // max(crop.photo.shape[0], 1))
    st.image(
        jpeg(boxed(crop.photo, crop.inner, scale)),
        caption=plain_text(says),
        width="stretch",
        alt=f"{says}: row {crop.cell[0] + 1}, column {crop.cell[1] + 1} of the patch grid, framed",
    )


def _forget() -> None:
    st.session_state.pop(_PLACE, None)

"""Where to look: the region of the category, or a first guess of one to correct."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.data.region_keeping import say_written
from app.data.region_painting import painting_section
from app.figures import where_to_look
from app.figures.where_to_look import RegionKey
from app.shared import public
from app.shared.caches import PhotoKey, photo
from app.shared.page_parts import command_line, data_flags, plain_errors
from app.shared.selection import Selection
from app.viewer.pictures import png
from cutswap.analysis.region_proposal import PHOTOS, looked_at, region_of_parts
from cutswap.data.images import photo_size, resize_mask
from cutswap.data.loading import load_photos
from cutswap.data.records import Record
from cutswap.utils.folder_names import REGION

SIDE = 256
_WIDTH = 320
_PROPOSED = "region.proposed"  # session: category key -> (SIDE, SIDE) bool, the last guess


def region(selected: Selection) -> None:
    """The selected category's region.

    Raises:
        CutSwapError: a region that cannot be used, photos without a part on a ground, or a photo
            that cannot be read.
    """
    category = selected.category
    st.subheader("Where to look", anchor=False)
    say_written(selected)
    with plain_errors("where to look"):
        _now(selected)
    if category.layout == "images" or public.is_public():
        return
    with plain_errors("the painted region"):
        painting_section(selected, st.session_state.get(_PROPOSED, {}).get(selected.key))


def _now(selected: Selection) -> None:
    """The region that is there; without one a guess, once it is asked for."""
    category = selected.category
    key = RegionKey.of(category)
    inside = where_to_look.pixels(key, SIDE)
    if category.region is not None and key is not None and inside is not None:
        share = where_to_look.share(key, SIDE)
        _show(category.train[0], inside, f"{share:.0%} of each photo is looked at, by {REGION}")
        st.caption(
            "Dimmed: learnt from nowhere, scored nowhere, and no negative changes it. To look"
            " everywhere, take the file out of the category's folder."
        )
        return
    if category.layout == "images":
        st.caption(
            f"All of every photo is looked at. A folder that holds photos alone has no {REGION};"
            " the command line takes one by --region."
        )
        return
    st.caption(
        "All of every photo is looked at. A picture in the photos' shape, white where to look and"
        f" black elsewhere, saved as {REGION} beside train and test, hides the rest from bank,"
        " scores, figures and negatives."
    )
    if st.button(
        "Propose a region",
        icon=":material/select_all:",
        help=f"From up to {PHOTOS} good photos: where they differ from an even ground.",
    ):
        _propose(selected)
    command_line(["region", *data_flags(selected.dataset.root, category.name)])


def _propose(selected: Selection) -> None:
    records = looked_at(selected.category.train)
    with st.spinner("Looking for the part"):
        inside = region_of_parts(load_photos(records, SIDE))
    st.session_state.setdefault(_PROPOSED, {})[selected.key] = inside
    _show(records[0], inside, f"{inside.mean():.0%} of each photo, from {len(records)} good photos")
    whole = resize_mask(inside, photo_size(records[0].image))
    st.download_button(
        f"Download {REGION}",
        png(whole),
        REGION,
        "image/png",
        icon=":material/download:",
        on_click="ignore",
        help="Correct it in any painting program.",
    )
    if not public.is_public():
        st.caption("To correct it here and to use it, paint it below.")


def _show(record: Record, inside: np.ndarray, caption: str) -> None:
    picture = photo(PhotoKey.of_record(record, SIDE))
    st.image(
        where_to_look.shown(picture, inside),
        width=_WIDTH,
        output_format="JPEG",
        alt=f"{record.name} with what is hidden dimmed",
    )
    st.markdown(caption)

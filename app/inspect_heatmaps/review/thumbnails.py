"""Small pictures of scored photos, made for the page shown and kept in the bounded memory."""

from __future__ import annotations

from app.inspect_heatmaps.review.reviewed import Reviewed
from app.shared.caches import PhotoKey
from app.shared.picture_memory import MEMORY
from app.viewer.pictures import jpeg
from cutswap.data.images import read_photo
from cutswap.data.regions.frame import framed_photo
from cutswap.errors import CutSwapError
from cutswap.evaluation.photo_strips import photo_strip

SIDE = 128  # pixels; three beside each other are as wide as a tile


def thumbnail(reviewed: Reviewed, place: int) -> bytes | None:
    """A strip of photo, heat and truth as JPEG; None of a photo that is gone or cannot be read.

    Args:
        reviewed: the photos.
        place: number of the photo.
    """
    if reviewed.records is None:
        return None
    record = reviewed.records[place]
    key = PhotoKey.of_record(record, SIDE)

    def made() -> bytes:
        # Not by caches.photo: it would be kept twice, and pages of these push others out.
        photo = framed_photo(read_photo(key.path, key.bits), SIDE, key.resize)
        mask = None if reviewed.masks is None else reviewed.masks[place]
        values, span, usual = reviewed.values(place), reviewed.span, reviewed.usual
        return jpeg(photo_strip(photo, values, span, usual, mask, reviewed.region))

    try:
        return MEMORY.get(("thumbnail", *reviewed.source, reviewed.masks is None, key), made)
    except CutSwapError:  # the viewer says what is wrong once it is chosen
        return None

"""A photo of one's own on Inspect: dropped or taken by the camera, scored at once, kept nowhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import streamlit as st

from app.inspect_heatmaps.caches import BankKey, usual_heat
from app.inspect_heatmaps.painting.judges import ALONE, JudgeKey, judged
from app.inspect_heatmaps.picture import Heat, picture, sharp_side
from app.shared import public
from app.shared.page_parts import plain_text, show_error
from app.uploads.photos import MAX_FILE_BYTES, UnusableError, Upload, decoded
from app.uploads.store import UNLABELLED
from app.viewer.viewer import viewer
from cutswap.config import PADIM
from cutswap.data.images import IMAGE_SUFFIXES
from cutswap.data.records import Record
from cutswap.data.regions.frame import framed_photo
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.utils.folder_names import DETECTOR

_FILE, _CAMERA = "own.file", "own.camera"


def section(scored: ScoredSet, score: str | None, threshold: float) -> None:
    """Two ways to bring a photo, and what the evaluation's detector says of it.

    Args:
        scored: the evaluation.
        score: whose, of bank and head; None: there is a bank alone.
        threshold: scores at or above it are called defective.
    """
    st.subheader("A photo of your own", anchor=False)
    if public.is_public():
        st.caption("Off in the public demo: it is scored where the app is your own.")
        return
    if scored.is_tiled:
        st.caption(
            "This evaluation cuts photos into tiles: score yours with cutswap score FOLDER"
            " --detector."
        )
        return
    st.caption(
        f"Scored by this detector of {plain_text(scored.summary['category'])} at the threshold"
        " above, and kept nowhere."
    )
    file = st.file_uploader(
        "Drop a photo here",
        [suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES],
        max_upload_size=MAX_FILE_BYTES // 10**6,
        key=_FILE,
        help="Taken as the good photos were: what a detector has not learnt is strange to it.",
    )
    with st.popover("Camera", icon=":material/photo_camera:"):
        st.caption("The browser asks for the camera; it gives it only on this machine or by https.")
        taken = st.camera_input("Take a photo", key=_CAMERA)
    if file is not None and taken is not None:
        st.caption("The camera's photo is shown; clear it there to see the file's.")
    photo = taken or file
    if photo is None:
        return
    upload = Upload("the camera's photo" if taken else photo.name, photo.getvalue())
    try:
        with st.spinner("Scoring"):
            shown, values, value = _said(scored, score, upload)
    except UnusableError as error:
        st.error(f"{plain_text(upload.name)}: {error}.")
        return
    except CutSwapError as error:
        show_error(error)
        return
    _draw(scored, shown, values, value, threshold, upload)


def _said(
    scored: ScoredSet, score: str | None, upload: Upload
) -> tuple[np.ndarray, np.ndarray, float]:
    """The photo as it is shown, its heat (S, S) float32 and its score.

    Raises:
        UnusableError: no photo.
        CutSwapError: a missing or damaged detector.
    """
    reading = scored.summary["data"].get("reading", {})
    photo, _ = decoded(upload, upload.name, MAX_FILE_BYTES, reading.get("bits"))
    square = framed_photo(photo, scored.size, scored.resize)
    sharp = framed_photo(photo, sharp_side(scored.size), scored.resize)
    if score is not None:
        key = JudgeKey(BankKey.of(scored.folder / DETECTOR), score)
    else:
        kind = PADIM if scored.is_padim else ALONE
        key = JudgeKey(BankKey.of(scored.bank_file), kind)
    ((values, value),) = judged([key], square)
    return sharp, values, value


def _draw(
    scored: ScoredSet,
    photo: np.ndarray,
    values: np.ndarray,
    value: float,
    threshold: float,
    upload: Upload,
) -> None:
    is_bad = value >= threshold
    word = "defective" if is_bad else "good"
    name = plain_text(upload.name)
    text = f"**{name}: {word}.** Score {value:.4g}, the threshold is {threshold:.4g}."
    (st.error if is_bad else st.success)(
        text, icon=":material/report:" if is_bad else ":material/check_circle:"
    )
    heat = Heat(
        Record(Path(upload.name), "own", UNLABELLED),
        values,
        value,
        None,
        scored.range,
        "one range with the test images",
        usual=usual_heat(scored),
        region=scored.region,
    )
    left, _ = st.columns([3, 2])
    with left:
        viewer(
            picture(heat, sharp=photo, verdict=f"called {word}"),
            key=f"own.{hashlib.sha256(upload.data).hexdigest()[:16]}",
            memory="own",
        )

"""Own pictures: stored for this session alone, checked one by one, selectable at once."""

from __future__ import annotations

import uuid

import streamlit as st

from app.data import disk as data_cache
from app.data import tab_memory
from app.data.check import forget
from app.data.tab_memory import REPORT, SESSION
from app.data.upload_end import hold
from app.shared import public, workspace
from app.shared.page_parts import go_to, plain_text, show_error
from app.shared.selection import select
from app.uploads.photos import MAX_FILE_BYTES, Upload
from app.uploads.store import (
    MAX_FILES,
    MAX_TOTAL_BYTES,
    PARTS,
    Limits,
    Uploaded,
    remove_uploads,
    store_images,
    store_parts,
    sweep_uploads,
)
from cutswap.data.reading import CAMERA_BITS, unused_bits
from cutswap.errors import CutSwapError

TYPES = ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"]
_ROUND = "upload.round"  # session: counts the uploads; new fields are empty
_THUMBNAIL, _SHOWN = 112, 12


@st.cache_resource(ttl=3600, show_spinner=False)
def sweep() -> int:
    """Once an hour, delete what sessions left behind a day ago."""
    return sweep_uploads()


def uploads() -> None:
    """Two fields, the button, and what became of the files."""
    sweep()
    limits = _limits() or Limits(MAX_FILES, MAX_TOTAL_BYTES, MAX_FILE_BYTES)
    st.subheader("Your own pictures", anchor=False)
    st.caption(
        "For this tab only, kept on the machine that runs the app; a reload keeps them. Deleted"
        " minutes after the tab is closed, at the latest after a day. Up to"
        f" {limits.files} files of {limits.file_bytes // 10**6} MB and {limits.pixels // 10**6}"
        " million pixels; phone photos are turned upright, and only the pixels are kept."
    )
    number = st.session_state.get(_ROUND, 0)
    left, right = st.columns(2)
    with left:
        photos = st.file_uploader(
            "Photos to look at",
            TYPES,
            accept_multiple_files=True,
            max_upload_size=limits.file_bytes // 10**6,
            key=f"upload.photos.{number}",
            help="One is enough for Saliency and Negatives. Nothing is assumed about whether they"
            " show a defect.",
        )
    with right:
        normals = st.file_uploader(
            "Good parts to learn from",
            TYPES,
            accept_multiple_files=True,
            max_upload_size=limits.file_bytes // 10**6,
            key=f"upload.normals.{number}",
            help="Ten to fifty photos of flawless parts, taken alike."
            + (
                ""
                if public.is_public()
                else " With these, Train can learn your part and Inspect can score the photos on"
                " the left."
            ),
        )
    bits = st.selectbox(
        "Grey photos of more than 8 bits",
        (None, *CAMERA_BITS),
        key="upload.bits",
        format_func=lambda b: "use all bits of the file" if b is None else f"use {b} bits",
        help="A camera of 12 bits writes files of 16; read as 16 its photos are nearly black.",
        width=300,
    )
    if st.button(
        "Use these pictures",
        type="primary",
        icon=":material/upload:",
        disabled=not (photos or normals),
        help="They become a category in the sidebar.",
    ):
        _store(list(photos), list(normals), bits)
    _report()


def hold_own() -> None:
    """In every rerun of any page: this session's pictures go when its tab does."""
    if session := st.session_state.get(SESSION):
        hold(session)


def _limits() -> Limits | None:
    """Smaller ones in public mode, else the library's."""
    return public.LIMITS if public.is_public() else None


def _store(photos: list[object], normals: list[object], bits: int | None) -> None:
    """Check and keep the files, then choose the new category."""
    session = st.session_state.setdefault(SESSION, uuid.uuid4().hex)
    tests, goods = _read(photos), _read(normals)
    bar = st.progress(0.0, "Looking at the pictures")

    def tick(done: int, total: int) -> None:
        bar.progress(done / total, f"Looking at the pictures: {done} of {total}")

    try:
        if goods:
            done = store_parts(session, goods, tests, progress=tick, limits=_limits(), bits=bits)
        else:
            done = store_images(session, tests, progress=tick, limits=_limits(), bits=bits)
    except CutSwapError as error:
        bar.empty()
        show_error(error)
        return
    bar.empty()
    st.session_state[REPORT] = done
    if done.root is None:
        return
    st.session_state[workspace.UPLOAD_ROOT] = str(done.root)
    data_cache.sizes.clear()
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1  # empty fields
    workspace.dataset_of.clear()
    forget(_key(done))
    st.rerun()


def _read(files: list[object]) -> list[Upload]:
    return [Upload(f.name, f.getvalue()) for f in files]  # type: ignore[attr-defined]


def _report() -> None:
    """What the last upload came to; stays until the next or until it is deleted."""
    done: Uploaded | None = st.session_state.get(REPORT)
    if done is None:
        return
    if done.root is None:
        st.error("None of these pictures could be used; what was there before is still there.")
    elif done.root.is_dir():
        _kept(done)
    else:
        st.info("Your pictures were deleted. Upload them again to go on.", icon=":material/info:")
    if done.refused:
        with st.expander(f"{len(done.refused)} refused", icon=":material/warning:", expanded=True):
            for refused in done.refused:
                st.text(f"{refused.name}: {refused.reason}.")


def _kept(done: Uploaded) -> None:
    good = sum(k.file.startswith("train/") for k in done.kept)
    said = (
        f"good parts: {good}; photos to look at: {len(done.kept) - good}"
        if done.root is not None and done.root.name == PARTS
        else f"photos: {len(done.kept)}"
    )
    if (unused := unused_bits(done.top)) is not None:
        used, camera = unused
        st.warning(
            f"The grey photos of 16 bits use {used} of them and are nearly black. If your camera"
            f" gives {camera} bits, choose **use {camera} bits** above and upload them again.",
            icon=":material/exposure:",
        )
    st.success(f"Kept as the category **My uploads**; {said}.", icon=":material/check:")
    shown = done.kept[:_SHOWN]
    root = done.root
    assert root is not None  # noqa: S101 - for the type checker
    try:
        # They load torch, and the Start page, which only looks whether there are uploads, waits.
        from app.shared import caches
        from app.shared.caches import PhotoKey

        pictures = [caches.photo(PhotoKey.of(root / k.file, _THUMBNAIL)) for k in shown]
        st.image(
            pictures,
            caption=[plain_text(k.name) for k in shown],
            width=_THUMBNAIL,
            output_format="JPEG",
            alt=[f"Your photo {k.name}" for k in shown],
        )
    except CutSwapError as error:
        show_error(error)
    if len(done.kept) > _SHOWN:
        st.caption(f"And {len(done.kept) - _SHOWN} more. Shown squashed, as a network sees them.")
    first, second, third, fourth = st.columns(4)
    pages = st.session_state["pages"]
    for column, name, title in (
        (first, "saliency", "See their saliency"),
        (second, "negatives", "Make negatives"),
        (third, "inspect_heatmaps", "Score them"),
    ):
        can_score = root.name == PARTS and not public.is_public()
        if name not in pages or (name == "inspect_heatmaps" and not can_score):
            continue
        if column.button(
            title,
            key=f"upload.{name}",
            on_click=select,
            kwargs={"category": _key(done)},
            width="stretch",
            help="Chooses the category My uploads and opens the page.",
        ):
            go_to(name)
    fourth.button(
        "Delete my pictures",
        on_click=_delete,
        icon=":material/delete:",
        width="stretch",
        help="From the machine that runs the app, now.",
    )


def _key(done: Uploaded) -> str:
    return f"{workspace.UPLOAD}/{done.root.name if done.root else ''}"


def _delete() -> None:
    if session := st.session_state.get(SESSION):
        remove_uploads(session)
        data_cache.sizes.clear()
    tab_memory.forget()
    for name in (workspace.UPLOAD_ROOT, REPORT):
        st.session_state.pop(name, None)

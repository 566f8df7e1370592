"""Keeping a region that was painted or uploaded: as a download, or in the category's folder."""

from __future__ import annotations

import os

import numpy as np
import streamlit as st

from app.shared import public, workspace
from app.shared.page_parts import plain_text
from app.shared.selection import Selection
from app.viewer.pictures import png
from cutswap.data.regions.region_of_interest import checked_region
from cutswap.data.regions.written_region import region_file_mark, write_region
from cutswap.errors import CutSwapError
from cutswap.utils.folder_names import REGION

_OURS = "region.ours"  # session: category key -> SHA-256 of the file this session wrote there
_SAID = "region.said"  # session: category key whose region has just been written


def why_not(selected: Selection) -> str:
    """Why the app may not write into the category's folder; empty where it may."""
    root = selected.category.root
    if public.is_public():
        return "The public demo writes into no folder."
    if selected.source.key == workspace.DEMO:
        return (
            "The demo set is rendered anew whenever it changes, so no region is kept in it; the"
            " command line takes the download by --region."
        )
    if not workspace.is_allowed(root):
        return f"The folder lies outside those that {workspace.VARIABLE} names."
    if not os.access(root, os.W_OK):
        return f"The app may not write into {plain_text(str(root))}; put the download there."
    return ""


def write(selected: Selection, mask: np.ndarray, over: str | None) -> None:
    """Write it into the category's folder.

    Args:
        selected: whose category.
        mask: (H, W) bool in the photos' shape, True where to look.
        over: see `write_region`.

    Raises:
        CutSwapError: a folder that may not be written into; see `write_region`.
    """
    if why := why_not(selected):
        raise CutSwapError(
            REGION,
            expected="a folder that the app may write into",
            found=why,
            fix="download it instead",
        )
    write_region(selected.category, mask, over)
    ours = st.session_state.setdefault(_OURS, {})
    ours[selected.key] = region_file_mark(selected.category)
    st.session_state[_SAID] = selected.key


def keeping(selected: Selection, mask: np.ndarray) -> None:
    """Share, download, and the button that puts it into the folder.

    Args:
        selected: whose category.
        mask: (H, W) bool in the photos' shape, True where to look.

    Raises:
        CutSwapError: a mask that no region may be, or see `write`.
    """
    checked_region(mask, selected.category)
    st.markdown(f"**{mask.mean():.0%}** of each photo is looked at.")
    why, over = why_not(selected), None
    if not why:
        over = region_file_mark(selected.category)
    is_known = over is None or over == st.session_state.get(_OURS, {}).get(selected.key)
    if not why and not is_known:
        is_known = st.checkbox(
            f"Replace the {REGION} that is there",
            key=f"region.replace.{over}",
            help="It was not painted in this tab. Download it first if it is to be kept.",
        )
    row = st.container(horizontal=True)
    if not why and row.button(
        "Use this region",
        type="primary",
        icon=":material/save:",
        disabled=not is_known,
        help=f"Writes {REGION} into the category's folder. Bank, scores, figures and negatives"
        " follow it from then on; evaluations and trainings made before looked elsewhere.",
    ):
        write(selected, mask, over)
        st.rerun()
    row.download_button(
        f"Download {REGION}",
        png(mask),
        REGION,
        "image/png",
        icon=":material/download:",
        on_click="ignore",
        key="region.download",
    )
    if why:
        st.caption(f":material/lock: {why}")


def say_written(selected: Selection) -> None:
    """Once, after a region was written."""
    if st.session_state.get(_SAID) == selected.key:
        del st.session_state[_SAID]
        place = plain_text(str(selected.category.root / REGION))
        st.success(f"Written: {place}", icon=":material/check:")

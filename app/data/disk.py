"""What the app keeps on disk: how much, what for, and a button that clears it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.shared import public, workspace
from app.shared.page_parts import plain_text
from cutswap.data.demo.render import DEMO_CATEGORIES
from cutswap.utils.files import cache_folder


@dataclass(frozen=True)
class CacheKind:
    """One kind of thing in the cache folder.

    Attributes:
        name: as people call it.
        patterns: its folders below the cache folder.
        about: what it is for, and what clearing it costs.
    """

    name: str
    patterns: tuple[str, ...]
    about: str


DEMO = CacheKind("Demo pictures", ("demo-v*",), "rendered anew at once: about ten seconds")
KINDS = (
    CacheKind("Saliency maps", ("saliency",), "made anew when needed: a quarter second a photo"),
    CacheKind("Evaluations of Inspect", ("evaluations", "unlabelled"), "made anew when looked at"),
    DEMO,
    CacheKind(
        "Uploads",
        ("uploads",),
        "your pictures, and those of every other open tab: they cannot be made again",
    ),
)


@st.cache_data(ttl=20, show_spinner=False)
def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """(bytes, files) of every kind, by name.

    Args:
        folder: the cache folder; an argument so that another one is another entry.
    """
    by_kind = {}
    for kind in KINDS:
        parts = [_size(path) for path in places(folder, kind)]
        by_kind[kind.name] = sum(size for size, _ in parts), sum(files for _, files in parts)
    return by_kind


def places(folder: Path, kind: CacheKind) -> list[Path]:
    """The kind's folders that are there; links are not among them."""
    paths = [path for pattern in kind.patterns for path in sorted(folder.glob(pattern))]
    return [path for path in paths if path.is_dir() and not path.is_symlink()]


def clear(kind: CacheKind) -> None:
    """Delete a kind, as far as the system lets us.

    Raises:
        CutSwapError: the mode is public.
    """
    public.need_private("clearing the cache")
    for path in places(cache_folder(), kind):
        shutil.rmtree(path, ignore_errors=True)
    sizes.clear()
    workspace.dataset_of.clear()
    if kind == DEMO:
        make_demo_again()
    st.toast(f"{kind.name} cleared.", icon=":material/delete:")


def make_demo_again() -> None:
    """Render the demo set anew, in its thread; whole sets are left as they are."""
    rendering = workspace.demo_rendering()
    rendering.root = None
    rendering.start()


def demo() -> None:
    """State of the demo set, with its picture counts and the way to a new one."""
    st.subheader("Demo pictures", anchor=False)
    rendering = workspace.demo_rendering()
    if rendering.error is not None:
        st.warning(
            f"The demo could not be made: {plain_text(rendering.error.found)}."
            f" {plain_text(rendering.error.fix)}.",
            icon=":material/warning:",
        )
    elif rendering.root is None:
        share = rendering.done / rendering.total if rendering.total else 0.0
        st.progress(min(1.0, share), f"Rendering: {rendering.done} of {rendering.total or '?'}")
    else:
        st.markdown(
            f":material/check_circle: {len(DEMO_CATEGORIES)} rendered categories with exact masks:"
            f" {', '.join(DEMO_CATEGORIES)}. They are here so that every page works at once,"
            " offline; they are no benchmark."
        )
    st.button(
        "Make the demo again",
        on_click=_again,
        icon=":material/refresh:",
        help="Deletes and renders it: the same pictures, bit for bit on one machine.",
    )


def _again() -> None:
    clear(DEMO)


def cache() -> None:
    """Sizes and buttons."""
    folder = cache_folder()
    st.subheader("Kept on disk", anchor=False)
    st.caption(f"In {plain_text(str(folder))}; the variable CUTSWAP_CACHE names another place.")
    by_kind = sizes(folder)
    for kind in KINDS:
        size, files = by_kind[kind.name]
        name, about, button = st.columns([3, 4, 2], vertical_alignment="center")
        noun = "file" if files == 1 else "files"
        name.markdown(f"**{kind.name}**  \n{megabytes(size)} in {files:,} {noun}")
        about.caption(kind.about)
        with button.popover("Clear", disabled=not files, width="stretch"):
            st.markdown(f"Delete {megabytes(size)}?")
            st.button(
                "Delete",
                key=f"clear.{kind.name}",
                on_click=clear,
                args=(kind,),
                type="primary",
                help=f"{kind.about}.",
            )
    runs = workspace.runs_folder()
    st.caption(
        f"Runs and evaluations that you made lie in {plain_text(str(runs))} and are never cleared"
        " from here."
    )


def megabytes(size: int) -> str:
    """`0 MB`, `3.2 MB`, `1.4 GB`."""
    if size < 10**9:
        return f"{size / 1e6:.1f} MB" if size else "0 MB"
    return f"{size / 1e9:.1f} GB"


def _size(folder: Path) -> tuple[int, int]:
    """(bytes, files) below a folder; what vanishes meanwhile does not count."""
    size = files = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += (Path(parent) / name).lstat().st_size
                files += 1
            except OSError:
                continue
    return size, files

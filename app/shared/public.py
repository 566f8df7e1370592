"""CUTSWAP_PUBLIC=1: a demo for strangers, with the demo set and their own uploads and no more.

Nothing that names a path, starts a process, or changes what others see is there. The guards are
in the functions that act; the pages only say so.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence

import streamlit as st

from app.browser.lesson_link import is_presented
from app.uploads.store import Limits
from cutswap.errors import CutSwapError

VARIABLE = "CUTSWAP_PUBLIC"
LIMITS = Limits(
    files=20,
    total_bytes=40_000_000,
    file_bytes=5_000_000,
    pixels=25_000_000,
    total_pixels=200_000_000,  # four seconds of decoding
    kept_bytes=100_000_000,
    all_kept_bytes=1_000_000_000,
)
ALL_UPLOADS = 400_000_000  # bytes in memory, of all visitors at once: ten full sessions
MOST_WAITING = 4  # evaluations at work or in line, of all visitors
LARGEST, MOST_KEPT = 256, 0.1  # image side, and of an evaluation the share of patches in the bank
MOST_LAYERS = 8  # of one set of maps; the default is five
NETWORKS = ("vgg16", "resnet18")  # those whose weights ship with the app
LEFT = 10.0  # seconds without a look after which nobody waits for an evaluation any more
_turn = threading.Lock()
NOTES = {
    "start": "the rendered demo and your own uploads; no folders, no training.",
    "saliency": "the demo and your uploads, with weights that ship with the app, up to 256 pixels.",
    "negatives": "the demo and your uploads, with weights that ship with the app, up to 256 pixels;"
    " how good the negatives are is not measured.",
    "train": "training, the queue, renaming and deleting runs are off.",
    "inspect_heatmaps": "only the demo's categories are scored, and can be painted on; uploads and"
    " runs are not. Good photos are not held out, and feedback is off.",
    "features": "there are no runs to look into.",
    "results": "evaluating is off; the paper's own numbers can be read.",
    "study": "studies are neither shown nor begun.",
    "data": "no folders; small uploads, for this session only.",
    "spot": "all of it works; your answers are in this tab alone.",
    "stages": "the demo and your uploads, with weights that ship with the app, up to 256 pixels.",
    "lesson": "all seven steps work, with the demo and your uploads.",
}

CLOSED = ("train", "features", "study")  # pages on which nothing can be done


def is_public() -> bool:
    """Whether the variable says so: anything but empty and 0."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def offered(weights: Iterable[str]) -> tuple[str, ...]:
    """Of some weights those that may be chosen: a stranger's click must not start a download."""
    return tuple(w for w in weights if w != "imagenet" or not is_public())


def small(sizes: Sequence[int]) -> tuple[int, ...]:
    """Of some image sides those that may be chosen."""
    return tuple(size for size in sizes if size <= LARGEST or not is_public())


def shares(kept: Sequence[float]) -> tuple[float, ...]:
    """Of some shares of patches in the bank those that may be chosen."""
    return tuple(share for share in kept if share <= MOST_KEPT or not is_public())


def networks(names: Iterable[str]) -> tuple[str, ...]:
    """Of some networks those that may be chosen."""
    return tuple(name for name in names if name in NETWORKS or not is_public())


@contextlib.contextmanager
def turn(backbone: str, layers: Sequence[str], size: int) -> Iterator[None]:
    """In public mode one visitor's maps at a time, and small ones; else nothing.

    With a wide_resnet50_2, 512 pixels and all layers, eight sessions took 7.5 GB.

    Args:
        backbone: the network that is asked.
        layers: whose maps are wanted.
        size: image side, pixels.

    Raises:
        CutSwapError: the mode is public, and they are large.
    """
    if not is_public():
        yield
        return
    if backbone not in NETWORKS or len(layers) > MOST_LAYERS or size > LARGEST:
        raise CutSwapError(
            "the public demo",
            expected=f"{' or '.join(NETWORKS)}, at most {MOST_LAYERS} layers and {LARGEST} pixels",
            found=f"{backbone}, {len(layers)} layers, {size} pixels",
            fix="choose smaller ones, or run the app yourself: cutswap app",
        )
    with _turn:
        yield


def notice(page: str) -> None:
    """One line on features that public mode turns off on this page.

    Args:
        page: its name, a key of `NOTES`.
    """
    if is_public() and not is_presented():
        st.caption(f":material/public: Public demo: {NOTES[page]}")


def need_private(what: str) -> None:
    """Refuse in public mode.

    Args:
        what: in a few words.

    Raises:
        CutSwapError: the mode is public.
    """
    if is_public():
        raise CutSwapError(
            what,
            expected="an app of one's own",
            found="the public demo",
            fix="run the app yourself: cutswap app",
        )

"""What the app may read: the demo set, the folders the user has named, this session's uploads.

A category's key is `<source>/<category>`, for example `demo/hex_nut`. The URL carries its label,
`hex_nut · Demo`, never a path. Folders are named in the variable CUTSWAP_DATA or added on the Data
page, which remembers them in the cache folder, so that a link opened in another tab still works.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.shared import public
from cutswap.data.datasets import Dataset, open_dataset
from cutswap.data.demo.render import DEMO_CATEGORIES, demo_root
from cutswap.errors import CutSwapError
from cutswap.runs.find import runs_folder as runs_folder  # pages ask one module where things are
from cutswap.utils.files import cache_folder, read_json, user_path, write_json

VARIABLE = "CUTSWAP_ROOTS"


UPLOAD = "upload"
UPLOAD_LABEL = "My uploads"
UPLOAD_ROOT = "upload_root"  # session: folder of this session's uploads
DEMO = "demo"
_MEMORY = "app.json"
_writing = threading.Lock()


@dataclass(frozen=True)
class Source:
    """A data set the app may read.

    Attributes:
        key: short and unique, for URLs.
        root: its folder.
        label: what people call it.
    """

    key: str
    root: Path
    label: str


@dataclass
class DemoRendering:
    """Rendering of the demo set by a thread, once a process, so that no page waits for it.

    Attributes:
        done: pictures made.
        total: pictures wanted; 0 until known.
        root: its folder once it is whole.
        error: why it could not be made.
    """

    done: int = 0
    total: int = 0
    root: Path | None = None
    error: CutSwapError | None = None
    thread: threading.Thread | None = None

    def start(self) -> None:
        """Render in a new thread; a second call while it runs does nothing."""
        if self.thread is not None and self.thread.is_alive():
            return
        self.error = None
        self.thread = threading.Thread(target=self._render, daemon=True, name="demo rendering")
        self.thread.start()

    def wait(self, seconds: float) -> Path | None:
        """Its folder, or None when it takes longer."""
        if self.root is not None and not self.root.is_dir():  # somebody cleared the cache
            self.root = None
            self.start()
        if self.root is None and self.thread is not None:
            self.thread.join(seconds)
        return self.root

    def _render(self) -> None:
        try:
            self.root = demo_root(progress=self._count)
        except CutSwapError as error:
            self.error = error

    def _count(self, done: int, total: int) -> None:
        self.done, self.total = done, total


@st.cache_resource(show_spinner=False)
def demo_rendering() -> DemoRendering:
    """The process's demo set, started at the first call."""
    rendering = DemoRendering()
    rendering.start()
    return rendering


def folders() -> tuple[Path, ...]:
    """Data folders the user has named, in that order; those that are gone stay listed.

    None in public mode, and none outside the allowed roots (`roots`).
    """
    if public.is_public():
        return ()
    named = [Path(p) for p in os.environ.get("CUTSWAP_DATA", "").split(os.pathsep) if p]
    full = dict.fromkeys(user_path(p).absolute() for p in [*named, *_remembered()])
    return tuple(path for path in full if is_allowed(path))


def add_folder(path: Path) -> Dataset:
    """Remember a data folder, having looked at it.

    Raises:
        CutSwapError: it is not a data set, outside the allowed roots, or the mode is public.
    """
    public.need_private("data folders")
    dataset = open_dataset(need_allowed(path))
    with _writing:
        kept = [str(p) for p in _remembered() if p != dataset.root]
        write_json(cache_folder() / _MEMORY, {"folders": [*kept, str(dataset.root)]})
    return dataset


def remove_folder(path: Path) -> None:
    """Forget a data folder; nothing on disk is touched."""
    public.need_private("data folders")
    with _writing:
        kept = [str(p) for p in _remembered() if p != path]
        write_json(cache_folder() / _MEMORY, {"folders": kept})


def is_removable(path: Path) -> bool:
    """Whether the app remembers this folder itself, rather than having it from CUTSWAP_DATA."""
    return path in _remembered()


def sources() -> tuple[Source, ...]:
    """Every data set of this session: uploads first, then folders, then the demo."""
    known: list[Source] = []
    upload = st.session_state.get(UPLOAD_ROOT)
    if upload and Path(upload).is_dir():
        known.append(Source(UPLOAD, Path(upload), UPLOAD_LABEL))
    taken = {UPLOAD, DEMO}
    for folder in folders():
        key, number = _safe(folder.name), 2
        while key in taken:
            key, number = f"{_safe(folder.name)}-{number}", number + 1
        taken.add(key)
        known.append(Source(key, folder, folder.name))
    root = demo_rendering().root
    if root is not None:
        known.append(Source(DEMO, root, "Demo"))
    return tuple(known)


@st.cache_resource(ttl=20, max_entries=64, show_spinner=False)
def dataset_of(root: Path) -> Dataset:
    """The data set of a folder, looked at again after 20 seconds.

    Raises:
        CutSwapError: it is not one, or no longer.
    """
    return open_dataset(root)


def category_keys() -> dict[str, tuple[Source, str]]:
    """Every selectable category: key to (source, category name); unreadable folders are left out.

    The demo's four are listed even while they are being rendered.
    """
    keys: dict[str, tuple[Source, str]] = {}
    known = sources()
    for source in known:
        try:
            names = dataset_of(source.root).categories
        except CutSwapError:  # the Data page says why
            continue
        keys |= {f"{source.key}/{name}": (source, name) for name in names}
    # What `sources` has seen counts: the rendering may end at any moment.
    if not any(source.key == DEMO for source in known) and demo_rendering().error is None:
        waiting = Source(DEMO, Path(), "Demo")
        keys |= {f"{DEMO}/{name}": (waiting, name) for name in DEMO_CATEGORIES}
    return keys


def _remembered() -> list[Path]:
    try:
        values = read_json(cache_folder() / _MEMORY)
        return [Path(p) for p in values["folders"] if isinstance(p, str)]
    except (CutSwapError, LookupError, TypeError):  # none yet, or damaged: then named again
        return []


def _safe(name: str) -> str:
    """A folder name as part of a URL key; `/` separates source and category."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    return kept or "data"


def allowed_roots() -> tuple[Path, ...] | None:
    """The folders, or None where there is no limit."""
    text = os.environ.get(VARIABLE, "")
    return tuple(user_path(p).absolute() for p in text.split(os.pathsep) if p) or None


def is_allowed(path: Path) -> bool:
    """Whether a path, with its links resolved, lies in one of them."""
    roots = allowed_roots()
    return roots is None or any(is_inside(path, root) for root in roots)


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path is a folder or lies in it, links of both followed."""
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):  # a NUL, a name too long
        return False
    return Path(real).is_relative_to(os.path.realpath(root))


def need_allowed(path: Path) -> Path:
    """The path itself.

    Raises:
        CutSwapError: it lies, or its links lead, outside the allowed roots.
    """
    try:
        full = path.expanduser()
    except RuntimeError:  # ~name of nobody here
        full = path
    if not is_allowed(full):
        raise CutSwapError(
            path.name or "the folder",
            expected=f"a folder in one of those that {VARIABLE} names",
            found="one outside",
            fix="choose another, or let whoever runs the app add it",
        )
    return path

"""Data folders on the Data page: a field that is checked live, and the folders the app knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.shared import public, workspace
from app.shared.page_parts import plain_text, show_error
from app.shared.workspace import need_allowed
from cutswap.data.datasets import open_dataset
from cutswap.data.records import Problem
from cutswap.data.unused import unused_beside
from cutswap.errors import CutSwapError
from cutswap.utils.files import open_own

LAYOUTS = {
    "mvtec": "MVTec AD layout",
    "visa": "VisA as published",
    "category": "one category",
    "images": "photos without labels",
}
FIELD = "data.folder"
_LICENCES = ("license", "licence", "readme", "copying")
_BESIDE = 20  # problems beside the categories that are shown
_SHOWN = 3000  # bytes of a licence text


@dataclass(frozen=True)
class Count:
    """One category in numbers.

    Attributes:
        category: its name.
        train: good photos to learn from.
        good: good test photos.
        defective: other test photos.
        types: types of defect.
        without_mask: defective photos without a mask.
        noticed: what is odd, or why it cannot be used.
    """

    category: str
    train: int = 0
    good: int = 0
    defective: int = 0
    types: int = 0
    without_mask: int = 0
    noticed: str = ""

    def line(self) -> dict[str, str | int]:
        """One line of the table."""
        masks = "–" if not self.defective else str(self.without_mask or "none")
        return {
            "category": self.category,
            "good to learn from": self.train,
            "good to test": self.good,
            "defective": self.defective,
            "types": self.types,
            "missing masks": masks,
            "notes": self.noticed,
        }


@st.cache_data(ttl=60, max_entries=32, show_spinner="Counting photos")
def counts(root: Path) -> list[Count]:
    """Every category of a data set; one that cannot be listed says why and hides no other.

    Raises:
        CutSwapError: it is no data set.
    """
    dataset = open_dataset(root)
    rows = []
    for name in dataset.categories:
        try:
            category = dataset.category(name)
        except CutSwapError as error:
            rows.append(Count(name, noticed=f"{error.found} instead of {error.expected}"))
            continue
        good = sum(r.is_good for r in category.test)
        bare = sum(r.mask is None and not r.is_good for r in category.test)
        kinds = sorted({p.kind for p in category.noticed})
        rows.append(
            Count(
                category=name,
                train=len(category.train),
                good=good,
                defective=len(category.test) - good,
                types=len(category.defects),
                without_mask=bare,
                noticed=", ".join(kinds),
            )
        )
    return rows


@st.cache_data(ttl=60, max_entries=32, show_spinner=False)
def around(root: Path) -> list[Problem]:
    """What lies in a data set's folder and belongs to no category.

    Raises:
        CutSwapError: it is no data set.
    """
    dataset = open_dataset(root)
    return [*dataset.noticed, *unused_beside(dataset)]


def folders() -> None:
    """The field, and every folder that is known; nothing in public mode."""
    if public.is_public():
        return
    st.subheader("Folders", anchor=False)
    text = st.text_input(
        "Data folder",
        key=FIELD,
        placeholder="/data/mvtec",
        persist_state="session",
        help="The folder of MVTec AD or VisA, of one category, or of photos, on the machine that"
        " runs this app. It is looked at as soon as you press Enter; nothing is copied.",
    )
    if text.strip():
        _checked(Path(text.strip()))
    known = workspace.folders()
    if not known and not text:
        st.caption(
            "No folder of yours yet: the pages show the rendered demo. A folder like"
            " parts/bolt/train/good with a few photos of good parts is enough to begin."
        )
    for folder in known:
        _known(folder)


def _checked(path: Path) -> None:
    """What the typed folder holds, with the button that adds it."""
    try:
        dataset = open_dataset(need_allowed(path))
        categories = counts(dataset.root)
    except CutSwapError as error:
        show_error(error)
        return
    noun = "category" if len(categories) == 1 else "categories"
    train = sum(c.train for c in categories)
    st.success(
        f"{LAYOUTS[dataset.layout]}: {len(categories)} {noun},"
        f" {train:,} good photos to learn from.",
        icon=":material/check:",
    )
    _table(categories)
    _around(dataset.root)
    if dataset.root in workspace.folders():
        st.caption("This folder is known already.")
        return
    st.button(
        "Add this folder",
        on_click=_add,
        args=(dataset.root,),
        type="primary",
        icon=":material/create_new_folder:",
        help="Its categories appear in the sidebar, in every tab, until it is removed.",
    )


def _known(folder: Path) -> None:
    with st.container(border=True):
        name, button = st.columns([4, 1], vertical_alignment="center")
        with name:
            st.markdown(f":material/folder: **{plain_text(folder.name)}**")
            st.caption(plain_text(str(folder)))
        with button:
            if workspace.is_removable(folder):
                st.button(
                    "Remove",
                    key=f"remove.{folder}",
                    on_click=workspace.remove_folder,
                    args=(folder,),
                    width="stretch",
                    help="The app forgets it; nothing on disk is touched.",
                )
            else:
                st.caption("from CUTSWAP_DATA")
        try:
            categories = counts(folder)
        except CutSwapError as error:
            st.warning(
                f"It cannot be read: expected {plain_text(error.expected)}, found"
                f" {plain_text(error.found)}.",
                icon=":material/warning:",
            )
            return
        noun = "category" if len(categories) == 1 else "categories"
        with st.expander(f"{len(categories)} {noun}", expanded=len(categories) <= 3):
            _table(categories)
            _around(folder)
        _licences([folder, *(folder / count.category for count in categories)])


def _table(categories: list[Count]) -> None:
    st.dataframe(
        [c.line() for c in categories],
        hide_index=True,
        width="stretch",
        alt=f"{len(categories)} categories with their numbers of photos",
    )


def _around(root: Path) -> None:
    """What is beside the categories, as `check-data` says it."""
    for problem in around(root)[:_BESIDE]:
        name = problem.path.relative_to(root).as_posix() if problem.path != root else root.name
        text = f"{plain_text(name)}: {plain_text(problem.message)}"
        if problem.fatal:
            st.warning(text, icon=":material/warning:")
        else:
            st.caption(text)


def _licences(folders: list[Path]) -> None:
    """The licences that came with the data, as far as there are any; equal ones once."""
    said: dict[str, str] = {}
    for folder in folders:
        try:
            files = [p for p in sorted(folder.iterdir()) if p.is_file() and not p.is_symlink()]
            for path in files:
                if path.stem.lower() in _LICENCES and path.suffix in ("", ".txt", ".md"):
                    with open_own(path) as file:  # no more of it than is shown
                        text = file.read(_SHOWN).decode("utf-8", errors="replace")
                    said.setdefault(text, f"{folder.name}/{path.name}")
        except OSError:
            continue
    if said:
        with st.expander("Licence and read-me files in it", icon=":material/gavel:"):
            for text, name in said.items():
                st.markdown(f"**{plain_text(name)}**")
                st.text(text)


def _add(folder: Path) -> None:
    try:
        workspace.add_folder(folder)
    except CutSwapError as error:
        st.toast(
            plain_text(f"{error.subject}: {error.found}; {error.fix}."),
            icon=":material/warning:",
        )
        return
    st.session_state[FIELD] = ""
    st.toast(f"{plain_text(folder.name)} is added: choose its categories in the sidebar.")

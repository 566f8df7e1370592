"""What the Data page shows: known folders, uploads of this session, the glossary."""

from __future__ import annotations

import uuid
from pathlib import Path

import streamlit as st

from app import workspace
from app.guards import show_error
from cutswap.data_problems import find_problems
from cutswap.datasets import open_dataset
from cutswap.errors import CutSwapError
from cutswap.upload_photos import Upload
from cutswap.uploads import Uploaded, remove_uploads, store_images, store_parts

TYPES = ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"]
GLOSSARY = {
    "x, x+, x−": "a good photo; its colour-jittered positive; the negative made from that",
    "Saliency": "how much each place speaks for a class, by LayerCAM, one map a layer",
    "K, max cluster": "number of K-means groups of saliency values; the one with the largest mean",
    "Anchor": "upper-left corner of a patch, drawn from the max cluster",
    "phi, psi": "feature extractor (ResNet18) and the small head that tells the classes apart",
    "Scar": "a thin, turned strip instead of a patch: the third class",
    "Memory bank": "patches of good photos that PatchCore compares with",
    "Coreset": "share of those patches that is kept, spread as evenly as possible",
    "AUROC": "chance that a random defective image (or pixel) scores above a random good one",
    "AUPRO": "mean covered share of each defect, up to a false positive rate of 0.3",
}


def folders() -> None:
    """Known data folders, each looked at, and a field for another."""
    st.subheader("Folders", anchor=False)
    text = st.text_input(
        "Data folder", key="data.folder", placeholder="/data/mvtec",
        help="MVTec AD, VisA, one category, or photos; it is looked at as soon as you press Enter.",
    )  # fmt: skip
    if text:
        try:
            found = open_dataset(Path(text))
            st.success(
                f"{found.layout} layout, {len(found.categories)} categories:"
                f" {', '.join(found.categories[:12])}",
                icon=":material/check:",
            )
            st.button("Add this folder", on_click=_add, args=(found.root,), type="primary")
        except CutSwapError as error:
            show_error(error)
    for folder in workspace.folders():
        name, how, button = st.columns([3, 4, 1], vertical_alignment="center")
        name.markdown(f"`{folder}`")
        try:
            dataset = workspace.dataset_of(folder)
            how.markdown(f"{dataset.layout}: {', '.join(dataset.categories[:8])}")
        except CutSwapError as error:
            how.markdown(f":orange[:material/warning:] {error.found}")
        if workspace.is_removable(folder):
            button.button(
                "Remove", key=f"remove.{folder}", on_click=workspace.remove_folder, args=(folder,),
                help="The app forgets it; nothing on disk is touched.",
            )  # fmt: skip
        else:
            button.caption("from CUTSWAP_DATA")
    _check()


def _add(folder: Path) -> None:
    try:
        workspace.add_folder(folder)
        st.session_state["data.folder"] = ""
        st.toast(f"Added {folder.name}; choose its categories in the sidebar.")
    except CutSwapError as error:
        st.toast(str(error))


def _check() -> None:
    """Every problem of the selected category, when asked for: it reads all files."""
    selected = st.session_state.get("selection")
    if selected is None or not st.button(
        f"Check every file of {selected.category.name}", icon=":material/fact_check:"
    ):
        return
    with st.spinner("Reading every file"):
        problems = find_problems(selected.category)
    if not problems:
        st.success("No problem found.", icon=":material/check:")
    for problem in problems[:50]:
        mark = "must be mended" if problem.fatal else "note"
        st.markdown(f"**{mark}** `{problem.path.name}`: {problem.message}")


def uploads() -> None:
    """One or several photos, or own normals, as a category of this session."""
    st.subheader("Your own pictures", anchor=False)
    st.caption("They stay in this session, on this machine, and are deleted after a day.")
    left, right = st.columns(2)
    with left:
        photos = st.file_uploader(
            "Photos to look at", TYPES, accept_multiple_files=True, key="upload.photos",
            help="For the Saliency and Negatives pages; phone photos are turned upright.",
        )  # fmt: skip
    with right:
        normals = st.file_uploader(
            "Good parts to learn from", TYPES, accept_multiple_files=True, key="upload.normals",
            help="With these, Inspect can score the photos on the left against your normal parts.",
        )  # fmt: skip
    if (photos or normals) and st.button("Use these pictures", type="primary"):
        session = st.session_state.setdefault("upload_session", uuid.uuid4().hex)
        tests = [Upload(p.name, p.getvalue()) for p in photos]
        goods = [Upload(p.name, p.getvalue()) for p in normals]
        with st.spinner("Reading the pictures"):
            done = store_parts(session, goods, tests) if goods else store_images(session, tests)
        workspace.dataset_of.clear()
        _say(done)
    if st.session_state.get("upload_root"):
        st.button("Delete my pictures", on_click=_forget, icon=":material/delete:")


def _say(done: Uploaded) -> None:
    for refused in done.refused:
        st.warning(f"{refused.name}: {refused.reason}")
    if done.root is not None:
        st.session_state["upload_root"] = str(done.root)
        st.success(f"{len(done.kept)} pictures kept; they are now the category My uploads.")
        st.button("Select them", on_click=_select, args=(done.root,))


def _select(root: Path) -> None:
    name = workspace.dataset_of(root).categories[0]
    st.session_state["cat"] = f"{workspace.UPLOAD}/{name}"


def _forget() -> None:
    remove_uploads(st.session_state["upload_session"])
    st.session_state.pop("upload_root", None)


def glossary() -> None:
    """The words of the method."""
    st.subheader("Glossary", anchor=False)
    st.table({"word": list(GLOSSARY), "meaning": list(GLOSSARY.values())})
    st.caption(
        "The demo pictures were rendered by this project (CC0). The embedded weights were distilled"
        " from ImageNet networks; README says from which and on what."
    )

"""A detector that leaves: what Inspect shows, written as a folder that needs none of this."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app.inspect_heatmaps.caches import BankKey
from app.shared import public, workspace
from app.shared.background import begin, tasks
from app.shared.page_parts import plain_text, show_error
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.runs.new_folder import new_folder
from cutswap.utils.progress import Notify

_SUFFIX = "-detector"


@dataclass(frozen=True)
class Left:
    """A detector's folder.

    Attributes:
        folder: in the runs folder.
        photos: on which network and library were compared.
        gap: largest difference of their scores.
        milliseconds: a photo takes in ONNX Runtime.
        has_page: whether there is an HTML file among them.
    """

    folder: Path
    photos: int
    gap: float
    milliseconds: float
    has_page: bool

    def zipped(self) -> bytes:
        """The folder as a ZIP."""
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(self.folder.iterdir()):
                archive.write(path, path.relative_to(self.folder.parent).as_posix())
        return held.getvalue()


def section(scored: ScoredSet, bank: BankKey, threshold: float) -> None:
    """The button, and what came of it.

    Args:
        scored: the evaluation.
        bank: its file.
        threshold: scores at or above it are called defective.
    """
    st.subheader("A detector that leaves", anchor=False)
    st.caption(
        "Network, bank, region and the threshold above as one folder: scores photos with ONNX"
        " Runtime alone, or in a browser."
    )
    if reason := _cannot(scored):
        st.caption(reason)
        return
    key = hashlib.sha256(repr((scored.folder, bank, threshold, "leaving")).encode()).hexdigest()
    work = tasks().of(key)
    if work is not None and work.error is not None:
        show_error(work.error)
    if work is not None and work.result is not None:
        _written(work.result)
        return

    def start() -> None:
        public.need_private("exporting a detector")
        runs = workspace.runs_folder()
        begin(key, "writing the detector", lambda notify: _write(scored, threshold, runs, notify))

    st.button(
        "Write the detector",
        on_click=start,
        disabled=work is not None and work.is_running,
        icon=":material/output:",
        key="leaving.write",
        help="Into the runs folder, in half a minute. Compared with this page's own scores before"
        " it is kept.",
    )


def _cannot(scored: ScoredSet) -> str:
    """Why there is none, or nothing."""
    if public.is_public():
        return "Off in the public demo."
    if scored.is_padim:
        return "PaDiM cannot leave yet: evaluate by PatchCore."
    if scored.is_tiled:
        return (
            "One by tiles cannot leave: how many a photo has depends on its size. Score photos with"
            " cutswap score FOLDER --detector."
        )
    from cutswap.networks.export import need_onnx

    try:
        need_onnx()
    except CutSwapError as error:
        return f"It needs more packages: `{error.fix}`."
    return ""


def _write(scored: ScoredSet, threshold: float, runs: Path, notify: Notify) -> Left:
    """The folder, whole or not at all."""
    from cutswap.decision.export import export_detector, made_up_photos, square_photos
    from cutswap.decision.formats.web_page import PAGE
    from cutswap.decision.formats.web_runtime import kept_runtime, read_web_runtime
    from cutswap.decision.open_detector import read_evaluated

    notify("reading the detector", 0, 0)
    evaluated = read_evaluated(scored.folder, threshold=threshold)
    size, reading = evaluated.opened.image_size, evaluated.opened.reading
    photos, source = made_up_photos(size), "made-up photos"
    if scored.records:
        paths = [record.image for record in scored.records]
        photos, source = square_photos(paths, size, reading), "test photos"
    web = read_web_runtime() if kept_runtime().exists() else None

    def fill(out: Path) -> dict[str, Any]:
        notify("comparing it with the library", 0, 0)
        return export_detector(evaluated, out, photos, source, web=web)

    name = f"{scored.summary['category']}{_SUFFIX}"
    folder, about = new_folder(runs, name, "the detector", fill)
    check = about["check"]
    return Left(
        folder,
        check["photos"],
        check["max_score_difference"],
        1000 * check["seconds_per_photo"]["onnxruntime"],
        (folder / PAGE).exists(),
    )


def _written(left: Left) -> None:
    from cutswap.decision.exported import RUNNER
    from cutswap.decision.formats.web_page import PAGE

    st.success(
        f"Written: {plain_text(str(left.folder))}. On {left.photos} photos its scores differ by"
        f" {left.gap:.1g} at most; a photo takes {left.milliseconds:.0f} ms.",
        icon=":material/check:",
    )
    st.code(f"python {left.folder / RUNNER} FOLDER", language="sh", wrap_lines=True)
    st.download_button(
        "Detector (ZIP)",
        left.zipped,
        f"{left.folder.name}.zip",
        "application/zip",
        on_click="ignore",
        icon=":material/download:",
        key="leaving.zip",
    )
    st.caption(
        f"{PAGE} among them runs it in a browser, without a network."
        if left.has_page
        else f"For {PAGE}, which runs it in a browser: `cutswap download web-runtime` once, then"
        " write it again."
    )

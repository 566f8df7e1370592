"""Words of the Inspect page: how it works, the command line, and the figures of the run."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.inspect_heatmaps.controls import InspectRequest
from app.shared.page_parts import command_line, data_flags, how_it_works
from cutswap.config import PATCHCORE, PadimSettings
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.evaluation.unlabelled import is_labelled
from cutswap.reports.repeat import evaluate_again, settings_flags, weights_flags

FIGURES = (
    ("image_auroc", "image AUROC"),
    ("pixel_auroc", "pixel AUROC"),
    ("aupro", "AUPRO"),
    ("image_average_precision", "image AP"),
    ("f1_max", "best image F1"),
    ("pixel_f1_max", "best pixel F1"),
)


def explanation() -> None:
    """PatchCore in four sentences and two equations."""
    how_it_works(
        r"""
PatchCore remembers what normal looks like. The network's features of all good photos, averaged
over 3 x 3 neighbours, are patches; a **coreset** of them, spread as far apart as possible, is the
memory bank $\mathcal{M}$. A patch $p$ of a new photo is as suspicious as it is far from everything
in the bank, and a photo is as suspicious as its $k$ worst patches $\mathcal{P}_k(x)$ on average
(published: the worst alone, $k = 1$):

$$d(p) = \min_{m \in \mathcal{M}} \lVert p - m \rVert_2, \qquad
s^* = \frac{1}{k} \sum_{p \in \mathcal{P}_k(x)} d(p).$$

With several neighbours $d$ is the mean of the nearest distances. **Whitening** divides patches by
what normal ones vary by before they are compared, so that rare directions count like common ones.
All $d(p)$, enlarged to the photo and smoothed, are the heatmap. Nothing here has seen a defect: the
network $\phi$ is either pretrained or tuned on CutSwap negatives. A distance is no probability, so
somebody has to draw the line: the **threshold**. The image threshold decides which parts are sorted
out, the pixel threshold how large a defect is drawn.
"""
    )


def commands(asked: InspectRequest) -> None:
    """The command that gives the very numbers on this page."""
    if asked.saved is not None:
        summary = asked.saved.summary
        summary = {**summary, "score": asked.score} if asked.score is not None else summary
        line = evaluate_again(summary) if summary else None
        if line is not None:
            maps = ["export", "maps", "--evaluation", asked.saved.path, "--out", "out/maps"]
            small = ["detectable", "--evaluation", asked.saved.path]
            note = (
                "The first computes these numbers again; the second writes their heatmaps as"
                " float32 TIFFs, for the MVTec AD evaluation script; the third measures how small a"
                " defect is found."
            )
            fine = _fine(asked, summary)
            if fine:
                note += (
                    " The last shows what changes if this photo is fine, and with --out FOLDER it"
                    " teaches the bank."
                )
            command_line(line, maps, *([small] if PATCHCORE in summary else []), *fine, note=note)
        return
    selected, wanted = asked.selected, asked.wanted
    is_sorted = is_labelled(selected.category)
    flags: list[object] = data_flags(selected.dataset.root, selected.category.name)  # type: ignore[assignment]
    flags += [*selected.squares, *weights_flags(wanted.weights)]
    flags += ["--score", asked.score] if asked.score is not None else []
    flags += settings_flags(wanted.settings, wanted.seed)
    command_line(
        ["evaluate", *flags, "--skip-bad", "--out", "runs/inspected"],
        *([["detectable", "--evaluation", "runs/inspected"]] if is_sorted else []),
        note="Writes scores.csv, raw and coloured heatmaps and the memory bank; below the runs"
        " folder this page offers it under Evaluation."
        + (" The second line measures how small a defect is found." if is_sorted else ""),
    )


def _fine(asked: InspectRequest, summary: dict[str, Any]) -> list[list[object]]:
    """The command that asks what a good test photo would teach; none where it cannot be asked."""
    record, saved = asked.selected.record, asked.saved
    is_plain = PATCHCORE in summary and "score" not in summary and "tiles" not in summary
    if saved is None or not is_plain or record.split != "test" or not record.is_good:
        return []
    return [["feedback", "--evaluation", saved.path, "--fine", record.name]]


def figures(evaluation: ScoredSet) -> None:
    """One line on what the whole test set came to."""
    summary = evaluation.summary
    shown = [
        f"{title} **{summary[key]:.3f}**"
        for key, title in FIGURES
        if isinstance(summary.get(key), (int, float))
    ]
    left_out = summary["data"].get("left_out") or []
    more = f" {len(left_out)} unusable files were left out." if left_out else ""
    st.markdown(" · ".join(shown))
    own = evaluation.settings
    layers = "+".join(own.layers or ())
    if isinstance(own, PadimSettings):
        st.caption(
            f"{summary['n_train']} good photos learnt from, {len(evaluation.names)} test photos"
            f" ({int(evaluation.labels.sum())} defective), PaDiM: a gaussian at every place,"
            f" {own.channels} channels of {layers}, seed {summary['seed']},"
            f" {summary.get('seconds', '?')} s.{more}"
        )
        return
    scored = f"score of the {own.image_patches} highest patches" if own.image_patches > 1 else ""
    kinds = {"none": "", "both": "and as many whitened beside them"}
    whitened = kinds.get(own.whitening, f"whitened ({own.whitening})")
    tiles = ""
    if own.is_tiled:
        tiles = f"tiles of {own.image_size} pixels that overlap by {own.tile_overlap} or more"
    unlike = "".join(f" {part}," for part in (tiles, whitened, scored) if part)
    st.caption(
        f"{summary['n_train']} good photos learnt from, {len(evaluation.names)} test photos"
        f" ({int(evaluation.labels.sum())} defective),"
        f" bank of {summary.get('bank_size', '?')} patches, {layers}, coreset {own.coreset:g},"
        f"{unlike} seed {summary['seed']},"
        f" {summary.get('seconds', '?')} s.{more}"
    )

"""A detector written as one folder, compared with our own scores before it is said to be there."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cutswap.data.images import read_photo, resize_photo
from cutswap.data.reading import ReadingSettings
from cutswap.data.regions.frame import framed_photo
from cutswap.decision.decision import FORMAT as DECISION_FORMAT
from cutswap.decision.exported import (
    CARD,
    FORMAT,
    INPUT,
    NETWORK,
    RUNNER,
    content_hash,
    region_rows,
)
from cutswap.decision.formats.openvino_ir import IR_FILES, need_openvino, write_ir
from cutswap.decision.formats.web_page import PAGE, detector_page
from cutswap.decision.formats.web_runtime import WebRuntime
from cutswap.decision.graph import OUTPUTS, DetectorGraph
from cutswap.decision.open_detector import EvaluatedDetector, OpenDetector, Scores, scores_by
from cutswap.errors import CutSwapError
from cutswap.heads.detector import HeadDetector
from cutswap.networks.export import Run, need_onnx, write_onnx
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.environment import environment
from cutswap.utils.files import replacing, sha256_of, write_bytes, write_json, write_text

TOLERANCE = 1e-4  # of the largest score, at least 1: other libraries add in another order
CHECKED = 6  # photos, each by itself and all together
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def export_detector(
    evaluated: EvaluatedDetector,
    out: Path,
    photos: np.ndarray,
    source: str,
    *,
    web: WebRuntime | None = None,
    openvino: bool = False,
) -> dict[str, Any]:
    """Write a detector's folder (`cutswap.decision.exported`).

    Args:
        evaluated: on the processor.
        out: folder to write.
        photos: (N, S, S, 3) uint8, at least one, on which network and library are compared.
        source: what they are, for the record.
        web: what a page runs on; None: no page is written.
        openvino: whether OpenVINO IR is written beside it and compared, too.

    Returns:
        What detector.json holds.

    Raises:
        CutSwapError: packages that are missing, or a network whose scores, heatmaps, p-values or
            verdicts differ from ours; then no network is left.
    """
    need_onnx()
    if openvino:
        need_openvino()
    own = evaluated.opened
    bank, detector = _searched_whole(evaluated)
    good = own.decision.good if own.decision else None
    graph = DetectorGraph(bank, detector, evaluated.score, own.threshold, good).eval()
    example = torch.from_numpy(np.stack([photos[0], photos[-1]]))
    path = out / NETWORK
    for name in (NETWORK, *IR_FILES):  # never an old network beside a new description
        (out / name).unlink(missing_ok=True)
    with replacing(path) as temporary:
        run = write_onnx(graph, example, temporary, name=INPUT, outputs=graph.names)
        check = _compare(own, scores_by(bank, detector, evaluated.score), run, photos)
    ours = scores_by(bank, detector, evaluated.score)
    checks = {"check": check}
    if openvino:
        try:
            checks["openvino"] = _compare(own, ours, write_ir(path, out), photos, "openvino")
        except CutSwapError:
            for name in IR_FILES:  # what differs is not kept
                (out / name).unlink(missing_ok=True)
            raise
    write_bytes(out / RUNNER, (Path(__file__).parent / RUNNER).read_bytes())
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    about: dict[str, Any] = {
        "format": FORMAT,
        "category": own.category,
        "threshold": {"value": own.threshold, "how": own.how},
        "image_size": own.image_size,
        "bits": own.reading.bits,
        "resize": own.reading.resize,
        "range": list(own.range),
        "input": f"{INPUT}: (N, {own.image_size}, {own.image_size}, 3) uint8 RGB,"
        f" by {own.reading.resize}",
        "outputs": {
            name: text
            for name, text in zip(
                OUTPUTS,
                (
                    "(N,) float32, anomaly score",
                    "(N, S, S) float32",
                    "(N,) bool, score >= threshold",
                    "(N,) float32, conformal p-value",
                ),
                strict=True,
            )
            if name in graph.names
        },
        "score": evaluated.score,
        "search": "exact",
        "settings": bank.settings.to_dict(),
        "network": bank.backbone.name,
        "weights": bank.backbone.report.to_dict(),
        "fingerprint": bank.backbone.fingerprint,
        "bank_size": bank.size,
        "region": None if own.region is None else region_rows(own.region),
        "head": None
        if detector is None
        else {**detector.head.about(), "join": detector.join.to_dict()},
        "environment": environment(export=versions),
        **{
            name: {"photos": len(photos), "source": source, "tolerance": TOLERANCE, **one}
            for name, one in checks.items()
        },
        "bytes": path.stat().st_size,
        "decision": None
        if own.decision is None
        else {
            "format": DECISION_FORMAT,
            "category": own.decision.category,
            **own.decision.to_dict(),
            "good_scores": [float(value) for value in own.decision.good],
        },
    }
    names = [NETWORK, RUNNER, *(IR_FILES if openvino else ())]
    if web is not None:
        today = time.strftime("%Y-%m-%d")
        write_text(out / PAGE, detector_page(about, path.read_bytes(), web, written=today))
        names.append(PAGE)
    about["files"] = {name: sha256_of(out / name) for name in names}
    about["content"] = content_hash(about)
    write_json(out / CARD, about)
    return about


def square_photos(
    paths: Sequence[Path], size: int, reading: ReadingSettings, *, most: int = CHECKED
) -> np.ndarray:
    """Some of the photos, evenly chosen: (N, S, S, 3) uint8.

    Args:
        paths: of their files, at least one.
        size: side S, pixels.
        reading: bits that the camera fills, and how photos become squares.
        most: how many.

    Raises:
        CutSwapError: one that cannot be read.
    """
    places = np.linspace(0, len(paths) - 1, min(len(paths), most)).round().astype(int)
    chosen = [read_photo(paths[place], reading.bits) for place in places]
    return np.stack([framed_photo(photo, size, reading.resize) for photo in chosen])


def made_up_photos(size: int) -> np.ndarray:
    """(CHECKED, S, S, 3) uint8 of coloured noise in blocks, where no photo is at hand."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (CHECKED, 8, 8, 3), dtype=np.uint8)
    return np.stack([resize_photo(photo, (size, size)) for photo in coarse])


def _searched_whole(evaluated: EvaluatedDetector) -> tuple[MemoryBank, HeadDetector | None]:
    """Bank and head with an exact search, as the exported network has it."""
    bank, detector = evaluated.bank, evaluated.detector
    if bank.settings.search == "exact":
        return bank, detector
    bank = bank.with_settings(search="exact")
    return bank, HeadDetector(bank, detector.head, detector.join) if detector else None


def _compare(
    own: OpenDetector, ours: Scores, run: Run, photos: np.ndarray, runtime: str = "onnxruntime"
) -> dict[str, Any]:
    """Largest differences over the photos, and the seconds a photo takes alone, by `runtime`.

    Raises:
        CutSwapError: they differ by more than `TOLERANCE`, or a verdict or p-value does.
    """
    scores = ours(photos)[0]
    near = TOLERANCE * max(1.0, float(np.abs(scores).max()))
    gaps = {"score": 0.0, "heatmap": 0.0}
    seconds: dict[str, list[float]] = {"cutswap": [], runtime: []}
    for part in [*(photo[None] for photo in photos), photos]:
        began = time.perf_counter()
        wanted = ours(part)
        between = time.perf_counter()
        found = dict(zip(OUTPUTS, run(part), strict=False))
        if len(part) == 1:
            seconds["cutswap"].append(between - began)
            seconds[runtime].append(time.perf_counter() - between)
        for name, right in zip(gaps, wanted, strict=True):
            if found[name].shape != right.shape:
                raise _differs(f"{name} of {right.shape}", found[name].shape)
            gap = float(np.abs(found[name] - right).max())
            if not gap <= near:  # NaN is no agreement
                raise _differs(f"{name} within {near:.2g}", f"{gap:.2g} off")
            gaps[name] = max(gaps[name], gap)
        for score, called in zip(found["score"], found["is_defective"], strict=True):
            if bool(called) != (float(score) >= own.threshold):
                raise _differs(f"{own.verdict(float(score))} at a score of {score:.6g}", called)
        told = own.p_values(found["score"])
        if told is not None and not np.allclose(found["p_value"], told, rtol=1e-5):
            raise _differs(f"p-values {told}", found["p_value"])
    return {
        "max_score_difference": gaps["score"],
        "max_heatmap_difference": gaps["heatmap"],
        "largest_score": float(scores.max()),
        "seconds_per_photo": {n: round(float(np.median(s)), 5) for n, s in seconds.items()},
    }


def _differs(expected: str, found: object) -> CutSwapError:
    return CutSwapError(
        "the exported detector",
        expected=expected,
        found=found,
        fix="report it with your version of torch; no file was left",
    )

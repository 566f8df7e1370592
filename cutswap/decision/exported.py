"""A detector as one folder that leaves: what is in it, and how it is read back.

detector.onnx      photos in, score, heatmap, verdict and p-value out (`graph`)
detector.json      category, threshold and how it was chosen, settings, versions, hashes, the check
run_detector.py    scores photos with onnxruntime, NumPy and Pillow alone

A folder whose files are not those that were exported is refused: a threshold changed in
detector.json would not be the one in the network. The hashes find edits, not forgers: open
folders of people you trust.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.data.reading import SQUASH
from cutswap.decision.decision import decision_from
from cutswap.decision.graph import OUTPUTS
from cutswap.decision.open_detector import (
    OpenDetector,
    Scores,
    choose_threshold,
    photo_reading,
    read_evaluated,
)
from cutswap.errors import CutSwapError
from cutswap.utils.files import is_own_file, read_json, sha256_of

FORMAT = "cutswap exported detector 1"
CARD, NETWORK, RUNNER = "detector.json", "detector.onnx", "run_detector.py"
DETECTOR_FILES = (NETWORK, RUNNER, CARD)
INPUT = "photo"
_FIX = "export the detector again; another threshold is chosen with export detector --false-alarms"


def open_detector(
    folder: Path,
    *,
    rate: float | None = None,
    threshold: float | None = None,
    device: str = "cpu",
) -> OpenDetector:
    """Open an exported detector or the one of an evaluation.

    Args:
        folder: that `export detector` or `evaluate` wrote.
        rate: false alarms asked for, in place of the detector's own threshold.
        threshold: in place of any other.
        device: where an evaluation's network computes; an exported one runs on the processor.

    Raises:
        CutSwapError: neither of the two, a damaged or edited one, or no such threshold.
    """
    if (folder / CARD).exists():
        return _read_exported(folder, rate, threshold)
    return read_evaluated(folder, rate=rate, threshold=threshold, device=device).opened


def content_hash(about: dict[str, Any]) -> str:
    """Hex SHA-256 of what detector.json says, without the hash itself."""
    values = {name: value for name, value in about.items() if name != "content"}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _read_exported(folder: Path, rate: float | None, threshold: float | None) -> OpenDetector:
    path = folder / CARD
    about = read_json(path)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise CutSwapError(
            path,
            expected=f"a file of the format '{FORMAT}'",
            found=about.get("format", "another file") if isinstance(about, dict) else "a list",
            fix="pass a folder that export detector or evaluate wrote",
        )
    if about.get("content") != content_hash(about):
        raise _edited(path, "one that was edited")
    try:
        files = dict(about["files"])
        told = float(about["threshold"]["value"]), str(about["threshold"]["how"])
        size, category = about["image_size"], about["category"]
        low, high = (float(value) for value in about["range"])
        reading = photo_reading({"resize": SQUASH, **about})
        region = None if about.get("region") is None else _region(about["region"], size)
        if type(size) is not int or not 32 <= size <= 2048 or not isinstance(category, str):
            raise ValueError(f"photos of {size!r} pixels")
    except (LookupError, TypeError, ValueError) as error:
        raise _edited(path, str(error)) from error
    for name in (NETWORK, RUNNER):
        if not is_own_file(folder / name):
            raise _edited(folder / name, "no such file")
        if sha256_of(folder / name) != files.get(name):
            raise _edited(folder / name, "one that was edited")
    decision = None
    if about.get("decision") is not None:
        decision = decision_from(about["decision"], path)
    is_own = rate is None and threshold is None
    used, how, own = (*told, decision)
    if not is_own:
        used, how, own = choose_threshold(folder, decision, told, rate=rate, threshold=threshold)
    return OpenDetector(
        folder=folder,
        identity=f"{about['content'][:16]} {used!r}",
        category=category,
        image_size=size,
        reading=reading,
        threshold=used,
        how=how,
        decision=own,
        range=(low, high),
        scores_of=_session(folder / NETWORK),
        region=region,
    )


def region_rows(region: np.ndarray) -> list[str]:
    """(S, S) bool as a line of hex digits a row, a bit a pixel; what detector.json holds."""
    return [np.packbits(row).tobytes().hex() for row in region]


def _region(rows: list[str], size: int) -> np.ndarray:
    """`region_rows` undone.

    Raises:
        ValueError: other rows than of a square of `size`.
    """
    packed = np.array([list(bytes.fromhex(row)) for row in rows], dtype=np.uint8)
    region = np.unpackbits(packed, axis=1)[:, :size].astype(bool)
    if region.shape != (size, size):
        raise ValueError(f"a region of {region.shape} pixels")
    return region


def _session(path: Path) -> Scores:
    """What runs a detector's network: its first two outputs.

    Raises:
        CutSwapError: ONNX Runtime is missing, or refuses the file.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise CutSwapError(
            path,
            expected="the package onnxruntime, which runs it",
            found="none",
            fix='pip install "cutswap[export]", or pass the folder of its evaluation',
        )
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its errors have no common base but this
        raise _edited(path, str(error).splitlines()[0][:200]) from error

    def scores_of(photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        score, heatmap = session.run([*OUTPUTS[:2]], {INPUT: photos})
        return score, heatmap

    return scores_of


def _edited(path: Path, found: object) -> CutSwapError:
    return CutSwapError(path, expected="the file that was exported", found=found, fix=_FIX)

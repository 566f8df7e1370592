"""Defects painted on good photos and scored by the detector of an evaluation.

A photo is read once, at its own size, and all its defects are painted on it one at a time; what is
scored is what the detector sees of the painted photo: a square, or tiles.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import SCORES, DetectableSettings
from cutswap.data.images import photo_size, read_photo
from cutswap.data.reading import FIT
from cutswap.data.records import GOOD, Record
from cutswap.data.regions.frame import Frame
from cutswap.decision.detectable.measured import Measured, mark_of
from cutswap.decision.detectable.painted_defect import PaintedDefect, paint_defect
from cutswap.decision.detectable.plan import PlannedDefect, plan
from cutswap.decision.incoming import list_photos
from cutswap.decision.open_detector import (
    EvaluatedDetector,
    need_detector,
    read_evaluated,
    scores_by,
)
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import ScoredSet, read_scored, scores_in
from cutswap.utils.folder_names import RESULT
from cutswap.utils.progress import Notify, tick

AT_ONCE = 24  # painted photos scored together
STAGE = "scoring painted photos"
OF_TEST = "good test photos of the evaluation, which the detector has not learnt"


@dataclass(frozen=True)
class GoodPhotos:
    """Photos to paint on.

    Attributes:
        records: at least one.
        source: where they are from, in a few words.
        learnt: whether the detector has learnt from some of them.
    """

    records: tuple[Record, ...]
    source: str
    learnt: bool


def good_photos(folder: Path, photos: Path | None = None) -> GoodPhotos:
    """The good test photos of an evaluation, or those of a folder.

    Args:
        folder: that `evaluate` wrote.
        photos: folder of good photos; its sub-folders are looked into.

    Raises:
        CutSwapError: no detector, no photo, the data set has vanished, or an evaluation that knows
            no good test photo.
    """
    need_detector(folder)
    is_labelled = (folder / RESULT).exists()
    scored = read_scored(folder) if is_labelled else None
    if photos is not None:
        return _in_folder(folder, photos, scored)
    records: tuple[Record, ...] = ()
    if scored is not None:
        records = tuple(record for record in scored.need_records() if record.is_good)
    if not records:
        raise CutSwapError(
            folder,
            expected="good photos that the detector has not learnt, to paint defects on",
            found="no test photo that is said to be good",
            fix="pass --photos FOLDER with good photos",
        )
    return GoodPhotos(records, OF_TEST, False)


def measure(
    folder: Path,
    settings: DetectableSettings,
    *,
    photos: GoodPhotos | None = None,
    score: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    notify: Notify | None = None,
) -> Measured:
    """Paint defects on good photos and score them.

    Args:
        folder: an evaluation by PatchCore, with or without a head, by squares or tiles.
        settings: which defects.
        photos: to paint on; None: the evaluation's good test photos.
        score: whose scores, one of `SCORES`; None: those that the evaluation counts.
        seed: of every draw.
        device: where the network computes.
        notify: called with (stage, done, total); what it raises ends the work.

    Raises:
        CutSwapError: no such detector, no good photos, a photo that cannot be read, or a plan that
            cannot be (`plan`).
    """
    began = time.perf_counter()
    used = good_photos(folder) if photos is None else photos
    detector = read_evaluated(folder, threshold=0.0, device=device)  # its scores alone count here
    scored = read_scored(folder) if (folder / RESULT).exists() else None
    score = _score_of(folder, detector, scored, score)
    opened = detector.opened
    tiled = opened.of_whole is not None
    region = scored.region if tiled and scored else opened.region
    resize = FIT if tiled else opened.reading.resize
    sizes = [photo_size(record.image) for record in used.records]
    planned = plan(settings, sizes, region, opened.image_size, resize, seed)
    # More photos than defects: those without one say nothing.
    numbers = sorted({one.photo for one in planned})
    records = [used.records[number] for number in numbers]
    judge = _Judge(detector, score, opened.image_size, resize)
    rows, scores, peaks = _all(records, numbers, planned, judge, notify)
    place_of = {number: place for place, number in enumerate(numbers)}
    columns = {
        "size": [one.size for one in planned],
        "contrast": [one.contrast for one in planned],
        "photo": [place_of[one.photo] for one in planned],
        "y": [one.at[0] for one in planned],
        "x": [one.at[1] for one in planned],
        "source_y": [one.source[0] if one.source else -1 for one in planned],
        "source_x": [one.source[1] if one.source else -1 for one in planned],
        "seed": [one.seed for one in planned],
    }
    whole = {name: np.array(values, dtype=np.int64) for name, values in columns.items()}
    real = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
    real["angle"] = np.array([one.angle for one in planned], dtype=np.float64)
    return Measured(
        mark=mark_of(folder, score),
        score=score,
        category=opened.category,
        settings=settings,
        seed=seed,
        source=used.source,
        learnt=used.learnt,
        names=tuple(_name(record) for record in records),
        photo_sizes=np.array([sizes[number] for number in numbers], dtype=np.int64),
        clean_scores=np.array(scores, dtype=np.float64),
        clean_peaks=np.array(peaks, dtype=np.float64),
        kinds=tuple(one.kind for one in planned),
        numbers={**whole, **real},
        resize=resize,
        seconds=round(time.perf_counter() - began, 2),
    )


class _Judge:
    """What an evaluation's detector sees of a photo, and what it says of several.

    Args:
        detector: of squares or tiles.
        score: whose scores count.
        side: side S of the square that heat is in, pixels.
        resize: how a photo becomes it.
    """

    def __init__(self, detector: EvaluatedDetector, score: str, side: int, resize: str) -> None:
        self.side, self.resize = side, resize
        self._of_whole = detector.opened.of_whole
        self._scores_of = scores_by(detector.bank, detector.detector, score)

    def see(self, photo: np.ndarray, frame: Frame) -> Any:
        """Of a photo (H, W, 3) uint8 what is kept until it is judged: its square, or a verdict."""
        return frame.of_photo(photo) if self._of_whole is None else self._of_whole(photo)

    def say(self, seen: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """(n,) scores and (n, S, S) heatmaps."""
        if self._of_whole is None:
            return self._scores_of(np.stack(seen))
        return np.array([one[0] for one in seen]), np.stack([one[1] for one in seen])


def _all(
    records: Sequence[Record],
    numbers: Sequence[int],
    planned: Sequence[PlannedDefect],
    judge: _Judge,
    notify: Notify | None,
) -> tuple[list[dict[str, float]], list[float], list[float]]:
    """Of every defect its numbers, of every photo as it is score and highest heat."""
    rows: list[dict[str, float]] = []
    scores: list[float] = []
    peaks: list[float] = []
    tell, done = tick(notify, STAGE), 0
    tell(0, len(planned))
    for record, number in zip(records, numbers, strict=True):
        photo = read_photo(record.image, record.bits)
        frame = Frame((photo.shape[0], photo.shape[1]), judge.side, judge.resize)
        own = [one for one in planned if one.photo == number]
        seen, about = [judge.see(photo, frame)], []
        clean: np.ndarray | None = None
        for start in range(0, len(own), AT_ONCE):
            for one in own[start : start + AT_ONCE]:
                painted = paint_defect(photo, one)
                seen.append(judge.see(painted.photo, frame))  # the photo itself may be large
                about.append((painted.share, painted.change, _in_square(frame, painted)))
            found, heats = judge.say(seen)
            if clean is None:
                scores.append(float(found[0]))
                peaks.append(float(heats[0].max()))
                clean, found, heats = heats[0].copy(), found[1:], heats[1:]
            for (share, change, place), score, heat in zip(about, found, heats, strict=True):
                rows.append(
                    {
                        "share": share,
                        "change": change,
                        "score": float(score),
                        "heat": float(heat[place].max()),
                        "clean_heat": float(clean[place].max()),
                    }
                )
            done += len(about)
            seen, about = [], []
            tell(done, len(planned))
    return rows, scores, peaks


def _in_square(frame: Frame, painted: PaintedDefect) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the square's pixels that the defect lies in, even if it is smaller."""
    place = []
    for values, start, length, goal, part in zip(
        (painted.rows, painted.columns),
        frame.source[:2],
        frame.source[2:],
        frame.target[:2],
        frame.target[2:],
        strict=True,
    ):
        middle = 2 * (values - start) + 1  # in halves of a pixel
        inside = np.clip(middle * part // (2 * length), 0, part - 1)
        place.append(inside + goal)
    return place[0], place[1]


def _score_of(
    folder: Path, detector: EvaluatedDetector, scored: ScoredSet | None, score: str | None
) -> str:
    if score is None:
        return detector.score
    known = scores_in(scored.summary) if scored is not None else ()
    if score not in (known or SCORES[:1]):
        raise CutSwapError(
            "--score",
            expected=f"one of {', '.join(known or SCORES[:1])}, which {folder} has",
            found=score,
            fix="leave it out",
        )
    return score


def _in_folder(folder: Path, photos: Path, scored: ScoredSet | None) -> GoodPhotos:
    if not photos.is_dir():
        raise CutSwapError(
            photos,
            expected="a folder of good photos",
            found="a file" if photos.exists() else "no such folder",
            fix="pass the folder that they lie in",
        )
    opened = read_evaluated(folder, threshold=0.0).opened
    reading = opened.reading
    records = tuple(
        Record(one.path, "photos", GOOD, bits=reading.bits, resize=reading.resize)
        for one in list_photos(photos, folder).photos
    )
    if not records:
        raise CutSwapError(
            photos,
            expected="good photos (png, jpg, bmp, tif or webp)",
            found="none",
            fix="pass the folder that they lie in",
        )
    data: dict[str, Any] = {} if scored is None else scored.summary["data"]
    learnt = False
    if isinstance(data.get("root"), str):
        train = Path(os.path.realpath(data["root"])) / "train"
        learnt = any(Path(os.path.realpath(r.image)).is_relative_to(train) for r in records)
    return GoodPhotos(records, f"good photos of {photos}", learnt)


def _name(record: Record) -> str:
    return str(record.image) if record.split == "photos" else record.name

"""Photos that come in, scored into a folder: once, or for as long as it is watched.

scores.csv       one line a photo, see `score_table`
score.json       which detector, how many photos, and whether they drift
heatmaps/        PNGs in the photos' sub-folders: `left/a.jpg` becomes `heatmaps/left/a.jpg.png`

A photo that cannot be read gets its line and ends nothing. A heatmap says in the file that it is
ours; what does not is never replaced.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from cutswap.data.images import read_photo
from cutswap.data.reading import FIT, SQUASH
from cutswap.data.regions.frame import Frame
from cutswap.decision.conformal import Drift, drift
from cutswap.decision.incoming import IncomingPhoto, list_photos
from cutswap.decision.open_detector import DEFECTIVE, OpenDetector
from cutswap.decision.score_table import (
    UNREADABLE,
    ScoredPhoto,
    add_to_table,
    begin_table,
    read_table,
)
from cutswap.errors import CutSwapError
from cutswap.utils.files import is_own_file, need_short_names, read_json, write_json, write_with
from cutswap.utils.folder_names import PICTURES, SCORES
from cutswap.utils.overlays import blend, colourise, veil
from cutswap.utils.progress import Notify, tick

ABOUT = "score.json"
FILES = (SCORES, ABOUT)
AT_ONCE = 8  # photos in memory together
DRIFT_PHOTOS = 100  # a drift is looked for in so many at a time: once in 10,000 it is chance
_MARK = "cutswap score"  # in a heatmap's PNG, before its pixels
_HEAD = 1024  # bytes in which the mark stands


@dataclass
class Tally:
    """Counts of photos so far.

    Attributes:
        photos: lines written.
        defective: of them.
        unreadable: of them.
        problems: lines that say of one.
        drifts: what the tests for drift said, each of the photos since the one before.
    """

    photos: int = 0
    defective: int = 0
    unreadable: int = 0
    problems: int = 0
    drifts: list[Drift] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; of the tests for drift the last ten."""
        return {
            "photos": self.photos,
            "good": self.photos - self.defective - self.unreadable,
            "defective": self.defective,
            "unreadable": self.unreadable,
            "problems": self.problems,
            "drift": [one.to_dict() for one in self.drifts[-10:]],
        }


class FolderScorer:
    """Scores photos and writes what comes of them into one folder.

    Args:
        detector: what scores them.
        folder: where they lie.
        out: where results go; its table and heatmaps are this object's.
        heatmaps: whether they are drawn.

    Attributes:
        tally: of what was scored by this object.
    """

    def __init__(
        self, detector: OpenDetector, folder: Path, out: Path, *, heatmaps: bool = True
    ) -> None:
        self.detector = detector
        self.folder = folder
        self.out = out
        self.tally = Tally()
        self._heatmaps = heatmaps
        self._since: list[float] = []  # scores since drift was last looked for

    def need_same(self, watch: bool) -> list[ScoredPhoto]:
        """Lines that a folder has from before, which watching goes on from.

        Args:
            watch: whether it is watched.

        Raises:
            CutSwapError: the log of a watched folder would be lost, or go on with another
                detector or threshold.
        """
        if not (self.out / ABOUT).exists() or not (self.out / SCORES).exists():
            return []
        about = read_json(self.out / ABOUT)
        before = about if isinstance(about, dict) else {}
        if before.get("watch") is True and not watch:
            raise CutSwapError(
                self.out,
                expected="a folder that is not the log of a watched one",
                found="the lines that score --watch wrote",
                fix="choose another --out, or go on with --watch",
            )
        if watch and before.get("identity") != self.detector.identity:
            raise CutSwapError(
                self.out,
                expected="a new folder, or one of the same detector and threshold",
                found="scores by another detector or threshold",
                fix="choose another --out",
            )
        return read_table(self.out / SCORES)

    def begin(self, before: Sequence[ScoredPhoto], watch: bool) -> None:
        """Write the files' beginnings; without watching what was there before is deleted.

        Args:
            before: lines of `need_same`.
            watch: whether they stay.

        Raises:
            CutSwapError: the folder cannot be written.
        """
        write_json(self.out / ABOUT, {**self._about(watch), **self.tally.to_dict()})
        begin_table(self.out / SCORES, before if watch else ())
        if not watch:
            for photo in before:
                self._forget(self._heatmap_file(photo.name))

    def end(self, watch: bool) -> dict[str, Any]:
        """Look for drift in what is left, write and return the figures."""
        self._look_for_drift(at_least=1 if not self.tally.drifts else DRIFT_PHOTOS)
        told = {**self._about(watch), **self.tally.to_dict()}
        write_json(self.out / ABOUT, told)
        return told

    def score(self, photos: Sequence[IncomingPhoto]) -> Iterator[list[ScoredPhoto]]:
        """Score photos, a few at a time, each few written before the next is read.

        Raises:
            CutSwapError: the table cannot be written.
        """
        for start in range(0, len(photos), AT_ONCE):
            lines = self._score(photos[start : start + AT_ONCE])
            add_to_table(self.out / SCORES, lines)
            for line in lines:
                self.tally.photos += 1
                self.tally.defective += line.verdict == DEFECTIVE
                self.tally.unreadable += line.verdict == UNREADABLE
                self.tally.problems += bool(line.problem)
            self._since += [line.score for line in lines if line.score is not None]
            self._look_for_drift(at_least=DRIFT_PHOTOS)
            yield lines

    def _score(self, photos: Sequence[IncomingPhoto]) -> list[ScoredPhoto]:
        detector, reading = self.detector, self.detector.reading
        read: dict[str, np.ndarray] = {}
        frames: dict[str, Frame] = {}
        problems: dict[str, str] = {}
        scores: dict[str, float] = {}
        maps: dict[str, np.ndarray] = {}
        for photo in photos:
            try:
                whole = read_photo(photo.path, reading.bits)
                size = whole.shape[0], whole.shape[1]
                frames[photo.name] = Frame(size, detector.image_size, reading.resize)
                self._need_shape(frames[photo.name])
                if detector.of_whole is not None:
                    scores[photo.name], maps[photo.name] = detector.of_whole(whole)
                read[photo.name] = frames[photo.name].of_photo(whole)
            except CutSwapError as error:
                problems[photo.name] = f"expected {error.expected}, found {error.found}"
        p_values: dict[str, float] = {}
        if read:
            if detector.of_whole is None:
                found, heatmaps = detector.scores_of(np.stack(list(read.values())))
                scores = dict(zip(read, map(float, found), strict=True))
                maps = dict(zip(read, heatmaps, strict=True))
            told = detector.p_values(np.array([scores[name] for name in read], np.float32))
            if told is not None:
                p_values = dict(zip(read, map(float, told), strict=True))
            for name, pixels in read.items():
                heat, frame = maps[name], frames[name]
                if self._heatmaps and (problem := self._draw(name, pixels, heat, frame)):
                    problems[name] = problem
        return [
            ScoredPhoto(
                name=photo.name,
                score=scores.get(photo.name),
                p_value=p_values.get(photo.name),
                verdict=detector.verdict(scores[photo.name])
                if photo.name in scores
                else UNREADABLE,
                threshold=detector.threshold,
                modified=photo.modified,
                problem=problems.get(photo.name, ""),
            )
            for photo in photos
        ]

    def _need_shape(self, frame: Frame) -> None:
        """Refuse a photo of another shape than a detector looks at that keeps it.

        Raises:
            CutSwapError: part of its region would lie beside the photo.
        """
        region = self.detector.region
        if frame.resize == FIT and region is not None and (region & ~frame.inside).any():
            raise CutSwapError(
                "photo",
                expected="one of the shape of those it was fitted on",
                found=f"{frame.photo[0]} x {frame.photo[1]} pixels",
                fix="score it with a detector of --resize squash or crop",
            )

    def _draw(self, name: str, photo: np.ndarray, heatmap: np.ndarray, frame: Frame) -> str:
        """Write a heatmap over its photo; what was in the way, or nothing."""
        path = self._heatmap_file(name)
        try:
            need_short_names(self.out, [path.relative_to(self.out).as_posix()])
            if not _is_free(path):
                return f"no heatmap: {path} is a file that score did not write"
            drawn = blend(photo, colourise(heatmap, *self.detector.range))
            if self.detector.region is not None:
                drawn = veil(drawn, photo, self.detector.region)
            picture = Image.fromarray(drawn if frame.resize == SQUASH else frame.shown(drawn))
            mark = PngImagePlugin.PngInfo()
            mark.add_text("Software", _MARK)
            write_with(path, lambda file: picture.save(file, format="PNG", pnginfo=mark))
        except CutSwapError as error:
            return f"no heatmap: expected {error.expected}, found {error.found}"
        return ""

    def _heatmap_file(self, name: str) -> Path:
        return self.out / PICTURES / f"{name}.png"

    def _forget(self, path: Path) -> None:
        """Delete a heatmap of ours, and the folders that are empty then."""
        if path.is_relative_to(self.out / PICTURES) and ".." not in path.parts and _is_ours(path):
            with contextlib.suppress(OSError):  # gone, or a folder with something else in it
                path.unlink()
                for above in [*path.relative_to(self.out).parents][:-1]:
                    (self.out / above).rmdir()

    def _look_for_drift(self, *, at_least: int) -> None:
        """Test the scores since the last time, `DRIFT_PHOTOS` at a time."""
        decision = self.detector.decision
        while decision is not None and len(self._since) >= at_least:
            asked, self._since = self._since[:DRIFT_PHOTOS], self._since[DRIFT_PHOTOS:]
            self.tally.drifts.append(drift(decision.good, np.array(asked)))

    def _about(self, watch: bool) -> dict[str, Any]:
        return {
            "detector": str(self.detector.folder),
            "identity": self.detector.identity,
            "category": self.detector.category,
            "threshold": self.detector.threshold,
            "how": self.detector.how,
            "watch": watch,
        }


def score_once(scorer: FolderScorer, notify: Notify | None = None) -> Iterator[list[ScoredPhoto]]:
    """Score all photos of the folder.

    Args:
        scorer: which has begun.
        notify: called with (stage, done, total).

    Yields:
        The lines of a few photos.
    """
    photos = list_photos(scorer.folder, scorer.out).photos
    for lines in scorer.score(photos):
        tick(notify, "scoring")(scorer.tally.photos, len(photos))
        yield lines


def watch(
    scorer: FolderScorer,
    before: Sequence[ScoredPhoto],
    stop: Callable[[], bool],
    *,
    every: float = 1.0,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[list[ScoredPhoto]]:
    """Score photos of a folder as they come, until asked to stop.

    A photo is taken once its size and time of change are the same in two looks, one after the
    other: what is still being copied waits. One that changes later is scored again. What is kept
    is one line a photo that is there, and no picture.

    Args:
        scorer: which has begun.
        before: lines from before; their photos are not scored again while they are unchanged.
        stop: asked before every look and every few photos.
        every: seconds between two looks.
        pause: waits that long, less where it is asked to stop.

    Yields:
        The lines of a few photos.
    """
    scored = {line.name: line.modified for line in before}
    seen: dict[str, IncomingPhoto] = {}
    while not stop():
        waiting = {
            photo.name: photo
            for photo in list_photos(scorer.folder, scorer.out).photos
            if scored.get(photo.name) != photo.modified
        }
        whole = [photo for name, photo in waiting.items() if seen.get(name) == photo]
        seen = waiting
        for lines in scorer.score(whole):
            scored.update((line.name, line.modified) for line in lines)
            yield lines
            if stop():
                return
        pause(every)


def _is_free(path: Path) -> bool:
    """Whether nothing is there, or a heatmap of ours."""
    return not path.is_symlink() and (not path.exists() or _is_ours(path))


def _is_ours(path: Path) -> bool:
    try:
        if not is_own_file(path):
            return False
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.startswith(b"\x89PNG") and _MARK.encode() in head

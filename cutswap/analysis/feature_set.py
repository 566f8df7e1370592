"""Features of a run before and after tuning, with what each point is; as an object and as files.

features.npz   before, after (N, D) float32; scores (N, ways) float32; thumbnails uint8
features.json  written last: the points, what was loaded and drawn, the hash of features.npz

A fake is kept as its draw, not as pixels: photo, jitter and record repaint it bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.data.decoding import MIN_SIDE
from cutswap.data.images import read_mask, read_photo
from cutswap.data.reading import RESIZES, SQUASH
from cutswap.data.regions.frame import framed_mask, framed_photo
from cutswap.errors import CutSwapError
from cutswap.negatives.color_jitter import Jitter, apply_jitter
from cutswap.negatives.draw import redraw
from cutswap.negatives.record import NegativeRecord
from cutswap.utils.array_files import read_sealed, write_sealed
from cutswap.utils.files import read_json, write_json

POSITIVE, PATCH, SCAR, GOOD_TEST, DEFECT = "positive", "patch", "scar", "good", "defect"
SYNTHETIC = (POSITIVE, PATCH, SCAR)  # by label, as `training.CLASS_NAMES`
KINDS = (*SYNTHETIC, GOOD_TEST, DEFECT)
MAX_IMAGE = 2048  # pixels, as TrainingSettings allow
THUMBNAIL = 72  # pixels; 16 KB a point before compression
ARRAYS, ABOUT = "features.npz", "features.json"
MAKE_AGAIN = "delete the folder; it is made anew"
_LABELS = {
    POSITIVE: "positive",
    PATCH: "patch negative",
    SCAR: "scar negative",
    GOOD_TEST: "good test photo",
    DEFECT: "real defect",
}


@dataclass(frozen=True)
class FeaturePoint:
    """One image of the picture.

    Attributes:
        kind: one of `KINDS`.
        name: of the photo it is or was made from, for example `train/good/003`.
        file: that photo.
        defect: type of a real defect; empty for all others.
        mask: its mask file, where there is one.
        sample: running number of the draw; None for a real photo.
        jitter: from the photo to the positive.
        record: from the positive to the negative.
        bits: that the photo's camera fills, see `read_photo`.
        resize: how the photo becomes a square, see `ReadingSettings.resize`.
    """

    kind: str
    name: str
    file: Path
    defect: str = ""
    mask: Path | None = None
    sample: int | None = None
    jitter: Jitter | None = None
    record: NegativeRecord | None = None
    bits: int | None = None
    resize: str = SQUASH

    @property
    def is_synthetic(self) -> bool:
        """Whether it was drawn rather than photographed."""
        return self.kind in SYNTHETIC

    @property
    def label(self) -> str:
        """In words: `patch negative of train/good/003, draw 72`."""
        if self.is_synthetic:
            return f"{_LABELS[self.kind]} of {self.name}, draw {self.sample}"
        return f"{_LABELS[self.kind]} {self.name}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` gives an equal point back."""
        return {
            "kind": self.kind,
            "name": self.name,
            "file": str(self.file),
            "defect": self.defect,
            "mask": str(self.mask) if self.mask else None,
            "sample": self.sample,
            "jitter": self.jitter.to_dict() if self.jitter else None,
            "record": self.record.to_dict() if self.record else None,
            "bits": self.bits,
            "resize": self.resize,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FeaturePoint:
        """Rebuild from `to_dict`.

        Raises:
            ValueError, TypeError or KeyError: a field is missing or of another kind.
        """
        return cls(
            kind=KINDS[KINDS.index(values["kind"])],
            name=str(values["name"]),
            file=Path(values["file"]),
            defect=str(values["defect"]),
            mask=Path(values["mask"]) if values["mask"] else None,
            sample=None if values["sample"] is None else int(values["sample"]),
            jitter=None if values["jitter"] is None else Jitter.from_dict(values["jitter"]),
            record=None if values["record"] is None else NegativeRecord.from_dict(values["record"]),
            bits=None if values.get("bits") is None else int(values["bits"]),
            resize=RESIZES[RESIZES.index(values.get("resize", SQUASH))],
        )


@dataclass(frozen=True)
class FeatureSet:
    """Pooled features of all points by both networks.

    Attributes:
        points: N of them; the unseen draws first, then the test photos.
        before: (N, D) float32, phi of the network the run started from (ResNet18: D = 512).
        after: (N, D) float32, phi of the tuned network.
        scores: (N, ways) float32 of the run's own head psi on `after`, before any softmax, classes
            in the order of `training.CLASS_NAMES`; None where the head is not there.
        thumbnails: (N, T, T, 3) uint8.
        about: run, category, image_size, ways, seed, trained_samples, first_sample, samples,
            head (why there is none, else empty) and notes (sentences a reader must know).
    """

    points: tuple[FeaturePoint, ...]
    before: np.ndarray
    after: np.ndarray
    scores: np.ndarray | None
    thumbnails: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)

    def where(self, *kinds: str) -> np.ndarray:
        """(N,) bool: the points of these kinds."""
        return np.array([p.kind in kinds for p in self.points], dtype=bool)

    def p_positive(self) -> np.ndarray | None:
        """(N,) float64 in [0, 1]: the head's probability of the class positive."""
        if self.scores is None:
            return None
        shifted = self.scores.astype(np.float64)
        shifted -= shifted.max(axis=1, keepdims=True)
        weights = np.exp(shifted)
        return np.asarray(weights[:, 0] / weights.sum(axis=1))

    def picture(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """What the networks saw of a point.

        Args:
            index: of the point.

        Returns:
            (S, S, 3) uint8, and (S, S) bool where it was changed or is defective, or None.

        Raises:
            CutSwapError: its photo is gone or unreadable.
        """
        point = self.points[index]
        size = int(self.about["image_size"])
        photo = framed_photo(read_photo(point.file, point.bits), size, point.resize)
        if not point.is_synthetic:
            if point.mask is None:
                return photo, None
            return photo, framed_mask(read_mask(point.mask), size, point.resize)
        positive = apply_jitter(photo, point.jitter)
        if point.record is None:
            return positive, None
        negative = redraw(positive, point.record)
        return negative.photo, negative.mask


def write_features(features: FeatureSet, folder: Path) -> None:
    """Write both files; a folder with features.json is complete.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    arrays = {"before": features.before, "after": features.after, "thumbnails": features.thumbnails}
    if features.scores is not None:
        arrays["scores"] = features.scores
    (folder / ABOUT).unlink(missing_ok=True)  # never an old description beside new arrays
    about = {
        "sha256": write_sealed(folder / ARRAYS, arrays),
        "about": features.about,
        "points": [p.to_dict() for p in features.points],
    }
    write_json(folder / ABOUT, about)


def read_features(folder: Path) -> FeatureSet:
    """Read what `write_features` wrote.

    Raises:
        CutSwapError: missing, cut short, edited, or files of two different writings.
    """
    written = read_json(folder / ABOUT)
    try:
        arrays = read_sealed(folder / ARRAYS, written["sha256"])
        points = tuple(FeaturePoint.from_dict(p) for p in written["points"])
        features = FeatureSet(
            points=points,
            before=arrays["before"],
            after=arrays["after"],
            scores=arrays.get("scores"),
            thumbnails=arrays["thumbnails"],
            about=dict(written["about"]),
        )
        _need_whole(features)
    except (
        OSError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise CutSwapError(
            folder,
            expected=f"{ARRAYS} and {ABOUT} as they were written",
            found=getattr(error, "strerror", None) or error,
            fix=MAKE_AGAIN,
        ) from error
    return features


def _need_whole(features: FeatureSet) -> None:
    count = len(features.points)
    tables = [
        features.before,
        features.after,
        *([] if features.scores is None else [features.scores]),
    ]
    if any(t.ndim != 2 or len(t) != count or not np.isfinite(t).all() for t in tables):
        raise ValueError(f"tables of {count} finite rows wanted")
    if features.thumbnails.dtype != np.uint8 or features.thumbnails.shape[::3] != (count, 3):
        raise ValueError(f"{count} thumbnails wanted")
    side = features.about["image_size"]
    if type(side) is not int or not MIN_SIDE <= side <= MAX_IMAGE:
        raise ValueError(
            f"an image_size of {MIN_SIDE} to {MAX_IMAGE} pixels wanted, {side!r} found"
        )

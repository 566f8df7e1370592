"""What painted defects came to, as a file beside the evaluation, for any threshold.

detectable.json holds a score and the heat at its place for every painted defect. Verdicts are not
in it: another threshold gives other verdicts of the same file. Another detector makes it stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import DEFECT_KINDS, SCORES, DetectableSettings
from cutswap.data.reading import SQUASH
from cutswap.decision.detectable.plan import PlannedDefect
from cutswap.decision.detectable.pod import PodFit, fit_pod
from cutswap.decision.open_detector import photo_reading
from cutswap.errors import CutSwapError
from cutswap.utils.csv_text import CsvText, guarded
from cutswap.utils.files import is_own_file, read_json, sha256_of, write_json
from cutswap.utils.folder_names import BANK, DETECTOR

FORMAT = "cutswap detectable 1"
FILE = "detectable.json"
BY_PHOTO, BY_PLACE = "photo", "place"
SENSES = {BY_PHOTO: "the photo is called defective", BY_PLACE: "its place is marked in the heatmap"}
_SHOWN = ("size", "contrast", "photo", "y", "x")
_WHOLE = (*_SHOWN, "source_y", "source_x", "seed")  # the last three repaint it
_FOUND = ("share", "change", "score", "heat", "clean_heat")
_REAL = (*_FOUND, "angle")


@dataclass(frozen=True)
class Limits:
    """What makes a painted defect a found one.

    Attributes:
        image: a score at or above it calls the photo defective.
        pixel: heat at or above it, somewhere on the defect, marks its place; None: not asked.
    """

    image: float
    pixel: float | None = None


@dataclass(frozen=True)
class Measured:
    """Painted defects, P of them, on N good photos.

    Attributes:
        mark: of the detector, see `mark_of`.
        score: whose scores, one of `SCORES`.
        category: of the parts.
        settings: which defects.
        seed: of every draw.
        source: where the good photos are from, in a few words.
        learnt: whether the detector has learnt from these photos.
        names: of the photos.
        photo_sizes: (N, 2) int, their height and width, pixels.
        clean_scores: (N,) float64, of the photos as they are.
        clean_peaks: (N,) float64, their highest heat.
        kinds: of the defects, each one of `DEFECT_KINDS`.
        numbers: by name (P,) arrays: int `size`, `contrast`, `photo` (0 for the first), `y` and `x`
            (pixels of the photo), `source_y`, `source_x` and `seed` (see `PlannedDefect`, -1 for no
            source); float64 `share` (of the photo's pixels that changed), `change` (grey levels),
            `score`, `heat` (the highest on the defect), `clean_heat` (the same before it was
            painted), and `angle`.
        resize: how photos become squares, see `Frame`.
        seconds: it took.
    """

    mark: str
    score: str
    category: str
    settings: DetectableSettings
    seed: int
    source: str
    learnt: bool
    names: tuple[str, ...]
    photo_sizes: np.ndarray
    clean_scores: np.ndarray
    clean_peaks: np.ndarray
    kinds: tuple[str, ...]
    numbers: dict[str, np.ndarray] = field(repr=False)
    resize: str = SQUASH
    seconds: float = 0.0

    def found(self, limits: Limits, sense: str = BY_PHOTO) -> np.ndarray:
        """(P,) bool, which defects are found.

        Args:
            limits: the thresholds.
            sense: one of `SENSES`; without a pixel threshold no place is marked.
        """
        if sense == BY_PHOTO:
            return np.asarray(self.numbers["score"] >= limits.image)
        if limits.pixel is None:
            return np.zeros(len(self.kinds), bool)
        return np.asarray(self.numbers["heat"] >= limits.pixel)

    def alarms(self, limits: Limits) -> int:
        """How many of the photos are called defective as they are."""
        return int((self.clean_scores >= limits.image).sum())

    @property
    def shorter(self) -> int:
        """Shorter side of the smallest photo, pixels."""
        return int(self.photo_sizes.min())

    @cached_property
    def designs(self) -> tuple[tuple[str, int], ...]:
        """Kinds and contrasts that were painted, in the order of `DEFECT_KINDS`."""
        pairs = set(zip(self.kinds, self.numbers["contrast"].tolist(), strict=True))
        return tuple(sorted(pairs, key=lambda pair: (DEFECT_KINDS.index(pair[0]), pair[1])))

    def chosen(self, kind: str, contrast: int) -> np.ndarray:
        """(P,) bool, the defects of a kind and contrast."""
        is_kind = np.array([own == kind for own in self.kinds])
        return np.asarray(is_kind & (self.numbers["contrast"] == contrast))

    def curve(self, kind: str, contrast: int, limits: Limits, sense: str = BY_PHOTO) -> PodFit:
        """Probability of detection by size.

        Args:
            kind: one of `DEFECT_KINDS`.
            contrast: percent; the two are one of `designs`.
            limits: the thresholds.
            sense: one of `SENSES`.
        """
        chosen, found = self.chosen(kind, contrast), self.found(limits, sense)
        sizes = self.numbers["size"]
        rising = sorted(set(sizes[chosen].tolist()))
        own = [chosen & (sizes == size) for size in rising]
        hits = [int(found[part].sum()) for part in own]
        return fit_pod(rising, hits, [int(part.sum()) for part in own])

    def defect(self, place: int) -> PlannedDefect:
        """One of the defects, to be painted again: `photo` is its number in `names`."""
        own = {name: values[place] for name, values in self.numbers.items()}
        source = int(own["source_y"]), int(own["source_x"])
        return PlannedDefect(
            self.kinds[place],
            int(own["size"]),
            int(own["contrast"]),
            int(own["photo"]),
            (int(own["y"]), int(own["x"])),
            None if source[0] < 0 else source,
            float(own["angle"]),
            int(own["seed"]),
        )

    def change(self, kind: str, contrast: int) -> float:
        """Median change of the defects of a kind and contrast, grey levels."""
        return float(np.median(self.numbers["change"][self.chosen(kind, contrast)]))

    def table(self, limits: Limits) -> str:
        """CSV text, a line a defect, with what the thresholds say of it."""
        table = CsvText(end="\r\n")
        both = {sense: self.found(limits, sense) for sense in SENSES}
        table.row(["kind", *_SHOWN, *_FOUND, *(f"found_{sense}" for sense in SENSES)])
        for place, kind in enumerate(self.kinds):
            values = {name: self.numbers[name][place] for name in (*_SHOWN, *_FOUND)}
            cells = [
                guarded(self.names[int(value)]) if name == "photo" else f"{value:.9g}"
                for name, value in values.items()
            ]
            table.row([kind, *cells, *(int(found[place]) for found in both.values())])
        return table.text()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "format": FORMAT,
            "detector": self.mark,
            "score": self.score,
            "category": self.category,
            "settings": self.settings.to_dict(),
            "seed": self.seed,
            "source": self.source,
            "learnt": self.learnt,
            "resize": self.resize,
            "seconds": self.seconds,
            "photos": [
                {"name": name, "height": h, "width": w, "score": score, "peak": peak}
                for name, (h, w), score, peak in zip(
                    self.names,
                    self.photo_sizes.tolist(),
                    self.clean_scores.tolist(),
                    self.clean_peaks.tolist(),
                    strict=True,
                )
            ],
            "defects": {
                "kind": list(self.kinds),
                **{name: self.numbers[name].tolist() for name in (*_WHOLE, *_REAL)},
            },
        }


def mark_of(folder: Path, score: str) -> str:
    """What changes with whatever changes a score of an evaluation's detector.

    Args:
        folder: that `evaluate` wrote.
        score: whose scores, one of `SCORES`.

    Raises:
        CutSwapError: it has no bank.
    """
    path = folder / (DETECTOR if (folder / DETECTOR).exists() else BANK)
    if not is_own_file(path):
        raise CutSwapError(
            path, expected="the detector of an evaluation", found="none", fix="evaluate again"
        )
    return f"{sha256_of(path)[:16]} {score}"


def write_measured(measured: Measured, folder: Path) -> Path:
    """Write detectable.json whole; an older one of ours is replaced.

    Raises:
        CutSwapError: a file of this name that is not ours, or a folder that cannot be written.
    """
    path = need_own_place(folder)
    write_json(path, measured.to_dict())
    return path


def need_own_place(folder: Path) -> Path:
    """Where the file goes.

    Raises:
        CutSwapError: there is a file of this name that is not ours.
    """
    path = folder / FILE
    if path.is_symlink() or path.exists():
        is_ours = is_own_file(path) and _begins(path)
        if not is_ours:
            raise CutSwapError(
                path,
                expected="no file of this name, or the one that detectable wrote",
                found="a file of another origin",
                fix="move it away; nothing was changed",
            )
    return path


def read_measured(folder: Path) -> Measured | None:
    """Read back what `write_measured` wrote, checked as from a stranger; None where there is none.

    Raises:
        CutSwapError: a damaged or foreign file.
    """
    path = folder / FILE
    if not path.exists():
        return None
    if not is_own_file(path):
        raise _damaged(path, "a link or a pipe")
    values = read_json(path)
    try:
        return _rebuilt(values)
    except CutSwapError as error:
        raise _damaged(path, f"{error.subject}: {error.found}") from error
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _damaged(path, error) from error


def _rebuilt(values: Any) -> Measured:
    if values["format"] != FORMAT:
        raise ValueError("another format")
    texts = [values[name] for name in ("detector", "score", "category", "source")]
    if not all(isinstance(text, str) for text in texts) or texts[1] not in SCORES:
        raise ValueError("names that are no text")
    photos, defects = values["photos"], values["defects"]
    kinds = tuple(defects["kind"])
    names = tuple(photo["name"] for photo in photos)
    sizes = _whole([[photo["height"], photo["width"]] for photo in photos]).reshape(-1, 2)
    numbers = {name: _whole(defects[name]) for name in _WHOLE}
    numbers |= {name: _real(defects[name]) for name in _REAL}
    is_sound = (
        len(kinds) > 0
        and set(kinds) <= set(DEFECT_KINDS)
        and {len(column) for column in numbers.values()} == {len(kinds)}
        and all(isinstance(name, str) for name in names)
        and sizes.min() >= 1
        and numbers["size"].min() >= 1
        and numbers["contrast"].min() >= 0
        and 0 <= numbers["photo"].min() <= numbers["photo"].max() < len(names)
    )
    if not is_sound:
        raise ValueError("values out of range")
    if type(values["seed"]) is not int or type(values["learnt"]) is not bool:
        raise ValueError("values of other kinds")
    return Measured(
        mark=texts[0],
        score=texts[1],
        category=texts[2],
        settings=DetectableSettings.from_dict(values["settings"]),
        seed=values["seed"],
        source=texts[3],
        learnt=values["learnt"],
        names=names,
        photo_sizes=sizes,
        clean_scores=_real([photo["score"] for photo in photos]),
        clean_peaks=_real([photo["peak"] for photo in photos]),
        kinds=kinds,
        numbers=numbers,
        resize=photo_reading({"resize": values["resize"]}).resize,
        seconds=float(values["seconds"]),
    )


def _whole(values: Sequence[Any]) -> np.ndarray:
    array = np.array(values)
    if array.dtype.kind != "i":
        raise ValueError("numbers that are not whole")
    return array


def _real(values: Sequence[Any]) -> np.ndarray:
    array = np.array(values)
    if array.dtype.kind not in "if" or not np.isfinite(array).all():
        raise ValueError("numbers that are not finite")
    return array.astype(np.float64)


def _begins(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).startswith(b'{\n  "format": "cutswap detectable ')


def _damaged(path: Path, found: object) -> CutSwapError:
    return CutSwapError(
        path,
        expected="what detectable wrote",
        found=found if not isinstance(found, KeyError) else f"no {found}",
        fix="delete the file and run detectable again",
    )

"""A scored test set read back from the folder that `write_evaluation` wrote, and found again.

The folder holds numbers; photos and masks stay with the data set. When that has vanished the
numbers can still be looked at, and asking for photos says what happened.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import PADIM, PATCHCORE, PadimSettings, PatchCoreSettings, scoring_of
from cutswap.data.datasets import open_dataset
from cutswap.data.decoding import MAX_SIDE
from cutswap.data.images import mask_files
from cutswap.data.reading import SQUASH
from cutswap.data.records import GOOD, Category, Record
from cutswap.data.regions.region_of_interest import read_region, recorded_resize, with_resize
from cutswap.errors import CutSwapError
from cutswap.utils.csv_text import unguarded
from cutswap.utils.files import is_own_file, read_json
from cutswap.utils.folder_names import (
    BANK,
    BY_SCORE,
    HEATMAPS,
    PADIM_FILE,
    REGION,
    RESULT,
    SCORES,
)

COLUMNS = ("image", "defect", "is_defective", "score")
NEEDED = ("category", "data", "fingerprint", "n_test", "n_train", "seed", "threshold")
FIX = "evaluate again into a new folder"
USUAL = 0.99  # share of good photos' pixels whose heat is not worth a look


@dataclass(frozen=True)
class ScoredSet:
    """A test set with its scores.

    Attributes:
        folder: where it was read from.
        names: of the test images, `test/crack/003`, N of them.
        defects: type of defect of each, `good` for none.
        labels: (N,) bool, True for defective.
        scores: (N,) float64 holding the float32 scores exactly.
        heatmaps: (N, S, S) float32 distances, mapped from the file, read only.
        range: smallest and largest heatmap value of the whole set.
        summary: what result.json holds.
        settings: PatchCore's, or PaDiM's.
        records: the test images where the data set is still there, else None.
        lost: why there are no records.
        region: (S, S) bool, where was looked, outside which heat is 0; None: everywhere.
    """

    folder: Path
    names: tuple[str, ...]
    defects: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray
    heatmaps: np.ndarray
    range: tuple[float, float]
    summary: dict[str, Any]
    settings: PatchCoreSettings | PadimSettings
    records: tuple[Record, ...] | None
    lost: CutSwapError | None
    region: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Side S of the square heatmaps, pixels; not of the tiles."""
        return int(self.heatmaps.shape[1])

    @property
    def resize(self) -> str:
        """How its photos became squares, see `ReadingSettings.resize`."""
        return recorded_resize(self.summary["data"])

    @property
    def seen(self) -> float:
        """See `seen_share`; 1 where the photos are gone, and their masks with them."""
        from cutswap.data.loading import seen_share

        return seen_share(self.records or ())

    @property
    def is_tiled(self) -> bool:
        """Whether photos were cut into tiles: a square of theirs is not what was scored."""
        return isinstance(self.settings, PatchCoreSettings) and self.settings.is_tiled

    @property
    def is_padim(self) -> bool:
        """Whether PaDiM scored, which remembers no patches."""
        return isinstance(self.settings, PadimSettings)

    @property
    def bank_file(self) -> Path:
        """The fitted memory bank; `MemoryBank.load` reads and checks it. Of PaDiM its gaussians."""
        return self.folder / (PADIM_FILE if self.is_padim else BANK)

    def need_records(self) -> tuple[Record, ...]:
        """The test images.

        Raises:
            CutSwapError: the data set vanished or changed.
        """
        if self.records is None:
            raise self.lost or _bad(self.folder, "records of its images", "none")
        return self.records

    def masks(self) -> np.ndarray | None:
        """(N, S, S) bool, True on defects; None where the data marks none or has vanished.

        Of a defect only what lies in the region counts.

        Raises:
            CutSwapError: a mask that cannot be read any more.
        """
        from cutswap.data.loading import load_masks

        masks = None if self.records is None else load_masks(self.records, self.size)
        return masks if masks is None or self.region is None else masks & self.region

    def usual_heat(self) -> float | None:
        """Value that 99 of 100 pixels of good photos keep below; None without good photos."""
        good = np.flatnonzero(~self.labels)
        if not len(good):
            return None
        # Smoothed over 4 pixels and more: every fourth says the same.
        heat = self.heatmaps[good, ::4, ::4]
        if self.region is not None and self.region[::4, ::4].any():
            heat = heat[:, self.region[::4, ::4]]
        return float(np.quantile(heat, USUAL))


def read_scored(
    folder: Path, category: Category | None = None, score: str | None = None
) -> ScoredSet:
    """Read and check an evaluation folder.

    Args:
        folder: what `write_evaluation` wrote.
        category: its category, if at hand; else it is looked for where it was.
        score: whose scores, of an evaluation of bank and head (`scores_in`); default: those that
            its result counts.

    Raises:
        CutSwapError: no evaluation, an unfinished or damaged one, files that disagree, numbers
            that are not finite, or a score that it does not have. A vanished data set is no error
            here, see `ScoredSet.lost`.
    """
    summary = _read_summary(folder)
    place = folder
    if score is not None:
        summary, place = _summary_by(folder, summary, score), folder / BY_SCORE / score
    try:
        settings = scoring_of(summary)
    except TypeError as error:  # a key that is not text
        raise _bad(folder / RESULT, "settings of its detector", error) from error
    names, defects, scores = _read_scores(place / SCORES)
    if len(names) != summary["n_test"]:
        found = f"{len(names)} in {SCORES}"
        raise _bad(folder, f"{summary['n_test']} test images, as in {RESULT}", found)
    side = _heatmap_side(folder, summary, settings)
    region = _read_region(folder, summary, side)
    heatmaps, span = _read_heatmaps(place / HEATMAPS, len(names), side, region)
    records, lost = None, None
    try:
        records = _find_records(summary, names, defects, category)
    except CutSwapError as error:
        lost = error
    labels = np.array([defect != GOOD for defect in defects])
    return ScoredSet(
        folder=folder,
        names=names,
        defects=defects,
        labels=labels,
        scores=scores,
        heatmaps=heatmaps,
        range=span,
        summary=summary,
        settings=settings,
        records=records,
        lost=lost,
        region=region,
    )


def _heatmap_side(
    folder: Path, summary: dict[str, Any], settings: PatchCoreSettings | PadimSettings
) -> int:
    """Side of the heatmaps: of photos cut into tiles they are smaller than the photo."""
    if isinstance(settings, PadimSettings) or not settings.is_tiled:
        return settings.image_size
    tiles = summary.get("tiles")
    side = tiles.get("heatmap_size") if isinstance(tiles, dict) else None
    if type(side) is not int or not 1 <= side <= MAX_SIDE:
        raise _bad(folder / RESULT, "a heatmap_size of its tiles", side)
    return side


def scores_in(summary: dict[str, Any]) -> tuple[str, ...]:
    """Kinds of scores in an evaluation, by its result.json: bank, head, both; none without a head.

    Args:
        summary: what result.json holds.
    """
    told = summary.get("scores")
    return tuple(told) if isinstance(told, dict) else ()


def _summary_by(folder: Path, summary: dict[str, Any], score: str) -> dict[str, Any]:
    """The same with the figures of one score in the place of those that count."""
    figures = (summary.get("scores") or {}).get(score) if scores_in(summary) else None
    if not isinstance(figures, dict) or not _is_finite(figures.get("threshold")):
        found = ", ".join(scores_in(summary)) or "those of the bank alone"
        raise _bad(folder / RESULT, f"figures of the score {score}", found)
    kept = {name: value for name, value in summary.items() if name != "missed"}
    return {**kept, **figures, "score": score}


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def evaluation_key(
    category: Category, fingerprint: str, settings: PatchCoreSettings, seed: int
) -> str:
    """40 hex digits of everything an evaluation depends on: other inputs, another key.

    Files count by path, size and time of change; their contents are not read.

    Args:
        category: photos and masks.
        fingerprint: of the exact weights.
        settings: PatchCore's.
        seed: of the coreset.
    """
    digest = hashlib.sha256()
    about = [str(category.root), category.name, fingerprint, settings.deciding(), seed, 1]
    if category.reading.bits is not None:
        about.append(category.reading.bits)
    if category.reading.resize != SQUASH:
        about.append(category.reading.resize)
    if category.region is not None:
        about.append(["region", str(category.region), _stamp(category.region)])
    digest.update(json.dumps(about).encode())
    for record in (*category.train, *category.test):
        for path in (record.image, *(mask_files(record.mask) if record.mask else (None,))):
            digest.update(f"|{record.name}|{path}|{_stamp(path)}".encode())
    return digest.hexdigest()[:40]


def _stamp(path: Path | None) -> str:
    try:
        about = path.stat() if path else None
    except OSError:  # it went away: that is another category, too
        return "gone"
    return f"{about.st_size},{about.st_mtime_ns}" if about else "none"


def _read_summary(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise _bad(folder, "the folder of an evaluation", "no such folder")
    path = folder / RESULT
    if not is_own_file(path):
        # It is written last.
        raise _bad(folder, "a finished evaluation", f"no {RESULT}: it was stopped or is running")
    summary = read_json(path)
    is_padim = isinstance(summary, dict) and summary.get("detector") == PADIM
    own = PADIM if is_padim else PATCHCORE
    missing = [n for n in (*NEEDED, own) if not isinstance(summary, dict) or n not in summary]
    if missing:
        raise _bad(path, "the result of evaluate", f"no {missing[0]} in it")
    kinds: dict[str, type | tuple[type, ...]] = {
        "data": dict,
        own: dict,
        "n_test": int,
        "n_train": int,
        "seed": int,
        "category": str,
        "fingerprint": str,
        "threshold": (int, float),
    }
    for name, kind in kinds.items():
        if not isinstance(summary[name], kind):
            raise _bad(path, f"a usable {name}", repr(summary[name])[:60])
    for name, value in summary.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise _bad(path, f"a finite {name}", value)
    return summary


def _read_scores(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], np.ndarray]:
    """Names, defects and (N,) scores."""
    _need_own(path, "a table of scores")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            rows = list(table)
            columns = table.fieldnames or ()
    except FileNotFoundError:
        raise _bad(path, "a table of scores", "no such file") from None
    except (OSError, ValueError, csv.Error) as error:
        raise _bad(path, "a readable table of scores", error) from error
    missing = [name for name in COLUMNS if name not in columns]
    if missing or not rows:
        raise _bad(path, "a table of scores", f"no column {missing[0]}" if missing else "no line")
    scores = np.empty(len(rows))
    for line, row in enumerate(rows, start=2):
        try:
            scores[line - 2] = np.float32(row["score"])
            known = {"0": True, "1": False}[row["is_defective"]]
        except (TypeError, ValueError, KeyError):
            raise _bad(f"{path}, line {line}", "a score and 0 or 1", dict(row)) from None
        if not math.isfinite(scores[line - 2]):
            raise _bad(f"{path}, line {line}", "a finite score", row["score"])
        row["image"], row["defect"] = unguarded(row["image"]), unguarded(row["defect"])
        if known != (row["defect"] == GOOD) or not row["image"]:
            raise _bad(f"{path}, line {line}", "a defect that agrees with the verdict", dict(row))
    names = tuple(row["image"] for row in rows)
    if len(set(names)) != len(names):
        raise _bad(path, "every image once", "an image twice")
    return names, tuple(row["defect"] for row in rows), scores


def _read_region(folder: Path, summary: dict[str, Any], size: int) -> np.ndarray | None:
    """(size, size) bool, where the result says that a region hid something."""
    about = summary.get("region")
    if about is None or (isinstance(about, dict) and about.get("hides") is False):
        return None
    _need_own(folder / REGION, "the region that was looked at")
    region = read_region(folder / REGION).mask
    if region.shape != (size, size):
        raise _bad(folder / REGION, f"a region of {size} x {size} pixels", f"{region.shape}")
    return region


def _read_heatmaps(
    path: Path, count: int, size: int, region: np.ndarray | None
) -> tuple[np.ndarray, tuple[float, float]]:
    """(count, size, size) float32 mapped from the file, and its range in the region."""
    _need_own(path, "the heatmaps")
    try:
        heatmaps = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise _bad(path, "the heatmaps", "no such file") from None
    except OSError as error:
        raise _bad(path, "readable heatmaps", error.strerror or error) from error
    except Exception as error:  # numpy parses its header, and raises almost anything
        # Its own words advise to allow pickles.
        raise _bad(path, "a whole array of heatmaps", "a damaged or foreign file") from error
    if heatmaps.shape != (count, size, size) or heatmaps.dtype != np.float32:
        found = f"{heatmaps.shape} {heatmaps.dtype}"
        raise _bad(path, f"heatmaps of shape {(count, size, size)} float32", found)
    looked_at = slice(None) if region is None else region
    low = float(np.min([m[looked_at].min() for m in heatmaps]))  # image by image: NaN spreads
    high = float(np.max([m[looked_at].max() for m in heatmaps]))
    if not math.isfinite(low + high) or (region is not None and not np.isfinite(heatmaps).all()):
        raise _bad(path, "finite heatmaps", "NaN or infinity")
    return heatmaps, (low, high)


def _find_records(
    summary: dict[str, Any],
    names: tuple[str, ...],
    defects: tuple[str, ...],
    category: Category | None,
) -> tuple[Record, ...]:
    """The records of the names, from the category at hand or from where the data was."""
    root = Path(str(summary["data"].get("root", "")))
    if category is None or category.root != root:
        category = _reopen(root)
    category = with_resize(category, recorded_resize(summary["data"]))
    by_name = {record.name: record for record in category.test}
    gone = [name for name in names if name not in by_name or not by_name[name].image.is_file()]
    if gone:
        raise CutSwapError(
            root,
            expected="the images that were scored",
            found=f"no {gone[0]}" + (f" and {len(gone) - 1} more" if len(gone) > 1 else ""),
            fix="put the data back, or evaluate again",
        )
    records = tuple(by_name[name] for name in names)
    if tuple(record.defect for record in records) != defects:
        raise CutSwapError(
            root, expected="defects as they were scored", found="others", fix="evaluate again"
        )
    return records


def _reopen(root: Path) -> Category:
    try:
        is_there = root.is_dir()
    except OSError:  # a name too long, a folder that may not be entered
        is_there = False
    if not is_there:
        raise CutSwapError(
            str(root)[:200],
            expected="the data that was scored",
            found="no such folder",
            fix="put the data back, or evaluate again",
        )
    try:  # as part of its data set: VisA's photos cannot be found otherwise
        return open_dataset(root.parent).category(root.name)
    except CutSwapError:
        return open_dataset(root).category()


def _need_own(path: Path, expected: str) -> None:
    """Refuse links and pipes: a file must lie in the folder, and end."""
    if not is_own_file(path):
        found = "a link or a pipe" if os.path.lexists(path) else "no such file"
        raise _bad(path, expected, found)


def _bad(subject: object, expected: str, found: object) -> CutSwapError:
    return CutSwapError(subject, expected=expected, found=found, fix=FIX)

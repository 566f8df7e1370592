"""From a category of large photos to PatchCore heatmaps and AUROC by tiles, in `evaluate`'s folder.

Photos pass one by one, so that memory does not grow with their number: a photo is scored, its
pixels are counted at its own size (`PixelCounts`), and what is kept of its heat is a map of at most
`SHOWN` pixels a side, in the square of photos that keep their shape (`FIT`). Readers find an
evaluation of such photos; that it was made by tiles say result.json's `tiles` and PatchCore's
settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from cutswap.config import PatchCoreSettings
from cutswap.data.images import photo_size, read_mask, read_photo, resize_mask, save_png
from cutswap.data.loading import CheckedCategory, load_masks, need_test_images
from cutswap.data.reading import CROP, FIT
from cutswap.data.records import Record
from cutswap.data.regions.frame import Frame
from cutswap.data.regions.region_of_interest import (
    looked_at,
    read_region,
    with_resize,
)
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import (
    heatmap_names,
    heatmap_picture,
    scores_table,
    setup_of,
)
from cutswap.evaluation.metrics import Metrics, auroc, average_precision, f1_max
from cutswap.evaluation.missed import missed_by_area
from cutswap.evaluation.tiled.pixel_counts import PixelCounts
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.tiled.tiled_bank import TiledBank, layout_of
from cutswap.utils.environment import environment
from cutswap.utils.files import write_json, write_text, write_with
from cutswap.utils.folder_names import (
    BANK,
    ENVIRONMENT,
    HEATMAPS,
    PICTURES,
    REGION,
    RESULT,
    SCORES,
)
from cutswap.utils.progress import Notify, tick

SHOWN = 1024  # pixels a side of the maps that are kept, at most
Size = tuple[int, int]


@dataclass(frozen=True)
class LargeCategory:
    """A category whose photos are cut into tiles.

    Attributes:
        checked: its photos keep their shape.
        train: (height, width) of the good training photos.
        test: of the test photos.
    """

    checked: CheckedCategory
    train: tuple[Size, ...]
    test: tuple[Size, ...]

    @classmethod
    def of(cls, checked: CheckedCategory) -> LargeCategory:
        """Reads the sizes from the files' headers.

        Raises:
            CutSwapError: photos that are to be cropped to a square, or no test images.
        """
        need_test_images(checked.category)
        if checked.category.reading.resize == CROP:
            raise CutSwapError(
                "--tile-overlap",
                expected="photos that keep their shape",
                found=f"--resize {CROP}, or {CROP} in the category's own file",
                fix=f"pass --resize {FIT}, or leave out --tile-overlap",
            )
        category = with_resize(checked.category, FIT)
        train, test = (
            tuple(photo_size(record.image) for record in records)
            for records in (category.train, category.test)
        )
        return cls(replace(checked, category=category), train, test)

    @property
    def shown(self) -> int:
        """Side S of the maps that are kept, pixels."""
        return min(SHOWN, max(max(size) for size in self.test))

    def region_at(self, size: Size) -> np.ndarray | None:
        """(height, width) bool, where to look in a photo of that size; None: everywhere."""
        region = self.checked.region
        return None if region is None else resize_mask(region.mask, size)

    def shown_region(self) -> np.ndarray | None:
        """(S, S) bool, where is looked in the square of any of the photos; None: everywhere.

        Raises:
            CutSwapError: see `RegionOfInterest.at`.
        """
        side = self.shown
        parts = [looked_at(self.checked.region, size, side, FIT) for size in sorted(set(self.test))]
        seen = [np.ones((side, side), bool) if part is None else part for part in parts]
        union = np.logical_or.reduce(seen)
        return None if union.all() else union

    def remark(self, settings: PatchCoreSettings) -> str:
        """A line on photos smaller than a tile; empty where there are none."""
        sizes = [*self.train, *self.test]
        small = [s for s in sizes if min(s) < settings.image_size]
        if not small:
            return ""
        height, width = min(small)
        side = settings.image_size
        return (
            f"{len(small)} of {len(sizes)} photos are smaller than a tile of {side} x {side}"
            f" pixels (the first {height} x {width}); beside them a tile repeats their edge, which"
            " is not looked at"
        )


def fit_tiles(
    large: LargeCategory,
    backbone: Backbone,
    settings: PatchCoreSettings,
    *,
    seed: int = 0,
    notify: Notify | None = None,
) -> TiledBank:
    """One bank for all tiles of the good training photos.

    Args:
        large: the category.
        backbone: its features are used as they are.
        settings: PatchCore's, with a `tile_overlap`.
        seed: of every draw.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: see `TiledBank.fit`; a photo that cannot be read.
    """
    records = large.checked.category.train
    return TiledBank.fit(
        backbone,
        photos_of(records),
        large.train,
        settings,
        seed=seed,
        region_at=large.region_at,
        progress=tick(notify, "memory bank"),
    )


def write_tiled_evaluation(
    large: LargeCategory,
    bank: TiledBank,
    out: Path,
    began: float,
    *,
    also: Callable[[np.ndarray], dict[str, Any]] = lambda _: {},
    notify: Notify | None = None,
) -> dict[str, Any]:
    """Score the test photos and write everything listed at the top of `evaluate` into `out`.

    Args:
        large: the category.
        bank: fitted on its good photos.
        out: folder to write.
        began: `time.perf_counter()` at the beginning of all.
        also: called with the (N,) float32 scores before result.json is written, for more of it.
        notify: called with (stage, done, total).

    Returns:
        What result.json holds.

    Raises:
        CutSwapError: a photo or mask that cannot be read, or a folder that cannot be written.
    """
    category = large.checked.category
    region = large.shown_region()
    (out / RESULT).unlink(missing_ok=True)  # never an old result beside new heatmaps
    write_json(out / ENVIRONMENT, environment())
    pass_ = _Pass(large, bank, notify)
    write_with(out / HEATMAPS, pass_.write_maps)
    scores, metrics = pass_.scores, pass_.metrics()
    write_text(out / SCORES, scores_table(category.test, scores, metrics.threshold))
    bank.save(out / BANK)
    if region is not None:
        save_png(out / REGION, region)
    kept = StoredMaps(out / HEATMAPS, large.shown)
    span = kept.range(len(category.test), region)
    for index, name in enumerate(heatmap_names(category.test)):
        record, mask = category.test[index], None
        if pass_.has_truth and not record.is_good:
            masks = load_masks([record], large.shown)
            mask = None if masks is None else masks[0]
        picture = heatmap_picture(record, kept.read(index), span, mask, region)
        save_png(out / PICTURES / f"{name}.png", picture)
        tick(notify, "writing heatmaps")(index + 1, len(category.test))
    defects = [record.defect for record in category.test]
    missed = missed_by_area(defects, scores, metrics.threshold, pass_.areas)
    summary = {
        **metrics.to_dict(),
        "missed": missed.to_dict(),
        **setup_of(large.checked, bank.bank, time.perf_counter() - began),
        "tiles": {
            "of_test_photos": sum(layout_of(s, bank.bank.settings).count for s in large.test),
            "heatmap_size": large.shown,
        },
        **_region_record(large, region, pass_.outside),
        **also(scores),
    }
    write_json(out / RESULT, summary)
    return summary


class StoredMaps:
    """Heatmaps in a file of numpy's, read one at a time: a mapped file would count as memory.

    Args:
        path: (N, S, S) float32.
        side: S.
    """

    def __init__(self, path: Path, side: int) -> None:
        self.path = path
        self.side = side
        self._bytes = side * side * 4
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()

    def read(self, index: int) -> np.ndarray:
        """One map, (S, S) float32."""
        with self.path.open("rb") as file:
            file.seek(self._start + index * self._bytes)
            values = np.frombuffer(file.read(self._bytes), np.float32)
        return values.reshape(self.side, self.side)

    def range(self, count: int, region: np.ndarray | None) -> tuple[float, float]:
        """Smallest and largest value of `count` maps, in (S, S) bool or everywhere."""
        inside = slice(None) if region is None else region
        low, high = np.inf, -np.inf
        for index in range(count):
            values = self.read(index)[inside]
            low, high = min(low, float(values.min())), max(high, float(values.max()))
        return low, high


class _Pass:
    """One pass over the test photos, and what was counted in it."""

    def __init__(self, large: LargeCategory, bank: TiledBank, notify: Notify | None) -> None:
        self._large, self._bank, self._notify = large, bank, notify
        test = large.checked.category.test
        self._test = test
        self.scores = np.zeros(len(test), np.float32)
        self.has_truth = all(record.is_good or record.mask is not None for record in test)
        self.areas = np.zeros(len(test)) if self.has_truth else None
        self.outside: list[str] = []
        self._pixels = PixelCounts()

    def write_maps(self, file: IO[bytes]) -> None:
        """Score photo after photo and write what is kept of its heat."""
        side = self._large.shown
        shape = (len(self._test), side, side)
        about = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, about)
        for index, photo in enumerate(photos_of(self._test)):
            size = photo.shape[0], photo.shape[1]
            region = self._large.region_at(size)
            said = self._bank.score(photo, region)
            self.scores[index] = said.score
            self._count(index, said.heatmap, region)
            file.write(shown_heat(said.heatmap, side).tobytes())
            tick(self._notify, "scoring")(index + 1, len(self._test))

    def _count(self, index: int, heat: np.ndarray, region: np.ndarray | None) -> None:
        if self.areas is None:
            return
        record = self._test[index]
        mask = np.zeros(heat.shape, bool)
        if record.mask is not None and not record.is_good:
            mask = resize_mask(read_mask(record.mask), (heat.shape[0], heat.shape[1]))
        self.areas[index] = mask.mean()
        if region is not None and mask.any() and not (mask & region).any():
            self.outside.append(record.name)
        self._pixels.add(heat, mask, region)

    def metrics(self) -> Metrics:
        """All figures of the test photos."""
        labels = np.array([not record.is_good for record in self._test])
        best, threshold = f1_max(self.scores, labels)
        pixels = self._pixels.figures()
        return Metrics(
            image_auroc=auroc(self.scores, labels),
            pixel_auroc=None if pixels is None else pixels.auroc,
            aupro=None if pixels is None else pixels.aupro,
            image_average_precision=average_precision(self.scores, labels),
            pixel_average_precision=None if pixels is None else pixels.average_precision,
            f1_max=best,
            threshold=threshold,
            pixel_f1_max=None if pixels is None else pixels.f1_max,
            pixel_threshold=None if pixels is None else pixels.threshold,
        )


def shown_heat(heat: np.ndarray, side: int) -> np.ndarray:
    """(H, W) float32 heat of a photo as the (side, side) float32 map that is kept, by areas."""
    top, left, height, width = Frame((heat.shape[0], heat.shape[1]), side, FIT).target
    small = cv2.resize(heat, (width, height), interpolation=cv2.INTER_AREA)
    square = np.zeros((side, side), np.float32)
    square[top : top + height, left : left + width] = small
    return square


def recorded_region(summary: dict[str, Any]) -> np.ndarray | None:
    """(H, W) bool, where an evaluation by tiles has looked, from the file it names.

    Args:
        summary: what its result.json holds.

    Returns:
        None: everywhere.

    Raises:
        CutSwapError: the file is gone, or shows another region.
    """
    told = summary.get("region")
    about: dict[str, Any] = told if isinstance(told, dict) else {}
    path = about.get("path")
    if not isinstance(path, str):
        return None
    region = read_region(Path(path))
    if region.sha256 != about.get("sha256"):
        raise CutSwapError(
            path,
            expected="the region that was evaluated",
            found="another one",
            fix="put it back, or evaluate again",
        )
    return region.mask


def photos_of(records: Sequence[Record]) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 photos at their own size, each read when it is asked for."""
    for record in records:
        yield read_photo(record.image, record.bits)


def _region_record(
    large: LargeCategory, shown: np.ndarray | None, outside: list[str]
) -> dict[str, Any]:
    """What of a summary says where was looked; nothing where that is all of every photo."""
    if shown is None:
        return {}
    region = large.checked.region
    own = {} if region is None else region.to_dict()
    return {"region": {**own, "hides": True, "defects_outside": outside}}

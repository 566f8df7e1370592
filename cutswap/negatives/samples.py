"""What one training update sees: positives, CutSwap (or CutPaste) negatives and scars.

Every draw is seeded by (run seed, running sample number), never by what came before. So a resumed
run continues exactly, workers may draw in any order, and a page can show the very sample the
trainer saw.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch.utils.data import Dataset

from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.errors import CutSwapError
from cutswap.negatives.color_jitter import Jitter, draw_jitter, weakly_augment
from cutswap.negatives.draw import Negative, UnchangedError, draw_negative
from cutswap.negatives.region_store import FIXED, Pair, RegionStore
from cutswap.negatives.regions import AnchorRegion
from cutswap.saliency.cache import SaliencyMaps
from cutswap.saliency.clusters import Clusters, cluster_saliency
from cutswap.utils.shared_arrays import SharedArray

# Second entry of each seed tuple, so that the three kinds of draw never share a stream.
_ORDER, _POSITIVE, _NEGATIVE = 0, 1, 2
_MANY = 4  # samples a pair of photo and level, beyond which hardly a pair (2%) is never asked for


@dataclass(frozen=True)
class Sample:
    """One image of an update in all its classes.

    Attributes:
        index: which training photo.
        positive: (H, W, 3) uint8, label 0.
        jitter: how the positive was made from the photo.
        negatives: the patch (label 1) and, in 3-way training, the scar (label 2).
    """

    index: int
    positive: np.ndarray
    jitter: Jitter | None
    negatives: tuple[Negative, ...]

    @property
    def photos(self) -> np.ndarray:
        """(ways, H, W, 3) uint8, in label order."""
        return np.stack([self.positive, *(n.photo for n in self.negatives)])


class Levels(Protocol):
    """The saliency of one photo, level by level."""

    @property
    def chosen(self) -> tuple[int, ...]:
        """Indices of the levels that negatives draw from, at least one."""

    def name(self, level: int) -> str:
        """The level's layer."""

    def map(self, level: int) -> np.ndarray:
        """(H, W) float in [0, 1]."""

    def clusters(self, level: int) -> Clusters | None:
        """Clusters of the map where they are known; None lets `draw_negative` find them."""


def draw_sample(
    photo: np.ndarray,
    levels: Levels | None,
    methods: tuple[NegativeSettings, ...],
    clusters: ClusterSettings,
    weak: WeakAugmentation,
    *,
    seed: int,
    number: int,
    positive: np.ndarray | None = None,
    region_of: Callable[[int], AnchorRegion | None] = lambda _: None,
    inside: np.ndarray | None = None,
) -> tuple[np.ndarray, Jitter | None, tuple[Negative, ...]]:
    """One photo in all its classes: the single place where trainer, command line and pages draw.

    Args:
        photo: (H, W, 3) uint8.
        levels: its saliency; None for CutPaste.
        methods: settings of each negative.
        clusters: K and the anchor strategy.
        weak: from photo to positive.
        seed: of the run.
        number: running number of the sample, see `sample_number`.
        positive: (H, W, 3) uint8 that an earlier call with this photo, `weak`, seed and number
            gave; the jitter is most of the cost of a draw, and all methods share it.
        region_of: the anchor region of a level where it is known; its map is then not asked for.
        inside: (H, W) bool, where to look, see `draw_negative`; None: everywhere.

    Returns:
        The positive (H, W, 3) uint8, how it was made, and the negatives in the order of `methods`.
    """
    rng = np.random.default_rng((seed, _POSITIVE, number))
    positive, jitter = weakly_augment(photo, weak, rng, positive)
    saliency = layer = level_clusters = region = None
    if levels is not None:
        level = _draw_level(levels.chosen, rng)
        layer, region = levels.name(level), region_of(level)
        if region is None:
            saliency, level_clusters = levels.map(level), levels.clusters(level)
    negatives = tuple(
        draw_negative(
            positive,
            saliency,
            settings,
            clusters,
            seed=(seed, _NEGATIVE, number, 2 if settings.method.endswith("-scar") else 1),
            layer=layer,
            clusters=level_clusters,
            region=region,
            inside=inside,
        )
        for settings in methods
    )
    return positive, jitter, negatives


def _draw_level(chosen: tuple[int, ...], rng: np.random.Generator) -> int:
    return chosen[int(rng.integers(len(chosen)))]


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """(count,) int: the order in which an epoch visits the photos."""
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(count)


def sample_number(index: int, count: int, seed: int, epoch: int) -> int:
    """Running number under which a run of `count` photos meets photo `index` in an epoch."""
    place = int(np.flatnonzero(epoch_order(count, seed, epoch) == index)[0])
    return epoch * count + place


class TrainingSamples(Dataset[np.ndarray]):
    """All samples of a run, by running number 0, 1, 2, ...; each epoch is one permutation.

    Args:
        photos: (N, H, W, 3) uint8, the good training images.
        saliency: of these photos; None for CutPaste.
        family: `cutswap` or `cutpaste`.
        ways: 2 or 3 classes.
        negatives: patch geometry; its `method` is set here.
        clusters: K and the anchor strategy.
        weak: from photo to positive.
        levels: saliency layers to draw from, one a sample, or `fused`; default: all layers.
        seed: of the run.
        count: number of samples in the run.
        names: of the photos, for messages.
        inside: (H, W) bool, where to look, see `draw_negative`; None: everywhere.
    """

    def __init__(
        self,
        photos: np.ndarray,
        saliency: SaliencyMaps | None,
        *,
        family: str,
        ways: int,
        negatives: NegativeSettings,
        clusters: ClusterSettings,
        weak: WeakAugmentation,
        seed: int,
        count: int,
        levels: tuple[str, ...] | None = None,
        names: tuple[str, ...] = (),
        inside: np.ndarray | None = None,
    ) -> None:
        if family == "cutswap" and (saliency is None or len(saliency) != len(photos)):
            raise CutSwapError(
                "saliency",
                expected=f"maps of {len(photos)} photos",
                found="none" if saliency is None else len(saliency),
                fix="compute them for the same photos",
            )
        self.photos = photos
        self.saliency = saliency if family == "cutswap" else None
        methods = (family, f"{family}-scar")[: ways - 1]
        self.methods = tuple(negatives.replace(method=m) for m in methods)
        self.cluster_settings = clusters
        self.weak = weak
        self.seed = seed
        self.count = count
        self.names = names
        self.inside = None if inside is None or inside.all() else inside
        self.levels = self._level_indices(levels)
        self._clusters: dict[tuple[int, int], Clusters | None] = {}
        self._regions: RegionStore | None = None
        self._shared: SharedArray | None = None  # the photos, once other processes may draw
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> np.ndarray:
        """(ways, H, W, 3) uint8 in label order."""
        return self.sample(number).photos

    def sample(self, number: int) -> Sample:
        """The sample with this running number, with the records of how it was drawn.

        Raises:
            CutSwapError: a photo in which no draw changes a pixel; the message names it.
        """
        index = self.index_of(number)
        with self.naming(index):
            drawn = draw_sample(
                self.photos[index],
                _PhotoLevels(self, index) if self.saliency is not None else None,
                self.methods,
                self.cluster_settings,
                self.weak,
                seed=self.seed,
                number=number,
                region_of=lambda level: self.region_of(index, level),
                inside=self.inside,
            )
        return Sample(index, *drawn)

    def index_of(self, number: int) -> int:
        """The photo that the sample with this running number shows."""
        epoch, place = divmod(number, len(self.photos))
        return int(self._permutation(epoch)[place])

    @contextlib.contextmanager
    def naming(self, index: int) -> Iterator[None]:
        """Say of a photo that no draw changes which one it is.

        Raises:
            UnchangedError: as it was raised inside, with the photo as its subject.
        """
        try:
            yield
        except UnchangedError as error:
            subject = self.names[index] if self.names else f"training photo {index}"
            raise UnchangedError(
                subject, expected=error.expected, found=error.found, fix=error.fix
            ) from error

    def find_regions(
        self, first: int = 0, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Compute the regions that samples from `first` on need, and share them between processes.

        Nothing that is drawn changes. Processes started afterwards, to draw, share photos and
        regions with this one.

        Args:
            first: running number of the first sample still to be drawn.
            progress: called with (done, total).
        """
        self._shared = SharedArray(self.photos)
        self.photos = self._shared.values
        if self.saliency is not None and self.cluster_settings.anchors in FIXED:
            pairs = sorted(self._pairs(first))
            self._regions = RegionStore(pairs, self.saliency, self.cluster_settings, progress)

    def region_of(self, index: int, level: int) -> AnchorRegion | None:
        """The anchor region of one map; None where a draw decides it, or it is not found yet."""
        if self.saliency is not None and self.cluster_settings.anchors == "whole-image":
            return AnchorRegion(np.ones(self.photos.shape[1:3], dtype=bool))
        return self._regions.get((index, level)) if self._regions else None

    def _pairs(self, first: int) -> set[Pair]:
        """(photo, level) of the samples from `first` on: of many samples, all there are."""
        every = len(self.photos) * len(self.levels)
        if self.count - first >= _MANY * every:
            return {(i, level) for i in range(len(self.photos)) for level in self.levels}
        pairs: set[Pair] = set()
        for number in range(first, self.count):
            rng = np.random.default_rng((self.seed, _POSITIVE, number))
            draw_jitter(self.weak.jitter, rng)
            epoch, place = divmod(number, len(self.photos))
            pairs.add((int(self._permutation(epoch)[place]), _draw_level(self.levels, rng)))
        return pairs

    def __getstate__(self) -> dict[str, Any]:
        """For processes that draw: shared memory is handed over instead of copied."""
        state = dict(self.__dict__)
        if self._shared is not None:
            del state["photos"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._shared is not None:
            self.photos = self._shared.values

    def _permutation(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            self._order = (epoch, epoch_order(len(self.photos), self.seed, epoch))
        return self._order[1]

    def _level_indices(self, levels: tuple[str, ...] | None) -> tuple[int, ...]:
        if self.saliency is None:
            return ()
        names = self.saliency.levels
        unknown = [level for level in levels or () if level not in names]
        if unknown:
            raise CutSwapError(
                "levels",
                expected=f"some of {', '.join(names)}",
                found=", ".join(unknown),
                fix="name saliency layers of this run",
            )
        return tuple(names.index(level) for level in levels or self.saliency.layers)

    def clusters_of(self, index: int, level: int) -> Clusters | None:
        """Clusters of one map, found once a run; None where the map is degenerate."""
        key = (index, level)
        if self.saliency is None or self.cluster_settings.anchors in ("whole-image", "top-n"):
            return None
        if key not in self._clusters:
            try:
                clusters = cluster_saliency(self.saliency.at(*key), self.cluster_settings.k)
            except CutSwapError:
                clusters = None  # draw_negative meets it again and records the fallback
            self._clusters[key] = clusters
        return self._clusters[key]


@dataclass(frozen=True)
class _PhotoLevels:
    """`Levels` of one photo of a run."""

    samples: TrainingSamples
    index: int

    @property
    def chosen(self) -> tuple[int, ...]:
        return self.samples.levels

    def name(self, level: int) -> str:
        return self._saliency.levels[level]

    def map(self, level: int) -> np.ndarray:
        return self._saliency.at(self.index, level)

    def clusters(self, level: int) -> Clusters | None:
        return self.samples.clusters_of(self.index, level)

    @property
    def _saliency(self) -> SaliencyMaps:
        if self.samples.saliency is None:
            raise RuntimeError("a CutPaste run has no levels")
        return self.samples.saliency

"""What one training update sees: positives, CutSwap (or CutPaste) negatives and scars.

Every draw is seeded by (run seed, running sample number), never by what came before. So a resumed
run continues exactly, workers may draw in any order, and a page can show the very sample the
trainer saw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from cutswap.clusters import Clusters, cluster_saliency
from cutswap.color_jitter import Jitter, weakly_augment
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.errors import CutSwapError
from cutswap.negatives import Negative, draw_negative
from cutswap.saliency_cache import SaliencyMaps

# Second entry of each seed tuple, so that the three kinds of draw never share a stream.
_ORDER, _POSITIVE, _NEGATIVE = 0, 1, 2


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
        levels: saliency layers to draw from, one a sample; default: all there are.
        seed: of the run.
        count: number of samples in the run.
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
        self._levels = self._level_indices(levels)
        self._clusters: dict[tuple[int, int], Clusters | None] = {}
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> np.ndarray:
        """(ways, H, W, 3) uint8 in label order."""
        return self.sample(number).photos

    def sample(self, number: int) -> Sample:
        """The sample with this running number, with the records of how it was drawn."""
        epoch, place = divmod(number, len(self.photos))
        index = int(self._permutation(epoch)[place])
        rng = np.random.default_rng((self.seed, _POSITIVE, number))
        positive, jitter = weakly_augment(self.photos[index], self.weak, rng)
        level = self._levels[int(rng.integers(len(self._levels)))] if self._levels else None
        negatives = tuple(
            draw_negative(
                positive,
                None if level is None else self._map(index, level),
                settings,
                self.cluster_settings,
                seed=(self.seed, _NEGATIVE, number, way),
                layer=None if level is None else self._layer_name(level),
                clusters=None if level is None else self._clusters_of(index, level),
            )
            for way, settings in enumerate(self.methods, start=1)
        )
        return Sample(index, positive, jitter, negatives)

    def _permutation(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            rng = np.random.default_rng((self.seed, _ORDER, epoch))
            self._order = (epoch, rng.permutation(len(self.photos)))
        return self._order[1]

    def _level_indices(self, levels: tuple[str, ...] | None) -> tuple[int, ...]:
        if self.saliency is None:
            return ()
        names = self.saliency.layers
        unknown = [level for level in levels or () if level not in names]
        if unknown:
            raise CutSwapError(
                "levels",
                expected=f"some of {', '.join(names)}",
                found=", ".join(unknown),
                fix="name saliency layers of this run",
            )
        return tuple(names.index(level) for level in levels or names)

    def _layer_name(self, level: int) -> str:
        return "" if self.saliency is None else self.saliency.layers[level]

    def _map(self, index: int, level: int) -> np.ndarray | None:
        return None if self.saliency is None else self.saliency.at(index, level)

    def _clusters_of(self, index: int, level: int) -> Clusters | None:
        """Clusters of one map, found once a run; None where the map is degenerate."""
        key = (index, level)
        if self.cluster_settings.anchors in ("whole-image", "top-n"):
            return None
        if key not in self._clusters:
            saliency = self._map(index, level)
            try:
                found = cluster_saliency(np.asarray(saliency), self.cluster_settings.k)
            except CutSwapError:
                found = None  # draw_negative meets it again and records the fallback
            self._clusters[key] = found
        return self._clusters[key]

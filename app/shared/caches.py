"""What pages share across reruns and sessions: networks, photos, saliency, clusters.

Everything is keyed by file, its time, and settings, never by arrays: Streamlit hashes a large
array by a sample and would return the picture of before a scar-sized change. Values are shared
between sessions and must not be written to. All pictures together are bounded in bytes, by
`picture_memory`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st

from app.shared import public
from app.shared.picture_memory import kept
from cutswap.data.images import read_depth
from cutswap.data.reading import READING_FILE, SQUASH, unused_bits
from cutswap.data.records import Record
from cutswap.data.regions.frame import framed_photo
from cutswap.networks.backbone import Backbone
from cutswap.saliency.clusters import Clusters, cluster_saliency
from cutswap.saliency.fusion import FUSED, fuse
from cutswap.saliency.quick_clusters import clusters_for_regions
from cutswap.utils.folder_names import WEIGHTS
from cutswap.utils.overlays import colourise


@dataclass(frozen=True)
class PhotoKey:
    """One photo at one size; equal keys are equal pictures.

    Attributes:
        path: its file.
        modified: time of last change, nanoseconds.
        size: side of the square it becomes, pixels.
        bits: that its camera fills, see `read_photo`.
        resize: how it becomes that, see `ReadingSettings.resize`.
    """

    path: Path
    modified: int
    size: int
    bits: int | None = None
    resize: str = SQUASH

    @classmethod
    def of(cls, path: Path, size: int, bits: int | None = None, resize: str = SQUASH) -> PhotoKey:
        """The key of a file as it is now; a file that is gone has the time 0."""
        try:
            return cls(path, path.stat().st_mtime_ns, size, bits, resize)
        except OSError:
            return cls(path, 0, size, bits, resize)

    @classmethod
    def of_record(cls, record: Record, size: int) -> PhotoKey:
        """The key of a category's photo, read as its category says."""
        return cls.of(record.image, size, record.bits, record.resize)


@dataclass(frozen=True)
class SaliencyKey:
    """Everything that determines a set of maps.

    Attributes:
        photo: the photo.
        backbone: network's name.
        weights: embedded, imagenet, random, or a path.
        layers: shallow to deep.
        target_class: None for the predicted one.
        fusion: weight of each layer in one more level, their weighted mean; None: no such level.
        changed: when the file of the weights was, nanoseconds; 0 for weights with a name.
    """

    photo: PhotoKey
    backbone: str
    weights: str
    layers: tuple[str, ...]
    target_class: int | None = None
    fusion: tuple[float, ...] | None = None
    changed: int = 0

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the maps."""
        return self.layers if self.fusion is None else (*self.layers, FUSED)


@dataclass(frozen=True)
class Explained:
    """Maps of one photo.

    Attributes:
        maps: (L, H, W) float32 in [0, 1], each of the key's levels scaled by itself.
        grids: (h, w) of every level before it was enlarged.
        target_class: class explained.
        score: its score before any softmax.
        probability: what the network gives that class, in [0, 1].
        guesses: its five best classes, each with its probability.
        weights: sentence on where the numbers come from.
        ends: what 0 and 1 of each layer's map stand for, in units of the class score; a fused map
            has no unit and none here.
    """

    maps: np.ndarray
    grids: tuple[tuple[int, int], ...]
    target_class: int
    score: float
    probability: float
    guesses: tuple[tuple[int, float], ...]
    weights: str
    ends: tuple[tuple[float, float], ...] = ()


@st.cache_resource(max_entries=8, show_spinner="Loading the network")
def backbone(name: str, weights: str, modified: int = 0) -> Backbone:
    """A network; read-only, shared by all sessions. `modified` renews a path that changed."""
    import torch

    # Two sessions at once on two cores: with two threads each they wait at every barrier.
    torch.set_num_threads(max(1, min(4, (os.cpu_count() or 1) // 2)))
    from cutswap.networks.backbone import load_backbone

    del modified
    return load_backbone(name, weights)


def network(name: str, weights: str) -> Backbone:
    """`backbone`, loaded again when its file has changed."""
    modified = 0
    if weights not in ("embedded", "imagenet", "random"):
        path = Path(weights)
        file = path / WEIGHTS if path.is_dir() else path
        modified = file.stat().st_mtime_ns if file.is_file() else 0
    return backbone(name, weights, modified)


def photo(key: PhotoKey) -> np.ndarray:
    """(S, S, 3) uint8.

    Raises:
        CutSwapError: unreadable.
    """
    return _photo(key)[0]


@kept()
def _photo(key: PhotoKey) -> tuple[np.ndarray, int]:
    whole, top = read_depth(key.path, key.bits)
    return framed_photo(whole, key.size, key.resize), top


def depth_note(key: PhotoKey) -> str:
    """One line where a grey photo of 16 bits is shown nearly black, for it uses few of them.

    Raises:
        CutSwapError: unreadable.
    """
    unused = unused_bits(_photo(key)[1])
    if unused is None:
        return ""
    used, camera = unused
    return (
        f"This photo has 16 bits and uses {used} of them: it is shown, and scored, nearly black. If"
        f' the camera gives {camera} bits, write {{"bits": {camera}}} into {READING_FILE} in the'
        " folder of its category."
    )


def explained(key: SaliencyKey) -> Explained:
    """Saliency of one photo, from memory or the network; other weights of fusion ask no network.

    Raises:
        CutSwapError: an unreadable photo, a layer or class that does not exist, or weights of
            fusion that are none.
    """
    return _explained(key) if key.fusion is None else _fused(key)


@kept()
def _fused(key: SaliencyKey) -> Explained:
    explained = _explained(replace(key, fusion=None))
    fused = fuse(explained.maps, key.fusion)
    return replace(
        explained,
        maps=np.concatenate([explained.maps, fused[None]]),
        grids=(*explained.grids, fused.shape),
    )


@kept("Asking the network where it looks")
def _explained(key: SaliencyKey) -> Explained:
    from cutswap.data.images import to_image
    from cutswap.saliency.layercam import explain

    with public.turn(key.backbone, key.layers, key.photo.size):
        looking = network(key.backbone, key.weights)
        picture = photo(key.photo)
        saliency = explain(
            looking, to_image(picture[None]), key.layers, target_class=key.target_class
        )
        maps = saliency.upsampled(picture.shape[:2])[0].numpy()
        ends = saliency.ends(picture.shape[:2])[0].tolist()
    return Explained(
        maps=maps,
        grids=tuple((int(m.shape[1]), int(m.shape[2])) for m in saliency.maps),
        target_class=int(saliency.classes[0]),
        score=float(saliency.scores[0]),
        probability=saliency.probability(0),
        guesses=saliency.best_guesses(0),
        weights=looking.report.sentence(),
        ends=tuple((float(low), float(high)) for low, high in ends),
    )


@kept()
def clusters(key: SaliencyKey, level: int, k: int) -> Clusters:
    """Clusters of one level of `explained`.

    Raises:
        CutSwapError: fewer distinct values than clusters.
    """
    return cluster_saliency(explained(key).maps[level], k)


@kept()
def clusters_of_regions(key: SaliencyKey, level: int, k: int) -> Clusters:
    """`clusters` for who asks where they lie, not for the last bits of a centroid: half the time.

    Raises:
        CutSwapError: fewer distinct values than clusters.
    """
    return clusters_for_regions(explained(key).maps[level], k)


@kept()
def heat(key: SaliencyKey, level: int) -> np.ndarray:
    """(S, S, 3) uint8 of one level in the colours of the legend."""
    return colourise(explained(key).maps[level])


@kept()
def heat_in(key: SaliencyKey, level: int, span: tuple[float, float]) -> np.ndarray:
    """`heat` of a layer's map in a range of values that it may share with another map.

    Args:
        key: network and photo.
        level: index of a layer; the fused level has no unit.
        span: values shown black and bright yellow, in units of the class score.
    """
    found = explained(key)
    low, high = found.ends[level]
    return colourise(low + found.maps[level] * (high - low), *span)


def changed(path: Path) -> int:
    """Time of change of a file, nanoseconds; 0 where it is gone."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0

"""Saliency of a data set, computed once and kept on disk.

Saliency depends on the un-augmented image alone (Algorithm 1), so neither epochs nor pages need
it twice. Kept are the raw maps at their own resolution: 90 KB an image for VGG16's five levels,
against 1.3 MB upsampled, and nothing is rounded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cutswap.data.images import to_image
from cutswap.networks.backbone import Backbone
from cutswap.saliency.fusion import FUSED, fuse, fusion_shares
from cutswap.saliency.layercam import Saliency, explain, upsample
from cutswap.utils.array_files import read_arrays
from cutswap.utils.device_errors import FittingBatches
from cutswap.utils.devices import is_accelerator, tf32
from cutswap.utils.files import cache_folder, write_with
from cutswap.utils.writers import Writers

GPU_BATCH = 32  # a VGG16 keeps 0.1 GB of activations a photo of 256; halved where that is too much
# On a CPU one by one: no slower (1.5 s against 1.7 s for 8 photos), and a photo's maps then do not
# depend on its neighbours (SqueezeNet's last bits do), so that pages and trainer agree bit for bit.
CPU_BATCH = 1
_WRITERS = 4  # threads that store maps while a card makes the next ones


class SaliencyMaps:
    """Raw maps of a set of photos, one list entry a photo.

    Args:
        maps: for each photo, for each layer, (h, w) float32.
        layers: names, shallow to deep.
        size: (H, W) of the photos.
        fusion: weight of each layer in the level after the last one, see `fusion.fuse`.
    """

    def __init__(
        self,
        maps: list[list[np.ndarray]],
        layers: tuple[str, ...],
        size: tuple[int, int],
        fusion: tuple[float, ...] | None = None,
    ) -> None:
        self.maps = maps
        self.layers = layers
        self.size = size
        self.fusion = fusion

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of what `at` can give: the layers, then their fusion."""
        return (*self.layers, FUSED)

    def __len__(self) -> int:
        return len(self.maps)

    def at(self, photo: int, layer: int) -> np.ndarray:
        """One of `levels` at the photo's size: (H, W) float32 in [0, 1]."""
        if layer == len(self.layers):
            return fuse(np.stack([self.at(photo, i) for i in range(layer)]), self.fusion)
        raw = torch.from_numpy(self.maps[photo][layer])
        return upsample(raw[None], self.size)[0].numpy()


def saliency_of(
    backbone: Backbone,
    photos: np.ndarray,
    layers: tuple[str, ...] | None = None,
    *,
    target_class: int | None = None,
    fusion: tuple[float, ...] | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SaliencyMaps:
    """Saliency of every photo, from the cache where it is there and whole.

    Args:
        backbone: the network that looks.
        photos: (N, H, W, 3) uint8, already at the training size.
        layers: default: the backbone's five levels.
        target_class: default: each photo's own predicted class.
        fusion: weight of each layer in the level `fused`; default: equal.
        cache: folder; default: `cache_folder()/saliency`.
        progress: called with (done, total).

    Raises:
        CutSwapError: a layer that does not exist, or weights of fusion that do not fit.
    """
    folder = cache or cache_folder() / "saliency"
    names = tuple(str(layer) for layer in (layers or backbone.levels))
    backbone.resolve(names)
    fusion_shares(fusion, len(names))  # a wrong number is refused before the long part
    paths = [folder / f"{_key(backbone, p, names, target_class)}.npz" for p in photos]
    maps: list[list[np.ndarray] | None] = [
        _read(path, len(names), photos.shape[1:3]) for path in paths
    ]
    missing = [i for i, m in enumerate(maps) if m is None]
    done = len(photos) - len(missing)
    if progress:
        progress(done, len(photos))
    on_cpu = not is_accelerator(backbone.device)
    batch, fitting = CPU_BATCH if on_cpu else GPU_BATCH, FittingBatches("saliency")

    def look(image: Tensor) -> Saliency:
        return explain(backbone, image, names, target_class=target_class)

    with Writers(0 if on_cpu else _WRITERS) as writers, tf32(False):
        for start in range(0, len(missing), batch):
            chunk = missing[start : start + batch]
            parts = fitting.run(to_image(photos[chunk]), look)
            rows = [[m[i] for m in part.maps] for part in parts for i in range(len(part.classes))]
            for index, row in zip(chunk, rows, strict=True):
                arrays = [m.numpy().astype(np.float32) for m in row]
                maps[index] = arrays
                writers.write(_write, paths[index], arrays)
            done += len(chunk)
            if progress:
                progress(done, len(photos))
    return SaliencyMaps(
        [m for m in maps if m is not None], names, (photos.shape[1], photos.shape[2]), fusion
    )


def _key(
    backbone: Backbone, photo: np.ndarray, layers: tuple[str, ...], target_class: int | None
) -> str:
    """Everything the maps depend on, hashed."""
    digest = hashlib.sha256(np.ascontiguousarray(photo).data)
    digest.update(f"{photo.shape}|{backbone.fingerprint}|{layers}|{target_class}|1".encode())
    return digest.hexdigest()[:40]


def _read(path: Path, layers: int, size: tuple[int, ...]) -> list[np.ndarray] | None:
    """The stored maps, or None when there are none or the file is damaged: it is made again."""
    try:
        if not path.is_file():
            return None
        stored = read_arrays(path)
        arrays = [stored[f"map_{i}"] for i in range(layers)]
    except (OSError, ValueError, KeyError):
        return None
    return arrays if all(_is_map(a, size) for a in arrays) else None


def _is_map(array: np.ndarray, size: tuple[int, ...]) -> bool:
    """Whether it may be a layer's map of a photo of this size; none is larger than its photo."""
    is_map = array.ndim == 2 and array.dtype == np.float32 and array.size > 0
    is_map = is_map and array.shape[0] <= size[0] and array.shape[1] <= size[1]
    return is_map and bool(array.min() >= 0 and array.max() <= 1)  # NaN fails both


def _write(path: Path, arrays: list[np.ndarray]) -> None:
    named = {f"map_{i}": a for i, a in enumerate(arrays)}
    write_with(path, lambda file: np.savez(file, allow_pickle=False, **named))

"""Saliency of one image file: its maps, and the pictures of them in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cutswap.config import SaliencySettings
from cutswap.data.images import read_photo, save_png, to_image
from cutswap.data.reading import SQUASH
from cutswap.data.regions.frame import framed_photo
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.saliency.fusion import FUSED, fuse
from cutswap.saliency.layercam import explain
from cutswap.utils.files import write_with
from cutswap.utils.overlays import blend, colourise


@dataclass(frozen=True)
class ImageSaliency:
    """One image and its maps.

    Attributes:
        photo: (H, W, 3) uint8, the square of the settings' size.
        maps: (L, H, W) float32 in [0, 1], each level scaled by itself.
        fused: (H, W) float32 in [0, 1], their weighted mean, see `fusion.fuse`.
        layers: names, in the order of `maps`.
        target_class: class that was explained.
        score: its score before any softmax.
    """

    photo: np.ndarray
    maps: np.ndarray
    fused: np.ndarray
    layers: tuple[str, ...]
    target_class: int
    score: float


def image_saliency(
    path: Path,
    backbone: Backbone,
    settings: SaliencySettings,
    bits: int | None = None,
    resize: str = SQUASH,
) -> ImageSaliency:
    """Read an image and explain it.

    Args:
        path: of the image.
        backbone: the network.
        settings: layers, class and size.
        bits: that the camera fills, see `read_photo`.
        resize: how it becomes a square, see `ReadingSettings.resize`.

    Raises:
        CutSwapError: an unreadable image, a layer or class that does not exist, or fusion weights
            that do not fit the layers.
    """
    photo = framed_photo(read_photo(path, bits), settings.image_size, resize)
    saliency = explain(
        backbone, to_image(photo[None]), settings.layers, target_class=settings.target_class
    )
    maps = saliency.upsampled(photo.shape[:2])[0].numpy()
    return ImageSaliency(
        photo=photo,
        maps=maps,
        fused=fuse(maps, settings.fusion),
        layers=saliency.layers,
        target_class=int(saliency.classes[0]),
        score=float(saliency.scores[0]),
    )


MAPS, PHOTO = "saliency.npz", "input.png"


def saliency_files(layers: Sequence[str]) -> tuple[str, ...]:
    """Names of what `write_saliency` writes.

    Args:
        layers: as `ImageSaliency` has them.
    """
    return (MAPS, PHOTO, *(f"overlay_{name}.png" for name in (*layers, FUSED)))


def write_saliency(saliency: ImageSaliency, out: Path) -> None:
    """Write `saliency.npz` (maps, layers, fused), the resized input and one overlay a level.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    layers = np.array(saliency.layers)
    write_with(
        out / MAPS,
        lambda f: np.savez_compressed(
            f, allow_pickle=False, maps=saliency.maps, layers=layers, fused=saliency.fused
        ),
    )
    save_png(out / PHOTO, saliency.photo)
    _, _, *overlays = saliency_files(saliency.layers)
    for name, level in zip(overlays, (*saliency.maps, saliency.fused), strict=True):
        save_png(out / name, blend(saliency.photo, colourise(level)))


def middle_level(backbone: Backbone) -> str:
    """The default level that guides patches: the third of five (vgg16: 16)."""
    return backbone.levels[len(backbone.levels) // 2]


def one_layer(layers: str | None, backbone: Backbone) -> str:
    """A single layer name, or `fused`, checked.

    Raises:
        CutSwapError: several names, or one that does not exist.
    """
    if layers is None:
        return middle_level(backbone)
    if "," in layers:
        raise CutSwapError(
            "--layer", expected="one layer", found=layers, fix="run augment once a layer"
        )
    if layers != FUSED:
        backbone.resolve([layers])
    return layers

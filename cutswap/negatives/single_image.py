"""Saliency and negatives of one image file, as the command line and the pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import ClusterSettings, NegativeSettings, SaliencySettings, WeakAugmentation
from cutswap.data.images import read_photo, resize_photo, save_png, to_image
from cutswap.errors import CutSwapError
from cutswap.negatives.draw import Negative
from cutswap.negatives.samples import draw_sample
from cutswap.networks.backbone import Backbone
from cutswap.saliency.fusion import FUSED, fuse
from cutswap.saliency.layercam import explain
from cutswap.utils.files import sha256_of, write_json, write_with
from cutswap.utils.overlays import blend, colourise


@dataclass(frozen=True)
class ImageSaliency:
    """One image and its maps.

    Attributes:
        photo: (H, W, 3) uint8, squashed to the settings' size.
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


def image_saliency(path: Path, backbone: Backbone, settings: SaliencySettings) -> ImageSaliency:
    """Read an image and explain it.

    Raises:
        CutSwapError: an unreadable image, a layer or class that does not exist, or fusion weights
            that do not fit the layers.
    """
    photo = resize_photo(read_photo(path), (settings.image_size, settings.image_size))
    found = explain(
        backbone, to_image(photo[None]), settings.layers, target_class=settings.target_class
    )
    maps = found.upsampled(photo.shape[:2])[0].numpy()
    return ImageSaliency(
        photo, maps, fuse(maps, settings.fusion), found.layers, int(found.classes[0]),
        float(found.scores[0]),
    )  # fmt: skip


def write_saliency(found: ImageSaliency, out: Path) -> None:
    """Write `saliency.npz` (maps, layers, fused), the resized input and one overlay a level.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    layers = np.array(found.layers)
    write_with(
        out / "saliency.npz",
        lambda f: np.savez_compressed(
            f, allow_pickle=False, maps=found.maps, layers=layers, fused=found.fused
        ),
    )
    save_png(out / "input.png", found.photo)
    levels = zip((*found.layers, FUSED), (*found.maps, found.fused), strict=True)
    for name, level in levels:
        save_png(out / f"overlay_{name}.png", blend(found.photo, colourise(level)))


@dataclass(frozen=True)
class OneLevel:
    """`training_samples.Levels` of a single map."""

    saliency: np.ndarray
    layer: str

    chosen = (0,)

    def name(self, level: int) -> str:  # noqa: ARG002
        """The layer."""
        return self.layer

    def map(self, level: int) -> np.ndarray:  # noqa: ARG002
        """The map."""
        return self.saliency

    def clusters(self, level: int) -> None:  # noqa: ARG002
        """Left to `draw_negative`."""
        return


def draw_many(
    photo: np.ndarray,
    saliency: np.ndarray | None,
    negatives: NegativeSettings,
    clusters: ClusterSettings,
    weak: WeakAugmentation,
    *,
    count: int,
    seed: int,
    layer: str | None,
    first: int = 0,
) -> list[tuple[np.ndarray, Negative, dict[str, Any] | None]]:
    """`count` negatives of one photo, as a run with this seed draws its samples `first`, ...

    Returns:
        For each, the positive (H, W, 3) uint8, the negative, and the positive's jitter as JSON
        values (None without weak augmentation).
    """
    guided = negatives.method.startswith("cutswap") and saliency is not None
    levels = OneLevel(np.asarray(saliency), layer or "") if guided else None
    drawn = []
    for number in range(first, first + count):
        positive, jitter, (negative,) = draw_sample(
            photo, levels, (negatives,), clusters, weak, seed=seed, number=number
        )
        drawn.append((positive, negative, jitter.to_dict() if jitter else None))
    return drawn


def write_negatives(
    drawn: list[tuple[np.ndarray, Negative, dict[str, Any] | None]],
    out: Path,
    image: Path,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Write positives, negatives, masks and `record.json`; returns what the record holds.

    Raises:
        CutSwapError: the folder cannot be written.
    """
    weak = any(jitter for _, _, jitter in drawn)
    if not weak:
        save_png(out / "positive.png", drawn[0][0])
    for index, (positive, negative, _) in enumerate(drawn):
        if weak:
            save_png(out / f"positive_{index:03d}.png", positive)
        save_png(out / f"negative_{index:03d}.png", negative.photo)
        save_png(out / f"mask_{index:03d}.png", negative.mask)
    record = {
        "image": str(image),
        "image_sha256": sha256_of(image),
        **settings,
        "negatives": [
            {
                **negative.record.to_dict(),
                "positive_jitter": jitter,
                "changed_share": round(float(negative.mask.mean()), 6),
            }
            for _, negative, jitter in drawn
        ],
    }
    write_json(out / "record.json", record)
    return record


def middle_level(backbone: Backbone) -> str:
    """The level that guides patches when nobody chooses: the third of five (vgg16: 16)."""
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

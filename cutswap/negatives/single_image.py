"""Saliency and negatives of one image file, as the command line and the pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.data.images import save_png
from cutswap.errors import CutSwapError
from cutswap.negatives.anchors import Point
from cutswap.negatives.by_hand import hand_placing
from cutswap.negatives.draw import Negative
from cutswap.negatives.samples import draw_sample
from cutswap.utils.files import sha256_of, write_json

RECORD = "record.json"


@dataclass(frozen=True)
class OneLevel:
    """`samples.Levels` of a single map."""

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
    at: tuple[Point, Point] | None = None,
    inside: np.ndarray | None = None,
) -> list[tuple[np.ndarray, Negative, dict[str, Any] | None]]:
    """`count` negatives of one photo, as a run with this seed draws its samples `first`, ...

    Args:
        photo: (H, W, 3) uint8.
        saliency: (H, W) float in [0, 1], of the layer; None for methods that do not look at it.
        negatives: method and patch geometry.
        clusters: K and the anchor strategy.
        weak: from photo to positive.
        count: negatives to draw.
        seed: of the run.
        layer: name of the saliency's layer, for the records.
        first: running number of the first sample.
        at: anchors (y, x) at which the patches of each draw are placed instead of its own.
        inside: (H, W) bool, where to look, see `draw_negative`; None: everywhere.

    Returns:
        For each, the positive (H, W, 3) uint8, the negative, and the positive's jitter as JSON
        values (None without weak augmentation).

    Raises:
        CutSwapError: see `draw_negative`; anchors at which the patches of a draw may not lie.
    """
    if at is not None and saliency is None:
        raise CutSwapError(
            "anchors",
            expected="none for a method that does not look at saliency",
            found=at,
            fix="use cutswap or cutswap-scar",
        )
    guided = negatives.method.startswith("cutswap") and saliency is not None
    levels = OneLevel(np.asarray(saliency), layer or "") if guided else None
    drawn = []
    for number in range(first, first + count):
        positive, jitter, (negative,) = draw_sample(
            photo, levels, (negatives,), clusters, weak, seed=seed, number=number, inside=inside
        )
        if at is not None and saliency is not None:
            placing = hand_placing(negative.record, saliency, negatives, clusters, inside=inside)
            negative = placing.swap(positive, *at)
        drawn.append((positive, negative, jitter.to_dict() if jitter else None))
    return drawn


def negative_files(count: int, *, weak: bool) -> tuple[str, ...]:
    """Names of what `write_negatives` writes.

    Args:
        count: negatives.
        weak: whether each has a positive of its own.
    """
    numbered = ("positive", "negative", "mask") if weak else ("negative", "mask")
    pictures = [f"{name}_{index:03d}.png" for index in range(count) for name in numbered]
    return (*pictures, *(() if weak else ("positive.png",)), RECORD)


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
    (out / RECORD).unlink(missing_ok=True)  # never an old record beside new negatives
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
    write_json(out / RECORD, record)
    return record

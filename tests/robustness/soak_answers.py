"""What the pages must show, computed by the core library alone: what `soak` compares with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from app.viewer.pictures import jpeg_url
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.data.images import read_photo, resize_photo, save_png, to_image
from cutswap.negatives.samples import draw_sample, sample_number
from cutswap.networks.backbone import SALIENCY_LEVELS, load_backbone
from cutswap.saliency.clusters import Clusters, cluster_saliency
from cutswap.saliency.layercam import explain
from cutswap.utils.overlays import colour_regions, colourise
from tests.helpers.small_photos import photo_of

SIZE = 256  # the pages' default
LEVEL = 2  # of five, the pages' default: the middle one
CATEGORY = "part"


def build_photos(root: Path, count: int) -> list[Path]:
    """A category of `count` good photos to learn from, all different, and two test photos."""
    for index in range(count):
        save_png(root / CATEGORY / "train/good" / f"{index:03d}.png", photo_of(index, (300, 300)))
    save_png(root / CATEGORY / "test/good/000.png", photo_of(900, (300, 300)))
    save_png(root / CATEGORY / "test/crack/000.png", photo_of(901, (300, 300)))
    return sorted((root / CATEGORY / "train/good").iterdir())


@dataclass(frozen=True)
class Level:
    """`samples.Levels` of one map."""

    values: np.ndarray
    found: Clusters
    chosen: tuple[int, ...] = (LEVEL,)

    def name(self, level: int) -> str:
        return SALIENCY_LEVELS["vgg16"][level]

    def map(self, level: int) -> np.ndarray:
        assert level == LEVEL
        return self.values

    def clusters(self, level: int) -> Clusters:
        assert level == LEVEL
        return self.found


@dataclass(frozen=True)
class Look:
    """What one session looks at.

    Attributes:
        page: saliency, negatives or lesson.
        slider: label of the slider it moves.
        values: what it may be moved to; the first is its default.
        query: of its URL.
        photo: its photo as the page shows it, a data URL.
        pictures: for each value the data URL of the picture that follows from it.
    """

    page: str
    slider: str
    values: tuple[int, ...]
    query: dict[str, str]
    photo: str
    pictures: dict[int, str]

    def wrong(self, viewers: Sequence[dict[str, Any]], value: int) -> str:
        """What is wrong with a page's pictures; empty where they are this session's own."""
        if self.page == "lesson":  # one viewer, with the clusters over the photo
            pictures = [(viewer["base"], viewer["heat"]) for viewer in viewers]
            return "" if (self.photo, self.pictures[value]) in pictures else "another picture"
        saliency = self.page == "saliency"
        wanted = 2 if saliency else 3  # positive, negative and their difference
        if len(viewers) != wanted:
            return f"{len(viewers)} viewers instead of {wanted}"
        if saliency and viewers[0]["base"] != self.photo:
            return "the photo of another session"
        shown = viewers[1]["heat" if saliency else "base"]
        if shown == self.pictures[value]:
            return ""
        known = [v for v, picture in self.pictures.items() if picture == shown]
        return f"a picture of {self.slider} {known[0] if known else 'and photo of another session'}"


def looks(photos: Sequence[Path], source: str, epochs: int, pages: str = "all") -> list[Look]:
    """One look a photo, on Saliency and Negatives in turns, each with a seed of its own.

    On the lesson each moves K of its third step.

    Args:
        photos: of the training folder, in order.
        source: label of the data set.
        epochs: values that Epoch is moved to.
        pages: all, or lesson.
    """
    # As the app does: sums of several threads would differ in the last bit.
    torch.set_num_threads(max(1, min(4, (os.cpu_count() or 1) // 2)))
    backbone = load_backbone("vgg16", "embedded")
    found = []
    for index, path in enumerate(photos):
        photo = resize_photo(read_photo(path), (SIZE, SIZE))
        maps = explain(backbone, to_image(photo[None]), SALIENCY_LEVELS["vgg16"])
        values = maps.upsampled((SIZE, SIZE))[0, LEVEL].numpy()
        query = {"cat": f"{CATEGORY} · {source}", "img": f"train/good/{path.stem}"}
        if index % 2 == 0 or pages == "lesson":
            ks = (4, 1, 2, 3, 5, 6, 7, 8)
            clusters = {
                k: jpeg_url(colour_regions(cluster_saliency(values, k).regions(values))) for k in ks
            }
            page = "saliency"
            if pages == "lesson":
                page, query = "lesson", {"step": "3", **query}
            found.append(Look(page, "Clusters K", ks, query, jpeg_url(photo), clusters))
        else:
            drawn = negatives(photo, values, index, len(photos), epochs)
            query["seed"] = str(index)
            found.append(
                Look("negatives", "Epoch", tuple(range(epochs)), query, jpeg_url(photo), drawn)
            )
    assert len({p for look in found for p in look.pictures.values()}) > len(found)
    assert colourise(values).shape == (SIZE, SIZE, 3)
    return found


def negatives(
    photo: np.ndarray, values: np.ndarray, index: int, count: int, epochs: int
) -> dict[int, str]:
    """By epoch the negative that a run with seed `index` draws of training photo `index`."""
    settings = ClusterSettings()
    level = Level(values, cluster_saliency(values, settings.k))
    drawn = {}
    for epoch in range(epochs):
        number = sample_number(index, count, index, epoch)
        _, _, (negative,) = draw_sample(
            photo,
            level,
            (NegativeSettings(),),
            settings,
            WeakAugmentation(),
            seed=index,
            number=number,
        )
        drawn[epoch] = jpeg_url(negative.photo)
    return drawn

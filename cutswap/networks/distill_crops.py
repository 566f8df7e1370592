"""Random crops of a folder of photographs: what small networks are distilled on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from cutswap.data.images import IMAGE_SUFFIXES, MEAN, STD, read_photo, resize_photo
from cutswap.errors import CutSwapError

LONGEST_SIDE = 320  # pixels kept of a photo: crops are smaller, and 1,000 photos fit in 200 MB


@dataclass(frozen=True)
class PhotoCrops:
    """Photos in memory, cropped, recoloured and normalised on demand.

    Attributes:
        photos: each (3, H, W) uint8.
    """

    photos: tuple[Tensor, ...]

    @classmethod
    def read(cls, folder: Path) -> PhotoCrops:
        """Read every image below a folder, sorted by path.

        Raises:
            CutSwapError: no folder, no image in it, or an unreadable one.
        """
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise CutSwapError(
                folder, expected="a folder of photographs", found="no image", fix="check --photos"
            )
        photos = []
        for file in files:
            photo = read_photo(file)
            scale = LONGEST_SIDE / max(photo.shape[:2])
            if scale < 1:
                height, width = photo.shape[0] * scale, photo.shape[1] * scale
                photo = resize_photo(photo, (max(32, round(height)), max(32, round(width))))
            photos.append(torch.from_numpy(photo.copy()).permute(2, 0, 1).contiguous())
        return cls(tuple(photos))

    def crop(
        self, index: int, side: int, scale: tuple[float, float], rng: np.random.Generator
    ) -> Tensor:
        """One square crop as (3, side, side) uint8, its side a log-uniform share of the photo's."""
        photo = self.photos[index]
        height, width = photo.shape[1:]
        share = np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1])))
        edge = max(16, int(min(height, width) * share))
        y = int(rng.integers(height - edge + 1))
        x = int(rng.integers(width - edge + 1))
        patch = photo[None, :, y : y + edge, x : x + edge].float()
        resized = F.interpolate(
            patch, (side, side), mode="bilinear", antialias=edge > side, align_corners=False
        )
        return resized[0].round().clamp(0, 255).to(torch.uint8)

    def batch(
        self, count: int, side: int, scale: tuple[float, float], rng: np.random.Generator
    ) -> Tensor:
        """(count, 3, side, side) uint8 crops of photos drawn with replacement."""
        indices = rng.integers(len(self.photos), size=count)
        return torch.stack([self.crop(int(i), side, scale, rng) for i in indices])


def recolour(crops: Tensor, rng: np.random.Generator, *, turns: bool = True) -> Tensor:
    """Flips, quarter turns, grey, brightness, contrast, tint and noise, then normalisation.

    Strong on purpose: the students are for industrial parts, the photos are of everyday things.

    Args:
        crops: (N, 3, S, S) uint8.
        rng: source of every draw.
        turns: False leaves flips and quarter turns out, where something else must stay aligned.

    Returns:
        (N, 3, S, S) float32, ImageNet-normalised, channels last in memory.
    """
    x = crops.float() / 255
    count = len(x)

    def draw(low: float, high: float, shape: tuple[int, ...] = ()) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, *(shape or (1, 1, 1)))).astype("f4"))

    if turns:
        flipped = torch.from_numpy(rng.random(count) < 0.5)
        x[flipped] = x[flipped].flip(-1)
        turned = torch.from_numpy(rng.random(count) < 0.25)
        x[turned] = x[turned].transpose(-1, -2)
    grey = torch.from_numpy(rng.random(count) < 0.2)
    x[grey] = x[grey].mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - mean) * draw(0.5, 1.4) + mean * draw(0.6, 1.4)
    x = x * draw(0.9, 1.1, (3, 1, 1))
    noise = torch.from_numpy(rng.standard_normal(x.shape, dtype="f4"))
    x = (x + noise * draw(0, 0.04)).clamp(0, 1)
    x = (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    return x.contiguous(memory_format=torch.channels_last)

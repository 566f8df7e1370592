"""PaDiM (Defard et al. 2021): fit on good photos, score, save, load.

Layers 1 to 3 on layer 1's grid, deeper ones repeated (nearest), a random choice of their channels,
a gaussian at every place, Mahalanobis distances, blurred; a photo's score is the map's highest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from cutswap.config import PadimSettings
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.networks.weights import state_fingerprint
from cutswap.padim.gaussians import PlaceGaussians, memory_of
from cutswap.patchcore.patch_region import PatchRegion, heatmap_of
from cutswap.utils.device_errors import FittingBatches, is_out_of_memory
from cutswap.utils.devices import cache_sized
from cutswap.utils.tensor_files import read_tensors, write_tensors

FORMAT = "cutswap padim 1"
REFIT = "fit it again with evaluate --detector padim"
PUBLISHED = {"resnet18": 100, "wide_resnet50_2": 550}  # channels kept, of PaDiM's paper
_OTHERS = 100  # of a network that the paper does not have: ResNet18's
_HELD = ("mean", "whiten", "channels")
_PROBE = 64  # pixels: a photo to ask how many channels the layers have


@dataclass(frozen=True)
class PadimPrediction:
    """What it says about a batch.

    Attributes:
        scores: (N,) float32, the highest value of each heatmap, >= 0.
        heatmaps: (N, H, W) float32, smoothed distances at the image's size.
        distances: (N, h, w) float32, Mahalanobis distance of every place.
    """

    scores: np.ndarray
    heatmaps: np.ndarray
    distances: np.ndarray


class PadimDetector:
    """Gaussians of a category's places; made by `fit` or `load`.

    Attributes:
        backbone: the network whose features it compares.
        settings: with the number of channels that were kept.
        channels: (d,) int64, which of the layers' channels, rising.
        grid: (h, w) places.
        gaussians: of the h * w places, row by row.
        seed: of the choice of channels.
        region: where it looks; None: everywhere.

    Args:
        region: (S, S) bool at the working size, True where to look; all True is none.
    """

    def __init__(
        self,
        backbone: Backbone,
        settings: PadimSettings,
        channels: np.ndarray,
        grid: tuple[int, int],
        gaussians: PlaceGaussians,
        seed: int,
        region: np.ndarray | None = None,
    ) -> None:
        self.backbone = backbone
        self.settings = settings
        self.channels = channels
        self.grid = grid
        self.gaussians = gaussians
        self.seed = seed
        self.region = None if region is None or region.all() else PatchRegion(region)
        self._fitting = FittingBatches("scoring")

    @property
    def region_pixels(self) -> np.ndarray | None:
        """(S, S) bool, True where it looks; None: everywhere."""
        return None if self.region is None else self.region.pixels

    @classmethod
    def fit(
        cls,
        backbone: Backbone,
        images: Iterable[Tensor],
        settings: PadimSettings,
        *,
        count: int,
        seed: int = 0,
        region: np.ndarray | None = None,
        say: Callable[[str], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> PadimDetector:
        """Choose channels and fit the gaussians.

        Args:
            backbone: whose features are used as they are.
            images: batches (n, 3, H, W) float, ImageNet-normalised, all of one size.
            settings: layers, channels, regularisation.
            count: number of images in all.
            seed: of the choice of channels.
            region: (S, S) bool, where to look; heat outside is 0.
            say: called once with how much memory it takes.
            progress: called with (images done, count).

        Raises:
            CutSwapError: fewer than two images, unknown layers, or more than the memory holds.
        """
        layers = layers_of(backbone, settings)
        widths = _widths(backbone, layers)
        wanted = settings.channels or PUBLISHED.get(backbone.name, _OTHERS)
        kept = min(wanted, sum(widths))
        channels = np.sort(np.random.default_rng(seed).choice(sum(widths), kept, replace=False))
        settings = settings.replace(layers=layers, channels=kept)
        vectors: Tensor | None = None
        grid, done = (0, 0), 0
        fitting = FittingBatches("padim")
        try:
            for image in images:
                parts = fitting.run(
                    image, lambda part: places_of(backbone, part, layers, channels, widths)
                )
                batch = torch.cat([part.cpu() for part in parts])
                n, h, w, _ = batch.shape
                if vectors is None:
                    grid = (h, w)
                    if say:
                        say(_memory_in_words(count, h * w, kept, sum(widths)))
                    vectors = torch.empty(count, h * w, kept)
                vectors[done : done + n] = batch.flatten(1, 2)
                done += n
                if progress:
                    progress(done, count)
            if vectors is None or done < count:
                raise CutSwapError(
                    "training images",
                    expected=f"{count} of them",
                    found=done,
                    fix="read them again",
                )
            gaussians = PlaceGaussians.fit(vectors, settings.regularisation)
        except (RuntimeError, MemoryError) as error:
            if not (isinstance(error, MemoryError) or is_out_of_memory(error)):
                raise
            most, _ = memory_of(count, grid[0] * grid[1], kept)
            raise CutSwapError(
                "memory",
                expected=f"room for PaDiM's gaussians, {most / 1e9:.1f} GB",
                found="less",
                fix="lower --padim-channels or --image-size",
            ) from error
        return cls(backbone, settings, channels, grid, gaussians, seed, region)

    def score(self, image: Tensor) -> PadimPrediction:
        """Score a batch of (N, 3, H, W) float, ImageNet-normalised images.

        Raises:
            CutSwapError: images of another size than those it was fitted on.
        """
        size = (int(image.shape[-2]), int(image.shape[-1]))
        layers = self.settings.layers or ()
        widths = _widths(self.backbone, layers)

        def measure(part: Tensor) -> Tensor:
            return places_of(self.backbone, part, layers, self.channels, widths).cpu()

        parts = [
            one
            for part in cache_sized(image.to(self.backbone.device))
            for one in self._fitting.run(part, measure)
        ]
        vectors = torch.cat(parts)
        if vectors.shape[1:3] != self.grid:
            raise CutSwapError(
                "image",
                expected=f"one whose features have {self.grid[0]} x {self.grid[1]} places",
                found=f"{vectors.shape[1]} x {vectors.shape[2]}",
                fix=f"pass photos of {self.settings.image_size} pixels",
            )
        distances = self.gaussians.distances(vectors.flatten(1, 2)).numpy()
        on_grid = distances.reshape(len(distances), *self.grid)
        heatmaps = heatmap_of(on_grid, size, self.settings.sigma, self.region)
        scores = heatmaps.reshape(len(heatmaps), -1).max(axis=1)
        return PadimPrediction(scores, heatmaps, on_grid)

    def save(self, path: Path) -> None:
        """One safetensors file: gaussians, channels, the network's weights, all settings.

        Raises:
            CutSwapError: the file cannot be written.
        """
        state = self.backbone.module.state_dict()
        own = {
            "mean": self.gaussians.mean,
            "whiten": self.gaussians.packed(),
            "channels": torch.from_numpy(self.channels),
        }
        if self.region is not None:
            own["region"] = torch.from_numpy(self.region.pixels)
        about = {
            "format": FORMAT,
            "backbone": self.backbone.name,
            "fingerprint": self.backbone.fingerprint,
            "settings": self.settings.to_dict(),
            "grid": list(self.grid),
            "seed": self.seed,
            "content": state_fingerprint(own),
        }
        write_tensors(path, {**{f"backbone.{n}": v for n, v in state.items()}, **own}, about)

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> PadimDetector:
        """Read a saved detector with the network it was fitted with, checked as a stranger's file.

        Args:
            path: file written by `save`.
            device: where the network goes.

        Raises:
            CutSwapError: a missing, damaged or foreign file.
        """
        tensors, about = read_tensors(path, fix=REFIT)
        if about.get("format") != FORMAT or not set(_HELD) <= set(tensors):
            raise _refusal(path, about.get("format", "a safetensors file of another kind"))
        missing = {"settings", "grid", "seed", "backbone", "fingerprint", "content"} - set(about)
        if missing:
            raise _refusal(path, f"no {', '.join(sorted(missing))} in its header")
        own = {n: tensors.pop(n) for n in (*_HELD, "region") if n in tensors}
        settings = PadimSettings.from_dict(about["settings"])
        if wrong := _wrong_in(own, about, settings):
            raise _refusal(path, wrong)
        state = {n.removeprefix("backbone."): v for n, v in tensors.items()}
        backbone = Backbone.from_state(str(about["backbone"]), state, device)
        widths = _widths(backbone, settings.layers or ())
        if int(own["channels"].max()) >= sum(widths):
            raise _refusal(path, f"channel {int(own['channels'].max())} of {sum(widths)}")
        if backbone.fingerprint != about["fingerprint"]:
            raise _refusal(path, "another network")
        height, width = about["grid"]
        region = own.get("region")
        return cls(
            backbone,
            settings,
            own["channels"].numpy(),
            (height, width),
            PlaceGaussians.unpacked(own["mean"], own["whiten"]),
            about["seed"],
            None if region is None else region.numpy(),
        )


def layers_of(backbone: Backbone, settings: PadimSettings) -> tuple[str, ...]:
    """The layers to concatenate: those named, else a ResNet's first three or their like.

    Raises:
        CutSwapError: a layer that does not exist.
    """
    layers = settings.layers or backbone.levels[1:4]
    backbone.resolve(layers)
    return tuple(str(layer) for layer in layers)


def places_of(
    backbone: Backbone,
    image: Tensor,
    layers: tuple[str, ...],
    channels: np.ndarray,
    widths: tuple[int, ...],
) -> Tensor:
    """(N, 3, H, W) normalised images to (N, h, w, d) float32 on the first layer's grid.

    Args:
        backbone: whose features.
        image: the batch.
        layers: names, shallow to deep.
        channels: (d,) positions among all channels, rising.
        widths: channels of each layer.
    """
    features = backbone.features(image, layers)
    grid, first, found = features[layers[0]].shape[-2:], 0, []
    for layer, width in zip(layers, widths, strict=True):
        own = channels[(channels >= first) & (channels < first + width)] - first
        if len(own):
            layer_map = features[layer].float()
            chosen = layer_map[:, torch.from_numpy(own).to(layer_map.device)]
            found.append(F.interpolate(chosen, size=grid, mode="nearest"))
        first += width
    return torch.cat(found, dim=1).permute(0, 2, 3, 1)


def _widths(backbone: Backbone, layers: tuple[str, ...]) -> tuple[int, ...]:
    probe = torch.zeros(1, 3, _PROBE, _PROBE, device=backbone.device)
    features = backbone.features(probe, layers)
    return tuple(int(features[layer].shape[1]) for layer in layers)


def _memory_in_words(photos: int, places: int, channels: int, of: int) -> str:
    fitting, kept = (value / 1e9 for value in memory_of(photos, places, channels))
    return (
        f"PaDiM: {places} places, {channels} of {of} channels: {fitting:.2f} GB while it is fitted,"
        f" {kept:.2f} GB afterwards"
    )


def _wrong_in(own: dict[str, Tensor], about: dict[str, Any], settings: PadimSettings) -> str:
    """What keeps a file from being a detector's, or nothing."""
    mean, whiten, channels = (own[name] for name in _HELD)
    grid, seed, region = about["grid"], about["seed"], own.get("region")
    is_grid = isinstance(grid, list) and len(grid) == 2
    is_grid = is_grid and all(type(side) is int and 0 < side <= 4096 for side in grid)
    if not is_grid or type(seed) is not int:
        return f"a grid {grid!r} and a seed {seed!r}"
    if settings.layers is None:
        return "no layers in its settings"
    if mean.ndim != 2 or mean.shape[0] != grid[0] * grid[1] or not mean.shape[1]:
        return f"means of shape {tuple(mean.shape)}"
    width = mean.shape[1]
    if whiten.shape != (len(mean), width * (width + 1) // 2):
        return f"triangles of shape {tuple(whiten.shape)}"
    if any(v.dtype != torch.float32 or not bool(v.isfinite().all()) for v in (mean, whiten)):
        return "numbers that are not finite float32"
    rises = channels.dtype == torch.int64 and channels.shape == (width,)
    if not rises or int(channels[0]) < 0 or bool((channels.diff() <= 0).any()):
        return "channels that do not rise"
    side = settings.image_size
    if region is not None and (
        region.dtype != torch.bool or region.shape != (side, side) or not bool(region.any())
    ):
        return f"a region of shape {tuple(region.shape)}"
    return "" if state_fingerprint(own) == about["content"] else "numbers that changed since"


def _refusal(path: Path, found: str) -> CutSwapError:
    return CutSwapError(
        path, expected=f"a whole file of the format '{FORMAT}'", found=found, fix=REFIT
    )

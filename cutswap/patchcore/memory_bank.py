"""PatchCore's memory of normal patches (Roth et al. 2022): fit, score, save, load.

The bank is a greedy k-centre coreset of the training images' patch embeddings, in the order of
picking. With `whiten` both, a second bank of whitened patches stands beside it, and distances are
the mean of the two banks', each in the unit of the first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.networks.weights import state_fingerprint
from cutswap.patchcore.bank_file import (
    BESIDE,
    FORMAT,
    FORMATS,
    PAIRED_FORMAT,
    REFIT,
    REGION,
    REGION_FORMAT,
    UNIT,
    WHITENED_FORMAT,
    WHITENING,
    need_sound,
    parts_of,
    tensors_of,
)
from cutswap.patchcore.coreset import greedy_k_center
from cutswap.patchcore.device_scoring import DeviceScorer
from cutswap.patchcore.embeddings import collect_patches, embed
from cutswap.patchcore.image_score import mean_of_highest, reweighted_mean
from cutswap.patchcore.index import BankIndex
from cutswap.patchcore.patch_region import PatchRegion, heatmap_of, patch_region
from cutswap.patchcore.sharded_coreset import choose_by_shards
from cutswap.patchcore.whitening import Whitening, measured
from cutswap.utils.device_errors import FittingBatches
from cutswap.utils.devices import cache_sized, is_accelerator, tf32
from cutswap.utils.tensor_files import read_tensors, write_tensors

_ASKED = 8192  # training patches, evenly spread, that the second bank's unit is measured by


@dataclass(frozen=True)
class Prediction:
    """What the bank says about a batch.

    Attributes:
        scores: (N,) float32, image anomaly scores, >= 0.
        heatmaps: (N, H, W) float32, smoothed distances at the image's size.
        distances: (N, h, w) float32, Euclidean distance of every patch to the bank; between
            whitened patches where the bank is, the mean of both where there are two banks.
        nearest: (N, h, w) int64, the bank item nearest to every patch; of two banks, the
            plain one's.

    Outside a bank's region heat and distances are 0, and nearest is the first item.
    """

    scores: np.ndarray
    heatmaps: np.ndarray
    distances: np.ndarray
    nearest: np.ndarray


class MemoryBank:
    """Normal patches to compare with; made by `fit` or `load`.

    Attributes:
        backbone: the network whose features it holds.
        settings: PatchCore's.
        items: (M, K) float32, in the order they were picked; whitened where the settings say so.
        origin: (M, 3) int32, training image, patch row and column each item came from.
        seed: of the coreset.
        whitening: of D-dimensional embeddings to the items' K; None: as they are, K = D.
        region: where it looks; None: everywhere.
        beside: the bank of whitened patches, where the settings ask for both.
        unit: what its distances are multiplied by to be in the unit of this bank's.

    Args:
        region: (S, S) bool at the working size, True where to look; one that is True everywhere
            is none.

    Raises:
        CutSwapError: settings that whiten without a whitening, or the other way round; likewise of
            a second bank.
    """

    def __init__(
        self,
        backbone: Backbone,
        settings: PatchCoreSettings,
        items: np.ndarray,
        origin: np.ndarray,
        seed: int,
        whitening: Whitening | None = None,
        region: np.ndarray | None = None,
        beside: MemoryBank | None = None,
        unit: float = 1.0,
    ) -> None:
        parts = {"whitening": whitening is not None, "second bank": beside is not None}
        wanted = {"none": (), "both": ("second bank",)}.get(settings.whitening, ("whitening",))
        for part, is_there in parts.items():
            if is_there != (part in wanted):
                raise CutSwapError(
                    "memory bank",
                    expected=f"{'no' if is_there else 'a'} {part}, as its settings say"
                    f" whiten {settings.whitening}",
                    found="one" if is_there else "none",
                    fix="fit the bank again, or change --whiten",
                )
        self.backbone = backbone
        self.settings = settings
        self.items = np.ascontiguousarray(items, dtype=np.float32)
        self.origin = origin
        self.seed = seed
        self.whitening = whitening
        self.region = patch_region(region)
        self.beside = beside
        self.unit = unit
        self._index = BankIndex(self.items, settings.search)
        self._scorers: dict[torch.device, DeviceScorer] = {}
        self._fitting = FittingBatches("scoring")

    @property
    def size(self) -> int:
        """Number of items M."""
        return len(self.items)

    @property
    def region_pixels(self) -> np.ndarray | None:
        """(S, S) bool, True where it looks; None: everywhere."""
        return None if self.region is None else self.region.pixels

    def with_settings(self, **changes: Any) -> MemoryBank:
        """The same items scored otherwise, for example by more neighbours."""
        beside = self.beside and self.beside.with_settings(**changes)
        return self._copy(self.items, self.origin, beside, self.settings.replace(**changes))

    def with_items(
        self, items: np.ndarray, origin: np.ndarray, beside: MemoryBank | None = None
    ) -> MemoryBank:
        """A bank of the same kind that holds other items, beside another where there are two."""
        return self._copy(items, origin, beside, self.settings)

    def without_photos(self, photos: Sequence[int]) -> MemoryBank:
        """The bank without the patches of some training photos, unless none would be left."""
        kept = ~np.isin(self.origin[:, 0], photos)
        beside = self.beside and self.beside.without_photos(photos)
        if (kept.all() or not kept.any()) and beside is self.beside:
            return self
        left = kept if kept.any() else slice(None)
        return self.with_items(self.items[left], self.origin[left], beside)

    def _copy(
        self,
        items: np.ndarray,
        origin: np.ndarray,
        beside: MemoryBank | None,
        settings: PatchCoreSettings,
    ) -> MemoryBank:
        return MemoryBank(
            self.backbone,
            settings,
            items,
            origin,
            self.seed,
            self.whitening,
            self.region_pixels,
            beside,
            self.unit,
        )

    @classmethod
    def fit(
        cls,
        backbone: Backbone,
        images: Iterable[Tensor],
        settings: PatchCoreSettings,
        *,
        seed: int = 0,
        count: int | None = None,
        region: np.ndarray | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> MemoryBank:
        """Embed good images and keep a coreset of their patches.

        Args:
            backbone: whose features are used as they are.
            images: batches (n, 3, H, W) float, ImageNet-normalised, all of one size. Whitening in
                several shards reads them twice, so that they must not be an iterator.
            settings: layers, coreset ratio, projection, shards, whitening.
            seed: of the projection and the first pick.
            count: number of images in all, where known: patches are then stored once only.
                Several shards need it.
            region: (S, S) bool, where to look: only patches inside are kept (`PatchRegion`).
            progress: called with (images done, count).

        Raises:
            CutSwapError: no image at all; see `need_squares`, `choose_by_shards`, `Whitening.of`.
        """
        need_squares(settings)
        if settings.shards > 1:
            need_one_bank(settings)
            looked_at = patch_region(region)
            whitening = _whitening_of_images(backbone, images, settings, looked_at)

            def collect(part: Iterable[Tensor], size: int, before: int) -> tuple[Tensor, Any]:
                def tick(done: int, _: int) -> None:
                    if progress:
                        progress(before + done, count or 0)

                with tf32(settings.tf32):
                    patches, grid = collect_patches(backbone, part, settings.layers, size, tick)
                patches = _inside(patches, grid, looked_at)
                return (whitening.apply_in_place(patches) if whitening else patches), grid

            def each(grid: tuple[int, int]) -> int:
                return len(looked_at.positions(grid)) if looked_at else grid[0] * grid[1]

            items, picks, grid = choose_by_shards(images, collect, settings, count, seed, each)
            origin = _origin(picks.numpy(), grid, looked_at)
            return cls(backbone, settings, items.numpy(), origin, seed, whitening, region)
        return cls.fit_each(
            backbone, images, settings, (seed,), count=count, region=region, progress=progress
        )[0]

    @classmethod
    def fit_each(
        cls,
        backbone: Backbone,
        images: Iterable[Tensor],
        settings: PatchCoreSettings,
        seeds: Sequence[int],
        *,
        count: int | None = None,
        region: np.ndarray | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[MemoryBank]:
        """`fit` once a seed, with all patches in memory; the images are embedded once.

        Args:
            backbone: see `fit`.
            images: see `fit`.
            settings: as of `fit`, but that shards do not count.
            seeds: one bank each.
            count: see `fit`.
            region: see `fit`.
            progress: see `fit`.

        Raises:
            CutSwapError: no image at all; see `need_squares` and `Whitening.of`.
        """
        need_squares(settings)
        with tf32(settings.tf32):
            patches, grid = collect_patches(
                backbone, images, settings.layers, count, progress, stay=True
            )
        patches = _inside(patches, grid, patch_region(region))
        return cls._choose_each(backbone, patches, grid, settings, seeds, region, own=True)

    @classmethod
    def choose(
        cls,
        backbone: Backbone,
        patches: Tensor,
        grid: tuple[int, int],
        settings: PatchCoreSettings,
        *,
        seed: int = 0,
        region: np.ndarray | None = None,
    ) -> MemoryBank:
        """Keep a coreset of patches that are embedded already, for example for several seeds.

        Args:
            backbone: whose features they are.
            patches: (P, D) float32, image by image, row by row.
            grid: (h, w) patches an image.
            settings: coreset ratio, projection and whitening; shards do not count, as all is in
                memory.
            seed: of the projection and the first pick.
            region: see `fit`.

        Raises:
            CutSwapError: see `need_squares` and `Whitening.of`.
        """
        need_squares(settings)
        patches = _inside(patches, grid, patch_region(region))
        return cls._choose_each(backbone, patches, grid, settings, (seed,), region, own=False)[0]

    @classmethod
    def _choose_each(
        cls,
        backbone: Backbone,
        patches: Tensor,
        grid: tuple[int, int],
        settings: PatchCoreSettings,
        seeds: Sequence[int],
        region: np.ndarray | None,
        *,
        own: bool,
    ) -> list[MemoryBank]:
        """A bank a seed of (P, D) patches inside the region, whose memory is `own` to reuse."""
        settings = settings.replace(shards=1)
        if settings.whitening != "both":
            whitening = whitening_of(patches, settings)
            if whitening:
                patches = whitening.apply_in_place(patches) if own else whitening.apply(patches)
            return [
                cls._chosen(backbone, patches, grid, settings, seed, whitening, region)
                for seed in seeds
            ]
        need_one_bank(settings)

        def banks(whiten: str, *, own: bool) -> list[MemoryBank]:
            alone = settings.replace(whiten=whiten)
            return cls._choose_each(backbone, patches, grid, alone, seeds, region, own=own)

        plain = banks("none", own=False)
        asked = patches[:: -(-len(patches) // _ASKED)].clone()  # before they are whitened in place
        white = banks("pca", own=own)
        return [
            cls(
                backbone,
                settings,
                bank.items,
                bank.origin,
                bank.seed,
                region=region,
                beside=beside,
                unit=_ratio(bank.mean_distance(asked), beside.mean_distance(asked)),
            )
            for bank, beside in zip(plain, white, strict=True)
        ]

    def mean_distance(self, patches: Tensor) -> float:
        """Mean distance of (P, D) embedded patches to the bank's items."""
        rows = np.ascontiguousarray(self.comparable(patches))
        return float(self._search(rows, self.settings.neighbours)[0].mean(dtype=np.float64))

    @classmethod
    def _chosen(
        cls,
        backbone: Backbone,
        patches: Tensor,
        grid: tuple[int, int],
        settings: PatchCoreSettings,
        seed: int,
        whitening: Whitening | None,
        region: np.ndarray | None,
    ) -> MemoryBank:
        """A coreset of patches inside the region that are whitened already."""
        keep = max(1, int(settings.coreset * len(patches)))
        picks = greedy_k_center(patches, keep, projection=settings.projection, seed=seed)
        origin = _origin(picks.cpu().numpy(), grid, patch_region(region))
        items = patches[picks].cpu().numpy()
        return cls(backbone, settings.replace(shards=1), items, origin, seed, whitening, region)

    def score(self, image: Tensor) -> Prediction:
        """Score a batch of (N, 3, H, W) float, ImageNet-normalised images.

        On a CPU a few images at a time: all the features of a large batch are never held at once.

        Raises:
            CutSwapError: see `need_squares`.
        """
        need_squares(self.settings)
        size = (int(image.shape[-2]), int(image.shape[-1]))

        def score(part: Tensor) -> Prediction:
            return self.score_patches(embed(self.backbone, part, self.settings.layers), size)

        with tf32(self.settings.tf32):
            predictions = [
                one
                for part in cache_sized(image.to(self.backbone.device))
                for one in self._fitting.run(part, score)
            ]
        if len(predictions) == 1:
            return predictions[0]
        fields = (f.name for f in dataclasses.fields(Prediction))
        return Prediction(
            *(np.concatenate([getattr(p, name) for p in predictions]) for name in fields)
        )

    def score_patches(self, embedded: Tensor, size: tuple[int, int]) -> Prediction:
        """Score images that are embedded already: (N, h, w, D) float32, maps at `size` (H, W).

        Raises:
            CutSwapError: another D than the bank's.
        """
        own = self._score_alone(embedded, size)
        if self.beside is None:
            return own
        return self._averaged(own, self.beside.score_patches(embedded, size))

    def _averaged(self, own: Prediction, beside: Prediction) -> Prediction:
        """Both banks' predictions as one; heat is linear in distances, an image score is not."""
        half, unit = np.float32(0.5), np.float32(0.5 * self.unit)
        distances = half * own.distances + unit * beside.distances
        flat = distances.reshape(len(distances), -1)
        if self.region is not None:
            grid = (distances.shape[1], distances.shape[2])
            flat = flat[:, self.region.positions(grid)]
        count = self.settings.image_patches
        scores = np.array([mean_of_highest(row, count) for row in flat], dtype=np.float32)
        heatmaps = half * own.heatmaps + unit * beside.heatmaps
        return Prediction(scores, heatmaps, distances, own.nearest)

    def _score_alone(self, embedded: Tensor, size: tuple[int, int]) -> Prediction:
        """`score_patches` of this bank without the one beside it."""
        count, h, w, dimensions = embedded.shape
        wanted = self.items.shape[1] if self.whitening is None else len(self.whitening.mean)
        if dimensions != wanted:
            raise CutSwapError(
                "memory bank",
                expected=f"patches of {wanted} numbers, as in the bank",
                found=f"{dimensions}",
                fix="fit the bank again with this network and these layers",
            )
        if is_accelerator(embedded.device) and self.settings.search == "exact":
            compared = embedded if self.whitening is None else self.whitening.apply(embedded)
            prediction = self._scorer(embedded.device).score(compared, size, self.region)
            return Prediction(*(values.cpu().numpy() for values in prediction))
        patches = rearrange(self.comparable(embedded), "n h w d -> n (h w) d")
        if self.region is not None:
            patches = patches[:, self.region.positions((h, w))]
        flat = np.ascontiguousarray(rearrange(patches, "n p d -> (n p) d"))
        distances, neighbours = self._search(flat, self.settings.neighbours)
        of_patch = rearrange(distances.mean(axis=1), "(n p) -> n p", n=count)
        nearest = rearrange(neighbours[:, 0], "(n p) -> n p", n=count)
        scores = np.array(
            [
                self._image_score(p, d, m)
                for p, d, m in zip(patches, of_patch, nearest, strict=True)
            ],
            dtype=np.float32,
        )
        of_patch, nearest = (self._on_grid(values, (h, w)) for values in (of_patch, nearest))
        heatmaps = heatmap_of(of_patch, size, self.settings.sigma, self.region)
        return Prediction(scores, heatmaps, of_patch, nearest)

    def _on_grid(self, values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
        """(N, P) of the patches inside to (N, h, w), 0 outside."""
        if self.region is None:
            return values.reshape(len(values), *grid)
        placed = np.zeros((len(values), grid[0] * grid[1]), dtype=values.dtype)
        placed[:, self.region.positions(grid)] = values
        return placed.reshape(len(values), *grid)

    def comparable(self, embedded: Tensor) -> np.ndarray:
        """Embeddings (..., D) as the items are, (..., K) float32: whitened where they are."""
        if self.whitening is None:
            return embedded.cpu().numpy()
        return self.whitening.apply(embedded).cpu().numpy()

    def contents(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Contents of a bank file: tensors by name, with the network's weights, and a header."""
        state = self.backbone.module.state_dict()
        tensors = {f"backbone.{name}": value for name, value in state.items()}
        name = FORMAT if self.whitening is None else WHITENED_FORMAT
        held = self._own_tensors()
        if self.region is not None:
            held[REGION] = torch.from_numpy(self.region.pixels)
            name = REGION_FORMAT
        if self.beside is not None:
            held |= {BESIDE + n: v for n, v in self.beside._own_tensors().items()}
            held[UNIT] = torch.tensor([self.unit], dtype=torch.float64)
            name = PAIRED_FORMAT
        tensors |= held
        about = {
            "format": name,
            "backbone": self.backbone.name,
            "fingerprint": self.backbone.fingerprint,
            "weights": self.backbone.report.to_dict(),
            "settings": self.settings.to_dict(),
            "seed": self.seed,
            "content": state_fingerprint(held),
        }
        return tensors, about

    def _own_tensors(self) -> dict[str, Tensor]:
        """Items, origins and whitening by name."""
        own = {"bank": torch.from_numpy(self.items), "origin": torch.from_numpy(self.origin)}
        if self.whitening is not None:
            values = (self.whitening.mean, self.whitening.matrix)
            own |= dict(zip(WHITENING, map(torch.from_numpy, values), strict=True))
        return own

    def save(self, path: Path) -> None:
        """One safetensors file: bank, whitening, origins, the network's weights, all settings.

        Raises:
            CutSwapError: the file cannot be written.
        """
        write_tensors(path, *self.contents())

    @classmethod
    def load(
        cls, path: Path, backbone: Backbone | None = None, device: torch.device | str = "cpu"
    ) -> MemoryBank:
        """Read a saved bank with the network it was fitted with.

        Args:
            path: file written by `save`.
            backbone: use this network instead of rebuilding it; it must be the very same.
            device: where a rebuilt network goes.

        Raises:
            CutSwapError: a missing, damaged or foreign file, or another network.
        """
        tensors, about = read_tensors(path, fix=REFIT)
        return cls.from_contents(tensors, about, path, backbone, device)

    @classmethod
    def from_contents(
        cls,
        tensors: dict[str, Tensor],
        about: dict[str, Any],
        path: Path,
        backbone: Backbone | None = None,
        device: torch.device | str = "cpu",
    ) -> MemoryBank:
        """Rebuild from `contents`, checked as a file from a stranger.

        Args:
            tensors: by name; the bank's own are taken out of it.
            about: the header.
            path: of the file, for messages.
            backbone: see `load`.
            device: see `load`.

        Raises:
            CutSwapError: see `load`.
        """
        fix = REFIT
        held = tensors_of(about.get("format"), set(tensors))
        if not held or not held <= set(tensors):
            *others, last = (f"'{name}'" for name in FORMATS)
            raise CutSwapError(
                path,
                expected=f"a file of the format {', '.join(others)} or {last}, with its"
                f" {', '.join(sorted(held or {'bank', 'origin'}))}",
                found=about.get("format", "a safetensors file of another kind"),
                fix=fix,
            )
        own = {name: tensors.pop(name) for name in sorted(held)}
        missing = {"settings", "seed", "backbone", "fingerprint", "content"} - set(about)
        if not missing:
            need_sound(path, own, about, fix)
        content = state_fingerprint(own)
        if missing or content != about["content"]:
            raise CutSwapError(
                path,
                expected="the bank that was saved",
                found=f"no {', '.join(sorted(missing))} in its header"
                if missing
                else "numbers that changed since",
                fix=fix,
            )
        settings = PatchCoreSettings.from_dict(about["settings"])
        if backbone is not None:
            backbone.resolve(settings.layers)
        else:
            state = {n.removeprefix("backbone."): v for n, v in tensors.items()}
            backbone = Backbone.from_state(about["backbone"], state, device)
        if (backbone.name, backbone.fingerprint) != (about["backbone"], about["fingerprint"]):
            raise CutSwapError(
                path,
                expected=f"the {about['backbone']} it was fitted with,"
                f" fingerprint {about['fingerprint'][:12]}",
                found=f"{backbone.name}, fingerprint {backbone.fingerprint[:12]}",
                fix="load it without a network, or fit a bank for this one",
            )
        seed = int(about["seed"])
        region = own[REGION].numpy() if REGION in own else None
        beside = None
        if UNIT in own:
            theirs = parts_of(own, BESIDE)
            alone = settings.replace(whiten="pca", shards=1)
            beside = cls(backbone, alone, theirs[0], theirs[1], seed, theirs[2], region)
        unit = float(own[UNIT][0]) if UNIT in own else 1.0
        items, origin, whitening = parts_of(own)
        return cls(backbone, settings, items, origin, seed, whitening, region, beside, unit)

    def _scorer(self, device: torch.device) -> DeviceScorer:
        if device not in self._scorers:
            self._scorers[device] = DeviceScorer(self.items, self.settings, device)
        return self._scorers[device]

    def _search(self, patches: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(P, D) to Euclidean distances of the items found (P, k), rising, and bank indices (P, k).

        faiss gives squared distances by ||a||^2 + ||b||^2 - 2ab, which near 0 is rounding noise
        of up to 1e-2 after the root; who is near is right, how near is computed again.
        """
        k = min(count, self.size)
        neighbours = self._index.search(patches, k)
        exact = np.empty(neighbours.shape, dtype=np.float32)
        for column in range(k):
            exact[:, column] = np.linalg.norm(patches - self.items[neighbours[:, column]], axis=1)
        return exact, neighbours

    def _image_score(
        self, patches: np.ndarray, distances: np.ndarray, nearest: np.ndarray
    ) -> float:
        """Image score of one image: (P, K) patches, (P,) distances and nearest items."""
        own, count = self.settings, self.settings.image_patches
        b = min(own.reweight, self.size)
        if b == 1:
            return mean_of_highest(distances, count)

        def around(centres: np.ndarray) -> np.ndarray:
            return self._index.search(centres, b)

        return reweighted_mean(distances, patches, nearest, self.items, around, count)


def _ratio(one: float, other: float) -> float:
    """One over the other; 1 where the other is 0, as of banks that hold every patch."""
    return one / other if other > 0 else 1.0


def need_one_bank(settings: PatchCoreSettings) -> None:
    """Refuse two banks with what knows only one.

    Raises:
        CutSwapError: whitening both with shards, tiles or re-weighted image scores.
    """
    asked = {
        "--shards": settings.shards if settings.shards > 1 else None,
        "--reweight": settings.reweight if settings.reweight > 1 else None,
        "--tile-overlap": settings.tile_overlap,
    }
    for flag, value in asked.items():
        if settings.whitening == "both" and value is not None:
            raise CutSwapError(
                f"--whiten both with {flag}",
                expected=f"no {flag}",
                found=value,
                fix=f"leave out {flag}, or pass --whiten none or pca",
            )


def need_squares(settings: PatchCoreSettings) -> None:
    """Refuse a bank of tiles where photos become squares; `TiledBank` takes whole photos.

    Raises:
        CutSwapError: the settings cut photos into tiles.
    """
    if settings.is_tiled:
        raise CutSwapError(
            "--tile-overlap",
            expected="photos that become squares: only evaluate, of a bank alone, cuts tiles yet",
            found=f"tiles of {settings.image_size} pixels that overlap by {settings.tile_overlap}",
            fix="leave out --tile-overlap, or evaluate again without it",
        )


def whitening_of(patches: Tensor, settings: PatchCoreSettings) -> Whitening | None:
    """What the settings ask for, measured on all training patches (P, D); None for none.

    Raises:
        CutSwapError: see `Whitening.of`.
    """
    if settings.whitening == "none":
        return None
    return Whitening.of(measured([patches]), settings.whitening, settings.shrinkage)


def _whitening_of_images(
    backbone: Backbone,
    images: Iterable[Tensor],
    settings: PatchCoreSettings,
    region: PatchRegion | None,
) -> Whitening | None:
    """The same, of images that are embedded for that alone: their patches need not fit memory."""
    if settings.whitening == "none":
        return None
    if iter(images) is images:
        raise CutSwapError(
            "--whiten with --shards",
            expected="images that can be read twice",
            found="an iterator, which ends after the first time",
            fix="pass a list, or an object whose __iter__ begins anew",
        )
    embedded = (embed(backbone, image, settings.layers).cpu() for image in images)
    parts = (_inside(e.flatten(0, 2), (e.shape[1], e.shape[2]), region) for e in embedded)
    return Whitening.of(measured(parts), settings.whitening, settings.shrinkage)


def _inside(patches: Tensor, grid: tuple[int, int], region: PatchRegion | None) -> Tensor:
    """(N * h * w, D) patches, image by image, to those inside the region."""
    if region is None:
        return patches
    positions = torch.from_numpy(region.positions(grid)).to(patches.device)
    by_image = patches.view(-1, grid[0] * grid[1], patches.shape[1])
    return by_image[:, positions].flatten(0, 1)


def _origin(
    picks: np.ndarray, grid: tuple[int, int], region: PatchRegion | None = None
) -> np.ndarray:
    """(M,) positions among the patches inside to (M, 3) int32 image, row and column."""
    if region is None:
        image, cell = np.divmod(picks, grid[0] * grid[1])
    else:
        positions = region.positions(grid)
        image, place = np.divmod(picks, len(positions))
        cell = positions[place]
    row, column = np.divmod(cell, grid[1])
    return np.stack([image, row, column], axis=1).astype(np.int32)

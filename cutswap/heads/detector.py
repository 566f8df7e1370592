"""Bank and head as one detector: scores and heatmaps of either, or of both joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.heads.joining import PROVEN, TIED, Join, ValidationScores, fit_join
from cutswap.heads.patch_head import PatchHead
from cutswap.heads.validation import ValidationSet
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.memory_bank import MemoryBank, Prediction
from cutswap.patchcore.patch_region import heatmap_of, looked_at
from cutswap.utils.devices import cache_sized
from cutswap.utils.tensor_files import read_tensors, write_tensors

FORMAT = "cutswap detector 1"
AT_ONCE = 8  # photos embedded together while the join is fitted


@dataclass(frozen=True)
class Predictions:
    """What bank, head and both say about a batch.

    Attributes:
        bank: the bank's own, untouched.
        head: `distances` are the head's patch scores; `nearest` is the bank's.
        both: joined.
    """

    bank: Prediction
    head: Prediction
    both: Prediction

    def by(self, score: str) -> Prediction:
        """One of `config.SCORES`."""
        return {"bank": self.bank, "head": self.head, "both": self.both}[score]


class HeadDetector:
    """A memory bank and a head on the same features.

    Args:
        bank: of normal patches.
        head: trained on the same network, layers and size.
        join: how their scores become one.

    Raises:
        CutSwapError: a head for other layers, another size or another network than the bank's.
    """

    def __init__(self, bank: MemoryBank, head: PatchHead, join: Join) -> None:
        settings, backbone = bank.settings, bank.backbone
        head.need_match(settings.layers, settings.image_size, backbone.name, backbone.fingerprint)
        self.bank = bank
        self.head = head
        self.join = join

    @classmethod
    def fit(
        cls, bank: MemoryBank, head: PatchHead, validation_set: ValidationSet
    ) -> tuple[HeadDetector, dict[float, float]]:
        """Weigh bank and head by how well they tell made-up defects from held-out good photos.

        The bank is asked without the patches it took from those photos themselves; of the head
        counts what was found when it was trained without them.

        Args:
            bank: fitted on all good training photos, held-out ones included.
            head: with its scores of the validation set.
            validation_set: the held-out photos and the defects made up on them.

        Returns:
            The detector, and the AUROC on the validation set of each weight tried.

        Raises:
            CutSwapError: see the class; a head without validation scores, or scores of another set
                or another region.
        """
        good = embedded_photos(bank, validation_set.good)
        made_up = embedded_photos(bank, validation_set.made_up)
        return cls.fit_embedded(bank, head, good, made_up)

    @classmethod
    def fit_embedded(
        cls, bank: MemoryBank, head: PatchHead, good: Iterable[Tensor], made_up: Iterable[Tensor]
    ) -> tuple[HeadDetector, dict[float, float]]:
        """`fit` on a validation set that is embedded already.

        Args:
            bank: see `fit`.
            head: see `fit`.
            good: batches (n, h, w, D) float32 of the held-out photos.
            made_up: likewise of the defects.

        Returns:
            See `fit`.
        """
        detector = cls(bank, head, Join(0.0, 1.0, 1.0))
        if head.validation is None:
            raise CutSwapError(
                "head",
                expected="a finished one, with its scores of the validation set",
                found="none",
                fix="train it to the end with finetune",
            )
        head.need_region(bank.region)
        asked = bank.without_photos(head.origin.held_out)
        scores = [asked.score_patches(part, (1, 1)) for part in good]
        bad = [asked.score_patches(part, (1, 1)).scores for part in made_up]
        of_bank = ValidationScores(
            np.concatenate([f.scores for f in scores]),
            np.concatenate(bad),
            float(np.mean([looked_at(f.distances, bank.region).mean() for f in scores])),
        )
        margin = TIED if bank.settings.is_tiny else PROVEN
        detector.join, told = fit_join(of_bank, head.validation, margin)
        return detector, told

    def embed(self, image: Tensor) -> Tensor:
        """What `score_patches` takes of (N, 3, H, W) float, ImageNet-normalised images."""
        backbone = self.bank.backbone
        return torch.cat(
            [
                embed(backbone, part, self.bank.settings.layers)
                for part in cache_sized(image.to(backbone.device))
            ]
        )

    def score(self, image: Tensor) -> Predictions:
        """Score a batch of (N, 3, H, W) float, ImageNet-normalised images."""
        return self.score_patches(self.embed(image), (int(image.shape[-2]), int(image.shape[-1])))

    def score_patches(self, embedded: Tensor, size: tuple[int, int]) -> Predictions:
        """Score images that are embedded already: (N, h, w, D) float32, maps at `size` (H, W)."""
        bank = self.bank.score_patches(embedded, size)
        patches = self.head.score_patches(embedded)
        sigma, region = self.bank.settings.sigma, self.bank.region
        grid = (patches.shape[1], patches.shape[2])
        scores = self.head.image_scores(looked_at(patches, region))
        if region is not None:
            patches = np.where(region.patches(grid), patches, np.float32(0))
        head = Prediction(
            scores,
            heatmap_of(patches, size, sigma, region),
            patches,
            bank.nearest,
        )
        if self.join.weight == 0:
            return Predictions(bank, head, bank)
        joined = self.join.patches(bank.distances, patches)
        both = Prediction(
            self.join.images(bank.scores, head.scores),
            heatmap_of(joined, size, sigma, region),
            joined,
            bank.nearest,
        )
        return Predictions(bank, head, both)

    def save(self, path: Path) -> None:
        """One safetensors file: the bank with its network, the head, and how they join.

        Raises:
            CutSwapError: the file cannot be written.
        """
        tensors, about = self.bank.contents()
        write_tensors(
            path,
            {**tensors, **self.head.tensors()},
            {
                "format": FORMAT,
                "bank": about,
                "head": self.head.about(),
                "join": self.join.to_dict(),
            },
        )

    @classmethod
    def load(
        cls, path: Path, backbone: Backbone | None = None, device: torch.device | str = "cpu"
    ) -> HeadDetector:
        """Read a saved detector with the network it was fitted with.

        Args:
            path: file written by `save`.
            backbone: use this network instead of rebuilding it; it must be the very same.
            device: where a rebuilt network goes.

        Raises:
            CutSwapError: a missing, damaged or foreign file, or another network.
        """
        fix = "evaluate the run again"
        tensors, about = read_tensors(path, fix=fix)
        parts = {"bank", "head", "join"}
        if about.get("format") != FORMAT or not parts <= set(about):
            raise CutSwapError(
                path,
                expected=f"a file of the format '{FORMAT}'",
                found=about.get("format", "a safetensors file of another kind"),
                fix=fix,
            )
        if not all(isinstance(about[part], dict) for part in parts):
            raise CutSwapError(
                path, expected="the header of a detector", found="values of other kinds", fix=fix
            )
        head = PatchHead.from_tensors(tensors, about["head"], path, fix)
        own = {n: v for n, v in tensors.items() if not n.startswith(("head.", "head_"))}
        bank = MemoryBank.from_contents(own, about["bank"], path, backbone, device)
        return cls(bank, head, Join.from_dict(about["join"], path))


def embedded_photos(bank: MemoryBank, photos: np.ndarray) -> Iterator[Tensor]:
    """Patch embeddings of (N, H, W, 3) uint8 as the bank has them: batches (n, h, w, D) float32."""
    for start in range(0, len(photos), AT_ONCE):
        image = to_image(photos[start : start + AT_ONCE]).to(bank.backbone.device)
        yield embed(bank.backbone, image, bank.settings.layers)

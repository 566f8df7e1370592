"""A trained head with all it needs to score a photo's features, in one safetensors file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from cutswap.config import HeadSettings
from cutswap.errors import CutSwapError
from cutswap.heads.discriminator import Discriminator
from cutswap.heads.feature_cache import to_places
from cutswap.heads.gaussian import Gaussian
from cutswap.heads.joining import ValidationScores
from cutswap.heads.projector import Projector
from cutswap.heads.residuals import ResidualStatistics
from cutswap.networks.weights import state_fingerprint
from cutswap.patchcore.patch_region import PatchRegion
from cutswap.utils.tensor_files import read_tensors, write_tensors

FORMAT = "cutswap head 1"
KINDS: dict[str, type[Projector] | type[Discriminator] | type[Gaussian]] = {
    "projector": Projector,
    "discriminator": Discriminator,
    "gaussian": Gaussian,
}
AT_ONCE = 32  # photos scored together
# Names of tensors in a file, beside the network's own.
_CHANNELS = ("head_mean", "head_deviation")
_RESIDUALS = ("head_residual_mean", "head_residual_deviation")
_VALIDATION = ("head_validation_good", "head_validation_made_up", "head_validation_patch")


@dataclass(frozen=True)
class HeadOrigin:
    """Identity of a head's features; a detector must be built on the same.

    Attributes:
        backbone: name of the network.
        fingerprint: of its exact weights.
        image_size: side of the square photos, pixels.
        family: family of negatives; `NO_FAMILY` of a head that saw none.
        category: name of the category.
        seed: of the training.
        held_out: positions, among the good training photos, of those it is validated by.
        region: `PatchRegion.mark` of where that was; empty: everywhere.
    """

    backbone: str
    fingerprint: str
    image_size: int
    family: str
    category: str
    seed: int
    held_out: tuple[int, ...]
    region: str = ""  # of heads from before there were regions too

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**vars(self), "held_out": list(self.held_out)}


class PatchHead:
    """Scores of patches by a trained head.

    Args:
        settings: its layers, places and widths.
        origin: what it was trained on.
        mean: (D,) float32, of each channel over the clean training patches.
        deviation: (D,) float32 > 0, likewise.
        grid: (h, w) places.
        network: as trained.
        residuals: what good photos leave of their features; None for a discriminator.
        validation: scores of a head trained alike but for the held-out photos, on the validation
            set (`validation.make_validation_set`); None for that head itself.
    """

    def __init__(
        self,
        settings: HeadSettings,
        origin: HeadOrigin,
        mean: Tensor,
        deviation: Tensor,
        grid: tuple[int, int],
        network: Projector | Discriminator | Gaussian,
        residuals: ResidualStatistics | None,
        validation: ValidationScores | None = None,
    ) -> None:
        self.settings = settings
        self.origin = origin
        self.mean = mean
        self.deviation = deviation
        self.grid = grid
        self.network = network
        self.residuals = residuals
        self.validation = validation
        self.network.eval().requires_grad_(False)

    def normalised(self, places: Tensor) -> Tensor:
        """(N, h, w, D) features with channels of mean 0 and deviation 1 on good photos."""
        return (places - self.mean) / self.deviation

    def score_patches(self, embedded: Tensor) -> np.ndarray:
        """Score photos that are embedded already, at the resolution of their embedding.

        Args:
            embedded: (N, H', W', D) float32 patch embeddings of these layers.

        Returns:
            (N, H', W') float32 >= 0: the head's places, interpolated.

        Raises:
            CutSwapError: another D or other places than the head's.
        """
        with torch.no_grad():
            parts = [self.score_tensor(part) for part in embedded.float().cpu().split(AT_ONCE)]
        return torch.cat(parts).numpy()

    def score_tensor(self, embedded: Tensor) -> Tensor:
        """`score_patches` of a float32 tensor on the CPU, in what an export can follow."""
        size = (int(embedded.shape[1]), int(embedded.shape[2]))
        places = to_places(embedded, self.settings.grid)
        if places.shape[1:] != (*self.grid, len(self.mean)):
            raise CutSwapError(
                "head",
                expected=f"features of {len(self.mean)} numbers at {self.grid[0]}x{self.grid[1]}"
                " places, as it was trained on",
                found=f"{places.shape[3]} numbers at {places.shape[1]}x{places.shape[2]}",
                fix="use the layers and image size of its run",
            )
        maps = self._scores(self.normalised(places))[:, None]
        if size != self.grid:
            maps = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
        return maps[:, 0]

    def _scores(self, x: Tensor) -> Tensor:
        """(N, h, w) float >= 0 of (N, h, w, D) normalised features."""
        if isinstance(self.network, Discriminator):
            return self.network.patch_scores(x)
        return self._known_residuals.scores(self.network.residual(x))

    @property
    def _known_residuals(self) -> ResidualStatistics:
        if self.residuals is None:
            raise RuntimeError("a head without the statistics of its residuals")
        return self.residuals

    def image_scores(self, patches: np.ndarray) -> np.ndarray:
        """Patch scores (N, h, w), or (N, P) of some, to (N,): mean of each photo's highest."""
        flat = patches.reshape(len(patches), -1)
        highest = min(self.settings.highest, flat.shape[1])
        return np.sort(flat, axis=1)[:, -highest:].mean(axis=1).astype(np.float32)

    def need_match(self, layers: tuple[str, ...], image_size: int, name: str, mark: str) -> None:
        """Refuse a bank that was fitted otherwise.

        Args:
            layers: of the bank.
            image_size: of the bank, pixels.
            name: of the bank's network.
            mark: fingerprint of its weights.

        Raises:
            CutSwapError: other layers, another size or another network.
        """
        own = {
            "layers": ",".join(self.settings.layers),
            "image size": self.origin.image_size,
            "network": f"{self.origin.backbone} {self.origin.fingerprint[:12]}",
        }
        bank = {
            "layers": ",".join(layers),
            "image size": image_size,
            "network": f"{name} {mark[:12]}",
        }
        for what, value in own.items():
            if bank[what] != value:
                raise CutSwapError(
                    f"{what} of head and bank",
                    expected=f"{value}, as the head was trained on",
                    found=bank[what],
                    fix="fit the bank with the head's, or train a head for the bank's",
                )

    def need_region(self, region: PatchRegion | None) -> None:
        """Refuse to be weighed in another region than it was validated in.

        Raises:
            CutSwapError: the two differ.
        """
        mark = "" if region is None else region.mark
        if mark != self.origin.region:
            other = "another region" if self.origin.region else "a region"
            raise CutSwapError(
                "region of head and bank",
                expected="the region that the head was validated in"
                if self.origin.region
                else "no region: the head was validated on whole photos",
                found=other if mark else "none",
                fix="pass --region as its training had it, or train the head again with this one",
            )

    def tensors(self) -> dict[str, Tensor]:
        """All numbers by name, for a file."""
        state = {f"head.{n}": v for n, v in self.network.state_dict().items()}
        own = {"head_mean": self.mean, "head_deviation": self.deviation}
        if self.residuals is not None:
            own |= dict(
                zip(_RESIDUALS, (self.residuals.mean, self.residuals.deviation), strict=True)
            )
        if self.validation is not None:
            own |= validation_tensors(self.validation)
        return {**state, **own}

    def about(self) -> dict[str, Any]:
        """The header of a head's file."""
        return {
            "settings": self.settings.to_dict(),
            "origin": self.origin.to_dict(),
            "grid": list(self.grid),
            "content": state_fingerprint(self.tensors()),
        }

    def save(self, path: Path) -> None:
        """One safetensors file.

        Raises:
            CutSwapError: the file cannot be written.
        """
        write_tensors(path, self.tensors(), {"format": FORMAT, **self.about()})

    @classmethod
    def load(cls, path: Path) -> PatchHead:
        """Read a saved head.

        Raises:
            CutSwapError: a missing, damaged or foreign file.
        """
        fix = "train the head again with finetune"
        tensors, about = read_tensors(path, fix=fix)
        if about.get("format") != FORMAT:
            raise CutSwapError(
                path,
                expected=f"a file of the format '{FORMAT}'",
                found=about.get("format", "a safetensors file of another kind"),
                fix=fix,
            )
        return cls.from_tensors(tensors, about, path, fix)

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, Tensor], about: dict[str, Any], path: Path, fix: str
    ) -> PatchHead:
        """Rebuild from `tensors` and `about`.

        Args:
            tensors: by name; others than a head's are left alone.
            about: the header's values.
            path: of the file, for messages.
            fix: what to do about a bad file, for messages.

        Raises:
            CutSwapError: numbers that changed, are missing or not finite, or a header that is no
                head's.
        """

        def refuse(found: str) -> CutSwapError:
            return CutSwapError(path, expected="the head that was saved", found=found, fix=fix)

        own = {n: v for n, v in tensors.items() if n.startswith(("head.", "head_"))}
        missing = {"settings", "origin", "grid", "content"} - set(about)
        if missing or not set(_CHANNELS) <= set(own):
            raise refuse(f"no {', '.join(sorted(missing or set(_CHANNELS) - set(own)))}")
        if state_fingerprint(own) != about["content"]:
            raise refuse("numbers that changed since")
        if any(v.dtype != torch.float32 or not v.isfinite().all() for v in own.values()):
            raise refuse("numbers that are not finite float32")
        settings = HeadSettings.from_dict(about["settings"])
        grid, origin = _grid(about["grid"]), _origin(about["origin"])
        if settings.train not in KINDS or grid is None or origin is None:
            raise refuse("a header that is no head's")
        mean, deviation = (own[name] for name in _CHANNELS)
        if mean.ndim != 1 or mean.shape != deviation.shape or (deviation <= 0).any():
            raise refuse("statistics of channels that are none")
        residuals = None
        if settings.train != "discriminator":
            residuals = _residuals(own, (*grid, len(mean)))
            if residuals is None:
                raise refuse("statistics of residuals that are none")
        network = build_network(settings, len(mean), grid, origin.seed)
        state = {n.removeprefix("head."): v for n, v in own.items() if n.startswith("head.")}
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise refuse(str(error).splitlines()[-1].strip()[:200]) from error
        validation = validation_from(own)
        return cls(settings, origin, mean, deviation, grid, network, residuals, validation)


def validation_tensors(validation: ValidationScores) -> dict[str, Tensor]:
    """Scores of the validation set as tensors by name, for a file."""
    values = (validation.good, validation.made_up, np.array([validation.patch]))
    return {
        n: torch.from_numpy(np.asarray(v, dtype=np.float32))
        for n, v in zip(_VALIDATION, values, strict=True)
    }


def validation_from(tensors: dict[str, Tensor]) -> ValidationScores | None:
    """Scores of the validation set among a file's tensors, where there are any."""
    good, made_up, patch = (tensors.get(name) for name in _VALIDATION)
    if good is None or made_up is None or patch is None:
        return None
    if not (good.ndim == made_up.ndim == patch.ndim == 1 and len(good) and len(made_up)):
        return None
    return ValidationScores(good.numpy(), made_up.numpy(), float(patch[0]))


def _residuals(own: dict[str, Tensor], shape: tuple[int, ...]) -> ResidualStatistics | None:
    """Statistics of a head's residuals, where they are there and may be such."""
    mean, deviation = (own.get(name) for name in _RESIDUALS)
    if mean is None or deviation is None or not mean.shape == deviation.shape == shape:
        return None
    return ResidualStatistics(mean, deviation) if bool((deviation > 0).all()) else None


def build_network(
    settings: HeadSettings, channels: int, grid: tuple[int, int], seed: int
) -> Projector | Discriminator | Gaussian:
    """A fresh head; the same seed gives the same weights.

    Args:
        settings: which kind, and its widths.
        channels: D of the features.
        grid: (h, w) places.
        seed: of its weights.
    """
    if settings.kernel % 2 == 0:
        raise CutSwapError(
            "kernel", expected="an odd number", found=settings.kernel, fix="pass --head-kernel 7"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return KINDS[settings.train](
            channels, grid, settings.width, settings.blocks, settings.kernel
        )


def _grid(value: Any) -> tuple[int, int] | None:
    sound = isinstance(value, list) and len(value) == 2
    sound = sound and all(type(v) is int and 0 < v <= 128 for v in value)
    return (value[0], value[1]) if sound else None


def _origin(value: Any) -> HeadOrigin | None:
    try:
        origin = HeadOrigin(**{**value, "held_out": tuple(value["held_out"])})
    except (TypeError, KeyError):
        return None
    texts = (origin.backbone, origin.fingerprint, origin.family, origin.category, origin.region)
    numbers = (origin.image_size, origin.seed, *origin.held_out)
    sound = all(isinstance(t, str) for t in texts)
    sound = sound and all(type(n) is int and 0 <= n < 2**62 for n in numbers)
    return origin if sound else None

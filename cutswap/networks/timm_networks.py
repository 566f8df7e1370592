"""Networks of timm by name, `timm:vit_small_patch14_dinov2`, with weights from a local file.

An optional extra; nothing is ever downloaded. What its networks have otherwise than torchvision's
is told here: transformers give tokens, which become maps; some want other sides or other colours.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from cutswap.errors import CutSwapError

PREFIX = "timm:"
EXTRA = 'pip install "cutswap[timm]"'
_LEVELS = 5  # as of torchvision's: from shallow to deep
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which images come in


def is_timm(name: str) -> bool:
    """Whether a network's name means one of timm's."""
    return name.startswith(PREFIX)


def timm_module(name: str) -> nn.Module:
    """An untrained network of timm's, with the values torch draws for it.

    Args:
        name: `timm:` and timm's name, perhaps with the tag of its weights.

    Raises:
        CutSwapError: timm is not installed, or has no such network.
    """
    try:
        import timm
    except ImportError as error:
        raise CutSwapError(
            f"backbone {name}",
            expected="the optional package timm",
            found="none",
            fix=EXTRA,
        ) from error
    model = name.removeprefix(PREFIX)
    known = timm.list_models()
    if model.split(".")[0] not in known:  # nor a name of a hub, which would be asked for it
        near = difflib.get_close_matches(model, known, 3, 0.5)
        raise CutSwapError(
            f"backbone {name}",
            expected="a network of timm",
            found=model or "no name",
            fix=f"did you mean {' or '.join(near)}?" if near else "see timm.list_models()",
        )
    try:  # a transformer that takes photos of any size
        return timm.create_model(model, pretrained=False, dynamic_img_size=True)
    except TypeError:
        return timm.create_model(model, pretrained=False)


def timm_levels(module: nn.Module) -> tuple[str, ...]:
    """Layers at five depths of a network, shallow to deep; all it has where they are fewer.

    Args:
        module: of `timm_module`.
    """
    stages = [str(stage["module"]) for stage in getattr(module, "feature_info", [])]
    there = {name for name, _ in module.named_modules()}
    stages = [name for name in dict.fromkeys(stages) if name in there]
    count = min(_LEVELS, len(stages))
    return tuple(stages[round(len(stages) * (n + 1) / count) - 1] for n in range(count))


@dataclass(frozen=True)
class Habits:
    """What a network takes and gives.

    Attributes:
        side: a photo's sides must be multiples of it, pixels.
        prefix: tokens before those of patches; None: it gives maps.
        is_channels_last: its maps are (N, h, w, C).
        has_classes: it gives class scores.
        fixed: the only side of a photo it takes, pixels; None: many.
        mean: of the colours it was trained on.
        std: their deviation.
    """

    side: int
    prefix: int | None
    is_channels_last: bool
    has_classes: bool
    fixed: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, module: nn.Module) -> Habits:
        """Read from a network of timm's."""
        embed = getattr(module, "patch_embed", None)
        patch: Any = getattr(embed, "patch_size", None)
        size: Any = getattr(embed, "img_size", None)
        config: dict[str, Any] = getattr(module, "pretrained_cfg", None) or {}
        is_last = getattr(module, "output_fmt", "NCHW") == "NHWC"
        has_tokens = patch is not None and not is_last
        is_strict = bool(getattr(embed, "strict_img_size", False)) and size is not None
        return cls(
            side=int(patch[0]) if has_tokens else 1,
            prefix=int(getattr(module, "num_prefix_tokens", 0)) if has_tokens else None,
            is_channels_last=is_last,
            has_classes=int(getattr(module, "num_classes", 0)) > 0,
            fixed=int(size[0]) if is_strict else None,
            mean=tuple(config.get("mean", _MEAN)),
            std=tuple(config.get("std", _STD)),
        )

    @property
    def has_saliency(self) -> bool:
        """Whether LayerCAM has what it is made of: a class score, and maps on the way to it."""
        return self.has_classes and self.prefix is None and not self.is_channels_last

    def taken(self, image: Tensor) -> Tensor:
        """The image as the network wants it.

        Args:
            image: (N, 3, H, W) float, ImageNet-normalised.

        Returns:
            (N, 3, H', W') float, the nearest multiples of `side`, in the network's own colours.

        Raises:
            CutSwapError: a size it does not take.
        """
        if self.fixed is not None and set(image.shape[-2:]) != {self.fixed}:
            raise CutSwapError(
                "image",
                expected=f"photos of {self.fixed} pixels, the only ones this network takes",
                found=" x ".join(map(str, image.shape[-2:])),
                fix=f"pass --image-size {self.fixed}",
            )
        size = [max(1, round(length / self.side)) * self.side for length in image.shape[-2:]]
        if tuple(size) != tuple(image.shape[-2:]):
            image = F.interpolate(
                image, size=size, mode="bilinear", align_corners=False, antialias=True
            )
        if (self.mean, self.std) == (_MEAN, _STD):
            return image

        def colours(values: tuple[float, ...]) -> Tensor:
            return image.new_tensor(values)[:, None, None]

        return (image * colours(_STD) + colours(_MEAN) - colours(self.mean)) / colours(self.std)

    def given(self, output: Tensor, size: tuple[int, int]) -> Tensor:
        """A layer's output as (N, C, h, w) maps.

        Args:
            output: (N, T, C) tokens, (N, h, w, C) or (N, C, h, w) maps.
            size: (H', W') of the image it took, pixels.
        """
        if self.prefix is not None and output.dim() == 3:
            height, width = (length // self.side for length in size)
            tokens = output[:, self.prefix :]
            return tokens.transpose(1, 2).unflatten(2, (height, width)).contiguous()
        if self.is_channels_last and output.dim() == 4:
            return output.permute(0, 3, 1, 2).contiguous()
        return output

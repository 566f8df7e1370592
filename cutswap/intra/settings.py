"""InTra's settings, at a laptop's size; `PAPER` makes them the paper's.

Apart from what computes, so that flags and plans need no torch. The paper's text could not be had
here: what is called its own is as its readers tell it, and docs/choices.md says what is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutswap.errors import CutSwapError
from cutswap.settings import Settings, setting

# 500 updates are about one of its epochs of 600 windows a photo, of a category of 213 photos; it
# ends after 50 epochs without a better held-out loss, which no setting here repeats.
PAPER: dict[str, Any] = {
    "width": 512,
    "blocks": 13,
    "heads": 8,
    "windows": 256,
    "updates": 100_000,
    "learning_rate": 0.0001,
}


@dataclass(frozen=True)
class IntraSettings(Settings):
    """The inpainting transformer and how long it learns."""

    image_size: int = setting(256, "side of the square image, pixels", low=64, high=2048)
    patch: int = setting(16, "side of a patch, pixels (paper: 16)", low=4, high=64)
    window: int = setting(7, "side of a window, patches (paper: 7)", low=3, high=32)
    width: int = setting(128, "numbers a patch (paper: 512)", low=16, high=2048)
    blocks: int = setting(6, "transformer blocks (paper: 13)", low=2, high=48)
    heads: int = setting(4, "of attention; they share the width (paper: 8)", low=1, high=32)
    windows: int = setting(64, "windows an update (paper: 256)", low=1, high=4096)
    updates: int = setting(
        3000,
        "how many (paper: epochs of 600 windows a photo, until the held-out loss has not fallen for"
        " 50 of them)",
        low=1,
    )
    learning_rate: float = setting(
        0.001, "of Adam, falling to 0 along a cosine (paper: 0.0001, constant)", above=0.0, high=1.0
    )
    similarity: float = setting(
        0.01, "weight of SSIM and of gradients beside the squared error (paper: 0.01)", low=0.0
    )
    held_out: float = setting(
        0.1,
        "share of photos, at most 20, that choose the best of twenty states (paper: 0.1)",
        low=0.0,
        high=0.5,
    )
    precision: str = setting(
        "auto",
        "auto: bfloat16 where the device is fast at it",
        choices=("auto", "float32", "bfloat16"),
    )

    @property
    def grid(self) -> int:
        """Patches along a side of the photo."""
        return self.image_size // self.patch

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            CutSwapError: a patch that does not divide the photo, a window larger than it, heads
                that do not divide the width.
        """
        super().__post_init__()
        if self.image_size % self.patch:
            raise CutSwapError(
                "patch",
                expected=f"a divisor of the image size, {self.image_size}",
                found=self.patch,
                fix="pass for example a patch of 16 and an image size of 256",
            )
        if self.window > self.grid:
            raise CutSwapError(
                "window",
                expected=f"at most {self.grid} patches, the photo's side",
                found=self.window,
                fix="lower the window or the patch, or raise the image size",
            )
        if self.width % self.heads:
            raise CutSwapError(
                "heads",
                expected=f"a divisor of the width, {self.width}",
                found=self.heads,
                fix="pass for example 4 heads of a width of 128",
            )

"""Settings of the `quality` command; apart from what measures, so that flags need no torch."""

from __future__ import annotations

from dataclasses import dataclass

from cutswap.config import METHODS, WEIGHTS_HELP
from cutswap.errors import CutSwapError
from cutswap.settings import Settings, setting

RANDOM_SWAP = "random-swap"  # CutSwap with anchors from the whole image: what saliency adds
MEASURED = (*METHODS, RANDOM_SWAP)


@dataclass(frozen=True)
class QualitySettings(Settings):
    """How many negatives are judged, and by what."""

    methods: tuple[str, ...] = setting(MEASURED, f"some of {', '.join(MEASURED)}")
    photos: int = setting(24, "training photos that negatives are made of, at most half", low=2)
    bank_photos: int = setting(32, "other training photos that say what is normal, at most", low=1)
    test_photos: int = setting(
        240, "real defective, and good, test photos to compare with, at most, of either", low=1
    )
    per_photo: int = setting(4, "negatives a photo, method and seed", low=1, high=256)
    seeds: tuple[int, ...] = setting((0,), "seeds of the draws", low=0)
    image_size: int = setting(256, "side of the square image, pixels", low=64, high=1024)
    guide: str = setting("vgg16", "network whose saliency guides CutSwap")
    guide_weights: str = setting("embedded", WEIGHTS_HELP)
    judge: str = setting(
        "resnet18", "network that says what is foreground and measures distances; not the guide"
    )
    judge_weights: str = setting("embedded", WEIGHTS_HELP)
    feature_layer: str = setting("layer3", "the judge's layer whose features are compared")
    faint: float = setting(
        5.0, "an invisible edit's mean absolute change is below this, levels of 255", above=0.0
    )
    similar: float = setting(
        0.95, "and its mean SSIM in the changed area above this", low=-1.0, high=1.0
    )
    resamples: int = setting(2000, "bootstrap resamples of the photos", low=100, high=100_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [m for m in self.methods if m not in MEASURED]
        if unknown or not self.methods or not self.seeds:
            raise CutSwapError(
                "methods and seeds",
                expected=f"some of {', '.join(MEASURED)}, and at least one seed",
                found=", ".join(unknown) or "none",
                fix="pass for example --methods cutswap,cutpaste --seeds 0,1,2",
            )

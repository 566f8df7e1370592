"""Every knob of the method, one frozen dataclass a stage, each with its reason beside it.

Where the paper is silent the default follows what peers do and the field's help says so; all
settings are recorded with every result. Sizes are (height, width); ranges are (low, high).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutswap.settings import Settings, setting

ANCHORS = ("max-cluster", "min-cluster", "random-cluster", "whole-image", "top-n")
# CutSwap is guided by saliency; the others are what to compare it with. Each has a scar, which is
# the third class of 3-way training: its own blending in a thin turned strip.
FAMILIES = ("cutswap", "cutpaste", "smoothblend", "nsa", "perlin")
METHODS = tuple(name for family in FAMILIES for name in (family, f"{family}-scar"))
WEIGHTS_HELP = "embedded, imagenet, random, or the path of a state dict (.pth or .safetensors)"


@dataclass(frozen=True)
class SaliencySettings(Settings):
    """LayerCAM: which network looks at the image, and at which depths."""

    backbone: str = setting("vgg16", "network whose attention guides the patches")
    weights: str = setting("embedded", WEIGHTS_HELP)
    layers: tuple[str, ...] | None = setting(
        None,
        "layers to explain, shallow to deep; default: the backbone's five levels"
        " (vgg16: 4,9,16,23,30, the paper's)",
    )
    target_class: int | None = setting(
        None, "class whose score is explained; default: the predicted one", low=0
    )
    image_size: int = setting(256, "side of the square image, pixels", low=32, high=2048)
    fusion: tuple[float, ...] | None = setting(
        None,
        "weight of each layer in the level `fused`, their weighted mean; default: equal",
        low=0.0,
    )


@dataclass(frozen=True)
class ClusterSettings(Settings):
    """From one saliency map to the pixels that may anchor a patch."""

    k: int = setting(4, "number of K-means clusters of saliency (paper: 4)", low=1, high=64)
    anchors: str = setting(
        "max-cluster", "where anchors may lie (paper: max-cluster)", choices=ANCHORS
    )
    top_n: int = setting(300, "pixels kept by the top-n strategy (paper: 300)", low=2)


@dataclass(frozen=True)
class NegativeSettings(Settings):
    """Patch geometry and appearance.

    Area, aspect and scar sizes are CutPaste's: the paper gives none for CutSwap.
    """

    method: str = setting("cutswap", "how the negative is made", choices=METHODS)
    area: tuple[float, float] = setting(
        (0.02, 0.15), "patch area as a share of the image, drawn uniformly", above=0.0, high=1.0
    )
    aspect: tuple[float, float] = setting(
        (0.3, 1 / 0.3), "width over height, drawn log-uniformly", above=0.0
    )
    scar_width: tuple[int, int] = setting(
        (2, 16), "scar width in pixels of a 256-pixel image, scaled with the image", low=1
    )
    scar_height: tuple[int, int] = setting(
        (10, 25), "scar height in pixels of a 256-pixel image, scaled with the image", low=1
    )
    angle: tuple[float, float] = setting(
        (-45.0, 45.0), "scar rotation in degrees, one angle for both strips", low=-180, high=180
    )
    jitter: float | None = setting(
        None,
        "colour jitter of the patch before it is placed; default: 0 for cutswap (the swap"
        " alone) and nsa, 0.1 for cutpaste and smoothblend (as CutPaste published)",
        low=0,
        high=0.5,
    )
    overlap: str = setting(
        "avoid",
        "avoid: redraw, then shrink, until the two patches are apart; allow: the last write wins",
        choices=("avoid", "allow"),
    )
    max_tries: int = setting(50, "pairs drawn at one patch size before it is shrunk", low=1)
    softness: tuple[float, float] = setting(
        (0.05, 0.2),
        "smoothblend: sigma of the patch's fading edge as a share of its shorter side",
        low=0.0,
        high=0.3,
    )
    zoom: tuple[float, float] = setting(
        (0.7, 1.3), "nsa: range of the patch's scaling, normal around 1 (NSA's)", above=0, high=4
    )
    opacity: tuple[float, float] = setting(
        (0.2, 1.0), "perlin: how much of the texture shows (DRAEM's)", above=0.0, high=1.0
    )


@dataclass(frozen=True)
class WeakAugmentation(Settings):
    """From a training image x to its positive x+ (the paper: "e.g. color jittering")."""

    jitter: float = setting(
        0.1, "brightness, contrast, saturation and hue jitter of the positive", low=0, high=0.5
    )


# A ResNet up to layer2. Sixty updates that trained it too moved PatchCore's features by 0.7 to 0.8
# of their length and cost 0.05 to 0.10 of pixel AUROC; without it they move by a tenth.
EARLY = ("conv1", "bn1", "layer1", "layer2")


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """Fine-tuning phi to tell positives from negatives. Presets: `RECIPES`."""

    backbone: str = setting("resnet18", "feature extractor phi (paper: resnet18, D=512)")
    weights: str = setting("embedded", WEIGHTS_HELP)
    image_size: int = setting(256, "side of the square training image, pixels", low=64, high=1024)
    augment: str = setting("cutswap", "family of negatives", choices=FAMILIES)
    ways: int = setting(3, "2: positive, patch; 3: positive, patch, scar (paper: 3)", low=2, high=3)
    recipe: str = setting("gentle", "preset these settings began as", choices=("gentle", "paper"))
    epochs: int = setting(20, "passes over the training images (paper: 256)", low=1)
    steps_per_epoch: int | None = setting(
        None, "updates an epoch; default: one pass over the training images", low=1
    )
    batch_size: int = setting(
        16, "images read an update; each gives one sample a class", low=1, high=1024
    )
    learning_rate: float = setting(
        0.03, "initial rate of layer4 and the head (paper: 0.03)", above=0.0, high=10.0
    )
    pretrained_factor: float = setting(
        0.02, "rate of all layers before layer4 as a share of learning_rate", low=0.0, high=10.0
    )
    depth_decay: float = setting(
        1.0, "further factor for each stage shallower than layer3", low=0.0, high=1.0
    )
    freeze_batch_norm: bool = setting(
        True, "keep batch-norm statistics of the layers before layer4 as pretrained"
    )
    frozen: tuple[str, ...] = setting(
        EARLY, "top-level layers that are not trained at all; empty: all are"
    )
    momentum: float = setting(0.9, "SGD momentum", low=0.0, high=0.999)
    weight_decay: float = setting(3e-5, "SGD weight decay", low=0.0, high=1.0)
    hidden: tuple[int, ...] = setting((512, 128), "widths of psi's hidden layers", low=1)
    levels: tuple[str, ...] | None = setting(
        None, "saliency layers negatives draw from, or fused; default: all of the saliency settings"
    )
    checkpoint_every: int = setting(50, "updates between checkpoints", low=1)
    device: str = setting("auto", "auto, cpu, mps, cuda or cuda:N")
    precision: str = setting(
        "auto",
        "auto: bfloat16 where the device is fast at it",
        choices=("auto", "float32", "bfloat16"),
    )
    tf32: bool = setting(
        True, "CUDA may compute float32 convolutions from factors of 10 bits, torch's own default"
    )
    compile: bool = setting(
        False, "torch.compile the network: a minute's start, and needs a C++ compiler"
    )
    workers: int | None = setting(
        None,
        "processes that draw negatives; 0 draws in the trainer; default: chosen by cores and device"
        " (0 on a processor, the cores but two beside an accelerator), said and recorded",
        low=0,
        high=64,
    )

    def deciding(self) -> dict[str, Any]:
        """`to_dict` for identities, as older ones have it: these change no answer, or are new."""
        values = {n: v for n, v in self.to_dict().items() if (n, v) not in _NEWER}
        return {**values, "workers": self.workers or 0}


_NEWER = (("tf32", True), ("compile", False))  # settings that older records do not have

# The paper's wording, read literally, trains everything at 0.03 and ruins pretrained features;
# `gentle` protects them; chosen without test images, see docs/recipes.md. Values as JSON has them.
RECIPES: dict[str, dict[str, object]] = {
    "gentle": {"pretrained_factor": 0.02, "freeze_batch_norm": True, "frozen": [*EARLY]},
    "paper": {"pretrained_factor": 1.0, "freeze_batch_norm": False, "frozen": []},
}


@dataclass(frozen=True)
class PatchCoreSettings(Settings):
    """Memory bank and scoring, as in Roth et al. 2022 with amazon's and anomalib's choices."""

    layers: tuple[str, ...] = setting(
        ("layer2", "layer3"), "layers whose features are concatenated, shallow to deep"
    )
    image_size: int = setting(256, "side of the square image, pixels", low=64, high=2048)
    coreset: float = setting(
        0.01,
        "share of all training patches kept in the bank (paper: 0.001 and 0.01)",
        above=0.0,
        high=1.0,
    )
    projection: int | None = setting(
        128, "dimensions of the random projection used while choosing the coreset; none: off", low=1
    )
    shards: int = setting(
        1,
        "parts of the training images embedded one at a time, for sets beyond memory; 1: all at"
        " once, exact. With more a patch is within 4 times the best coreset's radius of the bank"
        " (1 guarantees 2); measured with 5: radius 5 to 13% larger, image AUROC 0.02 to 0.11"
        " lower (docs/scaling.md)",
        low=1,
        high=10_000,
    )
    search: str = setting(
        "exact",
        "how the nearest bank item is found; ivf and hnsw are for banks of many thousand items and"
        " may miss it",
        choices=("exact", "ivf", "hnsw"),
    )
    neighbours: int = setting(1, "nearest bank items averaged for a patch's distance", low=1)
    reweight: int = setting(
        1,
        "bank neighbours b in the image-score re-weighting; 1 is off (paper of PatchCore: 9)",
        low=1,
    )
    sigma: float = setting(
        4.0, "gaussian smoothing of the heatmap, pixels; 0 is off", low=0.0, high=64.0
    )
    batch_size: int = setting(16, "images a forward pass", low=1, high=1024)
    tf32: bool = setting(
        False,
        "CUDA may compute float32 convolutions from factors of 10 bits: faster, scores move; off,"
        " CUDA and the processor agree",
    )

    def deciding(self) -> dict[str, Any]:
        """`to_dict` for identities; what older ones do not have is left out at its default."""
        older = (("shards", 1), ("tf32", False))
        return {n: v for n, v in self.to_dict().items() if (n, v) not in older}

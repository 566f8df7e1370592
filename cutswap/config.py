"""Every knob of the method, one frozen dataclass a stage, each with its reason beside it.

Where the paper is silent the default follows what peers do and the field's help says so; all
settings are recorded with every result. Sizes are (height, width); ranges are (low, high).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from cutswap.errors import CutSwapError
from cutswap.settings import Control, Settings, setting

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

    k: int = setting(
        4,
        "number of K-means clusters of saliency (paper: 4)",
        low=1,
        high=64,
        control=Control(
            label="Clusters K",
            low=1,
            high=8,
            step=1,
            help="K-means groups the saliency values, and patches are drawn from the most salient"
            " group. More clusters make it smaller and the patches closer. The paper: 4.",
        ),
    )
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
        (0.02, 0.15),
        "patch area as a share of the image, drawn uniformly",
        above=0.0,
        high=1.0,
        control=Control(
            label="Patch area, share of the image",
            low=0.005,
            high=0.3,
            step=0.005,
            help="Drawn uniformly; large patches are easy to see, small ones subtle.",
        ),
    )
    aspect: tuple[float, float] = setting(
        (0.3, 1 / 0.3),
        "width over height, drawn log-uniformly",
        above=0.0,
        control=Control(
            label="Aspect, width over height",
            low=0.1,
            high=10.0,
            step=0.01,
            help="Drawn log-uniformly, so that tall and wide are equally likely.",
        ),
    )
    scar_width: tuple[int, int] = setting(
        (2, 16),
        "scar width in pixels of a 256-pixel image, scaled with the image",
        low=1,
        control=Control(
            label="Scar width, pixels of 256",
            low=1,
            high=64,
            step=1,
            help="Drawn uniformly, scaled with the image.",
        ),
    )
    scar_height: tuple[int, int] = setting(
        (10, 25),
        "scar height in pixels of a 256-pixel image, scaled with the image",
        low=1,
        control=Control(
            label="Scar length, pixels of 256",
            low=2,
            high=64,
            step=1,
            help="Drawn uniformly, scaled with the image.",
        ),
    )
    angle: tuple[float, float] = setting(
        (-45.0, 45.0),
        "scar rotation in degrees, one angle for both strips",
        low=-180,
        high=180,
        control=Control(
            label="Rotation, degrees",
            low=-90,
            high=90,
            step=1,
            help="One angle for both strips, drawn uniformly.",
        ),
    )
    jitter: float | None = setting(
        None,
        "colour jitter of the patch before it is placed; default: 0 for cutswap (the swap"
        " alone) and nsa, 0.1 for cutpaste and smoothblend (as CutPaste published)",
        low=0,
        high=0.5,
        control=Control(
            label="Patch jitter",
            low=0.0,
            high=0.5,
            step=0.01,
            help="Brightness, contrast, saturation and hue of the patch before it is placed.",
        ),
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
        control=Control(
            label="Softness, share of the shorter side",
            low=0.0,
            high=0.3,
            step=0.01,
            help="Sigma of the gaussian that fades the patch out towards its edge.",
        ),
    )
    zoom: tuple[float, float] = setting(
        (0.7, 1.3),
        "nsa: range of the patch's scaling, normal around 1 (NSA's)",
        above=0,
        high=4,
        control=Control(
            label="Scaling of the patch",
            low=0.5,
            high=2.0,
            step=0.05,
            help="Drawn from a normal distribution around 1 and clipped to this range.",
        ),
    )
    opacity: tuple[float, float] = setting(
        (0.2, 1.0),
        "perlin: how much of the texture shows (DRAEM's)",
        above=0.0,
        high=1.0,
        control=Control(
            label="Opacity of the texture",
            low=0.05,
            high=1.0,
            step=0.05,
            help="Drawn uniformly; at 1 the texture hides the part.",
        ),
    )


@dataclass(frozen=True)
class WeakAugmentation(Settings):
    """From a training image x to its positive x+ (the paper: "e.g. color jittering")."""

    jitter: float = setting(
        0.1,
        "brightness, contrast, saturation and hue jitter of the positive",
        low=0,
        high=0.5,
        control=Control(
            label="Positive jitter",
            low=0.0,
            high=0.5,
            step=0.01,
            help="Colour jitter from the photo x to the positive x+; training uses 0.1.",
        ),
    )


# A ResNet up to layer2. Sixty updates that trained it too moved PatchCore's features by 0.7 to 0.8
# of their length and cost 0.05 to 0.10 of pixel AUROC; without it they move by a tenth.
EARLY = ("conv1", "bn1", "layer1", "layer2")


FEWEST_TO_HOLD_OUT = 5  # good photos


def held_out_of(photos: int) -> int:
    """Good photos that `validate` and `tune` hold out of training: a fifth, at least two."""
    return max(2, round(0.2 * photos))


OBJECTIVES = ("classes", "spd")
# What SPD sees of a photo in one update, in this order.
SPD_VIEWS = ("strong", "strong", "photo", "weak", "smoothblend")


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """Fine-tuning phi to tell positives from negatives. Presets: `RECIPES`."""

    backbone: str = setting("resnet18", "feature extractor phi (paper: resnet18, D=512)")
    weights: str = setting("embedded", WEIGHTS_HELP)
    image_size: int = setting(256, "side of the square training image, pixels", low=64, high=1024)
    objective: str = setting(
        "classes",
        "what phi learns: classes, to tell positives from negatives (the paper's), or spd, to be"
        " calm to views of a photo and awake to a SmoothBlend in it (Zou et al. 2022), which has"
        " neither classes nor saliency and its own flags --spd-...",
        choices=OBJECTIVES,
    )
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
    validate: bool = setting(
        False,
        "at every checkpoint measure PatchCore's image AUROC between a fifth of the good photos,"
        " held out from training, and negatives of them; no test photo is used",
    )
    snapshots: int = setting(
        0,
        "states of phi kept for `features --over-time`, evenly spread from before the first update"
        " to the last; 0: none. On disk each but these two is what training has moved, in half"
        " precision: of a ResNet18 21 MB",
        low=0,
        high=100,
    )
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

    def trained_on(self, photos: int) -> int:
        """How many of so many good photos training sees: not those that `validate` holds out."""
        return photos - held_out_of(photos) if self.validate else photos

    def deciding(self) -> dict[str, Any]:
        """`to_dict` for identities, as older ones have it: these change no answer, or are new."""
        values = {n: v for n, v in self.to_dict().items() if (n, v) not in _NEWER}
        return {**values, "workers": self.workers or 0}


_NEWER = (
    ("tf32", True),
    ("compile", False),
    ("validate", False),
    ("objective", "classes"),
    ("snapshots", 0),
)  # settings that older records do not have

# The paper's wording, read literally, trains everything at 0.03 and ruins pretrained features;
# `gentle` protects them; chosen without test images, see docs/recipes.md. Values as JSON has them.
RECIPES: dict[str, dict[str, object]] = {
    "gentle": {"pretrained_factor": 0.02, "freeze_batch_norm": True, "frozen": [*EARLY]},
    "paper": {"pretrained_factor": 1.0, "freeze_batch_norm": False, "frozen": []},
}


@dataclass(frozen=True)
class SpdSettings(Settings):
    """The objective `spd` (Zou et al., ECCV 2022): what views there are, and how they are compared.

    Published are the loss (a base loss on two strong views, plus a weight times: the SmoothBlend
    view's cosine to the photo minus the weak view's), the bases, and pre-training on ImageNet with
    ResNet50. The authors' repository has VisA and its metrics, no training code, so strong views
    are those of the bases' own papers. Here phi starts from any weights and learns on the good
    photos of a category, as with every other method; rates, batch and length are the training's.
    SmoothBlend is the negative of that name, by the settings of negatives.
    """

    base: str = setting(
        "simsiam",
        "base loss: simsiam (Chen and He 2021), which needs no large batch, or simclr (Chen et al."
        " 2020), whose other photos of the batch are the negatives",
        choices=("simsiam", "simclr"),
    )
    weight: float = setting(
        0.1, "share of the SPD term beside the base loss; 0 is the base alone", low=0.0, high=100.0
    )
    width: int | None = setting(
        None,
        "width of the projector; default: that of phi's pooled features, as SimSiam's 2048 is"
        " ResNet50's",
        low=4,
        high=8192,
    )
    temperature: float = setting(
        0.1, "simclr: temperature of the softmax (its paper: 0.1)", above=0.0, high=10.0
    )
    crop: tuple[float, float] = setting(
        (0.2, 1.0),
        "strong views: share of the photo that a crop shows (SimSiam's)",
        above=0,
        high=1,
    )
    flip: bool = setting(True, "strong views: half of them mirrored (SimSiam's)")
    colour: float = setting(
        0.4,
        "strong views: jitter of brightness, contrast and saturation in four of five; hue a quarter"
        " of it (SimSiam's)",
        low=0.0,
        high=0.5,
    )
    grey: float = setting(0.2, "strong views: share without colour (SimSiam's)", low=0.0, high=1.0)
    blur: float = setting(
        0.5,
        "strong views: share that is blurred, by a sigma of 0.1 to 2 pixels of 224 (SimSiam's)",
        low=0.0,
        high=1.0,
    )
    weak_crop: tuple[float, float] = setting(
        (0.9, 1.0),
        "weak view: share of the photo that its crop shows, the whole photo's shape; the paper says"
        " weak and global, no number. Its colours are those of --weak-jitter",
        above=0,
        high=1,
    )


# The paper's plain form of a bank, and what records without these settings were scored with.
PLAIN: dict[str, Any] = {"image_patches": 1, "whiten": "none"}
# Coreset below which a bank is tiny: between the paper's 0.001, where a whitened bank beside the
# plain one gains most, and its 0.01, where it may cost (docs/bank.md).
TINY_CORESET = 0.003
# Presets beside the defaults; when to use which: docs/bank.md. Values as JSON has them.
BANKS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "whitened": {"image_patches": 10, "whiten": "pca"},
}
# What `finetune` trains: phi itself, or a head on features that stay as they are.
LEARNT_HEADS = ("projector", "discriminator")
HEADS = (*LEARNT_HEADS, "gaussian")
SCORES = ("bank", "head", "both")  # of a photo, where there is a head
NO_FAMILY = "none"  # of negatives: a head that sees none
HEAD_JITTER = 0.0  # of a head's positives: their clean photos' features are the projector's target


@dataclass(frozen=True)
class HeadSettings(Settings):
    """A small network that learns, patch by patch, on a frozen phi; chosen in docs/heads.md."""

    train: str = setting(
        "backbone",
        "what is trained: phi itself (backbone), or a head on frozen features: projector (gives"
        " back the clean photo's features), discriminator (tells changed patches) or gaussian"
        " (mean and deviation at each place: no negatives, no updates)",
        choices=("backbone", *HEADS),
    )
    layers: tuple[str, ...] = setting(
        ("layer2", "layer3"), "layers whose features are concatenated, shallow to deep"
    )
    grid: int = setting(
        16, "places a side that the features are averaged to, at most their own", low=2, high=128
    )
    draws: int = setting(
        1, "draws of a photo; each gives a patch and, in 3-way training, a scar", low=1, high=64
    )
    width: int = setting(96, "channels of the head", low=8, high=1024)
    blocks: int = setting(2, "mixing blocks of the head", low=0, high=12)
    kernel: int = setting(7, "places a side that one block sees; odd", low=1, high=31)
    updates: int = setting(
        200, "updates, without the held-out photos and again with them", low=1, high=1_000_000
    )
    photos: int = setting(16, "photos an update, half clean and half negatives", low=2, high=1024)
    learning_rate: float = setting(
        0.003, "highest rate of AdamW, reached after 30% of the updates", above=0.0, high=1.0
    )
    weight_decay: float = setting(0.01, "AdamW weight decay", low=0.0, high=1.0)
    scale: str = setting(
        "places",
        "unit of a projector's or gaussian's residual: none, or what good photos leave in each"
        " channel (channels), or in each channel at each place (places)",
        choices=("none", "channels", "places"),
    )
    noise: float = setting(
        0.0, "deviation of the noise added to normalised features", low=0.0, high=10.0
    )
    held_out: float = setting(
        0.2,
        "share of the good photos held out as validation set: they weigh bank and head",
        above=0.0,
        high=0.5,
    )
    highest: int = setting(
        10, "highest patches averaged for a head's image score; 1: the highest", low=1
    )

    @property
    def learns(self) -> bool:
        """Whether there are negatives to learn from, and updates; else it only measures."""
        return self.train in LEARNT_HEADS


@dataclass(frozen=True)
class PatchCoreSettings(Settings):
    """Memory bank and scoring, as in Roth et al. 2022 with amazon's and anomalib's choices."""

    layers: tuple[str, ...] = setting(
        ("layer2", "layer3"), "layers whose features are concatenated, shallow to deep"
    )
    image_size: int = setting(
        256, "side of the square image, or of a tile, pixels", low=64, high=2048
    )
    tile_overlap: int | None = setting(
        None,
        "cut photos at their own resolution into tiles of --image-size pixels that overlap by so"
        " many pixels or more, for large photos with small defects; 64 is a good start; default: no"
        " tiles, each photo becomes one square",
        low=0,
        high=1984,
    )
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
    neighbours: int = setting(
        1,
        "nearest bank items averaged for a patch's distance",
        low=1,
        control=Control(
            label="Neighbours",
            low=1,
            high=9,
            step=1,
            help="Nearest normal patches averaged: more are calmer and less sharp.",
        ),
    )
    reweight: int = setting(
        1,
        "bank neighbours b in the image-score re-weighting; 1 is off (paper of PatchCore: 9)",
        low=1,
    )
    image_patches: int = setting(
        10,
        "highest patch distances averaged for the image score (paper of PatchCore: 1)",
        low=1,
        control=Control(
            label="Highest patches averaged",
            low=1,
            high=100,
            step=1,
            help="In the photo's score. One alone, as published, is the luck of one patch; a defect"
            " covers several. The heatmap does not change.",
        ),
    )
    whiten: str = setting(
        "auto",
        "patches divided by what normal ones vary by, before coreset and distances; pca: along"
        " principal axes (0.99 of the variance), channels: in each channel, both: a plain bank and"
        f" a pca one, their distances averaged, auto: both for coresets below {TINY_CORESET}, none"
        " for others",
        choices=("auto", "none", "pca", "channels", "both"),
    )
    shrinkage: float = setting(
        0.07, "whitening: share of the mean variance mixed into each one", low=0.0, high=1.0
    )
    sigma: float = setting(
        4.0,
        "gaussian smoothing of the heatmap, pixels; 0 is off",
        low=0.0,
        high=64.0,
        control=Control(
            label="Smoothing, pixels",
            low=0.0,
            high=16.0,
            step=0.5,
            help="Gaussian blur of the heatmap: none shows the patches, much drowns small defects."
            " Image scores are taken before it.",
        ),
    )
    batch_size: int = setting(16, "images a forward pass", low=1, high=1024)
    tf32: bool = setting(
        False,
        "CUDA may compute float32 convolutions from factors of 10 bits: faster, scores move; off,"
        " CUDA and the processor agree",
    )

    @property
    def whitening(self) -> str:
        """`whiten` with its `auto` decided: none, pca, channels or both.

        Shards, tiles and the re-weighting of scores know one bank only: with them `auto` is none.
        """
        if self.whiten != "auto":
            return self.whiten
        knows_two = self.shards == 1 and self.reweight == 1 and not self.is_tiled
        return "both" if self.is_tiny and knows_two else "none"

    @property
    def is_tiny(self) -> bool:
        """Whether so few patches are kept that what they miss matters more than what they say."""
        return self.coreset < TINY_CORESET

    @property
    def is_tiled(self) -> bool:
        """Whether photos are cut into tiles."""
        return self.tile_overlap is not None

    def deciding(self) -> dict[str, Any]:
        """`to_dict` for identities, without what older identities lack while it is as it was."""
        before = {"tile_overlap": None, "shards": 1, "tf32": False, **PLAIN}
        unused = {"shrinkage"} if self.whitening == "none" else set()
        return {
            name: value
            for name, value in {**self.to_dict(), "whiten": self.whitening}.items()
            if name not in unused and (name not in before or value != before[name])
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild from `to_dict` output; settings an older record lacks get their values of then.

        Raises:
            CutSwapError: a key that is not a setting, or a value out of range.
        """
        return super().from_dict({**PLAIN, **values} if isinstance(values, dict) else values)


# What scores photos in an evaluation: name in flags and records, and in words.
PATCHCORE, PADIM = "patchcore", "padim"
DETECTORS_OF_OURS = {PATCHCORE: "PatchCore", PADIM: "PaDiM"}


@dataclass(frozen=True)
class PadimSettings(Settings):
    """PaDiM's gaussian at every place, as in Defard et al. 2021."""

    layers: tuple[str, ...] | None = setting(
        None,
        "layers whose features are concatenated, shallow to deep; default: layer1, layer2 and"
        " layer3 (PaDiM's), or what lies there in a network that is no ResNet",
    )
    image_size: int = setting(256, "side of the square image, pixels", low=64, high=2048)
    channels: int | None = setting(
        None,
        "channels kept, drawn once by the seed; default: PaDiM's 100 of ResNet18 and 550 of"
        " wide_resnet50_2, 100 of others. Memory grows with its square",
        low=1,
        high=4096,
    )
    regularisation: float = setting(
        0.01,
        "added to every variance (PaDiM: 0.01); 0 needs more photos than channels",
        low=0.0,
        high=1000.0,
    )
    sigma: float = setting(
        4.0, "gaussian smoothing of the heatmap, pixels; 0 is off", low=0.0, high=64.0
    )
    batch_size: int = setting(16, "images a forward pass", low=1, high=1024)


def scoring_of(summary: dict[str, Any]) -> PatchCoreSettings | PadimSettings:
    """What an evaluation was scored with, by its result.json; older ones name no detector.

    Raises:
        CutSwapError: settings out of range, or none.
    """
    if summary.get("detector") == PADIM:
        return PadimSettings.from_dict(summary.get(PADIM))  # type: ignore[arg-type]
    return PatchCoreSettings.from_dict(summary.get(PATCHCORE))  # type: ignore[arg-type]


@dataclass(frozen=True)
class FalseAlarmSettings(Settings):
    """A threshold from good photos alone (`cutswap.decision`)."""

    false_alarms: float | None = setting(
        None,
        "share of good photos that may be called defective: gives a threshold from the good photos"
        " alone, which needs 1 / share - 1 of them; default: none",
        above=0.0,
        high=0.2,
    )
    folds: int = setting(
        5,
        "parts that the good photos are dealt into, for --false-alarms",
        low=2,
        high=20,
    )
    calibration: str = setting(
        "folds",
        "where the threshold of --false-alarms comes from: all folds, each scored by a bank of the"
        " others (rates stray more than promised), or one fold kept apart from the bank (exact, but"
        " of fewer photos)",
        choices=("folds", "apart"),
    )


DEFECT_KINDS = SCRATCH, SPOT, SWAP = ("scratch", "spot", "swap")  # painted by `detectable`


@dataclass(frozen=True)
class DetectableSettings(Settings):
    """Which defects are painted to find out how small a one is found (`decision.detectable`)."""

    kinds: tuple[str, ...] = setting(
        DEFECT_KINDS,
        "kinds of painted defects: a thin line, a disc, two patches that swap places",
        choices=DEFECT_KINDS,
    )
    sizes: tuple[int, ...] = setting(
        (),
        "length of a scratch, diameter of a spot, side of a swapped patch, pixels of the photo;"
        " default: six from 0.5% to 25% of its shorter side, 2 to 128 pixels",
        low=1,
        high=128,
    )
    contrasts: tuple[int, ...] = setting(
        (25, 75),
        "percent of the way from the photo to black or white, whichever is farther; of a swap to"
        " the other patch; 0 paints nothing",
        low=0,
        high=100,
    )
    places: int = setting(
        30,
        "places at which each kind, size and contrast is painted; 29 is the fewest of which all"
        " found proves 90% with 95% confidence",
        low=1,
        high=1000,
    )


@dataclass(frozen=True)
class FineTuningSettings(Settings):
    """Everything a fine-tuning run is decided by, except the data and the seed."""

    training: TrainingSettings = setting(TrainingSettings(), "how phi learns")
    saliency: SaliencySettings = setting(SaliencySettings(), "what guides the patches")
    clusters: ClusterSettings = setting(ClusterSettings(), "where anchors may lie")
    negatives: NegativeSettings = setting(NegativeSettings(), "patch geometry")
    weak: WeakAugmentation = setting(WeakAugmentation(), "from image to positive")
    head: HeadSettings = setting(HeadSettings(), "what is trained, and how a head learns")
    spd: SpdSettings = setting(SpdSettings(), "views and losses of the objective spd")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.training.snapshots and self.head.train != "backbone":
            raise CutSwapError(
                "--snapshots",
                expected=f"0, where a {self.head.train} is trained and phi stays as it is",
                found=self.training.snapshots,
                fix="leave out --train, or --snapshots",
            )
        if self.is_spd and self.head.train != "backbone":
            raise CutSwapError(
                "--objective",
                expected=f"classes, where a {self.head.train} is trained and phi stays as it is",
                found="spd, which trains phi",
                fix="leave out --train, or --objective",
            )

    @property
    def is_spd(self) -> bool:
        """Whether phi learns by SPD: no classes, no saliency, no head."""
        return self.training.objective == "spd"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values; a head at its defaults, which trains none, is left out.

        So is what only the objective spd looks at. Records and identities of what trains a backbone
        are then what they were before heads and before SPD.
        """
        values = super().to_dict()
        if self.head == HeadSettings():
            del values["head"]
        if self.spd == SpdSettings() and not self.is_spd:
            del values["spd"]
        return values

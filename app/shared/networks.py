"""Which networks and weights the Saliency and Negatives pages can look with, as page controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import streamlit as st

from app.shared import knobs, public
from app.shared.caches import network
from app.shared.selection import RUN, select
from cutswap.networks.backbone import BACKBONES, SALIENCY_LEVELS, Backbone
from cutswap.networks.lean_torchvision import import_torchvision
from cutswap.networks.weights import EMBEDDED_FOLDER, imagenet_file
from cutswap.saliency.fusion import fusion_shares

DEFAULT = "vgg16"
WEIGHTS = ("embedded", "imagenet", "random")
SHOWN = {
    "embedded": "Embedded (ships with the app)",
    "imagenet": "ImageNet (torchvision's, from its cache or a download)",
    "random": "Random (to compare with)",
}


@dataclass(frozen=True)
class Looking:
    """The network that looks at the image.

    Attributes:
        name: torchvision's name.
        weights: embedded, imagenet or random.
        layers: shallow to deep.
    """

    name: str
    weights: str
    layers: tuple[str, ...]

    @property
    def is_default(self) -> bool:
        """Whether the layers are the network's own five levels."""
        return self.layers == SALIENCY_LEVELS[self.name]


def has_embedded(name: str) -> bool:
    """Whether a network's weights ship with the app."""
    return (EMBEDDED_FOLDER / f"{name}.safetensors").is_file()


def use_embedded() -> None:
    """Callback: ImageNet weights, wherever they are chosen, give way to those that ship."""
    if not has_embedded(knobs.value_of("net") or DEFAULT):
        knobs.set_knob("net", DEFAULT)
    knobs.replace_value("imagenet", "embedded")
    if st.session_state.get(RUN) == "imagenet":
        select(run="embedded")


def network_controls() -> Looking:
    """Network, weights and layers, each in the URL."""
    first, second = st.columns(2)
    with first:
        name = knobs.choice(
            "net",
            "Network",
            public.networks(BACKBONES),
            DEFAULT,
            help="The paper looks with VGG16. Its embedded form here has fewer channels.",
        )
    options = public.offered(WEIGHTS if has_embedded(name) else WEIGHTS[1:])
    with second:
        weights = knobs.choice(
            "w",
            "Weights",
            options,
            options[0],
            show=lambda w: SHOWN[w],
            help="Where the numbers of the network come from; random shows what training adds.",
        )
    layers = knobs.several(
        "layers",
        "Layers",
        selectable_layers(name),
        SALIENCY_LEVELS[name],
        help="Shallow to deep. VGG16's pools 4, 9, 16, 23, 30 are the paper's five levels.",
    )
    return Looking(name, weights, layers)


def fusion_controls(looking: Looking) -> tuple[float, ...]:
    """A weight a layer; at first all are equal.

    Raises:
        CutSwapError: all are 0.
    """
    columns = st.columns(len(looking.layers)) if len(looking.layers) <= 8 else None
    weights = []
    for place, layer in enumerate(looking.layers):
        with columns[place] if columns else st.container():
            weights.append(
                knobs.slider(
                    f"weight_{layer}",
                    f"Weight of {layer}",
                    0.0,
                    1.0,
                    1.0,
                    step=0.05,
                    help="In the mean of the levels; only the ratios of the weights matter.",
                )
            )
    fusion_shares(weights, len(looking.layers))
    return tuple(weights)


def fusion_flags(looking: Looking, fusion: tuple[float, ...] | None) -> list[object]:
    """Arguments of a command that fuses the same levels by the same weights."""
    flags: list[object] = [] if looking.is_default else ["--layers", ",".join(looking.layers)]
    if fusion is not None and len(set(fusion)) > 1:
        flags += ["--fusion", ",".join(f"{w:g}" for w in fusion)]
    return flags


def looking_weights(name: str, current: str) -> tuple[str, ...]:
    """Weights that a network can look with at once: no grid of them may begin a download.

    Args:
        name: of the network.
        current: weights that are chosen, which are there or have said why not.
    """
    there = {
        "embedded": has_embedded(name),
        "imagenet": imagenet_file(name).is_file(),
        "random": True,
    }
    return tuple(w for w in public.offered(WEIGHTS) if there[w] or w == current)


@cache
def selectable_layers(name: str) -> tuple[str, ...]:
    """Every layer with height and width, shallow to deep: indices for VGG16 and SqueezeNet."""
    if name == "vgg16":
        return tuple(str(i) for i in range(31))
    if name == "squeezenet1_0":
        return tuple(str(i) for i in range(13))
    blocks = (2, 2, 2, 2) if name == "resnet18" else (3, 4, 6, 3)  # of ResNet50, wide or not
    names = ["conv1", "bn1", "relu", "maxpool"]
    for stage, count in enumerate(blocks, start=1):
        names += [f"layer{stage}.{block}" for block in range(count - 1)] + [f"layer{stage}"]
    return tuple(names)


def layer_name(network: str, level: str, size: int) -> str:
    """A level as people read it, `16 · 32x32 · middle`: what it is of, its grid, and its depth.

    Args:
        network: torchvision's name.
        level: one of `selectable_layers`; another word, as `fused`, stays as it is.
        size: side of the square image, pixels.
    """
    if level not in selectable_layers(network):
        return level
    shrinks = _shrinks(network, level)
    for shrink in shrinks:
        size = shrink(size)
    # By how often the image has been halved: a place covers 4 pixels a side, 8, or 16 and more.
    depth = "shallow" if len(shrinks) < 3 else "middle" if len(shrinks) == 3 else "deep"
    return f"{level} · {size}x{size} · {depth}"


def _shrinks(network: str, layer: str) -> list[Callable[[int], int]]:
    """What the network has done to a side of the image up to a layer, in order."""
    if network == "vgg16":
        return [lambda side: side // 2] * sum(int(layer) >= pool for pool in (4, 9, 16, 23, 30))
    if network == "squeezenet1_0":
        pools = sum(int(layer) >= pool for pool in (2, 6, 11))
        return [lambda side: (side - 7) // 2 + 1, *[lambda side: side // 2] * pools]
    stage = int(layer[5]) if layer.startswith("layer") else 0
    halvings = max(stage, 1) + 1 if stage or layer == "maxpool" else 1
    return [lambda side: (side - 1) // 2 + 1] * halvings


def load(looking: Looking) -> Backbone:
    """The network itself.

    Raises:
        CutSwapError: its weights are missing, damaged, or cannot be downloaded.
    """
    return network(looking.name, looking.weights)


@cache
def class_names() -> tuple[str, ...]:
    """ImageNet's 1,000 class names, as torchvision ships them with the package."""
    weights = import_torchvision().models.VGG16_Weights
    return tuple(weights.IMAGENET1K_V1.meta["categories"])


def class_label(number: int, count: int = 1000) -> str:
    """`412: ashcan`; the number alone for a head of another size."""
    names = class_names()
    return f"{number}: {names[number]}" if count == len(names) else str(number)

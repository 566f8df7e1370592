"""Networks by name, with named layer taps that any number of threads may share.

Taps go through one permanent forward hook per module that looks into a context variable: each
call collects into its own dict, so nothing is registered, shared or left behind by a call, and
two threads asking at once are both right. Parameters never require gradients here; training
makes its own copy of the module.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from cutswap.errors import CutSwapError
from cutswap.networks.checkpoint_names import (
    COUNTER,
    head_of,
    names_of,
    need_this_network,
    unwrap,
)
from cutswap.networks.fast_resnet import STAGES, QuickResNet
from cutswap.networks.lean_torchvision import import_torchvision, shapes_only
from cutswap.networks.timm_networks import Habits, is_timm, timm_levels, timm_module
from cutswap.networks.weights import StateDict, WeightsReport, find_state, state_fingerprint

# Levels of attention, shallow to deep. VGG16's are the paper's and all five are pools; the
# SqueezeNet and ResNet ones are their outputs at comparable strides that are not directly before
# a pool (LayerCAM shows a grid there: gradient reaches only each window's largest cell).
SALIENCY_LEVELS: dict[str, tuple[str, ...]] = {
    "vgg16": ("4", "9", "16", "23", "30"),
    "squeezenet1_0": ("2", "4", "6", "8", "12"),
    "resnet18": ("maxpool", "layer1", "layer2", "layer3", "layer4"),
    "resnet50": ("maxpool", "layer1", "layer2", "layer3", "layer4"),
    "wide_resnet50_2": ("maxpool", "layer1", "layer2", "layer3", "layer4"),
}
BACKBONES = tuple(SALIENCY_LEVELS)
VGG16_WIDTHS = (64, 128, 256, 512, 512)  # torchvision's; other widths are a slim one


@dataclass
class _Capture:
    """Outputs one call wants from the network, and those captured so far."""

    wanted: frozenset[str]
    make_leaf: bool
    stop_when_complete: bool
    as_map: Callable[[Tensor], Tensor] | None = None
    outputs: dict[str, Tensor] = field(default_factory=dict)


_seeding = threading.Lock()  # torch initialises from one global generator


class _Complete(Exception):  # noqa: N818 - not an error: leaves the forward pass early
    pass


_capture: contextvars.ContextVar[_Capture | None] = contextvars.ContextVar("capture", default=None)


class Backbone:
    """A network in eval mode with frozen parameters and named taps.

    Attributes:
        name: torchvision's name, for example `resnet18`, or `timm:` and timm's.
        module: the network; do not train it or load into it, caches share it.
        report: what its weights are.
    """

    def __init__(self, name: str, module: nn.Module, report: WeightsReport) -> None:
        self.name = name
        self.module = module.eval().requires_grad_(False)
        self.report = report
        self._habits = Habits.of(module) if is_timm(name) else None
        self._layers = tuple(n for n, m in module.named_modules() if n and _is_layer(n, m))
        for layer in self._layers:
            module.get_submodule(layer).register_forward_hook(_hook(layer))

    @classmethod
    def from_state(
        cls, name: str, tensors: dict[str, Tensor], device: torch.device | str = "cpu"
    ) -> Backbone:
        """Rebuild from an exact state dict, as a saved bank or run carries it.

        Raises:
            CutSwapError: unknown network, or a tensor is missing or does not fit.
        """
        need_known(name)
        state = StateDict(tensors, "saved state", None)
        backbone = _build(name, state, seed=0)
        if backbone.report.not_loaded:
            raise CutSwapError(
                f"saved {name} state",
                expected="every tensor of the network",
                found=f"{backbone.report.not_loaded[0]} missing",
                fix="save it again with this version",
            )
        return backbone.to(device)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.module.parameters()).device

    @property
    def layers(self) -> tuple[str, ...]:
        """Every name a tap accepts, in forward order; a container comes before its parts."""
        return self._layers

    @property
    def levels(self) -> tuple[str, ...]:
        """The default saliency layers, shallow to deep; of timm's, layers at five depths."""
        return SALIENCY_LEVELS.get(self.name) or timm_levels(self.module)

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the exact weights; the same network has the same fingerprint."""
        return state_fingerprint(self.module.state_dict())

    @cached_property
    def _quick(self) -> QuickResNet | None:
        """A copy that is faster on a CPU, made when first asked for."""
        ResNet = import_torchvision().models.ResNet  # noqa: N806 - a class
        on_cpu = self.device.type == "cpu"
        return QuickResNet(self.module) if on_cpu and isinstance(self.module, ResNet) else None

    def to(self, device: torch.device | str) -> Backbone:
        """Move the network; returns itself."""
        self.module.to(device)
        self.__dict__.pop("_quick", None)
        return self

    def resolve(self, layers: Iterable[str]) -> tuple[str, ...]:
        """Full names of layers; a bare number is an index into `features`.

        Raises:
            CutSwapError: a layer that does not exist; the message names those that do.
        """
        names = []
        for layer in layers:
            full = f"features.{layer}" if str(layer).isdigit() else str(layer)
            if full not in self._layers:
                raise CutSwapError(
                    f"layer {layer}",
                    expected=f"a layer of {self.name}: {_shown(self._layers)}",
                    found=layer,
                    fix=f"use for example {','.join(self.levels)}",
                )
            names.append(full)
        if len(set(names)) != len(names) or not names:
            raise CutSwapError(
                "layers",
                expected="at least one layer, each named once",
                found=",".join(map(str, layers)) or "none",
                fix=f"use for example {','.join(self.levels)}",
            )
        return tuple(names)

    def features(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Outputs of named layers, without gradients; the forward stops at the last one.

        Args:
            image: (N, 3, H, W) float, ImageNet-normalised.
            layers: names as given, see `layers`.

        Returns:
            For each name as given, (N, C, h, w) float.
        """
        names = self.resolve(layers)
        if self._quick is not None and set(names) <= set(STAGES) and image.device.type == "cpu":
            by_name = self._quick.features(image, names)
            return {given: by_name[name] for given, name in zip(layers, names, strict=True)}
        with torch.no_grad():
            maps, _ = self._run(image, layers, make_leaf=False, stop=True)
        return maps

    def differentiable(
        self, image: Tensor, layers: Sequence[str]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Outputs of named layers and the class scores as a function of them.

        Nothing before the shallowest named layer is recorded, so a backward pass from the scores
        ends there.

        Args:
            image: (N, 3, H, W) float, ImageNet-normalised.
            layers: names as given, see `layers`.

        Returns:
            For each name (N, C, h, w) float inside the graph, and the scores (N, classes) before
            any softmax.

        Raises:
            CutSwapError: a network without class scores, or whose layers give tokens.
        """
        habits = self._habits
        if habits is not None and not habits.has_saliency:
            has = "tokens for maps" if habits.has_classes else "no class score"
            raise CutSwapError(
                f"saliency by {self.name}",
                expected="a class score and maps of features, of which LayerCAM is made",
                found=f"a network with {has}",
                fix="look with another, as --saliency-backbone vgg16; its features serve as phi's",
            )
        with torch.enable_grad():
            return self._run(image, layers, make_leaf=True, stop=False)

    def _run(
        self, image: Tensor, layers: Sequence[str], *, make_leaf: bool, stop: bool
    ) -> tuple[dict[str, Tensor], Tensor]:
        names = self.resolve(layers)
        capture = _Capture(frozenset(names), make_leaf, stop)
        image, habits = image.to(self.device), self._habits
        if habits is not None:
            image = habits.taken(image)
            height, width = image.shape[-2:]
            capture.as_map = lambda output: habits.given(output, (height, width))
        token = _capture.set(capture)
        scores = image
        try:
            scores = self.module(image)
        except _Complete:
            pass
        finally:
            _capture.reset(token)
        return {given: capture.outputs[n] for given, n in zip(layers, names, strict=True)}, scores


def load_backbone(
    name: str,
    weights: str = "embedded",
    *,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> Backbone:
    """Build a network and fill it; what the file lacks keeps seeded random values and is listed.

    Args:
        name: one of `BACKBONES`, or `timm:` and a network of timm's.
        weights: see `cutswap.networks.weights`.
        device: where to put it.
        seed: of the random values of whatever is not loaded.

    Raises:
        CutSwapError: unknown network, or weights that are missing, damaged or do not fit.
    """
    need_known(name)
    return _build(name, find_state(name, weights), seed=seed).to(device)


def need_known(name: str) -> None:
    """Refuse a network that is neither torchvision's nor, by its name, timm's.

    Raises:
        CutSwapError: it is not.
    """
    if name not in BACKBONES and not is_timm(name):
        raise CutSwapError(
            "backbone",
            expected=f"one of {', '.join(BACKBONES)}, or timm:NAME",
            found=name,
            fix="pass --backbone resnet18 or vgg16",
        )


def _build(name: str, state: StateDict | None, *, seed: int) -> Backbone:
    tensors = {} if state is None else state.tensors
    module = _empty(name, tensors)
    unwrapped = None
    if module is None and state is not None:  # other names, or not all of them
        unwrapped = unwrap(tensors, names_of(name), state.source)
        tensors = unwrapped.tensors
        module = _empty(name, tensors)
    if module is None:  # something keeps its random values
        with _seeding, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = _module(name, tensors)
    for part in module.modules():
        # In-place ReLUs would overwrite the very activation a tap on the layer before them saw.
        if getattr(part, "inplace", False):
            part.inplace = False  # type: ignore[assignment]
    own = module.state_dict()
    if state is not None:
        need_this_network(name, own, tensors, state.source)
    fits = {n: v for n, v in tensors.items() if n in own and own[n].shape == v.shape}
    left = set(tensors) - set(fits)
    other_head = {n for n in left if n.startswith(head_of(own))}
    module.load_state_dict(fits, strict=False)
    counters = {n for n in own if n.endswith(COUNTER)}
    report = WeightsReport(
        source="random" if state is None else state.source,
        sha256=None if state is None else state.sha256,
        loaded=len(fits),
        not_loaded=tuple(sorted(set(own) - set(fits) - counters)) if state is not None else (),
        unused=tuple(sorted(left - other_head)) + (unwrapped.besides if unwrapped else ()),
        prefix=unwrapped.prefix if unwrapped else "",
        other_head=tuple(sorted(other_head)),
    )
    return Backbone(name, module, report)


def _empty(name: str, tensors: dict[str, Tensor]) -> nn.Module | None:
    """The network with nothing in it where the tensors fill all of it, else None.

    Drawing random values to write over them took 60 of the 80 ms of a ResNet18.
    """
    if not tensors:
        return None
    with shapes_only():
        module = _module(name, tensors)
    own = {n: v for n, v in module.state_dict().items() if not n.endswith(COUNTER)}
    if any(n not in tensors or tensors[n].shape != v.shape for n, v in own.items()):
        return None
    module.to_empty(device="cpu")
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d) and part.num_batches_tracked is not None:
            part.num_batches_tracked.zero_()
    return module


def _module(name: str, tensors: dict[str, Tensor]) -> nn.Module:
    """An untrained network of the shape its tensors have."""
    if is_timm(name):
        return timm_module(name)
    torchvision = import_torchvision()
    if name == "vgg16" and tensors:
        from cutswap.networks.slim_vgg import slim_vgg16, widths_of

        widths = widths_of(tensors)
        if widths not in (None, VGG16_WIDTHS):
            return slim_vgg16(widths)
    builder: Any = torchvision.models.get_model_builder(name)
    arguments = {"init_weights": False} if name == "vgg16" and tensors else {}
    return builder(weights=None, **arguments)


def _is_layer(name: str, module: nn.Module) -> bool:
    """Whether a tap on the module's output makes sense (containers inside a container too).

    A residual block runs its one `relu` two or three times, so that name means no one output;
    the last of them is the block's own.
    """
    is_shared = isinstance(module, nn.ReLU) and "." in name and name.endswith(".relu")
    return not isinstance(module, nn.Dropout) and not is_shared


def _hook(name: str) -> Any:
    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
        capture = _capture.get()
        if capture is None or name not in capture.wanted:
            return None
        if capture.make_leaf and not output.requires_grad:
            output = output.detach().requires_grad_(True)
        capture.outputs[name] = capture.as_map(output) if capture.as_map else output
        if capture.stop_when_complete and len(capture.outputs) == len(capture.wanted):
            raise _Complete
        # The rest works on a copy: a residual block adds to its last batch norm's output in place.
        return output.clone()

    return keep


def _shown(names: tuple[str, ...]) -> str:
    """Layer names short enough to read: `features.0` to `features.30`, or the list."""
    indices = [
        int(n.split(".")[1]) for n in names if n.startswith("features.") and n.count(".") == 1
    ]
    if indices:
        return f"0 to {max(indices)}"
    return ", ".join(n for n in names if n.count(".") <= 1)

"""torchvision and its networks without TorchDynamo, whose import takes 2.5 of every start's 6 s.

torchvision 0.29 imports PyTorch's compiler for one question that `roi_align` asks when it runs:
whether the device can be compiled for. No network here aligns regions. So that module is stood in
for while torchvision is imported; whoever asks it anything, then or later, gets the real one.
Processor seconds on one core: torch 3.0, torchvision 2.8 and 0.3 in this way. A random value drawn
for a tensor without memory imports it as well, so `shapes_only` draws none.
"""

from __future__ import annotations

import importlib
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_HEAVY = "torch._dynamo.utils"
_QUESTION = "is_compile_supported"
_lock = threading.Lock()


class _StandIn(ModuleType):
    """The heavy module's name and one function; the rest of it is imported when asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # `inspect` asks every module for its file
            raise AttributeError(name)
        return getattr(_real(self), name)


def import_torchvision() -> ModuleType:
    """`torchvision`, however it can be had fastest; call it before the first import of a part."""
    with _lock:
        if "torchvision" not in sys.modules and _HEAVY not in sys.modules:
            stand_in = _StandIn(_HEAVY)
            setattr(stand_in, _QUESTION, lambda device: getattr(_real(stand_in), _QUESTION)(device))
            sys.modules[_HEAVY] = stand_in
            try:
                return importlib.import_module("torchvision")
            finally:
                _take_away(stand_in)
        return importlib.import_module("torchvision")


@contextmanager
def shapes_only() -> Iterator[None]:
    """Networks built inside have tensors without memory (device `meta`) and draw no values."""
    with torch.device("meta"), _Unfilled():
        yield


_FILLS = frozenset(
    [getattr(torch.Tensor, name) for name in ("normal_", "uniform_", "fill_", "zero_")]
    + [fill for name, fill in vars(torch.nn.init).items() if re.fullmatch(r"[a-z]\w*_", name)]
)


class _Unfilled(TorchFunctionMode):
    """Leaves out what fills a tensor in place with values."""

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],  # noqa: ARG002 - torch calls it so
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in _FILLS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def _real(stand_in: ModuleType) -> ModuleType:
    _take_away(stand_in)
    return importlib.import_module(_HEAVY)


def _take_away(stand_in: ModuleType) -> None:
    if sys.modules.get(_HEAVY) is stand_in:
        del sys.modules[_HEAVY]

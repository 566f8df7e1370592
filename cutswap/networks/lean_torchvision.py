"""Import torchvision without TorchDynamo: half a second instead of three, of every start's six.

torchvision 0.29 imports PyTorch's compiler for one question that `roi_align` asks when it runs:
whether the device can be compiled for. No network here aligns regions. So that module is stood in
for while torchvision is imported; whoever asks it anything, then or later, gets the real one.
Processor seconds on one core: torch 3.0, torchvision 2.8 and 0.3 in this way.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

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


def _real(stand_in: ModuleType) -> ModuleType:
    _take_away(stand_in)
    return importlib.import_module(_HEAVY)


def _take_away(stand_in: ModuleType) -> None:
    if sys.modules.get(_HEAVY) is stand_in:
        del sys.modules[_HEAVY]

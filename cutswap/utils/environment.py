"""Versions and machine: what every record of a run says of where it was made."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from typing import Any

PACKAGES = ("cutswap", "torch", "torchvision", "numpy", "scikit-learn", "faiss-cpu", "pillow")


def environment(**extra: Any) -> dict[str, Any]:
    """Versions of what computed, the machine, and what the caller adds."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed as a package"
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.machine(),
        "versions": versions,
        **extra,
    }

"""CutSwap: saliency-guided negatives, fine-tuning on them, and PatchCore heatmaps.

The names below are the pipeline in order. Each is imported when first used, so that
`import cutswap` costs milliseconds and torch is loaded only by what needs it.

    from pathlib import Path
    from cutswap import load_backbone, explain, draw_negative, NegativeSettings, ClusterSettings
    from cutswap.data.images import read_photo, resize_photo, to_image

    photo = resize_photo(read_photo(Path("part.png")), (256, 256))      # (256, 256, 3) uint8
    saliency = explain(load_backbone("vgg16"), to_image(photo[None]))   # five raw maps
    level = saliency.upsampled((256, 256))[0, 2].numpy()                # (256, 256) in [0, 1]
    negative = draw_negative(photo, level, NegativeSettings(), ClusterSettings(), seed=(0,))
    negative.photo, negative.mask, negative.record                      # redrawable bit for bit
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CutSwapError": "errors",
    "SaliencySettings": "config",
    "ClusterSettings": "config",
    "NegativeSettings": "config",
    "TrainingSettings": "config",
    "PatchCoreSettings": "config",
    "open_dataset": "data.datasets",
    "demo_root": "data.demo.render",
    "load_backbone": "networks.backbone",
    "explain": "saliency.layercam",
    "saliency_maps": "saliency.layercam",
    "cluster_saliency": "saliency.clusters",
    "draw_negative": "negatives.draw",
    "redraw": "negatives.draw",
    "check_category": "data.loading",
    "finetune": "training.finetuning",
    "tuned_backbone": "training.finetuning",
    "MemoryBank": "patchcore.memory_bank",
    "evaluate": "evaluation.evaluate",
    "write_evaluation": "evaluation.evaluate",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cutswap' has no attribute {name!r}")
    return getattr(importlib.import_module(f"cutswap.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

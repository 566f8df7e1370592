"""CutSwap: saliency-guided negatives, fine-tuning on them, and PatchCore heatmaps.

The names below are the pipeline in order. Each is imported when first used, so that
`import cutswap` costs milliseconds and torch is loaded only by what needs it.

    from pathlib import Path

    import cutswap as cs

    photo = cs.resize_photo(cs.read_photo(Path("part.png")), (256, 256))  # (256, 256, 3) uint8
    saliency = cs.explain(cs.load_backbone("vgg16"), cs.to_image(photo[None]))  # five raw maps
    level = saliency.upsampled((256, 256))[0, 2].numpy()  # (256, 256) in [0, 1]
    negative = cs.draw_negative(
        photo, level, cs.NegativeSettings(), cs.ClusterSettings(), seed=(0,)
    )
    again = cs.redraw(photo, negative.record)  # bit for bit the same photo and mask
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.2.0"

_HOMES = {
    "CutSwapError": "errors",
    "SaliencySettings": "config",
    "ClusterSettings": "config",
    "NegativeSettings": "config",
    "TrainingSettings": "config",
    "PatchCoreSettings": "config",
    "open_dataset": "data.datasets",
    "read_photo": "data.images",
    "resize_photo": "data.images",
    "to_image": "data.images",
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

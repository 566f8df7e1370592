"""Builds run and evaluation folders as the commands write them, without any training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cutswap.config import FineTuningSettings, PatchCoreSettings
from cutswap.utils.files import write_json


def lines(count: int, steps: int = 10) -> str:
    """That many updates of metrics.jsonl."""
    return "".join(
        json.dumps({"step": s, "steps": steps, "loss": 1.0 / s, "accuracy": 0.5}) + "\n"
        for s in range(1, count + 1)
    )


def write_run(path: Path, done: int = 10, *, finished: bool = True, name: str = "bolt") -> Path:
    """A fine-tuning run with `done` of 10 updates."""
    data = {"root": f"/data/{name}", "name": name, "n_train": 3, "n_test": 5}
    record = {"kind": "finetune", "data": data, "seed": 0, **FineTuningSettings().to_dict()}
    write_json(path / "settings.json", record)
    (path / "metrics.jsonl").write_text(lines(done))
    if finished:
        write_json(path / "result.json", {"accuracy": 0.9, "chance": 0.333})
        (path / "backbone.safetensors").write_bytes(b"weights")
    return path


def write_evaluation(path: Path, **changes: Any) -> Path:
    """An evaluation of `bolt` with some values of its result changed."""
    summary = {
        "image_auroc": 0.9,
        "pixel_auroc": 0.8,
        "aupro": None,
        "category": "bolt",
        "seed": 0,
        "data": {"root": "/data/bolt", "name": "bolt"},
        "patchcore": PatchCoreSettings().to_dict(),
        "weights": {"source": "embedded"},
        "backbone": "resnet18",
        "n_train": 3,
        "n_test": 5,
    }
    write_json(path / "result.json", {**summary, **changes})
    (path / "scores.csv").write_text("image,defect,is_defective,score,called_defective\n")
    return path

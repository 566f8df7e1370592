"""Kills the four long writers at random moments, and fills their disk; prints what was left.

A process of its own, so that its children can be forked and killed: each child writes versions 0
and 1 of a file in turn, for ever, until `kill -9`; what lies there must then be one of the two.
Forking is cheap, so fifty kills a writer take seconds, not minutes.

    python -m tests.robustness.crash_writer FOLDER KILLS
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cutswap.commands.demo_report import FIGURES, write_report
from cutswap.config import SCORES, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.runs.folder import RunFolder
from cutswap.saliency import cache as saliency_cache
from tests.helpers.tiny_networks import tiny_backbone

Write, Read = Callable[[Path, int], None], Callable[[Path], set[int]]
TRAINING = (
    "accuracy",
    "chance",
    "first_loss",
    "loss",
)
SMALL_DISK = 20_000  # bytes a file may have in the test of the full disk


def write_saliency(folder: Path, version: int) -> None:
    maps = [np.full((512, 512), version, np.float32) for _ in range(5)]
    saliency_cache._write(folder / "entry.npz", maps)


def read_saliency(folder: Path) -> set[int]:
    maps = saliency_cache._read(folder / "entry.npz", 5, (512, 512))
    assert maps is not None, "a half-written cache entry"
    return {int(value) for one in maps for value in np.unique(one)}


def write_checkpoint(folder: Path, version: int) -> None:
    tensors = {f"layer{i}": torch.full((200_000,), float(version)) for i in range(5)}
    RunFolder(folder).write_checkpoint(tensors)


def read_checkpoint(folder: Path) -> set[int]:
    found = RunFolder(folder).read_checkpoint()
    return {int(value) for tensor in found.values() for value in tensor.unique()}


NETWORK = tiny_backbone()


def write_bank(folder: Path, version: int) -> None:
    settings = PatchCoreSettings(layers=("layer1",), image_size=64)
    items = np.full((20_000, 16), version, np.float32)
    origin = np.full((20_000, 3), version, np.int32)
    MemoryBank(NETWORK, settings, items, origin, version).save(folder / "bank.safetensors")


def read_bank(folder: Path) -> set[int]:
    found = MemoryBank.load(folder / "bank.safetensors", NETWORK)
    return {found.seed, *map(int, np.unique(found.items)), *map(int, np.unique(found.origin))}


def write_html(folder: Path, version: int) -> None:
    figure = {"mean": 0.5, "spread": 0.1}
    scores = {name: {key: figure for key, _, _ in FIGURES} for name in SCORES}
    words = (
        "category",
        "n_train",
        "n_test",
        "n_defective",
        "seed",
        "saliency_backbone",
        "k",
        "coreset",
        "phi_weights",
        "saliency_weights",
        "device",
        "seconds",
    )
    result = {word: f"version{version}" for word in words}
    line = {"loss": 1.0, "accuracy": 0.5, "step": 1}
    training = {k: 0.5 for k in TRAINING}
    result |= {
        "scores": scores,
        "weights": [0.5],
        "curve": [line, line],
        "layers": ["1"],
        "patchcore_layers": ["1"],
        "training": training,
        "command": "x",
    }  # type: ignore[dict-item]
    noise = np.random.default_rng(version).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    write_report(
        folder, result, {n: noise for n in ("saliency", "clusters", "negatives", "heatmaps")}
    )


def read_html(folder: Path) -> set[int]:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>"), "half a report"
    for picture in (folder / "pictures").glob("*.jpg"):
        with Image.open(picture) as image:
            image.load()
    return {version for version in (0, 1) if f"version{version}" in page}


WRITERS: dict[str, tuple[Write, Read]] = {
    "saliency": (write_saliency, read_saliency),
    "checkpoint": (write_checkpoint, read_checkpoint),
    "bank": (write_bank, read_bank),
    "report": (write_html, read_html),
}


def kill(folder: Path, write: Write, read: Read, kills: int, dice: random.Random) -> dict[str, int]:
    """How often which version was there after a kill, and how many temporary files were left."""
    began = time.perf_counter()
    write(folder, 0)
    took = time.perf_counter() - began
    left = {"0": 0, "1": 0, "interrupted": 0}
    for _ in range(kills):
        before = set(folder.rglob(".*.tmp"))
        child = os.fork()
        if child == 0:
            version = 1
            while True:
                write(folder, version)
                version = 1 - version
        time.sleep(dice.uniform(0, 3 * took))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = read(folder)
        assert len(found) == 1, f"two versions in one file: {found}"
        left[str(found.pop())] += 1
        left["interrupted"] += bool(set(folder.rglob(".*.tmp")) - before)
    return left


def fill(folder: Path, write: Write, read: Read) -> str:
    """What a writer says when no file may grow any more; the old one must still be there."""
    write(folder, 0)
    there, back = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK, SMALL_DISK))
        try:
            write(folder, 1)
            said = "it was written"
        except CutSwapError as error:
            said = str(error)
        except BaseException as error:
            said = f"TRACEBACK {error!r}"
        os.write(back, said.encode())
        os._exit(0)
    os.close(back)
    with os.fdopen(there) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    assert read(folder) == {0}, "the old file was spoiled"
    return said


def main() -> None:
    """All four; JSON on the last line."""
    torch.set_num_threads(1)
    home, kills = Path(sys.argv[1]), int(sys.argv[2])
    dice = random.Random(0)  # noqa: S311 - moments to strike at
    told: dict[str, dict[str, object]] = {}
    for name, (write, read) in WRITERS.items():
        killed, full = home / name / "killed", home / name / "full"
        killed.mkdir(parents=True)
        full.mkdir()
        told[name] = {**kill(killed, write, read, kills, dice), "full": fill(full, write, read)}
        told[name]["rest"] = sorted(p.name for p in full.rglob(".*.tmp"))
    print(json.dumps(told))


if __name__ == "__main__":
    main()

"""Kills the writers at random moments, and fills their disk; prints what was left.

A process of its own, so that its children can be forked and killed: each child writes versions 0
and 1 in turn, for ever, until `kill -9`; what lies there must then be one of the two, whole. A
folder of several files that is being replaced may also say that it is none.
Forking is cheap, so 25 kills a writer take seconds, not minutes. A training that is killed is
`test_kills`: here it is its checkpoint.

    python -m tests.robustness.crash_writer FOLDER KILLS [WRITER ...]
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from app.uploads.photos import Upload
from app.uploads.store import store_parts, stored_uploads
from cutswap.commands.demo_report import FIGURES, write_report
from cutswap.config import SCORES, PatchCoreSettings
from cutswap.data.images import read_photo
from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import Evaluation, evaluate, write_evaluation
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.runs.folder import RunFolder
from cutswap.runs.queue import DATABASE, JobQueue
from cutswap.runs.states import DONE as SCORED
from cutswap.runs.states import read_evaluation
from cutswap.saliency import cache as saliency_cache
from cutswap.studies.folder import DONE, read_cell, write_cell
from cutswap.utils.folder_names import BANK, HEATMAPS, RESULT
from cutswap.utils.processes import this_process
from tests.helpers.datasets import noise_photo
from tests.helpers.scored import SETTINGS as SCORED_SETTINGS
from tests.helpers.scored import build_parts
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
        "bank_size",
        "banks",
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


def write_queue(folder: Path, version: int) -> None:
    """A job's whole life; one that a killed process has left is ended first."""
    queue, me = JobQueue(folder), this_process()
    queue.stop(folder / "run")
    job = queue.add(folder / "run", ["finetune", str(version)], "cpu")
    assert queue.claim("cpu", me) is not None
    assert queue.register(job.number) is not None
    queue.finish(job.number, 0)


def read_queue(folder: Path) -> set[int]:
    queue = JobQueue(folder)
    assert len(queue.active()) <= 1, "a job is there twice"
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    job = queue.of(folder / "run")
    assert job is not None, "the queue has lost its jobs"
    return {int(job.command[1])}


def write_study_cell(folder: Path, version: int) -> None:
    figures = {"image_auroc": float(version), "pixel_auroc": float(version)}
    missed = {str(number): version for number in range(5_000)}
    record = {"id": "one", "state": DONE, "metrics": figures, "seconds": version, "missed": missed}
    write_cell(folder, "one", record)


def read_study_cell(folder: Path) -> set[int]:
    found = read_cell(folder, "one")
    assert found.state == DONE, "half a cell"
    values = (*found.metrics.values(), found.seconds, *found.missed.values())
    return {int(value) for value in values if value is not None}


PICTURES = [noise_photo(version, (96, 128)) for version in (0, 1)]


def write_upload(folder: Path, version: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(PICTURES[version]).save(stream, format="PNG")
    files = [Upload("part.png", stream.getvalue() + bytes([place])) for place in range(3)]
    made = store_parts("session-0001", files, cache=folder)
    assert made.refused == ()


def read_upload(folder: Path) -> set[int]:
    found = stored_uploads("session-0001", cache=folder)
    if found is None or found.root is None:
        return set()
    assert len(found.kept) == 3, "some of the pictures"
    photos = [read_photo(found.root / kept.file) for kept in found.kept]
    return {[(photo == one).all() for one in PICTURES].index(True) for photo in photos}


def write_scored(folder: Path, version: int) -> None:
    write_evaluation(EVALUATIONS[version], folder / "scored")


def read_scored(folder: Path) -> set[int]:
    found = read_evaluation(folder / "scored", "scored")
    if not (folder / "scored" / RESULT).exists():
        return set()
    assert found.state == SCORED, found.reason
    maps = np.load(folder / "scored" / HEATMAPS, allow_pickle=False)
    bank = MemoryBank.load(folder / "scored" / BANK, NETWORK)
    return {int(found.summary["seed"]), bank.seed, *map(int, np.unique(maps))}


def two_evaluations(folder: Path) -> list[Evaluation]:
    """One evaluation of a small category, its heatmaps, bank and seed once 0 and once 1."""
    checked = check_category(build_parts(folder, good=1, defects=1), "bolt", skip_bad=False)
    one = evaluate(checked, NETWORK, SCORED_SETTINGS, seed=0)
    made = []
    for version in (0, 1):
        bank = MemoryBank(NETWORK, one.bank.settings, one.bank.items, one.bank.origin, version)
        maps = np.full_like(one.heatmaps, version)
        summary = {**one.summary, "seed": version}
        made.append(replace(one, heatmaps=maps, bank=bank, summary=summary))
    return made


EVALUATIONS: list[Evaluation] = []  # made by `main`: their photos are read at every writing
WRITERS: dict[str, tuple[Write, Read]] = {
    "saliency": (write_saliency, read_saliency),
    "checkpoint": (write_checkpoint, read_checkpoint),
    "bank": (write_bank, read_bank),
    "report": (write_html, read_html),
    "queue": (write_queue, read_queue),
    "study": (write_study_cell, read_study_cell),
    "upload": (write_upload, read_upload),
    "evaluation": (write_scored, read_scored),
}
# SQLite's file is written into; what a full disk does to it is seen by `test_other_machines`.
NEVER_FILLED = ("queue",)


def kill(folder: Path, write: Write, read: Read, kills: int, dice: random.Random) -> dict[str, int]:
    """How often which version was there after a kill, and how many temporary files were left."""
    began = time.perf_counter()
    write(folder, 0)
    took = time.perf_counter() - began
    left = {"0": 0, "1": 0, "none": 0, "interrupted": 0}
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
        assert len(found) <= 1, f"two versions at once: {found}"
        left[str(found.pop()) if found else "none"] += 1
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
    assert read(folder) in ({0}, set()), "the old file was spoiled"
    return said


def main() -> None:
    """All of them; JSON on the last line."""
    torch.set_num_threads(1)
    home, kills = Path(sys.argv[1]), int(sys.argv[2])
    dice = random.Random(0)  # noqa: S311 - moments to strike at
    EVALUATIONS[:] = two_evaluations(home / "parts")
    told: dict[str, dict[str, object]] = {}
    for name in sys.argv[3:] or WRITERS:
        write, read = WRITERS[name]
        killed, full = home / name / "killed", home / name / "full"
        killed.mkdir(parents=True)
        full.mkdir()
        told[name] = {**kill(killed, write, read, kills, dice)}
        if name not in NEVER_FILLED:
            told[name]["full"] = fill(full, write, read)
            told[name]["rest"] = sorted(p.name for p in full.rglob(".*.tmp"))
    print(json.dumps(told))


if __name__ == "__main__":
    main()

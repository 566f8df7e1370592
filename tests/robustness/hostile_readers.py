"""What reads each kind of hostile file, and what must hold of anything that is accepted."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.uploads.photos import Upload
from app.uploads.store import store_images
from cutswap.analysis.feature_set import read_features
from cutswap.config import ClusterSettings, NegativeSettings, SaliencySettings, TrainingSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.decoding import MAX_PIXELS, MAX_SIDE, MIN_SIDE
from cutswap.data.images import photo_size, read_mask, read_photo
from cutswap.data.problems import find_problems
from cutswap.data.visa_split import parse_visa_split
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import read_scored
from cutswap.negatives.draw import redraw
from cutswap.negatives.record import NegativeRecord
from cutswap.networks.backbone import load_backbone
from cutswap.networks.weights import read_state
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.runs.find import find_runs
from cutswap.runs.folder import RunFolder
from cutswap.runs.heartbeat import read_beat
from cutswap.runs.metrics_log import MetricsTail, run_series
from cutswap.runs.queue import JobQueue
from cutswap.runs.seen import read_seen
from cutswap.runs.states import BROKEN, read_evaluation, read_run, training_curve
from cutswap.saliency import cache as saliency_cache
from cutswap.training.flags import repeat_arguments
from cutswap.utils.files import read_json
from cutswap.utils.processes import ALIVE
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import tiny_backbone


def photo(path: Path) -> bool:
    size = photo_size(path)  # the header alone must bear it too
    found = read_photo(path)
    height, width, channels = found.shape
    assert channels == 3
    assert found.dtype == np.uint8
    assert (height, width) == size
    assert min(size) >= MIN_SIDE
    assert max(size) <= MAX_SIDE
    assert height * width <= MAX_PIXELS
    return True


def mask(path: Path) -> bool:
    found = read_mask(path)
    assert found.dtype == bool
    assert found.ndim == 2
    return True


def upload(path: Path) -> bool:
    home = path.parents[1]
    name = home / "name"
    said = name.read_bytes().decode("utf-8", "surrogateescape") if name.exists() else path.name
    done = store_images("a" * 32, [Upload(said, path.read_bytes())], cache=home / "cache")
    lives = home / "cache" / ALIVE  # the lock of this process
    there = {p for p in (home / "cache").rglob("*") if p.is_file() and not p.is_relative_to(lives)}
    if done.root is None:
        assert there == set()
        assert done.refused[0].reason
        return False
    assert there == {done.root / done.kept[0].file, done.root / "index.json"}
    assert len(done.kept[0].name.splitlines()) == 1
    return True


def split(path: Path) -> bool:
    for row in parse_visa_split(path):
        for file in (row.image, row.mask):
            if file is not None:
                joined = os.path.normpath(Path("/root") / file)
                assert joined.startswith("/root/")
    return True


def settings(path: Path) -> bool:
    values = read_json(path)
    for cls in (SaliencySettings, ClusterSettings, NegativeSettings):
        try:
            cls.from_dict(values)
        except CutSwapError:
            continue
    found = TrainingSettings.from_dict(values)
    assert TrainingSettings.from_dict(found.to_dict()) == found
    return True


def record(path: Path) -> bool:
    found = NegativeRecord.from_dict(read_json(path))
    negative = redraw(photo_of(0, (64, 64)), found)
    assert negative.photo.shape == (64, 64, 3)
    return True


def heartbeat(path: Path) -> bool:
    beat = read_beat(path.parent)
    if beat is None:
        return False
    assert beat.state()
    assert math.isfinite(beat.at)
    assert min(beat.done, beat.total) >= 0
    return True


def weights(path: Path) -> bool:
    found = read_state(path)
    assert found.tensors
    assert all(v.float().isfinite().all() for v in found.tensors.values())
    try:
        load_backbone("resnet18", str(path))
    except CutSwapError:
        return True
    raise AssertionError("a state of two tensors became a ResNet18")


def bank(path: Path) -> bool:
    found = MemoryBank.load(path, tiny_backbone())
    assert np.isfinite(found.items).all()
    scored = found.score_patches(_patches(), (64, 64))
    assert np.isfinite(scored.heatmaps).all()
    return True


def _patches():  # noqa: ANN202 - torch's tensor
    import torch

    return torch.zeros(1, 4, 4, 16)


def saliency(path: Path) -> bool:
    """The cache entry is put where it is looked for; the answer must be the right one."""
    photos = photo_of(0, (32, 32))[None]
    network, layers = tiny_backbone(), ("layer1", "layer2")
    right = saliency_cache.saliency_of(network, photos, layers, cache=path.parent / "right")
    (entry,) = (path.parent / "right").iterdir()
    path.rename(entry)
    before = entry.read_bytes() if entry.stat().st_size < 10**7 else b""
    found = saliency_cache.saliency_of(network, photos, layers, cache=path.parent / "right")
    if entry.stat().st_size < 10**7 and entry.read_bytes() == before:
        return True  # it was read
    for layer in range(2):
        assert np.array_equal(found.at(0, layer), right.at(0, layer))
    assert len(list(entry.parent.iterdir())) == 1
    return False


def features(path: Path) -> bool:
    found = read_features(path)
    assert np.isfinite(found.before).all()
    assert len(found.points) == len(found.before)
    assert 8 <= int(found.about["image_size"]) <= 10_000
    return True


def run(path: Path) -> bool:
    found = read_run(path)
    find_runs(path.parent)
    read_seen(path)
    read_beat(path)
    folder = RunFolder(path)
    for attempt in (
        lambda: repeat_arguments(found.settings, path) if found.settings else None,
        lambda: run_series(training_curve(path), 3),
        lambda: MetricsTail(path).read(),
        lambda: folder.rewind_metrics(1),
        folder.read_checkpoint,
        folder.read_backbone,
        folder.settings,
    ):
        try:
            attempt()
        except CutSwapError:
            continue
    return found.state != BROKEN


def evaluation(path: Path) -> bool:
    assert read_evaluation(path).state
    find_runs(path.parent)
    found = read_scored(path)
    assert np.isfinite(found.scores).all()
    assert np.isfinite(found.heatmaps).all()
    for one in found.records or ():
        assert one.image.is_file()
    return True


def queue(path: Path) -> bool:
    line = JobQueue(path)
    for job in (*line.active(), *line.last_of_all()):
        assert job.run.is_relative_to(path)
        assert ".." not in job.run.parts
        assert all(isinstance(word, str) for word in job.command)
        assert not job.command[0].startswith("-")  # it follows `python -m cutswap`
        line.of(job.run)
    line.stop(path / "bolt")
    return True


def data_set(path: Path) -> bool:
    """Whatever is listed lies inside, can be written down, and its problems can be told."""
    found = open_dataset(path)
    for name in found.categories:
        category = found.category(name)
        for one in (*category.train, *category.test):
            for file in (one.image, one.mask):
                if file is not None:
                    assert file.resolve().is_relative_to(path.resolve())
            one.name.encode()
        for problem in find_problems(category):
            str(problem.message).encode()
    return True


READERS: dict[str, Callable[[Path], bool]] = {
    "photo": photo,
    "mask": mask,
    "upload": upload,
    "split": split,
    "settings": settings,
    "record": record,
    "heartbeat": heartbeat,
    "weights": weights,
    "bank": bank,
    "saliency": saliency,
    "features": features,
    "run": run,
    "evaluation": evaluation,
    "queue": queue,
    "data set": data_set,
}

"""From a finished run with snapshots to its history: every state looks at the same pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from sklearn.decomposition import PCA

from cutswap.analysis.feature_collection import (
    all_points,
    file_stamp,
    photo_files,
    recorded_settings,
    trained_samples,
    unseen_numbers,
    unseen_samples,
)
from cutswap.analysis.feature_separation import Estimate, auroc_estimates
from cutswap.analysis.feature_set import DEFECT
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.analysis.over_time.history import ABOUT, ARRAYS, TrainingHistory
from cutswap.config import FineTuningSettings, PatchCoreSettings
from cutswap.data.images import to_image
from cutswap.data.loading import CheckedCategory
from cutswap.data.records import Category
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.runs.folder import RunFolder
from cutswap.runs.states import training_curve
from cutswap.training.finetuner import Phi
from cutswap.training.finetuning import WINDOW, tuned_backbone
from cutswap.training.snapshots import kept_updates, network_at, snapshot_updates
from cutswap.utils.devices import choose_device
from cutswap.utils.files import is_own_file, read_json
from cutswap.utils.progress import Notify

_FORMAT = 1  # of the files
DARK = 0.05  # share of all heat that is shown black: nowhere is the distance to the bank 0
MOST_POINTS = 400  # of the curve; more cannot be told apart on a screen


def history_key(run: RunFolder, category: Category) -> str:
    """40 hex digits of the files a history depends on, by name, size and time.

    Args:
        run: the run folder.
        category: whose photos it learnt from.
    """
    about = [_FORMAT, category.name, category.reading.bits, category.reading.resize]
    digest = hashlib.sha256(json.dumps(about).encode())
    snapshots = sorted(run.path.glob("snapshot_*.safetensors"))
    for path in (run.settings_file, run.result_file, run.backbone_file, *snapshots):
        digest.update(f"|{path.name}|{file_stamp(path)}".encode())
    for path in photo_files(category):
        digest.update(f"|{path}|{file_stamp(path)}".encode())
    return digest.hexdigest()[:40]


def is_kept(run: RunFolder, key: str) -> bool:
    """Whether the run's history is there and nothing has changed since.

    Args:
        run: the run folder.
        key: see `history_key`.
    """
    if not all(is_own_file(run.path / name) for name in (ARRAYS, ABOUT)):
        return False
    try:
        return bool(read_json(run.path / ABOUT)["about"]["key"] == key)
    except (CutSwapError, LookupError, TypeError):
        return False


def has_snapshots(run: RunFolder) -> bool:
    """Whether a finished run kept states on the way.

    Raises:
        CutSwapError: no run folder, or damaged settings.
    """
    return len(_updates(run)) > 2


def _updates(run: RunFolder) -> tuple[int, ...]:
    settings = recorded_settings(run)[0].training
    if not settings.snapshots:
        return ()
    return kept_updates(run, settings, trained_samples(run) // settings.batch_size)


def collect_history(
    run: RunFolder,
    checked: CheckedCategory,
    settings: FeatureSettings,
    notify: Notify | None = None,
) -> TrainingHistory:
    """Let every state that the run kept look at the same draws and test photos.

    Args:
        run: a finished fine-tuning run with snapshots.
        checked: the category it has learnt from.
        settings: how many draws, on which device.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: no snapshots, another category, an unfinished or damaged run, unreadable
            photos.
    """
    tuning, seed = recorded_settings(run)
    trained, key = trained_samples(run), history_key(run, checked.category)
    updates = _need_updates(run, tuning)
    samples = unseen_samples(run, checked, notify)
    size = tuning.training.image_size
    numbers = unseen_numbers(samples, trained, settings.samples)
    drawn = list(all_points(samples, checked.category, numbers, size))
    points, pictures = tuple(p for p, _ in drawn), np.stack([photo for _, photo in drawn])
    tests = len(checked.category.test)
    scoring = PatchCoreSettings(image_size=size)
    defective = np.array([p.kind == DEFECT for p in points[len(points) - tests :]])
    features, distances, scores, heat = [], [], [], []
    for done, network in enumerate(_networks(run, tuning, seed, updates)):
        if notify:
            notify("states", done, len(updates))
        network = network.to(choose_device(settings.device))
        region = checked.region_at(size)
        good = [to_image(part) for part in _parts(samples.photos, scoring.batch_size)]
        bank = MemoryBank.fit(network, good, scoring, count=len(samples.photos), region=region)
        said = [bank.score(to_image(p)) for p in _parts(pictures[-tests:], scoring.batch_size)]
        distances.append(np.concatenate([one.distances for one in said]).astype(np.float16))
        scores.append(np.concatenate([one.scores for one in said]))
        heat += [one.heatmaps[:, ::4, ::4].copy() for one in said]  # smoothed over as much
        features.append(_pooled(network, pictures, tuning, settings))
    if notify:
        notify("states", len(updates), len(updates))
    places, axes = common_places(np.stack(features), len(points) - tests)
    aurocs, change = _aurocs(np.stack(scores), defective, settings)
    return TrainingHistory(
        updates=np.array(updates, dtype=np.int64),
        points=points,
        places=places.astype(np.float32),
        distances=np.stack(distances),
        scores=np.stack(scores).astype(np.float32),
        accuracy=_accuracy(run),
        aurocs=aurocs,
        change=change,
        about={
            "run": str(run.path),
            "category": checked.category.name,
            "image_size": size,
            "axes": list(axes),
            "heat": [float(np.quantile(np.concatenate(heat), end)) for end in (DARK, 1.0)],
            "sigma": scoring.sigma,
            "samples": settings.samples,
            "batch_size": tuning.training.batch_size,
            "has_classes": not tuning.is_spd,
            "key": key,
        },
    )


def _need_updates(run: RunFolder, tuning: FineTuningSettings) -> tuple[int, ...]:
    updates = _updates(run)
    if len(updates) < 3:
        raise CutSwapError(
            run.path,
            expected="a run that kept states on the way (snapshot_*.safetensors)",
            found="none",
            fix="train one with finetune --snapshots 10, or the tick on the Train page",
        )
    wanted = snapshot_updates(tuning.training.snapshots, updates[-1])
    missing = sorted(set(wanted) - set(updates))
    if missing:
        raise CutSwapError(
            run.path,
            expected=f"{len(wanted)} states",
            found=f"none of update {missing[0]}",
            fix="put its snapshot back, or train again",
        )
    return updates


def _networks(
    run: RunFolder, tuning: FineTuningSettings, seed: int, updates: Sequence[int]
) -> Iterator[Backbone]:
    """One state after another, so that no more than one is in memory."""
    training = tuning.training
    yield load_backbone(training.backbone, training.weights, seed=seed)
    for step in updates[1:-1]:
        yield network_at(run, training, seed, step)
    yield tuned_backbone(run)


def _parts(photos: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (photos[i : i + size] for i in range(0, len(photos), size))


def _pooled(
    network: Backbone, pictures: np.ndarray, tuning: FineTuningSettings, settings: FeatureSettings
) -> np.ndarray:
    """(P, D) float32: what phi gives psi."""
    training = tuning.training
    phi = Phi(network, training.ways, training.hidden, 0).phi.eval().requires_grad_(False)
    device, rows = network.device, []
    for part in _parts(pictures, settings.batch_size):
        with torch.inference_mode():
            rows.append(phi(to_image(part).to(device)).float().cpu().numpy())
    values = np.concatenate(rows)
    if not np.isfinite(values).all():
        raise CutSwapError(
            "features of a state",
            expected="finite numbers",
            found="NaN or infinity",
            fix="train again with a lower --learning-rate, or check the weights",
        )
    return values


def common_places(features: np.ndarray, draws: int) -> tuple[np.ndarray, tuple[str, str]]:
    """All states' features on two axes that they share, so that points move and do not jump.

    Training moves all pictures together as well, which would hide that some part from others: each
    state's draws have their mean at the origin.

    Args:
        features: (T, P, D) float.
        draws: the first so many points are draws; the axes are fitted on them alone, of all states.

    Returns:
        (T, P, 2) float64 places, and what the axes are.

    Raises:
        CutSwapError: all draws have the same features.
    """
    values = features.astype(np.float64)
    values -= values[:, :draws].mean(axis=1, keepdims=True)
    fitted = values[:, :draws].reshape(-1, values.shape[2])
    if not np.ptp(fitted, axis=0).any():
        raise CutSwapError(
            "features of the synthetic samples",
            expected="different ones for different pictures",
            found="the same for all: the network answers nothing",
            fix="train again with a lower --learning-rate, or check the weights",
        )
    pca = PCA(2, svd_solver="full").fit(fitted)
    one, two = pca.explained_variance_ratio_
    places = pca.transform(values.reshape(-1, values.shape[2])).reshape(*values.shape[:2], 2)
    return places, (f"PC 1, {one:.0%} of variance", f"PC 2, {two:.0%} of variance")


def _aurocs(
    scores: np.ndarray, defective: np.ndarray, settings: FeatureSettings
) -> tuple[tuple[Estimate, ...] | None, Estimate | None]:
    """Of every state, and of the last minus the first."""
    found = [auroc_estimates([scores[0], one, None], defective, settings, 0) for one in scores]
    aurocs = tuple(pair[1] for pair in found if pair[1] is not None)
    return (aurocs, found[-1][2]) if len(aurocs) == len(scores) else (None, None)


def _accuracy(run: RunFolder) -> tuple[tuple[int, tuple[float, ...]], ...]:
    """By class, each the mean over the last `WINDOW` updates as in result.json."""
    lines = training_curve(run.path)
    rows = np.array([line.get("class_accuracy") or [line["accuracy"]] for line in lines])
    ends = np.unique(np.linspace(1, len(lines), min(len(lines), MOST_POINTS)).round().astype(int))
    return tuple(
        (int(lines[e - 1]["step"]), tuple(rows[max(0, e - WINDOW) : e].mean(axis=0).tolist()))
        for e in ends
    )

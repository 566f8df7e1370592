"""From a finished run to features: unseen draws and test photos through both networks.

Unseen means: running numbers beyond those the run trained on, so new jitter and new patches. The
photos below them are the training photos, which the run has seen; only the test photos are new.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cutswap.analysis.feature_set import (
    DEFECT,
    GOOD_TEST,
    POSITIVE,
    SYNTHETIC,
    THUMBNAIL,
    FeaturePoint,
    FeatureSet,
)
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.config import FineTuningSettings
from cutswap.data.images import mask_files, read_photo, resize_photo, to_image
from cutswap.data.loading import CheckedCategory, check_category
from cutswap.data.reading import SQUASH
from cutswap.data.records import Category, Record
from cutswap.data.regions.frame import framed_photo
from cutswap.errors import CutSwapError
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.runs.folder import START_AGAIN, RunFolder
from cutswap.training.finetuner import Phi
from cutswap.training.finetuning import build_samples, tuned_backbone
from cutswap.training.flags import recorded_data, recorded_looks
from cutswap.utils.devices import choose_device
from cutswap.utils.files import read_json
from cutswap.utils.folder_names import ENVIRONMENT
from cutswap.utils.progress import Notify

Drawn = Iterator[tuple[FeaturePoint, np.ndarray]]


def recorded_settings(run: RunFolder) -> tuple[FineTuningSettings, int]:
    """All stages' settings of a run, and its seed.

    Raises:
        CutSwapError: no run folder, or settings that are damaged or out of range.
    """
    values = run.settings()
    sections = {f.name for f in dataclasses.fields(FineTuningSettings)}
    settings = FineTuningSettings.from_dict({n: v for n, v in values.items() if n in sections})
    seed = values.get("seed")
    if not isinstance(seed, int) or seed < 0:
        raise CutSwapError(
            run.settings_file, expected="a whole number >= 0 as seed", found=seed, fix=START_AGAIN
        )
    return settings, seed


def trained_samples(run: RunFolder) -> int:
    """How many running numbers a finished run has trained on: 0 up to, not including, this one.

    Raises:
        CutSwapError: the run has not finished, or its result is damaged.
    """
    if not run.result_file.is_file():
        raise CutSwapError(
            run.path,
            expected="a finished run with result.json",
            found="none: the run was stopped or is still at work",
            fix="resume it with the same finetune command",
        )
    result = read_json(run.result_file)
    updates = result.get("updates") if isinstance(result, dict) else None
    if not isinstance(updates, int) or updates < 1:
        raise CutSwapError(
            run.result_file,
            expected="the number of updates, 1 or more",
            found=updates,
            fix="delete result.json, then the same finetune command writes it again",
        )
    return updates * recorded_settings(run)[0].training.batch_size


def recorded_category(run: RunFolder, notify: Notify | None = None) -> CheckedCategory:
    """The category a run has learnt from, as its settings name it.

    Raises:
        CutSwapError: its folder is gone, or photos are unusable that the run could use.
    """
    root, name, left_out = recorded_data(run.settings(), run.path)
    region, resize = recorded_looks(run.settings())
    return check_category(
        root,
        name,
        skip_bad=left_out,
        train_size=recorded_settings(run)[0].training.image_size,
        region=region,
        resize=resize,
        progress=(lambda done, total: notify("checking images", done, total)) if notify else None,
    )


def collect_features(
    run: RunFolder,
    checked: CheckedCategory,
    settings: FeatureSettings,
    notify: Notify | None = None,
) -> FeatureSet:
    """Draw the negatives, compute the features of both networks, and save them.

    Args:
        run: a finished fine-tuning run.
        checked: the category it has learnt from.
        settings: how many draws, on which device.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: another category, an unfinished or damaged run, unreadable photos.
    """
    need_same_category(run, checked.category)
    tuning, seed = recorded_settings(run)
    trained = trained_samples(run)
    base = load_backbone(tuning.training.backbone, tuning.training.weights, seed=seed)
    tuned = tuned_backbone(run)
    before = Phi(base, tuning.training.ways, tuning.training.hidden, seed)
    after = Phi(tuned, tuning.training.ways, tuning.training.hidden, seed)
    if tuning.is_spd:
        head = "SPD has no classes, and so no head that tells them"
    else:
        head = _load_head(after, run, trained // tuning.training.batch_size)
    samples = unseen_samples(run, checked, notify)
    size = tuning.training.image_size
    unseen = unseen_numbers(samples, trained, settings.samples)
    first, count = unseen.start, len(samples.photos)
    drawn = all_points(samples, checked.category, unseen, size)
    total = settings.samples * tuning.training.ways + len(checked.category.test)
    points, old, new, scores, thumbnails = _look(
        drawn, before, after, settings, lambda done: notify and notify("features", done, total)
    )
    return FeatureSet(
        points=points,
        before=old,
        after=new,
        scores=None if head else scores,
        thumbnails=thumbnails,
        about={
            "run": str(run.path),
            "category": checked.category.name,
            "root": str(checked.category.root),
            "image_size": size,
            "ways": tuning.training.ways,
            "seed": seed,
            "trained_samples": trained,
            "first_sample": first,
            "samples": settings.samples,
            "weights_before": base.report.sentence(),
            "head": head,
            "notes": _notes(run, checked, base, count),
        },
    )


def unseen_samples(
    run: RunFolder, checked: CheckedCategory, notify: Notify | None = None
) -> TrainingSamples:
    """Samples as a run draws them; of SPD its SmoothBlends as a class.

    Raises:
        CutSwapError: another category than the run's, or unreadable photos.
    """
    need_same_category(run, checked.category)
    tuning, seed = recorded_settings(run)
    return build_samples(checked, _with_classes(tuning), seed, notify)[0]


def unseen_numbers(samples: TrainingSamples, trained: int, count: int) -> range:
    """Running numbers that a run has not trained on.

    From its next whole epoch on: then every photo has its turn before one has a second.

    Args:
        samples: whose photos there are.
        trained: see `trained_samples`.
        count: wanted.
    """
    photos = len(samples.photos)
    first = math.ceil(trained / photos) * photos
    return range(first, first + count)


def _with_classes(tuning: FineTuningSettings) -> FineTuningSettings:
    """What is drawn to look at: of SPD the SmoothBlends that it has learnt to tell, as classes."""
    if not tuning.is_spd:
        return tuning
    training = tuning.training.replace(objective="classes", augment="smoothblend")
    return tuning.replace(training=training)


def features_key(run: RunFolder, category: Category, settings: FeatureSettings) -> str:
    """40 hex digits of everything `collect_features` depends on; files by path, size and time."""
    about: list[Any] = [str(run.path), str(category.root), category.name, settings.samples, 1]
    if category.reading.bits is not None:
        about.append(category.reading.bits)
    if category.reading.resize != SQUASH:
        about.append(category.reading.resize)
    digest = hashlib.sha256(json.dumps(about).encode())
    own = (run.settings_file, run.result_file, run.backbone_file, run.checkpoint_file)
    for path in (*own, *photo_files(category)):
        digest.update(f"|{path}|{file_stamp(path)}".encode())
    return digest.hexdigest()[:40]


def photo_files(category: Category) -> list[Path]:
    """All photos and masks of a category."""
    records = (*category.train, *category.test)
    return [p for r in records for p in (r.image, *(mask_files(r.mask) if r.mask else ()))]


def all_points(samples: TrainingSamples, category: Category, numbers: range, size: int) -> Drawn:
    """Points with their pictures (size, size, 3) uint8: unseen draws, then all test photos.

    Args:
        samples: what draws.
        category: the samples' own.
        numbers: of the draws.
        size: side of the square, pixels.

    Raises:
        CutSwapError: a test photo that cannot be read.
    """
    for number in numbers:
        sample = samples.sample(number)
        record = category.train[sample.index]
        for kind, photo in zip(SYNTHETIC[: len(sample.photos)], sample.photos, strict=True):
            made = None if kind == POSITIVE else sample.negatives[SYNTHETIC.index(kind) - 1].record
            point = FeaturePoint(
                kind,
                record.name,
                record.image,
                sample=number,
                jitter=sample.jitter,
                record=made,
                bits=record.bits,
                resize=record.resize,
            )
            yield point, photo
    for test in category.test:
        yield _real(test), framed_photo(read_photo(test.image, test.bits), size, test.resize)


def _real(record: Record) -> FeaturePoint:
    if record.is_good:
        return FeaturePoint(
            GOOD_TEST, record.name, record.image, bits=record.bits, resize=record.resize
        )
    return FeaturePoint(
        kind=DEFECT,
        name=record.name,
        file=record.image,
        defect=record.defect,
        mask=record.mask,
        bits=record.bits,
        resize=record.resize,
    )


def _look(
    drawn: Drawn,
    before: Phi,
    after: Phi,
    settings: FeatureSettings,
    done: Callable[[int], Any],
) -> tuple[tuple[FeaturePoint, ...], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Both networks on one batch after another, so that no more photos are held than a batch."""
    device = choose_device(settings.device)
    for model in (before, after):
        model.eval().requires_grad_(False).to(device)  # the batch statistics as PatchCore uses them
    points: list[FeaturePoint] = []
    rows: list[tuple[np.ndarray, ...]] = []
    batch: list[np.ndarray] = []

    def flush() -> None:
        photos = np.stack(batch)
        image = to_image(photos).to(device)
        with torch.inference_mode():
            old, new = before.phi(image), after.phi(image)
            scores = after.psi(new)
        small = np.stack([resize_photo(p, (THUMBNAIL, THUMBNAIL)) for p in photos])
        rows.append((*(t.float().cpu().numpy() for t in (old, new, scores)), small))
        batch.clear()
        done(len(points))

    for point, photo in drawn:
        points.append(point)
        batch.append(photo)
        if len(batch) == settings.batch_size:
            flush()
    if batch:
        flush()
    old, new, scores, small = (np.concatenate(part) for part in zip(*rows, strict=True))
    for name, values in (("before", old), ("after", new)):
        if not np.isfinite(values).all():
            raise CutSwapError(
                f"features {name} tuning",
                expected="finite numbers",
                found="NaN or infinity",
                fix="train again with a lower --learning-rate, or check the weights",
            )
    return tuple(points), old, new, scores, small


def _load_head(model: Phi, run: RunFolder, updates: int) -> str:
    """Fill psi from the run's checkpoint; says why it cannot be, in words, or nothing."""
    try:
        tensors = run.read_checkpoint()
    except CutSwapError as error:
        return f"checkpoint.safetensors: {error.found}"
    step = tensors.get("step")
    if step is None or int(step) != updates:
        found = "?" if step is None else int(step)
        return f"the checkpoint is of update {found}, not of {updates}"
    tuned = model.phi.state_dict()
    own, head = (
        {n.removeprefix(part): v for n, v in tensors.items() if n.startswith(part)}
        for part in ("model.phi.", "model.psi.")
    )
    if own.keys() != tuned.keys() or not all(torch.equal(own[n], tuned[n]) for n in tuned):
        return "the checkpoint holds another network than backbone.safetensors"
    try:
        model.psi.load_state_dict(head)
    except RuntimeError as error:
        return f"the head does not fit: {str(error).splitlines()[-1].strip()}"
    if not all(bool(torch.isfinite(v).all()) for v in head.values()):
        return "the head holds NaN or infinity"
    return ""


def _notes(run: RunFolder, checked: CheckedCategory, base: Backbone, count: int) -> list[str]:
    """Caveats about these features, one sentence each."""
    notes = []
    data = run.settings().get("data", {})
    if data.get("n_train") != count:
        notes.append(
            f"The run learnt from {data.get('n_train')} photos; the category now has {count}."
        )
    if str(data.get("root")) != str(checked.category.root):
        notes.append(f"The run recorded its photos in {data.get('root')}, another folder.")
    try:
        started = read_json(run.path / ENVIRONMENT)["weights"]["phi"]["sha256"]
    except (CutSwapError, LookupError, TypeError):
        notes.append("environment.json does not say which weights the run started from.")
    else:
        if started != base.report.sha256:
            notes.append(
                f"The weights {base.report.source} have changed since the run: before tuning shows"
                " another network than the one it started from."
            )
    return notes


def need_same_category(run: RunFolder, category: Category) -> None:
    """Refuse a category that the run has not learnt from.

    Raises:
        CutSwapError: it has another name.
    """
    _, name, _ = recorded_data(run.settings(), run.path)
    if name != category.name:
        raise CutSwapError(
            run.path,
            expected=f"a run that has learnt from {category.name}",
            found=f"one of {name}",
            fix=f"choose a run of {category.name}, or the category {name}",
        )


def file_stamp(path: Path) -> str:
    """Size and time of a file, for keys; `gone` where it is not there."""
    try:
        about = path.stat()
    except OSError:
        return "gone"
    return f"{about.st_size},{about.st_mtime_ns}"

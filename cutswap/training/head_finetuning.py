"""From a category to a run folder with a trained head: features once, updates, checkpoints.

The folder is a fine-tuning run's, so all that lists, follows and resumes runs knows it: its
`backbone.safetensors` is phi as it was, `head.safetensors` is what was learnt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cutswap.config import NO_FAMILY, FineTuningSettings
from cutswap.data.images import to_image
from cutswap.data.loading import CheckedCategory
from cutswap.errors import CutSwapError
from cutswap.heads.feature_cache import AT_ONCE, HeadFeatures, cache_features, clean_features
from cutswap.heads.joining import ValidationScores
from cutswap.heads.patch_head import (
    HeadOrigin,
    PatchHead,
    validation_from,
    validation_tensors,
)
from cutswap.heads.training import HeadStep, HeadTrainer
from cutswap.heads.validation import held_out_positions, make_validation_set, validation_scores
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.patch_region import patch_region
from cutswap.runs.folder import RunFolder
from cutswap.runs.heartbeat import STOPPED, Heart, beating, exclusive_lock
from cutswap.runs.provenance import hashes_of
from cutswap.training.finetuning import (
    WINDOW,
    build_samples,
    run_record,
    saliency_network,
    training_photos,
    weights_record,
)
from cutswap.training.flags import trained_in
from cutswap.utils.devices import choose_device, describe_device
from cutswap.utils.environment import environment
from cutswap.utils.files import write_json
from cutswap.utils.progress import Notify

# In the run folder while it trains, where memory would not do; a killed run may leave such names.
FEATURES = ".features.npy.tmp"


def finetune_head(
    checked: CheckedCategory,
    settings: FineTuningSettings,
    out: Path,
    *,
    seed: int = 0,
    notify: Notify | None = None,
    say: Callable[[str], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[HeadStep]:
    """Train a head on one category into a run folder; started again, it goes on where it stopped.

    Args:
        checked: the category; only its good training images are used.
        settings: all stages' settings; `settings.head.train` names the head.
        out: run folder, new or of the same run.
        seed: of the head's weights and of every draw.
        notify: called with (stage, done, total) before training begins.
        say: called once a network with a line on where its weights came from.
        stop: asked after every update; on yes a checkpoint is written and the run ends there.

    Yields:
        Progress after every update.

    Raises:
        CutSwapError: one training photo, negatives that change no patch, a folder that holds
            another run or somebody is at work on, or anything the stages refuse.
    """
    run = RunFolder(out)
    run.refuse_foreign()
    with exclusive_lock(out), beating(out) as heart:
        try:
            yield from _train(checked, settings, run, heart, seed, notify, say, stop)
        finally:
            with contextlib.suppress(OSError):
                (out / FEATURES).unlink(missing_ok=True)


def _train(
    checked: CheckedCategory,
    settings: FineTuningSettings,
    run: RunFolder,
    heart: Heart,
    seed: int,
    notify: Notify | None,
    say: Callable[[str], None] | None,
    stop: Callable[[], bool],
) -> Iterator[HeadStep]:
    def tell(stage: str, done: int, total: int) -> None:
        heart.beat(stage, done, total)
        if notify:
            notify(stage, done, total)

    head, training = settings.head, settings.training
    if training.validate:
        raise CutSwapError(
            "--validate",
            expected="a run that trains the backbone",
            found=f"one that trains a {head.train}, which has held-out photos of its own",
            fix="leave --validate out: result.json of the run tells how the head does on them",
        )
    record = run_record(checked, settings, seed)
    hashes = hashes_of(checked.category.train)
    held_out = held_out_positions(len(checked.category.train), head.held_out)
    device = choose_device(training.device)
    backbone = load_backbone(training.backbone, training.weights, device=str(device), seed=seed)
    backbone.resolve(head.layers)
    watcher = saliency_network(settings) if head.learns else None
    weights = weights_record(backbone, watcher)
    run.refuse_other_start(record, hashes, weights)
    photos, features = _features(checked, settings, backbone, watcher, run, seed, tell, say)
    about = environment(device=describe_device(device), weights=weights)
    if (gap := run.begin(record, about, hashes)) and say:
        say(gap)
    inside = checked.region_at(training.image_size)
    region = patch_region(inside)
    origin = HeadOrigin(
        backbone=backbone.name,
        fingerprint=backbone.fingerprint,
        image_size=training.image_size,
        family=training.augment if head.learns else NO_FAMILY,
        category=checked.category.name,
        seed=seed,
        held_out=tuple(int(i) for i in held_out),
        region="" if region is None else region.mark,
    )
    stages = _Stages(features, settings, seed, device, held_out)
    if run.checkpoint_file.exists():
        stages.load_state(run.read_checkpoint())
    run.rewind_metrics(stages.step)
    saved = stages.step
    while True:
        for progress in stages.trainer.run(stop):
            step = stages.step
            told = replace(
                progress,
                step=step,
                steps=stages.steps,
                seconds_left=progress.seconds_left
                * (stages.steps - step)
                / max(1, progress.steps - progress.step),
            )
            values = asdict(told)
            run.add_metrics(
                {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
            )
            if step - saved >= training.checkpoint_every:
                run.write_checkpoint(stages.state())
                saved = step
            heart.beat(f"training the {head.train}", step, stages.steps)
            yield told
        if stages.is_trial and stages.trainer.step == stages.trainer.updates and not stop():
            tell("validating the trial", 0, 1)
            validation_set = make_validation_set(photos[held_out], origin.family, inside)
            stages.end_trial(
                validation_scores(
                    stages.trainer.head(origin),
                    _embedded(backbone, validation_set.good, head.layers),
                    _embedded(backbone, validation_set.made_up, head.layers),
                    region,
                )
            )
            tell("validating the trial", 1, 1)
            continue
        break
    if saved != stages.step or not run.checkpoint_file.exists():
        run.write_checkpoint(stages.state())
    if stages.is_trial or stages.step < stages.steps:
        heart.end(STOPPED, f"after update {stages.step} of {stages.steps}")
        return
    stages.trainer.head(origin, stages.validation).save(run.head_file)
    run.write_backbone(backbone.module.state_dict(), backbone.name)
    write_json(run.result_file, summarise_head(run.metrics(), settings, len(held_out)))


def _features(
    checked: CheckedCategory,
    settings: FineTuningSettings,
    backbone: Backbone,
    watcher: Backbone | None,
    run: RunFolder,
    seed: int,
    notify: Notify,
    say: Callable[[str], None] | None,
) -> tuple[np.ndarray, HeadFeatures]:
    """Photos, and what a head learns from."""
    head, training = settings.head, settings.training
    if head.learns:
        samples, _ = build_samples(checked, settings, seed, notify, watcher=watcher)
        samples.count = head.draws * len(samples.photos)
        photos = samples.photos
    else:
        photos = training_photos(checked, training.image_size, notify)
    for network in (backbone, watcher):
        if say and network is not None:
            say(f"{network.name}: {network.report.sentence()}")
    if not head.learns:
        notify("features", 0, len(photos))
        clean = clean_features(backbone, photos, layers=head.layers, grid=head.grid)
        notify("features", len(photos), len(photos))
        return photos, HeadFeatures.of_photos(clean)
    features = cache_features(
        backbone,
        photos,
        samples.sample,
        layers=head.layers,
        grid=head.grid,
        draws=head.draws,
        ways=training.ways,
        file=run.path / FEATURES,
        progress=lambda done, total: notify("features", done, total),
    )
    return photos, features


class _Stages:
    """A head on trial, trained without the held-out photos, then the head, trained on all.

    With few photos those held out may show what no other does: a cookie head that never saw them
    scored test photos like them as defects. So they validate one head and teach the other.
    """

    def __init__(
        self,
        features: HeadFeatures,
        settings: FineTuningSettings,
        seed: int,
        device: torch.device,
        held_out: np.ndarray,
    ) -> None:
        learns = np.delete(np.arange(len(features.clean)), held_out)
        self._make = partial(HeadTrainer, features, settings.head, seed, device)
        self.trainer = self._make(learns)
        self.validation: ValidationScores | None = None

    @property
    def is_trial(self) -> bool:
        return self.validation is None

    @property
    def step(self) -> int:
        return self.trainer.step + (0 if self.is_trial else self.trainer.updates)

    @property
    def steps(self) -> int:
        return 2 * self.trainer.updates

    def end_trial(self, validation: ValidationScores) -> None:
        self.validation = validation
        self.trainer = self._make()

    def state(self) -> dict[str, Tensor]:
        told = {} if self.validation is None else validation_tensors(self.validation)
        return {**self.trainer.state(), **told}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        validation = validation_from(tensors)
        if validation is not None:
            self.end_trial(validation)
        self.trainer.load_state(tensors)


def _embedded(backbone: Backbone, photos: np.ndarray, layers: tuple[str, ...]) -> Iterator[Tensor]:
    for start in range(0, len(photos), AT_ONCE):
        image = to_image(photos[start : start + AT_ONCE]).to(backbone.device)
        yield embed(backbone, image, layers).cpu()


def trained_head(run: RunFolder) -> PatchHead | None:
    """The head of a finished run; None where it trained the backbone.

    Raises:
        CutSwapError: the run has not finished, or its head is damaged.
    """
    if trained_in(run.settings()) == "backbone":
        return None
    if not run.head_file.is_file():
        raise CutSwapError(
            run.head_file,
            expected="the head of a finished run",
            found="no such file: the run has not finished",
            fix="resume it with the same finetune command",
        )
    return PatchHead.load(run.head_file)


def summarise_head(
    lines: list[dict[str, Any]], settings: FineTuningSettings, held_out: int
) -> dict[str, Any]:
    """Loss and separation over the last updates, and the mean speed; of a head with updates.

    Args:
        lines: of metrics.jsonl; none of a head that only measures.
        settings: of the run.
        held_out: number of good photos that validated the head on trial.
    """
    if not lines:
        return {"trained": settings.head.train, "updates": 0, "held_out": held_out}
    last = lines[-WINDOW:]

    def mean(key: str, among: list[dict[str, Any]]) -> float:
        return round(sum(line[key] for line in among) / max(1, len(among)), 4)

    return {
        "trained": settings.head.train,
        "updates": lines[-1]["step"],
        "averaged_over_last_updates": len(last),
        "accuracy": mean("accuracy", last),
        "chance": 0.5,
        "loss": mean("loss", last),
        "first_loss": lines[0]["loss"],
        "held_out": held_out,
        "images_per_second": mean("images_per_second", lines),
    }

"""From a category to a run folder with a trained head: features once, updates, checkpoints.

The folder is a fine-tuning run's, so all that lists, follows and resumes runs knows it: its
`backbone.safetensors` is phi as it was, `head.safetensors` is what was learnt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.data.datasets import Record
from cutswap.data.loading import CheckedCategory
from cutswap.heads.feature_cache import cache_features
from cutswap.heads.judging import held_out_positions
from cutswap.heads.patch_head import HeadOrigin
from cutswap.heads.training import HeadStep, HeadTrainer
from cutswap.networks.backbone import load_backbone
from cutswap.runs.folder import RunFolder, environment
from cutswap.runs.heartbeat import STOPPED, Heart, alone, beating
from cutswap.training.finetuning import (
    WINDOW,
    FineTuningSettings,
    Notify,
    build_samples,
    run_record,
)
from cutswap.utils.devices import choose_device, describe_device
from cutswap.utils.files import write_json

FEATURES = "features.npy"  # in the run folder while it trains, where memory would not do


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
    with alone(out), beating(out) as heart:
        run = RunFolder(out)
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
    record = run_record(checked, settings, seed)
    run.refuse_other(record)
    learnt, held_out = split(checked.category.train, head.held_out)
    device = choose_device(training.device)
    backbone = load_backbone(training.backbone, training.weights, device=str(device), seed=seed)
    backbone.resolve(head.layers)
    part = replace(checked, category=replace(checked.category, train=learnt))
    samples, watcher = build_samples(part, settings, seed, tell)
    samples.count = head.draws * len(learnt)
    for network in (backbone, watcher):
        if say and network is not None:
            say(f"{network.name}: {network.report.sentence()}")
    features = cache_features(
        backbone,
        samples.photos,
        samples.sample,
        layers=head.layers,
        grid=head.grid,
        draws=head.draws,
        ways=training.ways,
        file=run.path / FEATURES,
        progress=lambda done, total: tell("features", done, total),
    )
    trainer = HeadTrainer(features, head, seed, device)
    weights = {
        "phi": backbone.report.to_dict(),
        "saliency": watcher.report.to_dict() if watcher else None,
    }
    run.begin(record, environment(device=describe_device(device), weights=weights))
    if run.checkpoint_file.exists():
        trainer.load_state(run.read_checkpoint())
    run.rewind_metrics(trainer.step)
    saved = trainer.step
    for progress in trainer.run(stop):
        run.add_metrics(
            {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(progress).items()}
        )
        if progress.step - saved >= training.checkpoint_every:
            run.write_checkpoint(trainer.state())
            saved = progress.step
        heart.beat(f"training the {head.train}", progress.step, progress.steps)
        yield progress
    if saved != trainer.step or not run.checkpoint_file.exists():
        run.write_checkpoint(trainer.state())
    if trainer.step < head.updates:
        heart.end(STOPPED, f"after update {trainer.step} of {head.updates}")
        return
    origin = HeadOrigin(
        backbone=backbone.name,
        fingerprint=backbone.fingerprint,
        image_size=training.image_size,
        family=training.augment,
        category=checked.category.name,
        seed=seed,
        held_out=tuple(int(i) for i in held_out),
    )
    trainer.head(origin).save(run.head_file)
    run.write_backbone(backbone.module.state_dict(), backbone.name)
    write_json(run.result_file, summarise_head(run.metrics(), settings, len(held_out)))


def split(train: tuple[Record, ...], share: float) -> tuple[tuple[Record, ...], np.ndarray]:
    """The photos a head learns from, and the positions of those it does not.

    Args:
        train: all good training photos.
        share: held out, see `HeadSettings.held_out`.

    Raises:
        CutSwapError: fewer than two photos.
    """
    held_out = held_out_positions(len(train), share)
    out = set(held_out.tolist())
    return tuple(r for i, r in enumerate(train) if i not in out), held_out


def summarise_head(
    lines: list[dict[str, Any]], settings: FineTuningSettings, held_out: int
) -> dict[str, Any]:
    """Loss and separation over the last updates, and the mean speed.

    Args:
        lines: of metrics.jsonl.
        settings: of the run.
        held_out: number of good photos that were not learnt from.
    """
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

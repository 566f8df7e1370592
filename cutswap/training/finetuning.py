"""From a category to a run folder: saliency, samples, updates, checkpoints, tuned weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import FineTuningSettings
from cutswap.data.images import is_constant
from cutswap.data.loading import CheckedCategory, load_photos
from cutswap.errors import CutSwapError, first_names
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.runs.folder import RunFolder
from cutswap.runs.heartbeat import STOPPED, Heart, beating, exclusive_lock
from cutswap.runs.provenance import hashes_of, place_of
from cutswap.runs.seen import EVERY, write_seen
from cutswap.runs.states import read_validation
from cutswap.saliency.cache import saliency_of
from cutswap.training.distributed import Team, join_team
from cutswap.training.finetuner import FineTuner, TrainingStep
from cutswap.training.snapshots import starting_state, write_snapshot
from cutswap.training.spd_tuner import SpdTuner
from cutswap.training.spd_views import SpdSamples
from cutswap.training.validation import Validation
from cutswap.utils.device_errors import telling_lost_device
from cutswap.utils.devices import describe_device, is_accelerator
from cutswap.utils.environment import environment
from cutswap.utils.files import write_json
from cutswap.utils.progress import Notify, tick
from cutswap.utils.writers import Writers

WINDOW = 20  # updates averaged for the result's accuracy


def build_samples(
    checked: CheckedCategory,
    settings: FineTuningSettings,
    seed: int,
    notify: Notify | None = None,
    device: str = "cpu",
    watcher: Backbone | None = None,
) -> tuple[TrainingSamples, Backbone | None]:
    """Training samples, and the network whose saliency guides them (None for CutPaste and SPD).

    Args:
        checked: the category.
        settings: all stages' settings.
        seed: of every draw.
        notify: called with (stage, done, total).
        device: where saliency is computed.
        watcher: the network of `saliency_network`, where it is loaded already.
    """
    photos = training_photos(checked, settings.training.image_size, notify)
    saliency, watcher = None, watcher or saliency_network(settings)
    if watcher is not None:
        watcher.to(device)
        saliency = saliency_of(
            watcher,
            photos,
            settings.saliency.layers,
            target_class=settings.saliency.target_class,
            fusion=settings.saliency.fusion,
            progress=tick(notify, "saliency"),
        )
        watcher.to("cpu")  # its room is the trainer's now
    names = tuple(str(record.image) for record in checked.category.train)
    inside = checked.region_at(settings.training.image_size)
    if settings.is_spd:
        views = SpdSamples(
            photos,
            spd=settings.spd,
            negatives=settings.negatives,
            weak=settings.weak,
            seed=seed,
            count=0,
            names=names,
            inside=inside,
        )
        return views, None
    samples = TrainingSamples(
        photos,
        saliency,
        family=settings.training.augment,
        ways=settings.training.ways,
        negatives=settings.negatives,
        clusters=settings.clusters,
        weak=settings.weak,
        seed=seed,
        count=0,
        levels=settings.training.levels,
        names=names,
        inside=inside,
    )
    return samples, watcher


def saliency_network(settings: FineTuningSettings) -> Backbone | None:
    """The network whose saliency guides the negatives, on the processor; None for CutPaste and SPD.

    Raises:
        CutSwapError: its weights are missing, damaged or do not fit.
    """
    if settings.training.augment != "cutswap" or settings.is_spd:
        return None
    return load_backbone(settings.saliency.backbone, settings.saliency.weights)


def training_photos(
    checked: CheckedCategory, size: int, notify: Notify | None = None
) -> np.ndarray:
    """Good training photos (N, size, size, 3) uint8.

    Raises:
        CutSwapError: one cannot be read, or shows nothing at this size.
    """
    photos = load_photos(checked.category.train, size, tick(notify, "reading images"))
    _need_content(checked, photos)
    return photos


def _need_content(checked: CheckedCategory, photos: np.ndarray) -> None:
    """Refuse photos that the working size has made uniform, a fine pattern for example."""
    size = photos.shape[1]
    pairs = zip(checked.category.train, photos, strict=True)
    blank = [record.name for record, photo in pairs if is_constant(photo)]
    if blank:
        raise CutSwapError(
            checked.category.root,
            expected=f"training photos that show something at {size} x {size}",
            found=f"(nearly) all pixels alike in {first_names(blank)}",
            fix="take them out of the training photos, or raise --image-size",
        )


def finetune(
    checked: CheckedCategory,
    settings: FineTuningSettings,
    out: Path,
    *,
    seed: int = 0,
    notify: Notify | None = None,
    say: Callable[[str], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[TrainingStep]:
    """Fine-tune one category into a run folder; started again, it goes on where it stopped.

    Under torchrun every process calls this with the same arguments and yields the same progress;
    the first exclusive_lock writes files.

    Args:
        checked: the category; only its good training images are used.
        settings: all stages' settings.
        out: run folder, new or of the same run.
        seed: of psi's start, the order of images and every draw.
        notify: called with (stage, done, total) before training begins.
        say: called once a network with a line on where its weights came from and what is random.
        stop: asked after every update; on yes a checkpoint is written and the run ends there.

    Yields:
        Progress after every update.

    Raises:
        CutSwapError: the folder holds another run or somebody is at work on it, or anything the
            stages refuse.
    """
    with join_team() as team:
        if not team.is_first:
            yield from _train(checked, settings, RunFolder(out), None, team, seed, None, None, stop)
            return
        RunFolder(out).refuse_foreign()
        with exclusive_lock(out), beating(out) as heart:
            yield from _train(
                checked, settings, RunFolder(out), heart, team, seed, notify, say, stop
            )


def _train(
    checked: CheckedCategory,
    settings: FineTuningSettings,
    run: RunFolder,
    heart: Heart | None,
    team: Team,
    seed: int,
    notify: Notify | None,
    say: Callable[[str], None] | None,
    stop: Callable[[], bool],
) -> Iterator[TrainingStep]:
    """One process's part; the one with a heart writes the files."""

    def tell(stage: str, done: int, total: int) -> None:
        if heart:
            heart.beat(stage, done, total)
        if notify:
            notify(stage, done, total)

    base = load_backbone(settings.training.backbone, settings.training.weights, seed=seed)
    with team.rank_zero_first():
        watcher = saliency_network(settings)
    record = run_record(checked, settings, seed)
    weights = weights_record(base, watcher)
    photos: dict[str, str] = {}
    validation = Validation(checked, settings, seed) if settings.training.validate else None
    if heart:
        photos = hashes_of(checked.category.train)
        run.refuse_other_start(record, photos, weights)
    with team.rank_zero_first():
        # Named by the settings, asked for by the team: each of several processes has its own.
        device = str(team.device(settings.training.device))
        seen = checked if validation is None else validation.training
        samples, _ = build_samples(seen, settings, seed, tell, device, watcher)
    for network in (base, watcher):
        if say and network is not None:
            say(f"{network.name}: {network.report.sentence()}")
    tuner = _tuner(base, samples, settings, seed, team)
    start = starting_state(base, settings.training) if tuner.snapshots else {}
    with team.rank_zero_first():
        if run.checkpoint_file.exists():
            tuner.load_state(run.read_checkpoint())
    samples.find_regions(
        tuner.step * settings.training.batch_size, lambda *done: tell("anchor regions", *done)
    )
    if say:
        say(tuner.feeding.sentence())
    if heart:
        about = environment(
            device=describe_device(tuner.device),
            processes=team.size,
            feeding=tuner.feeding.to_dict(),
            weights=weights,
        )
        if (gap := run.begin(record, about, photos)) and say:
            say(gap)
        run.rewind_metrics(tuner.step)
    measured = {line["step"]: line["auroc"] for line in read_validation(run.path)}

    def measure() -> None:
        """Of the state as it is; before the first update that of the network that it starts from.

        Before each checkpoint is written: a run that goes on from one finds its measurement there.
        """
        if heart and validation is not None and tuner.step not in measured:
            tell("measuring the detector", tuner.step, tuner.steps)
            network = Backbone.from_state(base.name, tuner.tuned(), device)
            measured[tuner.step] = validation.score(network)
            run.add_validation(tuner.step, measured[tuner.step])

    if tuner.step == 0:
        measure()
    saved, looked = tuner.step, -math.inf
    writers = Writers(int(is_accelerator(tuner.device)))
    with telling_lost_device(tuner.device), writers as beside:
        for progress in tuner.run(stop):
            if heart:
                run.add_metrics({k: _rounded(v) for k, v in asdict(progress).items()})
                if progress.step in tuner.snapshots:
                    # Before the checkpoint: a run that goes on from one has all states before it.
                    now = {name: value.clone() for name, value in tuner.tuned().items()}
                    beside.write(write_snapshot, run, progress.step, now, start)
                if progress.step - saved >= settings.training.checkpoint_every:
                    measure()
                    beside.write(run.write_checkpoint, tuner.state())
                    saved = progress.step
                is_last = progress.step == progress.steps
                if tuner.seen and (is_last or time.monotonic() - looked >= EVERY):
                    beside.write(write_seen, run.path, progress.step, *tuner.seen)
                    looked = time.monotonic()
                heart.beat("fine-tuning", progress.step, progress.steps)
            yield progress
    if not heart:
        return
    if saved != tuner.step or not run.checkpoint_file.exists():
        if saved != tuner.step and tuner.step == tuner.steps:
            measure()
        run.write_checkpoint(tuner.state())
    if tuner.step < tuner.steps:
        heart.end(STOPPED, f"after update {tuner.step} of {tuner.steps}")
        return
    run.write_backbone(tuner.tuned(), base.name)
    result = summarise_training(run.metrics())
    if tuner.step in measured:
        result["validation_auroc"] = round(measured[tuner.step], 4)
    write_json(run.result_file, result)


def _tuner(
    base: Backbone, samples: TrainingSamples, settings: FineTuningSettings, seed: int, team: Team
) -> FineTuner:
    """The trainer of the objective."""
    if isinstance(samples, SpdSamples):
        return SpdTuner(base, samples, settings.training, settings.spd, seed, team)
    return FineTuner(base, samples, settings.training, seed, team)


def run_record(checked: CheckedCategory, settings: FineTuningSettings, seed: int) -> dict[str, Any]:
    """What settings.json holds of a run."""
    return {
        "kind": "finetune",
        "data": {"root": str(checked.category.root), **checked.to_dict()},
        "seed": seed,
        **settings.to_dict(),
    }


def weights_record(base: Backbone, watcher: Backbone | None) -> dict[str, Any]:
    """What environment.json holds of the starting weights: reports with their files' hashes."""
    return {
        "phi": base.report.to_dict(),
        "saliency": watcher.report.to_dict() if watcher else None,
    }


def run_place(checked: CheckedCategory, settings: FineTuningSettings, out: Path, seed: int) -> Path:
    """Where `--beside` trains: `out`, or beside it where that holds a run of another start.

    Args:
        checked: the category.
        settings: all stages' settings.
        out: the run folder asked for.
        seed: of every draw.

    Raises:
        CutSwapError: photos or weights that cannot be read.
    """
    base = load_backbone(settings.training.backbone, settings.training.weights, seed=seed)
    learns = settings.head.train == "backbone" or settings.head.learns
    weights = weights_record(base, saliency_network(settings) if learns else None)
    record, photos = run_record(checked, settings, seed), hashes_of(checked.category.train)
    return place_of(out, lambda place: RunFolder(place).refuse_other_start(record, photos, weights))


def tuned_backbone(run: RunFolder, device: str = "cpu") -> Backbone:
    """The network a finished run has tuned.

    Raises:
        CutSwapError: see `RunFolder.read_backbone`.
    """
    name = run.settings().get("training", {}).get("backbone", "resnet18")
    backbone = Backbone.from_state(str(name), run.read_backbone(), device)
    backbone.report = type(backbone.report)(
        source=f"fine-tuned run {run.path}", sha256=None, loaded=backbone.report.loaded
    )
    return backbone


def summarise_training(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy and loss over the last updates, and the mean speed."""
    last = lines[-WINDOW:]

    def mean(key: str, among: list[dict[str, Any]]) -> float:
        return round(sum(line[key] for line in among) / max(1, len(among)), 4)

    return {
        "updates": lines[-1]["step"],
        "averaged_over_last_updates": len(last),
        "accuracy": mean("accuracy", last),
        "loss": mean("loss", last),
        "first_loss": lines[0]["loss"],
        "class_accuracy": [
            round(sum(line["class_accuracy"][c] for line in last) / len(last), 4)
            for c in range(len(last[0]["class_accuracy"]))
        ],
        "chance": round(1 / (len(last[0]["class_accuracy"]) or 2), 4),
        "images_per_second": mean("images_per_second", lines),
        "waiting_for_data": mean("waiting", lines),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(v) for v in value]
    return round(value, 6) if isinstance(value, float) else value

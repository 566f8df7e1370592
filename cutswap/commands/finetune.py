"""`python -m cutswap finetune`: a category into a run folder with a tuned network or a head."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from cutswap.commands.common import (
    STOPPED,
    add_data,
    add_looks,
    add_seed_and_out,
    add_skip_bad,
    checked_category,
    say,
)
from cutswap.errors import CutSwapError
from cutswap.flags import add_flags
from cutswap.training.flags import FINETUNE_FLAGS, finetuning_settings
from cutswap.utils.files import need_out, read_json
from cutswap.utils.progress import Bars
from cutswap.utils.signals import stop_on_signals

if TYPE_CHECKING:
    from pathlib import Path

    from cutswap.config import FineTuningSettings
    from cutswap.data.loading import CheckedCategory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `finetune`."""
    add_data(parser)
    add_looks(parser)
    add_skip_bad(parser)
    add_seed_and_out(parser, "run folder; the same command resumes a stopped run")
    parser.add_argument(
        "--beside",
        action="store_true",
        help="where DIR holds a run of other photos, weights or settings, begin anew in DIR-2,"
        " DIR-3, ... (default: refuse)",
    )
    for settings, naming in FINETUNE_FLAGS.values():
        add_flags(parser, settings, naming)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune a category, or train a head on it, into a run folder."""
    need_out(options.out)
    settings = finetuning_settings(options)
    train = _backbone if settings.head.train == "backbone" else _head
    return train(options, settings)


def _backbone(options: argparse.Namespace, settings: FineTuningSettings) -> dict[str, Any]:
    from cutswap.training.finetuning import finetune

    is_first = os.environ.get("RANK", "0") == "0"  # torchrun's others work silently
    with stop_on_signals() as stop, Bars(options.quiet or not is_first) as bars:
        size = settings.training.image_size
        checked = checked_category(options, bars, is_told=is_first, train_size=size)
        out = _place(options, checked, settings)
        steps = finetune(
            checked,
            settings,
            out,
            seed=options.seed,
            notify=bars,
            say=say,
            stop=lambda: stop.asked,
        )
        at_once = settings.training.batch_size // int(os.environ.get("WORLD_SIZE", "1"))
        for step in steps:
            stop.gently = True
            bars("fine-tuning", step.step, step.steps)
            bars.note(loss=f"{step.loss:.3f}", accuracy=f"{step.accuracy:.2f}")
            if is_first and step.micro_batch < at_once:
                at_once = step.micro_batch
                say(
                    f"memory is short: batches of {settings.training.batch_size} are computed"
                    f" {at_once} at a time"
                )
    if not is_first:  # the first is still writing
        return {"run": str(out)}
    return _ended(
        out,
        was_stopped=stop.asked,
        text="{accuracy:.3f} of the photos lie nearer their weak view than their SmoothBlend"
        " (guessing: {chance}) over the last {averaged_over_last_updates} updates"
        if settings.is_spd
        else "accuracy {accuracy:.3f} (chance {chance:.3f}) over the last"
        " {averaged_over_last_updates} updates",
    )


def _head(options: argparse.Namespace, settings: FineTuningSettings) -> dict[str, Any]:
    from cutswap.training.head_finetuning import finetune_head

    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise CutSwapError(
            "--train",
            expected="one process: a head trains in a minute or two",
            found=f"{os.environ['WORLD_SIZE']} processes of torchrun",
            fix="start it without torchrun",
        )
    with stop_on_signals() as stop, Bars(options.quiet) as bars:
        checked = checked_category(options, bars, train_size=settings.training.image_size)
        out = _place(options, checked, settings)
        steps = finetune_head(
            checked,
            settings,
            out,
            seed=options.seed,
            notify=bars,
            say=say,
            stop=lambda: stop.asked,
        )
        for step in steps:
            stop.gently = True
            bars(f"training the {settings.head.train}", step.step, step.steps)
            bars.note(loss=f"{step.loss:.3f}", separation=f"{step.accuracy:.2f}")
    return _ended(
        out,
        was_stopped=stop.asked,
        text="changed patches score above unchanged ones with chance {accuracy:.3f}"
        " (guessing: {chance}) over the last {averaged_over_last_updates} updates"
        if settings.head.learns
        else "mean and deviation of every channel at every place are measured",
    )


def _place(
    options: argparse.Namespace, checked: CheckedCategory, settings: FineTuningSettings
) -> Path:
    """The run folder; with `--beside` perhaps another one than `--out`."""
    out: Path = options.out
    if not options.beside:
        return out
    from cutswap.training.finetuning import run_place

    place = run_place(checked, settings, out, options.seed)
    if place != out and os.environ.get("RANK", "0") == "0":
        say(f"{out} holds another run; this one is in {place}")
    return place


def _ended(out: Path, *, was_stopped: bool, text: str) -> dict[str, Any]:
    """Say how a run ended; `text` is filled in from its result."""
    from cutswap.runs.folder import RunFolder

    run = RunFolder(out)
    if was_stopped and not run.result_file.exists():
        say("stopped; the same command goes on from here")
        return {"run": str(out), "exit_status": STOPPED}
    result = read_json(run.result_file)
    print(f"{text.format(**result)}; run in {out}")
    return {**result, "run": str(out)}

"""`python -m cutswap finetune --train projector|discriminator`: a head on frozen features."""

from __future__ import annotations

import argparse
import os
from typing import Any

from cutswap.commands.common import checked_category, say
from cutswap.config import FineTuningSettings
from cutswap.errors import CutSwapError
from cutswap.runs.folder import RunFolder
from cutswap.training.head_finetuning import finetune_head as run_training
from cutswap.utils.files import read_json
from cutswap.utils.progress import Bars
from cutswap.utils.signals import stop_on_signals

STOPPED = 130  # exit status of a run that was asked to stop, as shells count Ctrl-C


def finetune_head(options: argparse.Namespace, settings: FineTuningSettings) -> dict[str, Any]:
    """Train a head on a category's negatives into a run folder."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise CutSwapError(
            "--train",
            expected="one process: a head trains in a minute or two",
            found=f"{os.environ['WORLD_SIZE']} processes of torchrun",
            fix="start it without torchrun",
        )
    with stop_on_signals() as stop, Bars(options.quiet) as bars:
        checked = checked_category(options, bars)
        steps = run_training(
            checked,
            settings,
            options.out,
            seed=options.seed,
            notify=bars,
            say=say,
            stop=lambda: stop.asked,
        )
        for step in steps:
            stop.gently = True
            bars(f"training the {settings.head.train}", step.step, step.steps)
            bars.note(loss=f"{step.loss:.3f}", separation=f"{step.accuracy:.2f}")
    run = RunFolder(options.out)
    if stop.asked and not run.result_file.exists():
        say("stopped; the same command goes on from here")
        return {"run": str(options.out), "exit_status": STOPPED}
    result = read_json(run.result_file)
    print(
        f"changed patches score above unchanged ones with chance {result['accuracy']:.3f}"
        f" (guessing: 0.5) over the last {result['averaged_over_last_updates']} updates;"
        f" run in {options.out}"
    )
    return {**result, "run": str(options.out)}

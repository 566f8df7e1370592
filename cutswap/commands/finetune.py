"""`python -m cutswap finetune`: a category into a run folder."""

from __future__ import annotations

import argparse
import os
from typing import Any

from cutswap.commands.common import add_data, add_seed_and_out, add_skip_bad, say
from cutswap.flags import add_flags
from cutswap.training.flags import FINETUNE_FLAGS, finetuning_settings
from cutswap.utils.files import need_out, read_json
from cutswap.utils.progress import Bars
from cutswap.utils.signals import stop_on_signals

STOPPED = 130  # exit status of a run that was asked to stop, as shells count Ctrl-C


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `finetune`."""
    add_data(parser)
    add_skip_bad(parser)
    add_seed_and_out(parser, "run folder; the same command resumes a stopped run")
    for settings, naming in FINETUNE_FLAGS.values():
        add_flags(parser, settings, naming)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune a category into a run folder."""
    from cutswap.commands.common import checked_category
    from cutswap.runs.folder import RunFolder
    from cutswap.training.finetuning import finetune as run_finetuning

    need_out(options.out)
    settings = finetuning_settings(options)
    if settings.head.train != "backbone":
        from cutswap.commands.finetune_head import finetune_head

        return finetune_head(options, settings)
    is_first = os.environ.get("RANK", "0") == "0"  # torchrun's others work silently
    with stop_on_signals() as stop, Bars(options.quiet or not is_first) as bars:
        checked = checked_category(options, bars, is_told=is_first)
        steps = run_finetuning(
            checked,
            settings,
            options.out,
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
    run = RunFolder(options.out)
    if not is_first:  # the first is still writing
        return {"run": str(options.out)}
    if stop.asked and not run.result_file.exists():
        say("stopped; the same command goes on from here")
        return {"run": str(options.out), "exit_status": STOPPED}
    result = read_json(run.result_file)
    print(
        f"accuracy {result['accuracy']:.3f} (chance {result['chance']:.3f}) over the last"
        f" {result['averaged_over_last_updates']} updates; run in {options.out}"
    )
    return {**result, "run": str(options.out)}

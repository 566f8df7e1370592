"""`python -m cutswap evaluate` and `evaluate-anomalib`: a category scored, by ours or another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutswap.commands.common import (
    add_data,
    add_seed_and_out,
    add_skip_bad,
    checked_category,
    describe,
    say_missed,
    say_weights,
)
from cutswap.commands.own_outputs import claim
from cutswap.config import BANKS, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.flags import add_flags, settings_from
from cutswap.utils.files import need_out
from cutswap.utils.progress import Bars

if TYPE_CHECKING:
    from cutswap.data.loading import CheckedCategory
    from cutswap.heads.patch_head import PatchHead
    from cutswap.networks.backbone import Backbone


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `evaluate`."""
    add_data(parser)
    add_skip_bad(parser)
    parser.add_argument("--backbone", default="resnet18", help="network, without --run [resnet18]")
    parser.add_argument("--weights", help="its weights, without --run [embedded]")
    parser.add_argument(
        "--run",
        dest="run_folder",
        type=Path,
        metavar="RUN",
        help="folder of a finished finetune run",
    )
    parser.add_argument(
        "--score",
        choices=("bank", "head", "both"),
        help="whose scores count, of a run with a head [both]",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N [auto]")
    add_seed_and_out(parser, "folder to write")
    parser.add_argument(
        "--preset",
        choices=tuple(BANKS),
        help="what a photo's score is and whether patches are whitened, which the"
        " flags below change; plain is the paper's [the defaults]",
    )
    add_flags(parser, PatchCoreSettings)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """PatchCore on a category, with a network or a run's tuned one."""
    from cutswap.evaluation.evaluate import evaluate as run_evaluation
    from cutswap.evaluation.evaluate import evaluation_files, write_evaluation
    from cutswap.networks.backbone import load_backbone
    from cutswap.runs.folder import RunFolder
    from cutswap.training.finetuning import tuned_backbone
    from cutswap.utils.devices import choose_device

    need_out(options.out)
    settings = settings_from(options, PatchCoreSettings, BANKS.get(options.preset, {}))
    if options.run_folder and options.weights:
        raise CutSwapError(
            "--run and --weights",
            expected="one of the two",
            found="both",
            fix="leave out --weights to evaluate the run's tuned network",
        )
    head = _head_of(options)
    device = str(choose_device(options.device))
    if options.run_folder:
        backbone = tuned_backbone(RunFolder(options.run_folder), device)
    else:
        weights = options.weights or "embedded"
        backbone = load_backbone(options.backbone, weights, device=device, seed=options.seed)
    say_weights(backbone.report.sentence(), backbone.name)
    with Bars(options.quiet) as bars:
        checked = checked_category(options, bars)
        if head is not None:
            return _evaluate_head(options, checked, backbone, head, settings, bars)
        names = evaluation_files(checked.category.test)
        own = claim(options.out, options.command, names, options.json)
        evaluation = run_evaluation(checked, backbone, settings, seed=options.seed, notify=bars)
        with own.writing():
            write_evaluation(evaluation, options.out, notify=bars)
    print(describe(evaluation.summary))
    say_missed(evaluation.summary["missed"])
    return {**evaluation.summary, "out": str(options.out)}


def _head_of(options: argparse.Namespace) -> PatchHead | None:
    """The head of the run, where it trained one.

    Raises:
        CutSwapError: `--score` without one, or an unfinished run.
    """
    from cutswap.runs.folder import RunFolder
    from cutswap.training.head_finetuning import trained_head

    run = RunFolder(options.run_folder) if options.run_folder else None
    head = trained_head(run) if run else None
    if head is None and options.score:
        raise CutSwapError(
            "--score",
            expected="a --run that trained a head",
            found="no run" if run is None else "a run that trained the backbone",
            fix="leave --score out, or pass the run of finetune --train projector",
        )
    return head


def _evaluate_head(
    options: argparse.Namespace,
    checked: CheckedCategory,
    backbone: Backbone,
    head: PatchHead,
    settings: PatchCoreSettings,
    bars: Bars,
) -> dict[str, Any]:
    """Bank, head and both, with the figures of each."""
    from cutswap.evaluation.evaluate_head import (
        evaluate_head,
        head_evaluation_files,
        write_head_evaluation,
    )

    names = head_evaluation_files(checked.category.test)
    own = claim(options.out, options.command, names, options.json)
    evaluation = evaluate_head(
        checked,
        backbone,
        head,
        settings,
        score=options.score or "both",
        seed=options.seed,
        notify=bars,
    )
    with own.writing():
        write_head_evaluation(evaluation, options.out, notify=bars)
    bars.close()
    for name, one in evaluation.by_score.items():
        print(f"{name + ('*' if name == evaluation.counts else ''):>5} {describe(one.summary)}")
    join = evaluation.detector.join
    print(f"the head's share in both is {join.weight:.2f}, chosen without test images")
    say_missed(evaluation.result.summary["missed"])
    return {**evaluation.result.summary, "out": str(options.out)}

"""`python -m cutswap evaluate`: a category scored, by PatchCore or PaDiM."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutswap.commands.common import (
    add_data,
    add_looks,
    add_seed_and_out,
    add_skip_bad,
    checked_category,
    describe,
    say,
    say_missed,
    say_weights,
)
from cutswap.commands.own_outputs import claim
from cutswap.config import (
    BANKS,
    DETECTORS_OF_OURS,
    PADIM,
    PATCHCORE,
    FalseAlarmSettings,
    PadimSettings,
    PatchCoreSettings,
)
from cutswap.errors import CutSwapError, first_names
from cutswap.evaluation.detector_settings import PADIM_FLAGS, padim_settings
from cutswap.flags import add_flags, settings_from
from cutswap.utils.files import need_out
from cutswap.utils.folder_names import BANK, DECISION, UNLABELLED
from cutswap.utils.progress import Bars

if TYPE_CHECKING:
    import numpy as np

    from cutswap.data.loading import CheckedCategory
    from cutswap.data.records import Record
    from cutswap.decision.deciding import OnTestPhotos
    from cutswap.decision.decision import Decision
    from cutswap.evaluation.evaluate import Evaluation
    from cutswap.heads.patch_head import PatchHead
    from cutswap.networks.backbone import Backbone
    from cutswap.patchcore.memory_bank import MemoryBank


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `evaluate`."""
    add_data(parser)
    add_looks(parser)
    add_skip_bad(parser)
    parser.add_argument(
        "--detector",
        choices=tuple(DETECTORS_OF_OURS),
        default=PATCHCORE,
        help="patchcore: nearest patches of a memory bank; padim: a gaussian at every place"
        " [patchcore]",
    )
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
    add_flags(parser, FalseAlarmSettings)
    add_flags(parser, PatchCoreSettings)
    add_flags(parser, PadimSettings, PADIM_FLAGS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """PatchCore on a category, with a network or a run's tuned one."""
    from cutswap.decision.deciding import need_enough_photos, set_apart
    from cutswap.evaluation.evaluate import evaluate as run_evaluation
    from cutswap.evaluation.evaluate import evaluation_files, write_evaluation
    from cutswap.evaluation.unlabelled import is_labelled
    from cutswap.utils.devices import choose_device

    need_out(options.out)
    asked = settings_from(options, FalseAlarmSettings)
    if options.run_folder and options.weights:
        raise CutSwapError(
            "--run and --weights",
            expected="one of the two",
            found="both",
            fix="leave out --weights to evaluate the run's tuned network",
        )
    if options.detector == PADIM:
        return _by_padim(options, asked)
    _need_no_padim(options)
    settings = settings_from(options, PatchCoreSettings, BANKS.get(options.preset, {}))
    if settings.is_tiled:
        return _by_tiles(options, settings, asked)
    head = _head_of(options)
    device = str(choose_device(options.device))
    backbone = _backbone_of(options, device)
    with Bars(options.quiet) as bars:
        checked = checked_category(options, bars)
        _need_squares_of(options.run_folder, checked)
        need_enough_photos(asked, checked, head, options.score or "both")
        checked, apart = set_apart(checked, asked, options.seed)
        if asked.false_alarms is not None and not is_labelled(checked.category):
            return _learn_without_defects(
                options, checked, apart, backbone, head, settings, asked, bars
            )
        if head is not None:
            return _evaluate_head(options, checked, backbone, head, settings, asked, bars)
        files = evaluation_files(
            checked.category.test, has_region=checked.region_at(settings.image_size) is not None
        )
        names = (*files, *_decision_file(asked))
        own = claim(options.out, options.command, names, options.json)
        evaluation = run_evaluation(checked, backbone, settings, seed=options.seed, notify=bars)
        decision = _decide(
            options, checked, apart, backbone, settings, evaluation.bank, asked, bars
        )
        told = _take_in(decision, asked, evaluation)
        with own.writing():
            _write_decision(decision, told, checked, options.out)
            write_evaluation(evaluation, options.out, notify=bars)
    print(describe(evaluation.summary))
    say_missed(evaluation.summary["missed"])
    _say_outside(evaluation.summary)
    _say_decision(decision, told)
    return {**evaluation.summary, "out": str(options.out)}


def _backbone_of(options: argparse.Namespace, device: str) -> Backbone:
    """A run's tuned network, or the one named."""
    from cutswap.networks.backbone import load_backbone
    from cutswap.runs.folder import RunFolder
    from cutswap.training.finetuning import tuned_backbone

    if options.run_folder:
        backbone = tuned_backbone(RunFolder(options.run_folder), device)
    else:
        weights = options.weights or "embedded"
        backbone = load_backbone(options.backbone, weights, device=device, seed=options.seed)
    say_weights(backbone.report.sentence(), backbone.name)
    return backbone


def _need_squares_of(run_folder: Path | None, checked: CheckedCategory) -> None:
    """Refuse photos that became squares in another way than the run's did."""
    from cutswap.runs.folder import RunFolder
    from cutswap.training.flags import need_same_squares

    if run_folder:
        need_same_squares(RunFolder(run_folder).settings(), run_folder, checked.category)


def _need_no_padim(options: argparse.Namespace) -> None:
    """Refuse flags that only PaDiM looks at.

    Raises:
        CutSwapError: one was given.
    """
    for name in PadimSettings.__dataclass_fields__:
        if name not in PADIM_FLAGS.skip and getattr(options, f"PadimSettings.{name}") is not None:
            raise CutSwapError(
                PADIM_FLAGS.flag(name),
                expected=f"--detector {PADIM}, which has it",
                found=f"--detector {PATCHCORE}",
                fix=f"pass --detector {PADIM}, or leave it out",
            )


def _by_padim(options: argparse.Namespace, asked: FalseAlarmSettings) -> dict[str, Any]:
    """PaDiM on a category, with a network or a run's tuned one.

    Raises:
        CutSwapError: flags of memory banks, heads or thresholds from good photos, or anything the
            stages refuse.
    """
    from cutswap.evaluation.evaluate_padim import evaluate_padim, padim_files, write_padim
    from cutswap.utils.devices import choose_device

    settings = padim_settings(options)
    given = {
        "--preset": options.preset is not None,
        "--score": options.score is not None,
        "--false-alarms": asked != FalseAlarmSettings(),
    }
    for flag in (name for name, is_given in given.items() if is_given):
        raise CutSwapError(
            flag,
            expected=f"--detector {PATCHCORE}, which has it",
            found=f"--detector {PADIM}",
            fix="leave it out",
        )
    backbone = _backbone_of(options, str(choose_device(options.device)))
    with Bars(options.quiet) as bars:
        checked = checked_category(options, bars)
        _need_squares_of(options.run_folder, checked)
        has_region = checked.region_at(settings.image_size) is not None
        names = padim_files(checked.category.test, has_region=has_region)
        own = claim(options.out, options.command, names, options.json)
        evaluation = evaluate_padim(
            checked, backbone, settings, seed=options.seed, notify=bars, say=say
        )
        with own.writing():
            write_padim(evaluation, options.out, notify=bars)
    print(describe(evaluation.summary))
    say_missed(evaluation.summary["missed"])
    _say_outside(evaluation.summary)
    return {**evaluation.summary, "out": str(options.out)}


def _by_tiles(
    options: argparse.Namespace, settings: PatchCoreSettings, asked: FalseAlarmSettings
) -> dict[str, Any]:
    """PatchCore on large photos that are cut into tiles.

    Raises:
        CutSwapError: flags that have no meaning for tiles yet, or anything the stages refuse.
    """
    import time

    from cutswap.decision.deciding import on_test_photos
    from cutswap.decision.held_out_tiles import decide_by_tiles, need_enough_large_photos
    from cutswap.evaluation.evaluate import evaluation_files
    from cutswap.evaluation.tiled.evaluate_tiles import (
        LargeCategory,
        fit_tiles,
        write_tiled_evaluation,
    )
    from cutswap.patchcore.tiled.tiles import need_tiles
    from cutswap.utils.devices import choose_device

    _need_plain(options)
    need_tiles(settings)
    backbone = _backbone_of(options, str(choose_device(options.device)))
    with Bars(options.quiet) as bars:
        large = LargeCategory.of(checked_category(options, bars))
        need_enough_large_photos(asked, large)
        if remark := large.remark(settings):
            say(remark)
        has_region = large.shown_region() is not None
        names = evaluation_files(large.checked.category.test, has_region=has_region)
        names = (*names, *_decision_file(asked))
        own = claim(options.out, options.command, names, options.json)
        began = time.perf_counter()
        bank = fit_tiles(large, backbone, settings, seed=options.seed, notify=bars)
        decision, told = decide_by_tiles(large, bank, asked, notify=bars), None

        def also(scores: np.ndarray) -> dict[str, Any]:
            nonlocal told
            if decision is None:
                return {}
            defects = [record.defect for record in large.checked.category.test]
            told = on_test_photos(decision, defects, scores, None)
            _write_decision(decision, told, large.checked, options.out)
            about = {**decision.to_dict(), **told.to_dict(), "settings": asked.to_dict()}
            return {"false_alarms": about}

        with own.writing():
            summary = write_tiled_evaluation(
                large, bank, options.out, began, also=also, notify=bars
            )
    print(describe(summary))
    say_missed(summary["missed"])
    _say_outside(summary)
    _say_decision(decision, told)
    return {**summary, "out": str(options.out)}


def _need_plain(options: argparse.Namespace) -> None:
    """Refuse, with tiles, what only photos that become squares have.

    Raises:
        CutSwapError: it was asked for.
    """
    given = {
        "--run": options.run_folder is not None,
        "--score": options.score is not None,
    }
    for flag in (name for name, is_given in given.items() if is_given):
        raise CutSwapError(
            flag,
            expected="photos that become squares",
            found="--tile-overlap, which cuts them into tiles",
            fix=f"leave out one of the two: {flag} knows no tiles yet",
        )


def _decide(
    options: argparse.Namespace,
    checked: CheckedCategory,
    apart: tuple[Record, ...],
    backbone: Backbone,
    settings: PatchCoreSettings,
    bank: MemoryBank,
    asked: FalseAlarmSettings,
    bars: Bars,
) -> Decision | None:
    """By the photos kept apart from the bank, or else by folds of all."""
    from cutswap.decision.deciding import decide, decide_apart

    if apart:
        is_tuned = options.run_folder is not None
        return decide_apart(checked.category.name, bank, apart, asked, is_tuned=is_tuned)
    return decide(checked, backbone, settings, asked, seed=options.seed, notify=bars)


def _decision_file(asked: FalseAlarmSettings) -> tuple[str, ...]:
    return () if asked.false_alarms is None else (DECISION,)


def _take_in(
    decision: Decision | None, asked: FalseAlarmSettings, evaluation: Evaluation
) -> OnTestPhotos | None:
    """What a decision means on the test photos, also put into the evaluation's summary."""
    from cutswap.data.loading import seen_share
    from cutswap.decision.deciding import on_test_photos

    if decision is None:
        return None
    defects = [record.defect for record in evaluation.records]
    seen = seen_share(evaluation.records)
    told = on_test_photos(decision, defects, evaluation.scores, evaluation.masks, seen)
    evaluation.summary["false_alarms"] = {
        **decision.to_dict(),
        **told.to_dict(),
        "settings": asked.to_dict(),
    }
    return told


def _write_decision(
    decision: Decision | None, told: OnTestPhotos | None, checked: CheckedCategory, out: Path
) -> None:
    from cutswap.decision.decision import write_decision

    if decision is not None and told is not None:
        reading = checked.category.reading
        write_decision(decision, out, bits=reading.bits, resize=reading.resize, **told.to_dict())


def _say_decision(decision: Decision | None, told: OnTestPhotos | None) -> None:
    if decision is None or told is None:
        return
    print(decision.promise.text())
    print(f"  {decision.how}")
    for line in (told.text(), told.drift.text() if told.drift else ""):
        if line:
            print(f"  {line}")


def _say_outside(summary: dict[str, Any]) -> None:
    outside = summary.get("region", {}).get("defects_outside", [])
    if outside:
        print(
            f"{len(outside)} of {summary['n_defective']} defective photos have their defect wholly"
            f" outside the region ({first_names(outside)}); they count as defective, and pixels"
            " outside count nowhere"
        )


def _learn_without_defects(
    options: argparse.Namespace,
    checked: CheckedCategory,
    apart: tuple[Record, ...],
    backbone: Backbone,
    head: PatchHead | None,
    settings: PatchCoreSettings,
    asked: FalseAlarmSettings,
    bars: Bars,
) -> dict[str, Any]:
    """A bank and its threshold where nothing says what a defect looks like: no figures.

    Raises:
        CutSwapError: the scores of a head, which is weighed and told by labelled photos.
    """
    import numpy as np

    from cutswap.decision.deciding import on_test_photos
    from cutswap.evaluation.unlabelled import read_unlabelled, score_unlabelled
    from cutswap.patchcore.memory_bank import MemoryBank

    if head is not None and options.score != "bank":
        raise CutSwapError(
            f"category {checked.category.name}",
            expected="good and defective test images, for the scores of a head",
            found="none, or one of the two",
            fix="pass --score bank, or add images to test/good and test/<defect>",
        )
    own = claim(options.out, options.command, (BANK, UNLABELLED, DECISION), options.json)
    with own.writing():
        score_unlabelled(
            checked.category, backbone, settings, options.out, seed=options.seed, notify=bars
        )
        bank = MemoryBank.load(options.out / BANK, backbone)
        decision = _decide(options, checked, apart, backbone, settings, bank, asked, bars)
        if decision is None:
            raise RuntimeError("without a rate there is nothing to decide")
        scored = read_unlabelled(options.out)
        by_name = dict(zip(scored.names, scored.scores, strict=True))
        test = checked.category.test
        scores = np.array([by_name[record.name] for record in test])
        told = on_test_photos(decision, [record.defect for record in test], scores, None)
        _write_decision(decision, told, checked, options.out)
    bars.close()
    print(
        f"{checked.category.name}: no test photos of both kinds, so no AUROC;"
        f" a bank of {len(checked.category.train)} good photos"
    )
    _say_decision(decision, told)
    print(f"score photos with: cutswap score FOLDER --detector {options.out} --out SCORES")
    return {
        "category": checked.category.name,
        "false_alarms": {**decision.to_dict(), **told.to_dict(), "settings": asked.to_dict()},
        "patchcore": settings.to_dict(),
        "n_train": len(checked.category.train),
        "n_test": len(test),
        "seed": options.seed,
        "out": str(options.out),
    }


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
    asked: FalseAlarmSettings,
    bars: Bars,
) -> dict[str, Any]:
    """Bank, head and both, with the figures of each."""
    from cutswap.decision.deciding import decide
    from cutswap.evaluation.evaluate_head import (
        evaluate_head,
        head_evaluation_files,
        write_head_evaluation,
    )

    files = head_evaluation_files(
        checked.category.test, has_region=checked.region_at(settings.image_size) is not None
    )
    names = (*files, *_decision_file(asked))
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
    decision = decide(
        checked,
        backbone,
        settings,
        asked,
        detector=evaluation.detector,
        score=evaluation.counts,
        seed=options.seed,
        notify=bars,
    )
    told = _take_in(decision, asked, evaluation.result)
    with own.writing():
        _write_decision(decision, told, checked, options.out)
        write_head_evaluation(evaluation, options.out, notify=bars)
    bars.close()
    for name, one in evaluation.by_score.items():
        print(f"{name + ('*' if name == evaluation.counts else ''):>5} {describe(one.summary)}")
    join = evaluation.detector.join
    print(f"the head's share in both is {join.weight:.2f}, chosen without test images")
    say_missed(evaluation.result.summary["missed"])
    _say_outside(evaluation.result.summary)
    _say_decision(decision, told)
    return {**evaluation.result.summary, "out": str(options.out)}

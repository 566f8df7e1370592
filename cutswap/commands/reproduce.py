"""`python -m cutswap reproduce`: print the plan, compute its cells, print the tables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from cutswap.commands.common import (
    CATEGORIES_HELP,
    STOPPED,
    add_recipe,
    add_skip_bad,
    chosen_categories,
    count,
)
from cutswap.commands.engine import engine_of
from cutswap.commands.own_outputs import need_free
from cutswap.studies.estimate import plan_text, time_left
from cutswap.studies.folder import DONE, FAILED, PlannedCell, Study, read_study
from cutswap.utils.files import need_out
from cutswap.utils.folder_names import STUDY
from cutswap.utils.progress import Bars
from cutswap.utils.signals import stop_on_signals


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `reproduce`: what to repeat, where, by whom, and the recipe."""
    from cutswap.commands.engine import add_engine_flags
    from cutswap.studies.plan import PRESETS

    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="ROOT",
        help="MVTec AD or VisA folder, or one category's folder",
    )
    parser.add_argument(
        "--table", required=True, metavar="N", help="1 to 8, several with commas, or all"
    )
    parser.add_argument("--categories", default="", metavar="C,C,...", help=CATEGORIES_HELP)
    parser.add_argument("--seeds", type=count, default=3, help="seeds a cell, from 0 on [3]")
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="laptop",
        help="; ".join(f"{p.name}: {p.about}" for p in PRESETS.values())
        + "; the flags below change it [laptop]",
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[],
        metavar="M",
        help="beside the paper's in Tables 1 to 4, heads with bank and head together: projector,"
        " discriminator (on CutPaste, random swap and CutSwap), gaussian; or one by one, as"
        " random-swap, nsa, cutswap-projector; spd-padim is the paper's SPD + Padim, spd and"
        " untuned-padim its two halves",
    )
    parser.add_argument(
        "--detectors",
        nargs="+",
        default=[],
        metavar="D",
        help="others beside ours in Tables 1 to 4: stfpm, padim, draem; by the"
        " optional extra cutswap[anomalib]",
    )
    parser.add_argument("--plan", action="store_true", help="print the plan and end")
    add_skip_bad(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="study folder; the same command goes on where it ended",
    )
    add_engine_flags(parser)
    add_recipe(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Compute missing cells; exit status 1 where a cell failed, 130 where it was stopped."""
    from cutswap.evaluation.detector_settings import detector_names
    from cutswap.studies.flags import study_settings
    from cutswap.studies.methods import method_names
    from cutswap.studies.plan import table_numbers
    from cutswap.studies.report import CSV, LATEX, REPORT, write_reports
    from cutswap.studies.run import prepare, run_study, run_study_on

    need_out(options.out)
    need_free(options.out, (CSV, LATEX, REPORT), is_ours=(options.out / STUDY).exists())
    tables = table_numbers(options.table)
    categories = chosen_categories(options)
    with stop_on_signals() as stop, Bars(options.quiet) as bars:
        prepared = prepare(
            options.out.absolute(),
            options.data,
            tables,
            study_settings(options),
            categories=categories,
            seeds=options.seeds,
            skip_bad=options.skip_bad,
            others=(
                *method_names(",".join(options.methods)),
                *detector_names(",".join(options.detectors)),
            ),
            notify=bars,
        )
        bars.close()
        left = time_left(prepared.study, prepared.left())
        print(plan_text(prepared.study, left, len(prepared.asked)), flush=True)
        if options.plan:
            return _result(prepared.study, prepared.asked)
        total, done, computed = len(prepared.asked), len(prepared.asked) - left.cells, 0
        stop.gently = True
        if options.engine == "local" and options.processes == 1:
            if options.threads is not None:
                import torch

                torch.set_num_threads(options.threads)
            cells = run_study(prepared, notify=bars, say=_say, stop=lambda: stop.asked)
        else:
            engine = engine_of(options)
            threads = options.threads or 1
            cells = run_study_on(engine, prepared, threads=threads, stop=lambda: stop.asked)
        for cell, state in cells:
            bars.close()
            computed, done = computed + 1, done + 1
            print(f"[{done}/{total}] {_line(prepared, cell, state)}", flush=True)
    study = read_study(prepared.study.path)
    print(f"report: {write_reports(study)}")
    result = {**_result(study, prepared.asked), "computed": computed}
    if computed < left.cells:
        _say("stopped; the same command goes on from here")
        result["exit_status"] = STOPPED
    return result


def _line(prepared: Any, cell: PlannedCell, state: str) -> str:
    study = read_study(prepared.study.path)
    result = study.result(cell)
    if state == FAILED:
        return f"{cell.label}: FAILED, {result.error}"
    pixel = result.metrics.get("pixel_auroc")
    left = time_left(study, prepared.left())
    spent = result.seconds + (result.training_seconds or 0.0)
    return (
        f"{cell.label}: image AUROC {result.metrics['image_auroc']:.3f}, pixel AUROC"
        f" {'-' if pixel is None else f'{pixel:.3f}'} ({spent:.0f} s); {left.text()} left"
    )


def _result(study: Study, asked: dict[str, Any]) -> dict[str, Any]:
    failed = [c for c in study.distinct if c.id in asked and study.result(c).state == FAILED]
    done = sum(c.id in asked and study.result(c).state == DONE for c in study.distinct)
    return {
        "out": str(study.path),
        "tables": list(study.tables),
        "asked": len(asked),
        "done": done,
        "failed": [{"cell": c.label, "error": study.result(c).error} for c in failed],
        "exit_status": int(bool(failed)),
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr)

"""`python -m cutswap sweep`: check the grid, print the plan, compute it, print the results.

The sweep's modules load torch, which takes two seconds; they are imported once the flags are read,
while the workers load it too.
"""

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
from cutswap.commands.engine import add_engine_flags, engine_of
from cutswap.commands.own_outputs import need_free
from cutswap.config import FineTuningSettings, HeadSettings, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.flags import settings_from
from cutswap.utils.files import need_out, write_text
from cutswap.utils.progress import Bars
from cutswap.utils.signals import stop_on_signals

RESULTS = "results.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `sweep`: the grid, where its results go, by whom, and the recipe."""
    from cutswap.commands.sweep import add_sweep_flags
    from cutswap.studies.plan import PRESETS

    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="ROOT",
        help="MVTec AD or VisA folder, or one category's folder",
    )
    parser.add_argument("--categories", default="", metavar="C,C,...", help=CATEGORIES_HELP)
    parser.add_argument("--seeds", type=count, default=3, help="seeds a cell, from 0 on [3]")
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="laptop",
        help="recipe that grid and flags change [laptop]",
    )
    parser.add_argument("--plan", action="store_true", help="print the plan and end")
    add_skip_bad(parser)
    add_sweep_flags(parser)
    add_recipe(parser, what=True, without=("padim",))  # scored by PatchCore alone


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Compute missing cells; exit status 1 where a cell failed, 130 where it was stopped."""
    from cutswap.studies.flags import study_settings
    from cutswap.studies.plan import MAX_SEEDS
    from cutswap.sweeps.grid import read_grid
    from cutswap.sweeps.identity import weights_of
    from cutswap.sweeps.store import FolderStore, is_begun, need_store, open_store
    from cutswap.sweeps.sweep import SWEEP, plan_sweep, run_sweep, to_csv

    settings = study_settings(options)
    weights = weights_of(settings.training, settings.saliency)
    points = read_grid(options.grid, weights.levels)
    if options.seeds > MAX_SEEDS:
        raise CutSwapError(
            "--seeds", expected=f"1 to {MAX_SEEDS}", found=options.seeds, fix="pass --seeds 3"
        )
    categories = chosen_categories(options)
    with stop_on_signals() as stop, Bars(options.quiet) as bars:
        plan = plan_sweep(
            options.data,
            points,
            FineTuningSettings(
                settings.training,
                settings.saliency,
                head=settings_from(options, HeadSettings),
                spd=settings.spd,
            ),
            PatchCoreSettings(coreset=options.coreset),
            weights,
            categories=categories,
            seeds=options.seeds,
            skip_bad=options.skip_bad,
            notify=bars,
        )
        bars.close()
        store = open_store(options.out)
        if isinstance(store, FolderStore):
            need_out(store.folder)
            files = (RESULTS, f"{SWEEP}.json")
            need_free(store.folder, files, is_ours=is_begun(store, SWEEP))
        if not options.plan:
            need_store(store)
        left = plan.left(store)
        total = len(plan.specs)
        print(
            f"{len(points)} settings, {len(plan.rows)} cells, {total} different;"
            f" {total - len(left)} done, {len(left)} to compute with {options.engine};"
            f" results in {store.url}",
            flush=True,
        )
        if options.plan or not left:
            return _result(plan, store, 0)
        engine = engine_of(options)
        stop.gently = True
        computed = failed = 0
        runs = "" if options.keep_runs is None else str(options.keep_runs.absolute())
        for spec, record in run_sweep(
            plan, store, engine, runs=runs, threads=options.threads or 1, stop=lambda: stop.asked
        ):
            computed += 1
            failed += record["state"] != "done"
            done = total - len(left) + computed
            print(f"[{done}/{total}] {spec.label}: {_said(record)}", flush=True)
    result = _result(plan, store, computed)
    if isinstance(store, FolderStore):
        write_text(store.folder / RESULTS, to_csv(result["table"]))
    for line in result["table"]:
        score = f", {line['score']}" if line["score"] else ""
        print(f"  {line['setting']}; {line['category']}{score}: {_figures(line)}")
    if computed < len(left):
        print("stopped; the same command goes on from here", file=sys.stderr)
        result["exit_status"] = STOPPED
    return result


def _said(record: dict[str, Any]) -> str:
    if record["state"] != "done":
        return f"FAILED after {record['attempts']} attempts, {record['error']}"
    return f"image AUROC {record['metrics']['image_auroc']:.3f}"


def _figures(line: dict[str, Any]) -> str:
    if line["image_auroc"] is None:
        return "nothing yet"
    spread = "" if line["spread"] is None else f" +- {line['spread']:.3f}"
    return f"image AUROC {line['image_auroc']:.3f}{spread} ({line['seeds']} seeds)"


def _result(plan: Any, store: Any, computed: int) -> dict[str, Any]:
    from cutswap.sweeps.sweep import table_of

    records = {i: store.read(f"cells/{i}") or {} for i in plan.specs}
    failed = [r for r in records.values() if r.get("state") == "failed"]
    return {
        "out": store.url,
        "asked": len(plan.specs),
        "computed": computed,
        "done": sum(r.get("state") == "done" for r in records.values()),
        "failed": [{"cell": r["label"], "error": r["error"]} for r in failed],
        "table": table_of(plan, store),
        "exit_status": int(bool(failed)),
    }


def add_sweep_flags(parser: argparse.ArgumentParser) -> None:
    """What `sweep` has beside the recipe's flags."""
    parser.add_argument(
        "--grid",
        nargs="*",
        default=[],
        metavar="NAME=VALUES",
        help="axes, for example k=1..6 layers=4,16+30 augment=cutswap,nsa"
        " train=backbone,projector head_updates=200,600;"
        " several values of one setting are joined by +",
    )
    parser.add_argument(
        "--coreset",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="share of patches kept in the bank, where the grid does not say [0.01]",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="STORE",
        help="folder or URL (s3://bucket/name) of the results; the same command"
        " goes on where it ended",
    )
    parser.add_argument(
        "--keep-runs",
        type=Path,
        metavar="DIR",
        help="keep tuned networks here, a folder all workers see [none is kept]",
    )
    add_engine_flags(parser)

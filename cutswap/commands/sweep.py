"""`python -m cutswap sweep`: refuse what is wrong, say the plan, compute, say what came out."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from cutswap.commands.engine import engine_of
from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.studies.cells import weights_of
from cutswap.studies.flags import study_settings
from cutswap.studies.study_settings import MAX_SEEDS
from cutswap.sweeps.grid import read_grid
from cutswap.sweeps.store import FolderStore, need_store, open_store
from cutswap.sweeps.sweep import plan_sweep, run_sweep, table_of, to_csv
from cutswap.training.finetuning import FineTuningSettings
from cutswap.utils.files import need_out, write_text
from cutswap.utils.progress import Bars
from cutswap.utils.signals import stop_on_signals

STOPPED = 130  # exit status of a sweep that was asked to stop


def sweep(options: argparse.Namespace) -> dict[str, Any]:
    """Compute what is missing; exit status 1 where a cell failed, 130 where it was stopped."""
    settings = study_settings(options)
    weights = weights_of(settings)
    points = read_grid(options.grid, weights.levels)
    if options.seeds > MAX_SEEDS:
        raise CutSwapError(
            "--seeds", expected=f"1 to {MAX_SEEDS}", found=options.seeds, fix="pass --seeds 3"
        )
    categories = [name.strip() for name in options.categories.split(",") if name.strip()]
    with stop_on_signals() as stop, Bars(options.quiet) as bars:
        plan = plan_sweep(
            options.data, points, FineTuningSettings(settings.training, settings.saliency),
            PatchCoreSettings(coreset=options.coreset), weights, categories=categories,
            seeds=options.seeds, skip_bad=options.skip_bad, notify=bars,
        )  # fmt: skip
        bars.close()
        store = open_store(options.out)
        if isinstance(store, FolderStore):
            need_out(store.folder)
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
            plan, store, engine, runs=runs, threads=options.threads, stop=lambda: stop.asked
        ):
            computed += 1
            failed += record["state"] != "done"
            done = total - len(left) + computed
            print(f"[{done}/{total}] {spec.label}: {_said(record)}", flush=True)
    result = _result(plan, store, computed)
    if isinstance(store, FolderStore):
        write_text(store.folder / "results.csv", to_csv(result["table"]))
    for line in result["table"]:
        print(f"  {line['setting']}; {line['category']}: {_figures(line)}")
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
    records = {i: store.read(f"cells/{i}") or {} for i in plan.specs}
    failed = [r for r in records.values() if r.get("state") == "failed"]
    return {
        "out": store.url, "asked": len(plan.specs), "computed": computed,
        "done": sum(r.get("state") == "done" for r in records.values()),
        "failed": [{"cell": r["label"], "error": r["error"]} for r in failed],
        "table": table_of(plan, store),
        "exit_status": int(bool(failed)),
    }  # fmt: skip

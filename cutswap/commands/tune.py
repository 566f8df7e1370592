"""`python -m cutswap tune`: search, say each trial, say the best as flags."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from typing import Any

from cutswap.commands.tune_space import read_space
from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.studies.cells import weights_of
from cutswap.studies.flags import study_settings
from cutswap.sweeps.store import need_store, open_store
from cutswap.sweeps.tuning import FAILED, TUNE, run_tuning
from cutswap.training.finetuning import FineTuningSettings
from cutswap.utils.signals import stop_on_signals

STOPPED = 130


def tune(options: argparse.Namespace) -> dict[str, Any]:
    """Search for settings; exit status 130 where it was stopped."""
    if importlib.util.find_spec("optuna") is None:
        raise CutSwapError(
            "tune", expected="the package optuna", found="none",
            fix="pip install 'cutswap[tune]'",
        )  # fmt: skip
    settings = study_settings(options)
    levels = weights_of(settings).levels
    base = FineTuningSettings(settings.training, settings.saliency)
    space = read_space(
        base, levels, k=options.search_k, layers=options.search_layers,
        area=options.search_area, rate=options.search_rate,
    )  # fmt: skip
    store = open_store(options.out)
    with stop_on_signals() as stop:
        checked = check_category(options.data, options.category, skip_bad=options.skip_bad)
        need_store(store)
        stop.gently = True
        ended = 0
        for record in run_tuning(
            store, checked, base, space, trials=options.trials, seed=options.seed,
            stop=lambda: stop.asked,
        ):  # fmt: skip
            ended += 1
            values = ", ".join(
                f"{n}={v:.3g}" if isinstance(v, float) else f"{n}={v}"
                for n, v in record["values"].items()
            )
            said = record["error"] if record["state"] == FAILED else f"{record['value']:.3f}"
            print(f"trial {record['number']}: {values}: {record['state']}, {said}", flush=True)
    found = store.read(TUNE)
    result = {"out": store.url, "ended": ended, "best": found["best"],
              "importance": found["importance"]}  # fmt: skip
    if found["best"]:
        v = found["best"]["values"]
        print(
            f"best, {found['best']['value']:.3f} on held-out synthetic negatives: --k {v['k']}"
            f" --levels {str(v['layers']).replace('+', ',')} --area"
            f" {base.negatives.area[0]:g},{v['patch']:.3f} --learning-rate"
            f" {v['learning_rate']:.4f}"
        )
    if stop.asked:
        print("stopped; the same command goes on from here", file=sys.stderr)
        result["exit_status"] = STOPPED
    return result

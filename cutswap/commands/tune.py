"""`python -m cutswap tune`: search, say each trial, say the best as flags."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cutswap.commands.common import (
    STOPPED,
    add_data,
    add_looks,
    add_recipe,
    add_skip_bad,
    asked_resize,
    count,
    seed,
)
from cutswap.commands.own_outputs import need_free
from cutswap.config import HEAD_JITTER, LEARNT_HEADS, FineTuningSettings, HeadSettings
from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.flags import settings_from
from cutswap.studies.flags import study_settings
from cutswap.sweeps.grid import settled
from cutswap.sweeps.identity import weights_of
from cutswap.sweeps.store import FolderStore, is_begun, need_store, open_store
from cutswap.sweeps.tuning import COMBINATIONS, FAILED, TRIALS, TUNE, SearchSpace, run_tuning
from cutswap.utils.files import need_out
from cutswap.utils.signals import stop_on_signals


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `tune`: how long and where to search, and the recipe."""
    from cutswap.studies.plan import PRESETS

    parser.description = (
        "Search K, layers, patch size and learning rate, of a head its updates too, with Optuna."
        " The score of a trial is the AUROC on synthetic negatives of good photos held out from"
        " training, never the test AUROC: settings chosen by that would be fitted to the test set's"
        " own defects, and its figure would promise what new defects do not keep."
    )
    add_data(parser)
    add_looks(parser)
    add_skip_bad(parser)
    parser.add_argument("--trials", type=count, default=30, help="in all, earlier ones too [30]")
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="laptop",
        help="recipe that the flags change [laptop]",
    )
    parser.add_argument("--seed", type=seed, default=0, help="of search, split and draws [0]")
    parser.add_argument(
        "--out",
        required=True,
        metavar="STORE",
        help="folder or URL of the trials; the same command goes on",
    )
    group = parser.add_argument_group("where to search, ends included")
    group.add_argument("--search-k", metavar="LOW,HIGH", help="clusters [1,8]")
    group.add_argument(
        "--search-layers",
        metavar="SET,SET,...",
        help="sets of saliency levels, as 4,16+30 [Table VII's]",
    )
    group.add_argument(
        "--search-area",
        metavar="LOW,HIGH",
        help="largest patch area, a share of the image [0.05,0.3]",
    )
    group.add_argument(
        "--search-rate",
        metavar="LOW,HIGH",
        help="learning rate, on a logarithmic scale [0.003,0.1; of a head 0.0005,0.01]",
    )
    group.add_argument("--search-updates", metavar="LOW,HIGH", help="of a head [50,400]")
    add_recipe(parser, what=True, without=("padim", "spd"))  # classes, scored by PatchCore


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Search for settings; exit status 130 where it was stopped."""
    if importlib.util.find_spec("optuna") is None:
        raise CutSwapError(
            "tune",
            expected="the package optuna",
            found="none",
            fix="pip install 'cutswap[tune]'",
        )
    settings = study_settings(options)
    head = settings_from(options, HeadSettings)
    if head.train != "backbone" and not head.learns:
        raise CutSwapError(
            "--train",
            expected=f"backbone, {' or '.join(LEARNT_HEADS)}",
            found=head.train,
            fix="leave it out; there is nothing to search in what does not learn",
        )
    levels = weights_of(settings.training, settings.saliency).levels
    base = FineTuningSettings(settings.training, settings.saliency)
    if head.learns:
        base = base.replace(head=head, weak=base.weak.replace(jitter=HEAD_JITTER))
    base = settled(base)
    space = read_space(
        base,
        levels,
        k=options.search_k,
        layers=options.search_layers,
        area=options.search_area,
        rate=options.search_rate,
        updates=options.search_updates,
    )
    store = open_store(options.out)
    if isinstance(store, FolderStore):
        need_out(store.folder)
        need_free(store.folder, (f"{TUNE}.json", TRIALS), is_ours=is_begun(store, TUNE))
    with stop_on_signals() as stop:
        checked = check_category(
            options.data,
            options.category,
            skip_bad=options.skip_bad,
            train_size=settings.training.image_size,
            region=options.region,
            resize=asked_resize(options),
        )
        need_store(store)
        stop.gently = True
        ended = 0
        for record in run_tuning(
            store,
            checked,
            base,
            space,
            trials=options.trials,
            seed=options.seed,
            stop=lambda: stop.asked,
        ):
            ended += 1
            values = ", ".join(
                f"{n}={v:.3g}" if isinstance(v, float) else f"{n}={v}"
                for n, v in record["values"].items()
            )
            said = record["error"] if record["state"] == FAILED else f"{record['value']:.3f}"
            print(f"trial {record['number']}: {values}: {record['state']}, {said}", flush=True)
    search = store.read(TUNE)
    result = {
        "out": store.url,
        "ended": ended,
        "best": search["best"],
        "importance": search["importance"],
    }
    if search["best"]:
        v = search["best"]["values"]
        print(
            f"best, {search['best']['value']:.3f} on held-out synthetic negatives: --k {v['k']}"
            f" --levels {str(v['layers']).replace('+', ',')} --area"
            f" {base.negatives.area[0]:g},{v['patch']:.3f} {_learning(base, v)}"
        )
    if stop.asked:
        print("stopped; the same command goes on from here", file=sys.stderr)
        result["exit_status"] = STOPPED
    return result


def _learning(base: FineTuningSettings, values: dict[str, Any]) -> str:
    """The flags of how the trained part learns."""
    rate = f"learning-rate {values['learning_rate']:.4f}"
    if base.head.train == "backbone":
        return f"--{rate}"
    return f"--train {base.head.train} --head-updates {values['updates']} --head-{rate}"


def read_space(
    base: FineTuningSettings,
    levels: Sequence[str],
    *,
    k: str | None = None,
    layers: str | None = None,
    area: str | None = None,
    rate: str | None = None,
    updates: str | None = None,
) -> SearchSpace:
    """The default search space, with the given ranges in their places.

    Args:
        base: common settings, which tell what is in range.
        levels: names of the saliency levels there are.
        k: `low,high` of the clusters, ends included.
        layers: sets of levels, with commas; levels of a set are joined by `+`.
        area: `low,high` of the largest patch area, a share of the image.
        rate: `low,high` of the learning rate, of the head where one is trained.
        updates: `low,high` of a head's.

    Raises:
        CutSwapError: values out of range, all of them listed.
    """
    problems = list[str]()
    sets = tuple("+".join(levels[i] for i in c if i < len(levels)) for c in COMBINATIONS)
    if layers is not None:
        sets = tuple(part.strip() for part in layers.split(","))
        known = {*levels, "fused"}
        for part in sets:
            names = part.split("+")
            if not set(names) <= known or len(set(names)) < len(names):
                problems.append(
                    f"--search-layers {part!r}: expected some of {', '.join([*levels, 'fused'])},"
                    " each once, joined by +"
                )
    default = replace(
        SearchSpace.of(base.head.train), layers=tuple(dict.fromkeys(filter(None, sets)))
    )
    if updates is not None and default.updates is None:
        problems.append(
            f"--search-updates {updates}: expected a head to train, as --train projector"
        )
        updates = None
    ends: dict[str, Any] = {}
    for flag, name, text, kind in (
        ("k", "k", k, int),
        ("area", "patch", area, float),
        ("rate", "rate", rate, float),
        ("updates", "updates", updates, int),
    ):
        if text is None:
            continue
        try:
            low, high = map(kind, text.split(","))
        except (ValueError, OverflowError):
            noun = "whole numbers" if kind is int else "numbers"
            problems.append(f"--search-{flag} {text}: expected two {noun}, low,high")
            continue
        if not low <= high:
            problems.append(f"--search-{flag} {text}: expected the lower one first")
            continue
        ends[name] = (low, high)
        for end in (low, high):
            try:
                _checked(base, default, name, end)
            except CutSwapError as error:
                problems.append(f"--search-{flag} {text}: expected {error.expected}")
                break
    if problems:
        raise CutSwapError(
            "tune",
            expected="ranges that settings allow",
            found="\n  ".join([f"{len(problems)} problem{'s' * (len(problems) > 1)}:", *problems])
            + "\n",
            fix="correct them all; nothing was started",
        )
    return replace(default, **ends)


def _checked(base: FineTuningSettings, space: SearchSpace, name: str, end: float) -> None:
    """Refuse a value no trial could have; the other settings decide nothing here.

    Raises:
        CutSwapError: out of range.
    """
    values = {
        "k": space.k[0],
        "patch": max(space.patch[1], base.negatives.area[0]),
        "learning_rate": space.rate[0],
        "layers": "4",
        "updates": 1,
    }
    space.applied({**values, {"rate": "learning_rate"}.get(name, name): end}, base)

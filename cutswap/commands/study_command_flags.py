"""Flags of the commands that compute many cells: `reproduce`, `sweep` and `tune`."""

from __future__ import annotations

import argparse
from pathlib import Path

from cutswap.commands.common import add_data, add_skip_bad, count, seed
from cutswap.config import SaliencySettings, TrainingSettings
from cutswap.flags import SALIENCY_NAMES, add_flags


def add_reproduce(parser: argparse.ArgumentParser) -> None:
    """Of `reproduce`: what to repeat, where, by whom, and the recipe."""
    from cutswap.commands.engine_flags import add_engine_flags
    from cutswap.studies.study_settings import PRESETS

    parser.add_argument(
        "--data", type=Path, required=True, metavar="ROOT",
        help="MVTec AD or VisA folder, or one category's folder",
    )  # fmt: skip
    parser.add_argument("--table", required=True, metavar="N",
                        help="1 to 8, several with commas, or all")  # fmt: skip
    parser.add_argument("--categories", default="", metavar="C,C,...",
                        help="categories, with commas [all of ROOT]")  # fmt: skip
    parser.add_argument("--seeds", type=count, default=3, help="seeds a cell, from 0 on [3]")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="laptop",
                        help="; ".join(f"{p.name}: {p.about}" for p in PRESETS.values())
                        + "; the flags below change it [laptop]")  # fmt: skip
    parser.add_argument("--detectors", nargs="+", default=[], metavar="D",
                        help="others beside ours in Tables 1 to 4: stfpm, padim, draem; by the"
                        " optional extra cutswap[anomalib]")  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="print the plan and end")
    add_skip_bad(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="study folder; the same command goes on where it ended")  # fmt: skip
    add_engine_flags(parser)
    _study_recipe(parser)


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Of `sweep`: the grid, where its results go, by whom, and the recipe."""
    from cutswap.commands.engine_flags import add_sweep_flags
    from cutswap.studies.study_settings import PRESETS

    parser.add_argument(
        "--data", type=Path, required=True, metavar="ROOT",
        help="MVTec AD or VisA folder, or one category's folder",
    )  # fmt: skip
    parser.add_argument("--categories", default="", metavar="C,C,...",
                        help="categories, with commas [all of ROOT]")  # fmt: skip
    parser.add_argument("--seeds", type=count, default=3, help="seeds a cell, from 0 on [3]")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="laptop",
                        help="recipe that grid and flags change [laptop]")  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="print the plan and end")
    add_skip_bad(parser)
    add_sweep_flags(parser)
    _study_recipe(parser)


def add_tune(parser: argparse.ArgumentParser) -> None:
    """Of `tune`: how long and where to search, and the recipe."""
    from cutswap.studies.study_settings import PRESETS

    parser.description = (
        "Search K, layers, patch size and learning rate with Optuna. The score of a trial is the"
        " AUROC on synthetic negatives of good photos held out from training, never the test"
        " AUROC: settings chosen by that would be fitted to the test set's own defects, and its"
        " figure would promise what new defects do not keep."
    )
    add_data(parser)
    add_skip_bad(parser)
    parser.add_argument("--trials", type=count, default=30, help="in all, earlier ones too [30]")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="laptop",
                        help="recipe that the flags change [laptop]")  # fmt: skip
    parser.add_argument("--seed", type=seed, default=0, help="of search, split and draws [0]")
    parser.add_argument("--out", required=True, metavar="STORE",
                        help="folder or URL of the trials; the same command goes on")  # fmt: skip
    group = parser.add_argument_group("where to search, ends included")
    group.add_argument("--search-k", metavar="LOW,HIGH", help="clusters [1,8]")
    group.add_argument("--search-layers", metavar="SET,SET,...",
                       help="sets of saliency levels, as 4,16+30 [Table VII's]")  # fmt: skip
    group.add_argument("--search-area", metavar="LOW,HIGH",
                       help="largest patch area, a share of the image [0.05,0.3]")  # fmt: skip
    group.add_argument("--search-rate", metavar="LOW,HIGH",
                       help="learning rate, on a logarithmic scale [0.003,0.1]")  # fmt: skip
    _study_recipe(parser)


def _study_recipe(parser: argparse.ArgumentParser) -> None:
    # What the tables vary has no flag; everything else of the recipe does.
    add_flags(parser, TrainingSettings, skip=("augment", "levels"))
    add_flags(
        parser, SaliencySettings, skip=("image_size", "fusion"), prefix="saliency-",
        names=SALIENCY_NAMES,
    )  # fmt: skip
    from cutswap.evaluation.detector_settings import DetectorSettings

    add_flags(parser, DetectorSettings, skip=("image_size",), prefix="detector-")

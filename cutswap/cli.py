"""The command line: `python -m cutswap COMMAND`. Torch is imported only once a command runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cutswap.config import (
    ClusterSettings,
    NegativeSettings,
    PatchCoreSettings,
    SaliencySettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.engine_choice import early_start
from cutswap.errors import CutSwapError
from cutswap.flags import add_flags
from cutswap.missing import missing_package

# Flags of the saliency settings beside those of a network that is trained or evaluated.
SALIENCY_NAMES = {"layers": "layers", "target_class": "target-class"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 problems found, 2 refused."""
    options = build_parser().parse_args(arguments)
    try:
        with early_start(options):
            from cutswap import commands

            run: Callable[[argparse.Namespace], dict[str, Any]] = getattr(commands, options.run)
            result = run(options)
        if options.json is not None:
            from cutswap.files import write_json

            write_json(options.json, result)
        return int(result.get("exit_status", 0))
    except CutSwapError as error:
        if options.debug:
            raise
        print(f"cutswap: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        said = missing_package(error)
        if options.debug or said is None:
            raise
        print(f"cutswap: {said}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk or a lost folder, wherever it strikes
        if options.debug:
            raise
        place = error.filename or options.run.replace("_", "-")
        print(
            f"cutswap: {place}: {error.strerror or error}; what was there is kept", file=sys.stderr
        )
        return 2
    except KeyboardInterrupt:
        print("cutswap: stopped; what was finished is kept", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """All commands and their flags."""
    parser = argparse.ArgumentParser(
        prog="cutswap",
        description="CutSwap negatives, fine-tuning on them, and PatchCore anomaly heatmaps.",
        epilog="Start with: cutswap demo --out demo-run",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _check_data(_add(commands, "check-data", "list every problem of a data set at once"))
    _saliency(_add(commands, "saliency", "LayerCAM maps of one image, level by level"))
    _augment(_add(commands, "augment", "draw negatives of one image"))
    _finetune(_add(commands, "finetune", "fine-tune a network on a category's negatives"))
    _evaluate(_add(commands, "evaluate", "PatchCore heatmaps and AUROC of a category"))
    _evaluate_anomalib(
        _add(commands, "evaluate-anomalib", "STFPM, PaDiM or DRAEM on the same split and figures")
    )
    _features(_add(commands, "features", "what a run has learnt: features before, after"))
    _quality(_add(commands, "quality", "how good a category's negatives are, method by method"))
    _reproduce(_add(commands, "reproduce", "repeat the paper's tables, cell by cell"))
    _sweep(_add(commands, "sweep", "settings x categories x seeds, on processes or a cluster"))
    _tune(_add(commands, "tune", "search K, layers, patch size and learning rate"))
    _demo(_add(commands, "demo", "the whole chain on the built-in data, with a report"))
    _distill(_add(commands, "distill", "distil a small network on any folder of photographs"))
    _jobs(_add(commands, "jobs", "the queue: list, add, follow, stop, resume"))
    _download(_add(commands, "download", "VisA in one step; MVTec AD: instructions and a check"))
    _export(_add(commands, "export", "maps, negatives or the network in formats others read"))
    _benchmark(_add(commands, "benchmark", "time every step beside a plain way of doing it"))
    return parser


def _add(commands: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    parser.set_defaults(run=name.replace("-", "_"))
    _common(parser, None)
    return parser


def _common(parser: argparse.ArgumentParser, default: Any) -> None:
    """Flags of every command; an action's default is suppressed, to keep what stands before it."""
    switch = default or False
    parser.add_argument("--json", type=Path, default=default, metavar="FILE",
                        help="write the results as JSON")  # fmt: skip
    parser.add_argument("--debug", action="store_true", default=switch, help="show tracebacks")
    parser.add_argument("--quiet", action="store_true", default=switch, help="no progress bars")


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, required=True, metavar="ROOT",
        help="MVTec AD or VisA folder, one category's folder, or a folder of images",
    )  # fmt: skip
    parser.add_argument("--category", metavar="C", help="category; may be left out if just one")


def _seed_and_out(parser: argparse.ArgumentParser, out: str) -> None:
    parser.add_argument("--seed", type=_seed, default=0, help="seed of every draw [0]")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=out)


def _seed(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 0, found {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100_000:
        raise argparse.ArgumentTypeError(f"expected 1 to 100000, found {text}")
    return value


def _skip_bad(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--skip-bad", action="store_true",
        help="go on without unusable files and record which (default: refuse)",
    )  # fmt: skip


def _check_data(parser: argparse.ArgumentParser) -> None:
    _data(parser)


def _saliency(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add_flags(parser, SaliencySettings)


def _augment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--layer", help="saliency layer that guides the patches, or fused [the middle one]"
    )
    parser.add_argument("--count", type=_count, default=8, help="negatives to draw [8]")
    parser.add_argument(
        "--first", type=_seed, default=0, metavar="NUMBER",
        help="running number of the first sample, as the trainer counts them [0]",
    )  # fmt: skip
    _seed_and_out(parser, "folder to write")
    add_flags(parser, NegativeSettings)
    add_flags(parser, ClusterSettings)
    add_flags(parser, SaliencySettings)
    parser.add_argument(
        "--weak-jitter", default="0", metavar="AMOUNT",
        help="colour jitter that makes a positive of the image first; the trainer uses 0.1 [0]",
    )  # fmt: skip


def _finetune(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    _skip_bad(parser)
    _seed_and_out(parser, "run folder; the same command resumes a stopped run")
    add_flags(parser, TrainingSettings)
    add_flags(
        parser, SaliencySettings, skip=("image_size",), prefix="saliency-", names=SALIENCY_NAMES
    )
    add_flags(parser, ClusterSettings)
    add_flags(parser, NegativeSettings, skip=("method",))
    add_flags(parser, WeakAugmentation, prefix="weak-")


def _evaluate(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    _skip_bad(parser)
    parser.add_argument("--backbone", default="resnet18", help="network, without --run [resnet18]")
    parser.add_argument("--weights", help="its weights, without --run [embedded]")
    parser.add_argument("--run", dest="run_folder", type=Path, metavar="RUN",
                        help="folder of a finished finetune run")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N [auto]")
    _seed_and_out(parser, "folder to write")
    add_flags(parser, PatchCoreSettings)


def _evaluate_anomalib(parser: argparse.ArgumentParser) -> None:
    from cutswap.detector_settings import DETECTORS, DetectorSettings

    _data(parser)
    _skip_bad(parser)
    parser.add_argument("--detector", required=True, choices=tuple(DETECTORS), help="which one")
    parser.add_argument("--backbone", default="resnet18",
                        help="network of STFPM and PaDiM [resnet18]")  # fmt: skip
    parser.add_argument("--weights", default="embedded",
                        help="its weights, as everywhere; never from a hub [embedded]")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N [auto]")
    _seed_and_out(parser, "folder to write")
    add_flags(parser, DetectorSettings)


def _features(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="RUN",
                        help="folder of a finished finetune run")  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="ROOT",
                        help="its data set, if that has moved [as recorded]")  # fmt: skip
    _seed_and_out(parser, "folder to write")
    from cutswap.feature_settings import FeatureSettings

    add_flags(parser, FeatureSettings)


def _quality(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    _skip_bad(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    from cutswap.quality_settings import QualitySettings

    add_flags(parser, QualitySettings)


def _reproduce(parser: argparse.ArgumentParser) -> None:
    from cutswap.engine_flags import add_engine_flags
    from cutswap.study_settings import PRESETS

    parser.add_argument(
        "--data", type=Path, required=True, metavar="ROOT",
        help="MVTec AD or VisA folder, or one category's folder",
    )  # fmt: skip
    parser.add_argument("--table", required=True, metavar="N",
                        help="1 to 8, several with commas, or all")  # fmt: skip
    parser.add_argument("--categories", default="", metavar="C,C,...",
                        help="categories, with commas [all of ROOT]")  # fmt: skip
    parser.add_argument("--seeds", type=_count, default=3, help="seeds a cell, from 0 on [3]")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="laptop",
                        help="; ".join(f"{p.name}: {p.about}" for p in PRESETS.values())
                        + "; the flags below change it [laptop]")  # fmt: skip
    parser.add_argument("--detectors", nargs="+", default=[], metavar="D",
                        help="others beside ours in Tables 1 to 4: stfpm, padim, draem; by the"
                        " optional extra cutswap[anomalib]")  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="print the plan and end")
    _skip_bad(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="study folder; the same command goes on where it ended")  # fmt: skip
    add_engine_flags(parser)
    _study_recipe(parser)


def _sweep(parser: argparse.ArgumentParser) -> None:
    from cutswap.engine_flags import add_sweep_flags
    from cutswap.study_settings import PRESETS

    parser.add_argument(
        "--data", type=Path, required=True, metavar="ROOT",
        help="MVTec AD or VisA folder, or one category's folder",
    )  # fmt: skip
    parser.add_argument("--categories", default="", metavar="C,C,...",
                        help="categories, with commas [all of ROOT]")  # fmt: skip
    parser.add_argument("--seeds", type=_count, default=3, help="seeds a cell, from 0 on [3]")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="laptop",
                        help="recipe that grid and flags change [laptop]")  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="print the plan and end")
    _skip_bad(parser)
    add_sweep_flags(parser)
    _study_recipe(parser)


def _tune(parser: argparse.ArgumentParser) -> None:
    from cutswap.study_settings import PRESETS

    parser.description = (
        "Search K, layers, patch size and learning rate with Optuna. The score of a trial is the"
        " AUROC on synthetic negatives of good photos held out from training, never the test"
        " AUROC: settings chosen by that would be fitted to the test set's own defects, and its"
        " figure would promise what new defects do not keep."
    )
    _data(parser)
    _skip_bad(parser)
    parser.add_argument("--trials", type=_count, default=30, help="in all, earlier ones too [30]")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="laptop",
                        help="recipe that the flags change [laptop]")  # fmt: skip
    parser.add_argument("--seed", type=_seed, default=0, help="of search, split and draws [0]")
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
    from cutswap.detector_settings import DetectorSettings

    add_flags(parser, DetectorSettings, skip=("image_size",), prefix="detector-")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR",
                        help="folder to write [runs/demo]")  # fmt: skip
    parser.add_argument("--category", metavar="C", help="leather, denim, chip or hex_nut [hex_nut]")
    parser.add_argument("--seed", type=_seed, default=0, help="seed of every draw [0]")
    parser.add_argument("--open", action="store_true", help="open the report in a browser")


def _distill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR",
                        help="folder of photographs, searched to the bottom")  # fmt: skip
    parser.add_argument("--student", required=True, help="resnet18, or vgg16 (slim)")
    parser.add_argument("--teacher", metavar="NAME|PATH",
                        help="network of its kind whose activations are matched")  # fmt: skip
    parser.add_argument("--class-teacher", metavar="NAME|PATH",
                        help="network whose class probabilities are matched")  # fmt: skip
    parser.add_argument("--start", type=Path, metavar="FILE",
                        help="weights to go on from [a random start]")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FILE",
                        help="safetensors file to write; its card goes beside it")  # fmt: skip
    from cutswap.distill_settings import DistillSettings

    add_flags(parser, DistillSettings)


def _jobs(parser: argparse.ArgumentParser) -> None:
    # A command to queue brings flags of its own, which only REMAINDER leaves alone.
    actions = parser.add_subparsers(metavar="ACTION", dest="action")
    _runs(parser)
    parser.set_defaults(action="list", runs=None, parse=_parse)
    listed = actions.add_parser("list", help="all runs and how they stand (the default)")
    add = actions.add_parser("add", help="queue a finetune, evaluate or reproduce command")
    add.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND ...")
    _runs(listed)
    for name, about in (
        ("follow", "say how a run goes until it is at rest"),
        ("stop", "take a run out of the queue, or end it after its update"),
        ("resume", "queue a stopped or interrupted run again"),
    ):
        action = actions.add_parser(name, help=about)
        action.add_argument("name", metavar="RUN", help="its name in the runs folder")
        _runs(action)
        if name == "stop":
            action.add_argument("--force", action="store_true", help="kill it at once")


def _parse(words: list[str]) -> argparse.Namespace:
    """A command to queue, checked as if it had been typed."""
    return build_parser().parse_args(words)


def _runs(parser: argparse.ArgumentParser) -> None:
    # Suppressed: an action's default must not undo what stands before it.
    parser.add_argument("--runs", type=Path, metavar="DIR", default=argparse.SUPPRESS,
                        help="runs folder [$CUTSWAP_RUNS, or runs]")  # fmt: skip


def _download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=("visa", "mvtec"), help="which data set")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to unpack into")
    parser.add_argument("--accept-licence", action="store_true",
                        help="you have read the licence that the command shows")  # fmt: skip
    parser.add_argument("--archive", type=Path, metavar="PATH",
                        help="an archive fetched by hand; of mvtec also its folder")  # fmt: skip
    parser.add_argument("--sha256", metavar="HEX", help="what its archive must hash to [the pin]")
    parser.add_argument("--url", help="another address of VisA's archive [the publisher's]")
    parser.add_argument("--keep-archive", action="store_true", help="do not delete it afterwards")


def _export(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="WHAT", dest="what", required=True)
    maps = actions.add_parser("maps", help="float32 TIFFs for the MVTec AD evaluation script")
    maps.add_argument("--evaluation", type=Path, required=True, metavar="DIR",
                      help="folder that evaluate wrote")  # fmt: skip
    maps.add_argument("--heatmap-size", action="store_true",
                      help="as computed, not enlarged to the photos")  # fmt: skip
    negatives = actions.add_parser(
        "negatives", help="a data set of negatives with masks, in the layout of MVTec AD"
    )
    _data(negatives)
    _skip_bad(negatives)
    negatives.add_argument("--method", default="cutswap", metavar="M,M,...",
                           help="methods, with commas [cutswap]")  # fmt: skip
    negatives.add_argument("--count", type=_count, metavar="N",
                           help="negatives a method [one a photo they are made of]")  # fmt: skip
    negatives.add_argument("--hold-out", type=float, default=0.5, metavar="SHARE",
                           help="share of the photos that negatives are made of and train/good"
                           " lacks; 0: all photos for both [0.5]")  # fmt: skip
    negatives.add_argument("--seed", type=_seed, default=0, help="seed of every draw [0]")
    add_flags(negatives, NegativeSettings, skip=("method",))
    add_flags(negatives, ClusterSettings)
    add_flags(negatives, SaliencySettings, skip=("fusion",))
    model = actions.add_parser("model", help="phi as TorchScript and ONNX, checked")
    model.add_argument("--run", dest="run_folder", type=Path, metavar="RUN",
                       help="folder of a finished finetune run")  # fmt: skip
    model.add_argument("--backbone", default="resnet18", help="network, without --run [resnet18]")
    model.add_argument("--weights", help="its weights, without --run [embedded]")
    model.add_argument("--layers", default="layer2,layer3", metavar="L,L",
                       help="outputs, in this order [layer2,layer3]")  # fmt: skip
    model.add_argument("--image-size", type=_count, default=256, help="side of its input [256]")
    model.add_argument("--formats", default="torchscript,onnx", metavar="F,F",
                       help="torchscript, onnx or both [both]")  # fmt: skip
    for action in (maps, negatives, model):
        action.add_argument(
            "--out", type=Path, required=True, metavar="DIR", help="folder to write"
        )
        _common(action, argparse.SUPPRESS)


def _benchmark(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under two minutes")
    parser.add_argument("--parts", metavar="NAME,NAME", help="some of them [all]")
    parser.add_argument("--threads", type=_count, metavar="N", help="of torch [all cores]")
    parser.add_argument(
        "--clock", default="wall", help="wall or processor, for busy machines [wall]"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")

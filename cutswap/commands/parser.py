"""The command line: `python -m cutswap COMMAND`. Torch is imported only once a command runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cutswap.commands.common import (
    add_common,
    add_data,
    add_seed_and_out,
    add_skip_bad,
    count,
    seed,
)
from cutswap.commands.engine import early_start
from cutswap.commands.export_flags import add_export
from cutswap.commands.job_flags import add_jobs
from cutswap.commands.study_command_flags import add_reproduce, add_sweep, add_tune
from cutswap.config import (
    ClusterSettings,
    NegativeSettings,
    PatchCoreSettings,
    SaliencySettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.errors import CutSwapError
from cutswap.flags import SALIENCY_NAMES, add_flags
from cutswap.utils.missing import missing_package


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 problems found, 2 refused."""
    options = build_parser().parse_args(arguments)
    try:
        with early_start(options):
            from cutswap.commands import bodies as commands

            run: Callable[[argparse.Namespace], dict[str, Any]] = getattr(commands, options.run)
            result = run(options)
        if options.json is not None:
            from cutswap.utils.files import write_json

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
    except RuntimeError as error:  # a device that is full or gone, wherever it strikes
        from cutswap.utils.device_errors import device_trouble

        told = device_trouble(error)
        if options.debug or told is None:
            raise
        print(f"cutswap: {told}", file=sys.stderr)
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
    add_reproduce(_add(commands, "reproduce", "repeat the paper's tables, cell by cell"))
    add_sweep(_add(commands, "sweep", "settings x categories x seeds, on processes or a cluster"))
    add_tune(_add(commands, "tune", "search K, layers, patch size and learning rate"))
    _demo(_add(commands, "demo", "the whole chain on the built-in data, with a report"))
    _distill(_add(commands, "distill", "distil a small network on any folder of photographs"))
    jobs = _add(commands, "jobs", "the queue: list, add, follow, stop, resume")
    add_jobs(jobs, lambda words: build_parser().parse_args(words))
    _download(_add(commands, "download", "VisA in one step; MVTec AD: instructions and a check"))
    add_export(_add(commands, "export", "maps, negatives or the network in formats others read"))
    _benchmark(_add(commands, "benchmark", "time every step beside a plain way of doing it"))
    return parser


def _add(commands: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    parser.set_defaults(run=name.replace("-", "_"))
    add_common(parser, None)
    return parser


def _check_data(parser: argparse.ArgumentParser) -> None:
    add_data(parser)


def _saliency(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add_flags(parser, SaliencySettings)


def _augment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--layer", help="saliency layer that guides the patches, or fused [the middle one]"
    )
    parser.add_argument("--count", type=count, default=8, help="negatives to draw [8]")
    parser.add_argument(
        "--first", type=seed, default=0, metavar="NUMBER",
        help="running number of the first sample, as the trainer counts them [0]",
    )  # fmt: skip
    add_seed_and_out(parser, "folder to write")
    add_flags(parser, NegativeSettings)
    add_flags(parser, ClusterSettings)
    add_flags(parser, SaliencySettings)
    parser.add_argument(
        "--weak-jitter", default="0", metavar="AMOUNT",
        help="colour jitter that makes a positive of the image first; the trainer uses 0.1 [0]",
    )  # fmt: skip


def _finetune(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_skip_bad(parser)
    add_seed_and_out(parser, "run folder; the same command resumes a stopped run")
    add_flags(parser, TrainingSettings)
    add_flags(
        parser, SaliencySettings, skip=("image_size",), prefix="saliency-", names=SALIENCY_NAMES
    )
    add_flags(parser, ClusterSettings)
    add_flags(parser, NegativeSettings, skip=("method",))
    add_flags(parser, WeakAugmentation, prefix="weak-")


def _evaluate(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_skip_bad(parser)
    parser.add_argument("--backbone", default="resnet18", help="network, without --run [resnet18]")
    parser.add_argument("--weights", help="its weights, without --run [embedded]")
    parser.add_argument("--run", dest="run_folder", type=Path, metavar="RUN",
                        help="folder of a finished finetune run")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N [auto]")
    add_seed_and_out(parser, "folder to write")
    add_flags(parser, PatchCoreSettings)


def _evaluate_anomalib(parser: argparse.ArgumentParser) -> None:
    from cutswap.evaluation.detector_settings import DETECTORS, DetectorSettings

    add_data(parser)
    add_skip_bad(parser)
    parser.add_argument("--detector", required=True, choices=tuple(DETECTORS), help="which one")
    parser.add_argument("--backbone", default="resnet18",
                        help="network of STFPM and PaDiM [resnet18]")  # fmt: skip
    parser.add_argument("--weights", default="embedded",
                        help="its weights, as everywhere; never from a hub [embedded]")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N [auto]")
    add_seed_and_out(parser, "folder to write")
    add_flags(parser, DetectorSettings)


def _features(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="RUN",
                        help="folder of a finished finetune run")  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="ROOT",
                        help="its data set, if that has moved [as recorded]")  # fmt: skip
    add_seed_and_out(parser, "folder to write")
    from cutswap.analysis.feature_settings import FeatureSettings

    add_flags(parser, FeatureSettings)


def _quality(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_skip_bad(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    from cutswap.analysis.quality_settings import QualitySettings

    add_flags(parser, QualitySettings)


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR",
                        help="folder to write [runs/demo]")  # fmt: skip
    parser.add_argument("--category", metavar="C", help="leather, denim, chip or hex_nut [hex_nut]")
    parser.add_argument("--seed", type=seed, default=0, help="seed of every draw [0]")
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
    from cutswap.networks.distill_settings import DistillSettings

    add_flags(parser, DistillSettings)


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


def _benchmark(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under two minutes")
    parser.add_argument("--parts", metavar="NAME,NAME", help="some of them [all]")
    parser.add_argument("--device", metavar="NAME",
                        help="instead: one device from end to end, cuda, cpu, ...")  # fmt: skip
    parser.add_argument("--threads", type=count, metavar="N", help="of torch [all cores]")
    parser.add_argument(
        "--clock", default="wall", help="wall or processor, for busy machines [wall]"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")

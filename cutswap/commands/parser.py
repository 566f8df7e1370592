"""The command line: `python -m cutswap COMMAND`. Torch is imported only once a command runs.

A command is a file beside this one with two functions, `add_arguments(parser)` for its flags and
`run(options)` for what it does, and a line of `COMMANDS`. Only the file of the command that was
typed is imported.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from cutswap import __version__
from cutswap.commands.common import add_common
from cutswap.commands.engine import early_start
from cutswap.commands.terminal import Output, any_terminal
from cutswap.errors import CutSwapError
from cutswap.installation.missing import missing_package

COMMANDS = {
    "check-data": "list every problem of a data set at once",
    "region": "propose where to look: a mask for a category, to be corrected by hand",
    "saliency": "LayerCAM maps of one image, level by level",
    "augment": "draw negatives of one image",
    "finetune": "fine-tune a network on a category's negatives",
    "evaluate": "PatchCore or PaDiM heatmaps and AUROC of a category",
    "score": "photos of a folder called good or defective, as they come",
    "detectable": "how small a defect a detector finds, and where it finds none",
    "feedback": "photos that are fine teach a detector: shown first, accepted, taken back",
    "evaluate-anomalib": "STFPM, PaDiM or DRAEM on the same split and figures",
    "evaluate-intra": "InTra, an inpainting transformer, on the same split and figures",
    "features": "what a run has learnt: features before, after",
    "quality": "how good a category's negatives are, method by method",
    "reproduce": "repeat the paper's tables, cell by cell",
    "sweep": "settings x categories x seeds, on processes or a cluster",
    "tune": "search K, layers, patch size and learning rate",
    "app": "the explorer, in a browser",
    "lesson": "check a lesson file of your own for the app",
    "demo": "the whole chain on the built-in data, with a report",
    "distill": "distil a small network on any folder of photographs",
    "jobs": "the queue: list, add, follow, stop, resume",
    "download": "VisA in one step; MVTec AD: instructions and a check",
    "export": "maps, negatives, a network, detector or report in formats others read",
    "benchmark": "time every step beside a plain way of doing it",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 problems found, 2 refused."""
    words = sys.argv[1:] if arguments is None else arguments
    with any_terminal() as outputs:
        return _run(words, outputs)


def _run(words: Sequence[str], outputs: Sequence[Output]) -> int:
    is_debug = "--debug" in words
    try:
        options = parse(words)
        # Here, where a package that is missing is told by its name.
        from cutswap.commands.own_outputs import need_result_file, write_result

        for output in outputs:
            output.goes_on = options.json is not None or hasattr(options, "out")
        if options.json is not None:
            need_result_file(options.json)
        with early_start(options):
            result: dict[str, Any] = _module(options.command).run(options)
        if options.json is not None:
            write_result(options.json, options.command, result)
        return int(result.get("exit_status", 0))
    except CutSwapError as error:
        if is_debug:
            raise
        print(f"cutswap: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        said = missing_package(error)
        if is_debug or said is None:
            raise
        print(f"cutswap: {said}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk or a lost folder, wherever it strikes
        if is_debug:
            raise
        place = error.filename or words[0]
        print(
            f"cutswap: {place}: {error.strerror or error}; what was there is kept", file=sys.stderr
        )
        return 2
    except RuntimeError as error:  # a device or a worker that is gone, wherever it strikes
        from cutswap.training.feeding import worker_trouble
        from cutswap.utils.device_errors import device_trouble

        trouble = device_trouble(error) or worker_trouble(error)
        if is_debug or trouble is None:
            raise
        print(f"cutswap: {trouble}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cutswap: stopped; what was finished is kept", file=sys.stderr)
        return 130


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options of a command line, as typed after `cutswap`; ends the process where it is wrong.

    Args:
        words: the command first.
    """
    return build_parser(words[0] if words else None).parse_args(words)


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """All commands, with the flags of one.

    Args:
        command: whose flags are wanted; others are known by name and summary only.
    """
    parser = argparse.ArgumentParser(
        prog="cutswap",
        description="CutSwap negatives, fine-tuning on them, and PatchCore anomaly heatmaps.",
        epilog="Start with: cutswap demo --out demo-run",
    )
    parser.add_argument("--version", action="version", version=f"cutswap {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        chosen: argparse.ArgumentParser = commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + "."
        )
        chosen.set_defaults(command=name)
        add_common(chosen, None)
        if name == command:
            _module(name).add_arguments(chosen)
    return parser


def _module(command: str) -> Any:
    return importlib.import_module(f"cutswap.commands.{command.replace('-', '_')}")

"""`python -m cutswap features`: features of a finished run, before and after fine-tuning."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cutswap.commands.common import add_seed_and_out
from cutswap.commands.own_outputs import claim
from cutswap.flags import add_flags, settings_from
from cutswap.utils.progress import Bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `features`."""
    parser.add_argument(
        "--run",
        dest="run_folder",
        type=Path,
        required=True,
        metavar="RUN",
        help="folder of a finished finetune run",
    )
    parser.add_argument(
        "--data", type=Path, metavar="ROOT", help="its data set, if that has moved [as recorded]"
    )
    add_seed_and_out(parser, "folder to write")
    from cutswap.analysis.feature_settings import FeatureSettings

    add_flags(parser, FeatureSettings)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Features of a finished run before and after tuning: points, figures, one line."""
    from cutswap.analysis.feature_report import REPORT_FILES, write_feature_report
    from cutswap.analysis.feature_settings import FeatureSettings
    from cutswap.runs.folder import RunFolder

    own = claim(options.out, options.command, REPORT_FILES, options.json)
    with Bars(options.quiet) as bars, own.writing():
        result = write_feature_report(
            RunFolder(options.run_folder),
            settings_from(options, FeatureSettings),
            options.out,
            data=options.data,
            seed=options.seed,
            notify=bars,
        )
    print(result["summary"])
    print(f"{result['answer']} Points and figures in {options.out}")
    for note in filter(None, [*result["about"]["notes"], result["about"]["head"], result["doubt"]]):
        print(f"  note: {note}")
    return {**result, "out": str(options.out)}

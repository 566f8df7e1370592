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
    parser.add_argument(
        "--over-time",
        action="store_true",
        help="also how the run learnt, state by state, of a run with --snapshots: a table in --out,"
        " and beside the run what the Features page plays",
    )
    from cutswap.analysis.feature_settings import FeatureSettings

    add_flags(parser, FeatureSettings)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Features of a finished run before and after tuning: points, figures, one line."""
    from cutswap.analysis.feature_report import REPORT_FILES, category_of, write_feature_report
    from cutswap.analysis.feature_settings import FeatureSettings
    from cutswap.analysis.over_time.report import TABLE, history_csv, kept_history
    from cutswap.runs.folder import RunFolder
    from cutswap.utils.files import write_text

    names = (*REPORT_FILES, TABLE) if options.over_time else REPORT_FILES
    own = claim(options.out, options.command, names, options.json)
    folder, settings = RunFolder(options.run_folder), settings_from(options, FeatureSettings)
    with Bars(options.quiet) as bars, own.writing():
        result = write_feature_report(
            folder,
            settings,
            options.out,
            data=options.data,
            seed=options.seed,
            notify=bars,
        )
        if options.over_time:
            checked = category_of(folder, options.data, bars)
            history = kept_history(folder, checked, settings, bars)
            write_text(options.out / TABLE, history_csv(history))
            result = {**result, "over_time": history.answer()}
    print(result["summary"])
    print(f"{result['answer']} Points and figures in {options.out}")
    if options.over_time:
        print(f"{result['over_time']} State by state in {options.out / TABLE}")
    for note in filter(None, [*result["about"]["notes"], result["about"]["head"], result["doubt"]]):
        print(f"  note: {note}")
    return {**result, "out": str(options.out)}

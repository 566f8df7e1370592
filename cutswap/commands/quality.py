"""`python -m cutswap quality`: measure a category's negatives; a table, CSV and JSON."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cutswap.commands.common import add_data, add_looks, add_skip_bad, checked_category
from cutswap.commands.own_outputs import claim
from cutswap.flags import add_flags, settings_from
from cutswap.utils.progress import Bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `quality`."""
    add_data(parser)
    add_looks(parser)
    add_skip_bad(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    from cutswap.analysis.quality_settings import QualitySettings

    add_flags(parser, QualitySettings)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure a category's negatives; a table, CSV and JSON."""
    from cutswap.analysis.negative_quality import measure_quality
    from cutswap.analysis.quality_settings import QualitySettings
    from cutswap.analysis.quality_table import to_csv, to_text
    from cutswap.utils.files import write_json, write_text

    settings = settings_from(options, QualitySettings)
    own = claim(options.out, options.command, ("quality.json", "quality.csv"), options.json)
    with Bars(options.quiet) as bars:
        checked = checked_category(options, bars)
        quality = measure_quality(checked, settings, bars)
    result = {"data": checked.to_dict(), "settings": settings.to_dict(), **quality.to_dict()}
    with own.writing():
        write_json(options.out / "quality.json", result)
        write_text(options.out / "quality.csv", to_csv(quality.rows))
    print(to_text(quality.rows))
    share = "-" if quality.foreground_share is None else f"{quality.foreground_share:.2f}"
    print(
        f"{quality.draws} negatives a method of {quality.photos} photos; {share} of the area is"
        f" foreground; brackets: 95%, bootstrap over photos; files in {options.out}"
    )
    return {**result, "out": str(options.out)}

"""`python -m cutswap demo`: the whole chain on the built-in data, with a report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cutswap.commands.common import seed, show_in_browser
from cutswap.utils.files import need_out
from cutswap.utils.progress import Bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `demo`."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/demo"),
        metavar="DIR",
        help="folder to write [runs/demo]",
    )
    parser.add_argument("--category", metavar="C", help="leather, denim, chip or hex_nut [hex_nut]")
    parser.add_argument("--seed", type=seed, default=0, help="seed of every draw [0]")
    parser.add_argument("--open", action="store_true", help="open the report in a browser")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole chain on the built-in data."""
    from cutswap.commands.demo_chain import run_demo
    from cutswap.config import SCORES

    need_out(options.out)
    with Bars(options.quiet) as bars:
        result = run_demo(
            options.out,
            category=options.category,
            seed=options.seed,
            notify=bars,
            json=options.json,
        )
    banks = (
        f"mean ± spread over {result['banks']} banks of {result['bank_size']} patches and as many"
        " whitened ones"
    )
    print(f"image / pixel AUROC on {result['category']}, {banks}:")
    for name, label in zip(SCORES, ("memory bank", "projector", "both"), strict=True):
        image, pixel = (result["scores"][name][f] for f in ("image_auroc", "pixel_auroc"))
        print(
            f"{label:>13}  {image['mean']:.3f} ± {image['spread']:.3f}"
            f" / {pixel['mean']:.3f} ± {pixel['spread']:.3f}"
        )
    report = Path(result["report"]).resolve()
    print(f"report: {report}")
    if options.open:
        show_in_browser(report.as_uri())
    return result

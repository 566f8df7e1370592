"""`python -m cutswap region`: propose where to look, as a picture that you may correct."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from cutswap.commands.common import add_data, say_weights
from cutswap.config import SaliencySettings
from cutswap.errors import CutSwapError
from cutswap.flags import add_flags, settings_from
from cutswap.utils.files import need_out
from cutswap.utils.folder_names import REGION
from cutswap.utils.progress import Bars, tick


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `region`."""
    from cutswap.analysis.region_proposal import WAYS

    add_data(parser)
    parser.add_argument(
        "--by",
        choices=WAYS,
        default=WAYS[0],
        help="where the part differs from an even ground, or where a network looks [foreground]",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PNG",
        help="picture to write, never over another [region.png in the category's folder]",
    )
    add_flags(parser, SaliencySettings)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """A region from good photos, written as a picture in their size."""
    import numpy as np

    from cutswap.analysis.region_proposal import looked_at, region_of_maps, region_of_parts
    from cutswap.data.datasets import open_dataset
    from cutswap.data.images import photo_size, resize_mask, save_png
    from cutswap.data.loading import load_photos
    from cutswap.data.regions.region_of_interest import read_region
    from cutswap.networks.backbone import load_backbone
    from cutswap.saliency.cache import saliency_of

    category = open_dataset(options.data).category(options.category)
    out = options.out or category.root / REGION
    if category.layout == "images" and options.out is None:
        raise CutSwapError(
            "--out",
            expected="a place outside a folder that holds photos alone",
            found="none",
            fix=f"pass --out {REGION} here, and --region {REGION} to the commands that follow",
        )
    need_out(out.absolute().parent)
    if os.path.lexists(out):
        raise CutSwapError(
            out,
            expected="no file of this name",
            found="one, which is never written over",
            fix="move it away, or pass another --out",
        )
    settings = settings_from(options, SaliencySettings)
    records = looked_at(category.train)
    with Bars(options.quiet) as bars:
        photos = load_photos(records, settings.image_size, tick(bars, "reading photos"))
        if options.by == "foreground":
            small = region_of_parts(photos)
        else:
            backbone = load_backbone(settings.backbone, settings.weights)
            say_weights(backbone.report.sentence(), backbone.name)
            maps = saliency_of(
                backbone,
                photos,
                settings.layers,
                target_class=settings.target_class,
                fusion=settings.fusion,
                progress=tick(bars, "saliency"),
            )
            fused = len(maps.layers)  # the level behind the layers
            small = region_of_maps(np.stack([maps.at(i, fused) for i in range(len(maps))]))
    save_png(out, resize_mask(small, photo_size(records[0].image)))
    region = read_region(out)
    print(f"{out}: {region.share:.0%} of each photo is looked at, by {len(photos)} good photos")
    print("look at it and correct it in any painting program: white is looked at, black is not")
    return {**region.to_dict(), "by": options.by, "photos": len(photos)}

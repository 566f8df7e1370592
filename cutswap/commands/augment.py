"""`python -m cutswap augment`: negatives of one image into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cutswap.commands.common import (
    ONE_PHOTO,
    add_region,
    add_seed_and_out,
    count,
    say_weights,
    seed,
)
from cutswap.commands.own_outputs import claim
from cutswap.config import ClusterSettings, NegativeSettings, SaliencySettings, WeakAugmentation
from cutswap.data.reading import ReadingSettings
from cutswap.errors import CutSwapError
from cutswap.flags import add_flags, settings_from
from cutswap.utils.files import need_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `augment`."""
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--layer", help="saliency layer that guides the patches, or fused [the middle one]"
    )
    parser.add_argument("--count", type=count, default=8, help="negatives to draw [8]")
    parser.add_argument(
        "--first",
        type=seed,
        default=0,
        metavar="NUMBER",
        help="running number of the first sample, as the trainer counts them [0]",
    )
    parser.add_argument(
        "--at",
        metavar="Y,X,Y,X",
        help="row and column of two pixels of the resized image: upper-left corners at which the"
        " patches of each swap are placed [drawn]",
    )
    add_region(parser, "everywhere")
    add_seed_and_out(parser, "folder to write")
    add_flags(parser, NegativeSettings)
    add_flags(parser, ClusterSettings)
    add_flags(parser, SaliencySettings)
    add_flags(parser, ReadingSettings, ONE_PHOTO)
    parser.add_argument(
        "--weak-jitter",
        default="0",
        metavar="AMOUNT",
        help="colour jitter that makes a positive of the image first; the trainer uses 0.1 [0]",
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Negatives of one image into a folder."""
    from cutswap.data.images import photo_size, read_photo
    from cutswap.data.regions.frame import framed_photo
    from cutswap.data.regions.region_of_interest import looked_at, region_of_photo
    from cutswap.negatives.single_image import draw_many, negative_files, write_negatives
    from cutswap.networks.backbone import load_backbone
    from cutswap.saliency.fusion import FUSED
    from cutswap.saliency.single_image import image_saliency, one_layer

    need_out(options.out)
    negatives = settings_from(options, NegativeSettings)
    at = None if options.at is None else _anchors(options.at)
    if at is not None and not negatives.method.startswith("cutswap"):
        raise CutSwapError(
            "--at",
            expected="a method that swaps two patches: cutswap or cutswap-scar",
            found=negatives.method,
            fix="leave --at out, or pass --method cutswap",
        )
    region = region_of_photo(options.image, options.region)
    clusters = settings_from(options, ClusterSettings)
    looking = settings_from(options, SaliencySettings)
    weak = WeakAugmentation(jitter=_number("--weak-jitter", options.weak_jitter))
    names = negative_files(options.count, weak=weak.jitter > 0)
    own = claim(options.out, options.command, names, options.json)
    reading = settings_from(options, ReadingSettings)
    settings: dict[str, Any] = {
        "negative_settings": negatives.to_dict(),
        "weak": weak.to_dict(),
        "bits": reading.bits,
        "resize": reading.resize,
        "at": at,
        "region": None if region is None else region.to_dict(),
    }
    level, layer = None, None
    if negatives.method.startswith("cutswap"):
        backbone = load_backbone(looking.backbone, looking.weights)
        say_weights(backbone.report.sentence(), backbone.name)
        layer = one_layer(options.layer, backbone)
        if layer != FUSED:
            looking = looking.replace(layers=(layer,), fusion=None)
        saliency = image_saliency(options.image, backbone, looking, reading.bits, reading.resize)
        photo, level = saliency.photo, saliency.fused if layer == FUSED else saliency.maps[0]
        settings |= {
            "cluster_settings": clusters.to_dict(),
            "saliency_settings": looking.to_dict(),
            "weights": backbone.report.to_dict(),
            "target_class": saliency.target_class,
        }
    else:
        whole = read_photo(options.image, reading.bits)
        photo = framed_photo(whole, looking.image_size, reading.resize)
        settings |= {"image_size": looking.image_size}
    drawn = draw_many(
        photo,
        level,
        negatives,
        clusters,
        weak,
        count=options.count,
        seed=options.seed,
        layer=layer,
        first=options.first,
        at=at,
        inside=looked_at(region, photo_size(options.image), looking.image_size, reading.resize),
    )
    with own.writing():
        record = write_negatives(drawn, options.out, options.image, settings)
    departures = sorted({f for n in record["negatives"] for f in n["fallbacks"]})
    print(f"{options.count} negatives in {options.out}")
    for text in departures:
        print(f"  note: {text}")
    return record


def _number(flag: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CutSwapError(flag, expected="a number", found=repr(text), fix="see --help") from None


def _anchors(text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """`Y,X,Y,X` as two points."""
    numbers = text.split(",")
    if len(numbers) != 4 or not all(n.isascii() and n.isdecimal() for n in numbers):
        raise CutSwapError(
            "--at",
            expected="four whole numbers Y,X,Y,X: row and column of two corners",
            found=repr(text),
            fix="pass for example --at 40,60,120,80",
        )
    y1, x1, y2, x2 = map(int, numbers)
    return (y1, x1), (y2, x2)

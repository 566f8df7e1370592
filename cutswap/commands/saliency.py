"""`python -m cutswap saliency`: LayerCAM maps of one image into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cutswap.commands.common import ONE_PHOTO, say_weights
from cutswap.commands.own_outputs import claim
from cutswap.config import SaliencySettings
from cutswap.data.reading import ReadingSettings
from cutswap.flags import add_flags, settings_from
from cutswap.utils.files import need_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `saliency`."""
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add_flags(parser, SaliencySettings)
    add_flags(parser, ReadingSettings, ONE_PHOTO)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Maps of one image into a folder."""
    from cutswap.networks.backbone import load_backbone
    from cutswap.saliency.single_image import image_saliency, saliency_files, write_saliency

    need_out(options.out)
    settings = settings_from(options, SaliencySettings)
    backbone = load_backbone(settings.backbone, settings.weights)
    say_weights(backbone.report.sentence(), backbone.name)
    names = saliency_files(settings.layers or backbone.levels)
    own = claim(options.out, options.command, names, options.json)
    reading = settings_from(options, ReadingSettings)
    saliency = image_saliency(options.image, backbone, settings, reading.bits, reading.resize)
    with own.writing():
        write_saliency(saliency, options.out)
    print(
        f"{len(saliency.layers)} maps and their fusion, of class {saliency.target_class}"
        f" in {options.out}"
    )
    return {
        "layers": list(saliency.layers),
        "target_class": saliency.target_class,
        "score": saliency.score,
        "settings": settings.to_dict(),
        "bits": reading.bits,
        "resize": reading.resize,
        "weights": backbone.report.to_dict(),
    }

"""Flags of `export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from cutswap.commands.common import add_common, add_data, add_skip_bad, count, seed
from cutswap.config import ClusterSettings, NegativeSettings, SaliencySettings
from cutswap.flags import add_flags


def add_export(parser: argparse.ArgumentParser) -> None:
    """`maps`, `negatives` and `model`, each with its own."""
    actions = parser.add_subparsers(metavar="WHAT", dest="what", required=True)
    maps = actions.add_parser("maps", help="float32 TIFFs for the MVTec AD evaluation script")
    maps.add_argument("--evaluation", type=Path, required=True, metavar="DIR",
                      help="folder that evaluate wrote")  # fmt: skip
    maps.add_argument("--heatmap-size", action="store_true",
                      help="as computed, not enlarged to the photos")  # fmt: skip
    negatives = actions.add_parser(
        "negatives", help="a data set of negatives with masks, in the layout of MVTec AD"
    )
    add_data(negatives)
    add_skip_bad(negatives)
    negatives.add_argument("--method", default="cutswap", metavar="M,M,...",
                           help="methods, with commas [cutswap]")  # fmt: skip
    negatives.add_argument("--count", type=count, metavar="N",
                           help="negatives a method [one a photo they are made of]")  # fmt: skip
    negatives.add_argument("--hold-out", type=float, default=0.5, metavar="SHARE",
                           help="share of the photos that negatives are made of and train/good"
                           " lacks; 0: all photos for both [0.5]")  # fmt: skip
    negatives.add_argument("--seed", type=seed, default=0, help="seed of every draw [0]")
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
    model.add_argument("--image-size", type=count, default=256, help="side of its input [256]")
    model.add_argument("--formats", default="torchscript,onnx", metavar="F,F",
                       help="torchscript, onnx or both [both]")  # fmt: skip
    for action in (maps, negatives, model):
        action.add_argument(
            "--out", type=Path, required=True, metavar="DIR", help="folder to write"
        )
        add_common(action, argparse.SUPPRESS)

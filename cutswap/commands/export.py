"""`python -m cutswap export`: maps, negatives, networks, whole detectors and reports for others."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutswap.commands.common import (
    add_common,
    add_data,
    add_looks,
    add_skip_bad,
    add_threshold,
    asked_rate,
    checked_category,
    count,
    finite,
    price,
    seed,
)
from cutswap.commands.own_outputs import claim
from cutswap.config import (
    SCORES,
    ClusterSettings,
    NegativeSettings,
    SaliencySettings,
)
from cutswap.errors import CutSwapError
from cutswap.flags import FlagNames, add_flags, settings_from
from cutswap.utils.files import need_out
from cutswap.utils.progress import Bars

if TYPE_CHECKING:
    import numpy as np

    from cutswap.decision.formats.web_runtime import WebRuntime
    from cutswap.decision.open_detector import OpenDetector


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`maps`, `negatives`, `model`, `report` and `detector`, each with its own."""
    actions = parser.add_subparsers(metavar="WHAT", dest="what", required=True)
    maps = actions.add_parser("maps", help="float32 TIFFs for the MVTec AD evaluation script")
    maps.add_argument(
        "--evaluation", type=Path, required=True, metavar="DIR", help="folder that evaluate wrote"
    )
    maps.add_argument(
        "--heatmap-size", action="store_true", help="as computed, not enlarged to the photos"
    )
    negatives = actions.add_parser(
        "negatives", help="a data set of negatives with masks, in the layout of MVTec AD"
    )
    add_data(negatives)
    add_looks(negatives)
    add_skip_bad(negatives)
    negatives.add_argument(
        "--method", default="cutswap", metavar="M,M,...", help="methods, with commas [cutswap]"
    )
    negatives.add_argument(
        "--count", type=count, metavar="N", help="negatives a method [one a photo they are made of]"
    )
    negatives.add_argument(
        "--hold-out",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="share of the photos that negatives are made of and train/good"
        " lacks; 0: all photos for both [0.5]",
    )
    negatives.add_argument("--seed", type=seed, default=0, help="seed of every draw [0]")
    add_flags(negatives, NegativeSettings, FlagNames(skip=("method",)))
    add_flags(negatives, ClusterSettings)
    add_flags(negatives, SaliencySettings, FlagNames(skip=("fusion",)))
    model = actions.add_parser(
        "model", help="phi, with the head of a run that trained one, as TorchScript and ONNX"
    )
    model.add_argument(
        "--run",
        dest="run_folder",
        type=Path,
        metavar="RUN",
        help="folder of a finished finetune run",
    )
    model.add_argument("--backbone", default="resnet18", help="network, without --run [resnet18]")
    model.add_argument("--weights", help="its weights, without --run [embedded]")
    model.add_argument(
        "--layers", metavar="L,L", help="outputs, in this order [the head's, or layer2,layer3]"
    )
    model.add_argument(
        "--image-size", type=count, help="side of its input, pixels [the head's, or 256]"
    )
    model.add_argument(
        "--formats",
        default="torchscript,onnx",
        metavar="F,F",
        help="torchscript, onnx or both [both]",
    )
    report = actions.add_parser(
        "report", help="one page on an evaluation for people who decide, to print"
    )
    report.add_argument(
        "--evaluation", type=Path, required=True, metavar="DIR", help="folder that evaluate wrote"
    )
    report.add_argument(
        "--score", choices=SCORES, help="whose scores, of bank and head [what the result counts]"
    )
    report.add_argument(
        "--threshold",
        type=finite,
        metavar="T",
        help="photos whose score reaches it are called defective [that of the evaluation's"
        " --false-alarms, else its best F1; or the cheapest at the prices]",
    )
    report.add_argument(
        "--miss-price", type=price, metavar="P", help="of a missed defect, with --alarm-price"
    )
    report.add_argument(
        "--alarm-price", type=price, metavar="P", help="of a false alarm, with --miss-price"
    )
    report.add_argument(
        "--kept", type=Path, metavar="CSV", help="kept photos and comments, as Inspect writes them"
    )
    detector = actions.add_parser(
        "detector",
        help="one folder that scores photos with ONNX Runtime alone: bank, head, threshold",
    )
    detector.add_argument(
        "--evaluation", type=Path, required=True, metavar="DIR", help="folder that evaluate wrote"
    )
    add_threshold(detector, "evaluation")
    detector.add_argument(
        "--photos",
        type=Path,
        metavar="DIR",
        help="photos to check it on [the evaluation's test photos, or made-up ones]",
    )
    detector.add_argument(
        "--html",
        action="store_true",
        help="also one page that runs it in a browser, from a file, without a network",
    )
    detector.add_argument(
        "--web-runtime",
        type=Path,
        metavar="PATH",
        help="ONNX Runtime Web for --html: its archive of npm, or a folder with it"
        " [what download web-runtime has fetched]",
    )
    detector.add_argument(
        "--openvino",
        action="store_true",
        help="also OpenVINO IR, compared like the ONNX file (pip install 'cutswap[openvino]')",
    )
    for action in (maps, negatives, model, report, detector):
        action.add_argument(
            "--out", type=Path, required=True, metavar="DIR", help="folder to write"
        )
        add_common(action, argparse.SUPPRESS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the action."""
    need_out(options.out)
    actions = {
        "maps": _maps,
        "negatives": _negatives,
        "model": _model,
        "report": _report,
        "detector": _detector,
    }
    return actions[options.what](options)


def _maps(options: argparse.Namespace) -> dict[str, Any]:
    from cutswap.evaluation.scored_set import read_scored
    from cutswap.evaluation.tiff_maps import EXPORT, MAPS, export_maps, map_files

    scored = read_scored(options.evaluation)
    # A folder holds the maps of several categories, for one call of the script.
    place = options.out / MAPS / str(scored.summary["category"])
    inside = f"{MAPS}/{scored.summary['category']}/"
    names = [n.removeprefix(inside) for n in map_files(scored.summary["category"], scored.names)]
    own = claim(place, "export maps", names, options.json)
    about = claim(options.out, "export maps", [EXPORT], options.json)
    with Bars(options.quiet) as bars, about.writing(), own.writing():
        result = export_maps(
            scored,
            options.out,
            photo_sized=not options.heatmap_size,
            progress=lambda done, total: bars("writing maps", done, total),
        )
    print(f"{result['maps']} maps in {result['folder']}; MVTec's script reads them with")
    print(f"  {shlex.join(result['script'])}")
    return result


def _negatives(options: argparse.Namespace) -> dict[str, Any]:
    from cutswap.negatives.export import export_negatives

    methods = [name.strip() for name in options.method.split(",") if name.strip()]
    with Bars(options.quiet) as bars:
        checked = checked_category(options, bars)
        result = export_negatives(
            checked,
            options.out,
            methods,
            negatives=settings_from(options, NegativeSettings),
            clusters=settings_from(options, ClusterSettings),
            saliency=settings_from(options, SaliencySettings),
            count=options.count,
            hold_out=options.hold_out,
            seed=options.seed,
            notify=bars,
        )
    print(
        f"{result['negatives_a_method']} negatives of each of {', '.join(methods)},"
        f" {result['train_good']} photos to train on, {result['test_good']} good ones to test on,"
        f" in {result['folder']}"
    )
    print(f"anomalib opens it with Folder(name='negatives', **{json.dumps(result['anomalib'])})")
    return result


def _model(options: argparse.Namespace) -> dict[str, Any]:
    from cutswap.heads.export import IMAGE_SCORE, PATCH_SCORES, HeadOutputs
    from cutswap.networks.backbone import load_backbone
    from cutswap.networks.export import export_model, model_files
    from cutswap.runs.folder import RunFolder
    from cutswap.training.finetuning import tuned_backbone
    from cutswap.training.head_finetuning import trained_head

    if options.run_folder and options.weights:
        raise CutSwapError(
            "--run and --weights",
            expected="one of the two",
            found="both",
            fix="leave out --weights to export the run's tuned network",
        )
    head = None
    layers: tuple[str, ...] = ("layer2", "layer3")
    size = options.image_size or 256
    if options.run_folder:
        run = RunFolder(options.run_folder)
        head, backbone = trained_head(run), tuned_backbone(run)
    else:
        backbone = load_backbone(options.backbone, options.weights or "embedded")
    if head is not None:
        layers, size = head.settings.layers, head.origin.image_size
        if options.image_size not in (None, size):
            raise CutSwapError(
                "--image-size",
                expected=f"{size}, which the head was trained on",
                found=options.image_size,
                fix="leave it out",
            )
        head.need_match(layers, size, backbone.name, backbone.fingerprint)
    formats = options.formats.split(",")
    own = claim(options.out, "export model", model_files(formats), options.json)
    with own.writing():
        result = export_model(
            backbone,
            options.out,
            layers=options.layers.split(",") if options.layers else layers,
            image_size=size,
            formats=formats,
            extra=HeadOutputs(head) if head else None,
        )
    for name, file in result["files"].items():
        worst = max(file["max_abs_difference"].values())
        print(
            f"{name}: {options.out / file['file']}, {file['bytes'] / 1e6:.1f} MB; its outputs"
            f" differ by {worst:.2g} at most (largest value"
            f" {result['largest_output']:.3g})"
        )
    if head is not None:
        print(
            f"the {head.settings.train} for {head.origin.category} is in it: {PATCH_SCORES} of"
            f" every patch and {IMAGE_SCORE} of every photo"
        )
    return result


def _report(options: argparse.Namespace) -> dict[str, Any]:
    from cutswap.evaluation.scored_set import read_scored
    from cutswap.evaluation.thresholds import Prices, ThresholdCounts
    from cutswap.reports.inspection import REPORT, inspection_report, promise_of
    from cutswap.reports.kept_photos import read_kept
    from cutswap.utils.files import write_text

    given = (options.miss_price, options.alarm_price)
    if None in given and given != (None, None):
        raise CutSwapError(
            "--miss-price and --alarm-price",
            expected="both",
            found="one of the two",
            fix="give the other too: 1, if that is the unit",
        )
    prices = None if None in given else Prices(*given)
    own = claim(options.out, "export report", [REPORT], options.json)
    scored = read_scored(options.evaluation, score=options.score)
    kept = read_kept(options.kept) if options.kept else ()
    threshold = options.threshold
    counts = ThresholdCounts.of_images(scored.scores, scored.labels)
    if threshold is None:
        promise = promise_of(scored.summary)  # what `score` calls photos by too
        threshold = float(scored.summary["threshold"]) if promise is None else promise[0]
        if prices is not None:
            threshold = counts.cheapest(prices.miss, prices.alarm)
    page = inspection_report(
        scored,
        threshold=threshold,
        prices=prices,
        kept=kept,
        written=time.strftime("%Y-%m-%d %H:%M"),
    )
    with own.writing():
        write_text(options.out / REPORT, page)
    found = counts.at(threshold)
    print(
        f"{options.out / REPORT}: threshold {threshold:.6g}, {found.missed} missed,"
        f" {found.alarms} falsely called, {len(kept)} kept"
    )
    return {
        "file": str(options.out / REPORT),
        "threshold": threshold,
        "found": found.hits,
        "missed": found.missed,
        "alarms": found.alarms,
        "passed": found.passed,
        "kept": len(kept),
    }


def _detector(options: argparse.Namespace) -> dict[str, Any]:
    from cutswap.decision.export import export_detector
    from cutswap.decision.exported import DETECTOR_FILES, NETWORK, RUNNER
    from cutswap.decision.formats.openvino_ir import IR_FILES, need_openvino
    from cutswap.decision.formats.web_page import PAGE
    from cutswap.decision.open_detector import read_evaluated
    from cutswap.networks.export import need_onnx

    need_onnx()
    if options.openvino:
        need_openvino()
    rate = asked_rate(options)
    web = _web_runtime(options)
    names = (*DETECTOR_FILES, *([PAGE] if web else []), *(IR_FILES if options.openvino else ()))
    own = claim(options.out, "export detector", names, options.json)
    evaluated = read_evaluated(options.evaluation, rate=rate, threshold=options.threshold)
    if evaluated.opened.of_whole is not None:
        raise CutSwapError(
            options.evaluation,
            expected="an evaluation of photos that become squares",
            found="one by tiles: how many a photo has depends on its size, and one network takes"
            " squares of one size",
            fix="score photos with: cutswap score FOLDER --detector, or evaluate again without"
            " --tile-overlap",
        )
    photos, source = _photos_to_check(options, evaluated.opened)
    with own.writing():
        about = export_detector(
            evaluated, options.out, photos, source, web=web, openvino=options.openvino
        )
    check, times = about["check"], about["check"]["seconds_per_photo"]
    print(
        f"{options.out / NETWORK}: {about['bytes'] / 1e6:.1f} MB,"
        f" {about['category']}, threshold {about['threshold']['value']:.6g}"
        f" ({about['threshold']['how']})"
    )
    print(
        f"on {check['photos']} {source} its scores differ by"
        f" {check['max_score_difference']:.1g} at most (largest {check['largest_score']:.3g}), its"
        f" heatmaps by {check['max_heatmap_difference']:.1g}; a photo takes"
        f" {1000 * times['onnxruntime']:.0f} ms, {1000 * times['cutswap']:.0f} ms here"
    )
    if options.openvino:
        again = about["openvino"]
        print(
            f"{options.out / IR_FILES[0]}: its scores differ by {again['max_score_difference']:.1g}"
            f" at most; a photo takes {1000 * again['seconds_per_photo']['openvino']:.0f} ms"
        )
    print(f"score photos anywhere with: python {options.out / RUNNER} FOLDER")
    if web is not None:
        size = (options.out / PAGE).stat().st_size
        print(f"or in a browser, without a network: {options.out / PAGE}, {size / 1e6:.1f} MB")
    return {name: value for name, value in about.items() if name != "decision"}


def _web_runtime(options: argparse.Namespace) -> WebRuntime | None:
    """What a page runs on, where one is asked for.

    Raises:
        CutSwapError: a runtime without a page, or one that is not there.
    """
    from cutswap.decision.formats.web_runtime import read_web_runtime

    if options.html:
        return read_web_runtime(options.web_runtime)
    if options.web_runtime is not None:
        raise CutSwapError(
            "--web-runtime", expected="--html beside it", found="none", fix="pass --html"
        )
    return None


def _photos_to_check(options: argparse.Namespace, detector: OpenDetector) -> tuple[np.ndarray, str]:
    """Photos that network and library are compared on, and what they are."""
    from cutswap.decision.export import made_up_photos, square_photos
    from cutswap.decision.incoming import list_photos, need_folder
    from cutswap.evaluation.scored_set import read_scored
    from cutswap.utils.folder_names import RESULT

    size, reading = detector.image_size, detector.reading
    if options.photos:
        need_folder(options.photos, options.out)
        paths = [photo.path for photo in list_photos(options.photos, options.out).photos]
        if not paths:
            raise CutSwapError(
                options.photos,
                expected="photos (png, jpg, bmp, tif or webp)",
                found="none",
                fix="pass the folder that they lie in, or leave --photos out",
            )
        return square_photos(paths, size, reading), "photos"
    records = None
    if (options.evaluation / RESULT).exists():
        records = read_scored(options.evaluation).records
    if not records:
        return made_up_photos(size), "made-up photos"
    return square_photos([r.image for r in records], size, reading), "test photos"

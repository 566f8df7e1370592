"""What each command does: options in, files and a printed line out, results back as JSON values."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from pathlib import Path
from typing import Any

from cutswap.commands.command_words import (
    describe,
    record_of,
    say,
    say_problem,
    say_weights,
    tick,
)
from cutswap.config import (
    ClusterSettings,
    NegativeSettings,
    SaliencySettings,
    WeakAugmentation,
)
from cutswap.errors import CutSwapError
from cutswap.flags import settings_from
from cutswap.utils.files import need_out, read_json
from cutswap.utils.progress import Bars
from cutswap.utils.signals import stop_on_signals

STOPPED = 130  # exit status of a run that was asked to stop, as shells count Ctrl-C


def check_data(options: argparse.Namespace) -> dict[str, Any]:
    """List every problem of every category, or of one; exit status 1 when any is fatal."""
    from cutswap.data.datasets import open_dataset
    from cutswap.data.problems import find_problems

    data = open_dataset(options.data)
    names = [options.category] if options.category else list(data.categories)
    report: dict[str, Any] = {
        "root": str(data.root),
        "layout": data.layout,
        "problems": [record_of(p) for p in data.noticed],
        "categories": {},
    }
    fatal = sum(p.fatal for p in data.noticed)
    for problem in data.noticed:
        say_problem(problem)
    with Bars(options.quiet) as bars:
        for name in names:
            category = data.category(name)
            problems = find_problems(category, progress=tick(bars, f"checking {name}"))
            bars.close()
            print(
                f"{name}: {len(category.train)} train, {len(category.test)} test,"
                f" {', '.join(category.defects) or 'no'} defects; {len(problems)} problems"
            )
            for problem in problems:
                say_problem(problem)
            fatal += sum(p.fatal for p in problems)
            report["categories"][name] = {
                "n_train": len(category.train),
                "n_test": len(category.test),
                "defects": list(category.defects),
                "problems": [record_of(p) for p in problems],
            }
    report["exit_status"] = 1 if fatal else 0
    print(f"{fatal} files must be repaired or left out" if fatal else "nothing stands in the way")
    return report


def saliency(options: argparse.Namespace) -> dict[str, Any]:
    """Maps of one image into a folder."""
    from cutswap.negatives.single_image import image_saliency, write_saliency
    from cutswap.networks.backbone import load_backbone

    need_out(options.out)
    settings = settings_from(options, SaliencySettings)
    backbone = load_backbone(settings.backbone, settings.weights)
    say_weights(backbone.report.sentence(), backbone.name)
    found = image_saliency(options.image, backbone, settings)
    write_saliency(found, options.out)
    print(
        f"{len(found.layers)} maps and their fusion, of class {found.target_class} in {options.out}"
    )
    return {
        "layers": list(found.layers),
        "target_class": found.target_class,
        "score": found.score,
        "settings": settings.to_dict(),
        "weights": backbone.report.to_dict(),
    }


def augment(options: argparse.Namespace) -> dict[str, Any]:
    """Negatives of one image into a folder."""
    from cutswap.data.images import read_photo, resize_photo
    from cutswap.negatives.single_image import draw_many, image_saliency, one_layer, write_negatives
    from cutswap.networks.backbone import load_backbone
    from cutswap.saliency.fusion import FUSED

    need_out(options.out)
    negatives = settings_from(options, NegativeSettings)
    clusters = settings_from(options, ClusterSettings)
    looking = settings_from(options, SaliencySettings)
    weak = WeakAugmentation(jitter=_number("--weak-jitter", options.weak_jitter))
    settings: dict[str, Any] = {"negative_settings": negatives.to_dict(), "weak": weak.to_dict()}
    size = (looking.image_size, looking.image_size)
    level, layer = None, None
    if negatives.method.startswith("cutswap"):
        backbone = load_backbone(looking.backbone, looking.weights)
        say_weights(backbone.report.sentence(), backbone.name)
        layer = one_layer(options.layer, backbone)
        if layer != FUSED:
            looking = looking.replace(layers=(layer,), fusion=None)
        found = image_saliency(options.image, backbone, looking)
        photo, level = found.photo, found.fused if layer == FUSED else found.maps[0]
        settings |= {
            "cluster_settings": clusters.to_dict(),
            "saliency_settings": looking.to_dict(),
            "weights": backbone.report.to_dict(),
            "target_class": found.target_class,
        }
    else:
        photo = resize_photo(read_photo(options.image), size)
        settings |= {"image_size": looking.image_size}
    drawn = draw_many(
        photo, level, negatives, clusters, weak,
        count=options.count, seed=options.seed, layer=layer, first=options.first,
    )  # fmt: skip
    record = write_negatives(drawn, options.out, options.image, settings)
    departures = sorted({f for n in record["negatives"] for f in n["fallbacks"]})
    print(f"{options.count} negatives in {options.out}")
    for text in departures:
        print(f"  note: {text}")
    return record


def finetune(options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune a category into a run folder."""
    from cutswap.commands.command_data import checked_category
    from cutswap.runs.folder import RunFolder
    from cutswap.training.finetuning import finetune as run_finetuning
    from cutswap.training.finetuning_flags import finetuning_settings

    need_out(options.out)
    settings = finetuning_settings(options)
    is_first = os.environ.get("RANK", "0") == "0"  # torchrun's others work silently
    with stop_on_signals() as stop, Bars(options.quiet or not is_first) as bars:
        checked = checked_category(options, bars, is_told=is_first)
        steps = run_finetuning(
            checked, settings, options.out,
            seed=options.seed, notify=bars, say=say, stop=lambda: stop.asked,
        )  # fmt: skip
        at_once = settings.training.batch_size // int(os.environ.get("WORLD_SIZE", "1"))
        for step in steps:
            stop.gently = True
            bars("fine-tuning", step.step, step.steps)
            bars.note(loss=f"{step.loss:.3f}", accuracy=f"{step.accuracy:.2f}")
            if is_first and step.micro_batch < at_once:
                at_once = step.micro_batch
                say(f"memory is short: batches of {settings.training.batch_size} are computed"
                     f" {at_once} at a time")  # fmt: skip
    run = RunFolder(options.out)
    if not is_first:  # the first is still writing
        return {"run": str(options.out)}
    if stop.asked and not run.result_file.exists():
        say("stopped; the same command goes on from here")
        return {"run": str(options.out), "exit_status": STOPPED}
    result = read_json(run.result_file)
    print(
        f"accuracy {result['accuracy']:.3f} (chance {result['chance']:.3f}) over the last"
        f" {result['averaged_over_last_updates']} updates; run in {options.out}"
    )
    return {**result, "run": str(options.out)}


def features(options: argparse.Namespace) -> dict[str, Any]:
    """Features of a finished run before and after tuning: points, figures, one line."""
    from cutswap.analysis.feature_settings import FeatureSettings
    from cutswap.commands.features import write_feature_report
    from cutswap.runs.folder import RunFolder

    need_out(options.out)
    with Bars(options.quiet) as bars:
        result = write_feature_report(
            RunFolder(options.run_folder), settings_from(options, FeatureSettings), options.out,
            data=options.data, seed=options.seed, notify=bars,
        )  # fmt: skip
    print(result["summary"])
    print(f"{result['answer']} Points and figures in {options.out}")
    for note in filter(None, [*result["about"]["notes"], result["about"]["head"], result["doubt"]]):
        print(f"  note: {note}")
    return {**result, "out": str(options.out)}


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """PatchCore on a category, with a network or a run's tuned one."""
    from cutswap.commands.evaluate import evaluate as do

    return do(options)


def evaluate_anomalib(options: argparse.Namespace) -> dict[str, Any]:
    """Another detector on a category, by anomalib's networks and our figures."""
    from cutswap.commands.evaluate import evaluate_anomalib as do

    return do(options)


def quality(options: argparse.Namespace) -> dict[str, Any]:
    """How good a category's negatives are, method by method."""
    from cutswap.commands.quality import quality as do

    return do(options)


def reproduce(options: argparse.Namespace) -> dict[str, Any]:
    """The paper's tables on a data set, cell by cell."""
    from cutswap.commands.reproduce import reproduce as do

    return do(options)


def sweep(options: argparse.Namespace) -> dict[str, Any]:
    """A grid of settings, on processes of this machine or a cluster."""
    from cutswap.commands.sweep import sweep as do

    return do(options)


def tune(options: argparse.Namespace) -> dict[str, Any]:
    """A search for settings on held-out synthetic negatives."""
    from cutswap.commands.tune import tune as do

    return do(options)


def demo(options: argparse.Namespace) -> dict[str, Any]:
    """The whole chain on the built-in data."""
    from cutswap.commands.demo import run_demo

    need_out(options.out)
    with Bars(options.quiet) as bars:
        result = run_demo(options.out, category=options.category, seed=options.seed, notify=bars)
    for stage in ("before", "after"):
        print(f"{stage:>6} fine-tuning: {describe(result[stage])}")
    report = Path(result["report"]).resolve()
    print(f"report: {report}")
    if options.open and _has_display():
        webbrowser.open(report.as_uri())
    return result


def distill(options: argparse.Namespace) -> dict[str, Any]:
    """A student's weights and card."""
    from cutswap.networks.distill_settings import DistillSettings
    from cutswap.networks.distill_student import distill_student

    with Bars(options.quiet) as bars:
        card = distill_student(
            photos=options.photos,
            student=options.student,
            teacher=options.teacher,
            class_teacher=options.class_teacher,
            out=options.out,
            settings=settings_from(options, DistillSettings),
            start=options.start,
            notify=bars,
        )
    print(f"{options.out} and its card {options.out.with_suffix('.json')}")
    return card


def jobs(options: argparse.Namespace) -> dict[str, Any]:
    """The queue from a terminal."""
    from cutswap.commands.jobs import jobs as do

    return do(options)


def download(options: argparse.Namespace) -> dict[str, Any]:
    """A published data set fetched, or one fetched by hand checked."""
    from cutswap.commands.download import download as do

    return do(options)


def export(options: argparse.Namespace) -> dict[str, Any]:
    """Maps, negatives or the network in formats that others read."""
    from cutswap.commands.export import export as do

    return do(options)


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Times beside plain baselines, as a table."""
    from cutswap.benchmark.sizes import FULL, QUICK
    from cutswap.benchmark.suite import PARTS, run_benchmark
    from cutswap.benchmark.table import markdown, table

    parts = options.parts.split(",") if options.parts else tuple(PARTS)
    sizes = (QUICK if options.quick else FULL).replace(clock=options.clock)
    with Bars(options.quiet) as bars:
        if options.device:
            from cutswap.benchmark.device import run_device_benchmark

            result, found = run_device_benchmark(options.device, sizes, notify=bars)
            print(result["machine"]["device"])
        else:
            result, found = run_benchmark(sizes, parts, threads=options.threads, notify=bars)
    machine = result["machine"]
    print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads,"
        f" torch {machine['torch']},"
        f" load {machine['load_before']} before; {result['seconds']:.0f} s"
    )
    print(markdown(found) if options.markdown else table(found))
    if options.quick:
        print("targets are set for the full sizes; small ones cannot reach all of them")
    return result


def _has_display() -> bool:
    """Whether a window can open; without one, `webbrowser` may start a terminal browser."""
    on_desktop = sys.platform in ("darwin", "win32")
    return on_desktop or any(os.environ.get(v) for v in ("DISPLAY", "WAYLAND_DISPLAY"))


def _number(flag: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CutSwapError(flag, expected="a number", found=repr(text), fix="see --help") from None

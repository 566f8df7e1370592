"""What each command does: options in, files and a printed line out, results back as JSON values."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cutswap.bars import Bars
from cutswap.config import (
    ClusterSettings,
    NegativeSettings,
    PatchCoreSettings,
    SaliencySettings,
    WeakAugmentation,
)
from cutswap.errors import CutSwapError
from cutswap.files import need_out, read_json
from cutswap.flags import settings_from
from cutswap.records import Problem
from cutswap.stopping import stop_on_signals

STOPPED = 130  # exit status of a run that was asked to stop, as shells count Ctrl-C


def check_data(options: argparse.Namespace) -> dict[str, Any]:
    """List every problem of every category, or of one; exit status 1 when any is fatal."""
    from cutswap.data_problems import find_problems
    from cutswap.datasets import open_dataset

    data = open_dataset(options.data)
    names = [options.category] if options.category else list(data.categories)
    report: dict[str, Any] = {
        "root": str(data.root),
        "layout": data.layout,
        "problems": [_problem(p) for p in data.noticed],
        "categories": {},
    }
    fatal = sum(p.fatal for p in data.noticed)
    for problem in data.noticed:
        _say_problem(problem)
    with Bars(options.quiet) as bars:
        for name in names:
            category = data.category(name)
            problems = find_problems(category, progress=_tick(bars, f"checking {name}"))
            bars.close()
            print(
                f"{name}: {len(category.train)} train, {len(category.test)} test,"
                f" {', '.join(category.defects) or 'no'} defects; {len(problems)} problems"
            )
            for problem in problems:
                _say_problem(problem)
            fatal += sum(p.fatal for p in problems)
            report["categories"][name] = {
                "n_train": len(category.train),
                "n_test": len(category.test),
                "defects": list(category.defects),
                "problems": [_problem(p) for p in problems],
            }
    report["exit_status"] = 1 if fatal else 0
    print(f"{fatal} files must be repaired or left out" if fatal else "nothing stands in the way")
    return report


def saliency(options: argparse.Namespace) -> dict[str, Any]:
    """Maps of one image into a folder."""
    from cutswap.backbone import load_backbone
    from cutswap.single_image import image_saliency, write_saliency

    need_out(options.out)
    settings = settings_from(options, SaliencySettings)
    backbone = load_backbone(settings.backbone, settings.weights)
    _say_weights(backbone.report.sentence(), backbone.name)
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
    from cutswap.backbone import load_backbone
    from cutswap.fusion import FUSED
    from cutswap.images import read_photo, resize_photo
    from cutswap.single_image import draw_many, image_saliency, one_layer, write_negatives

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
        _say_weights(backbone.report.sentence(), backbone.name)
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
    from cutswap.finetuning import finetune as run_finetuning
    from cutswap.finetuning_flags import finetuning_settings
    from cutswap.photos import check_category
    from cutswap.run_folder import RunFolder

    need_out(options.out)
    settings = finetuning_settings(options)
    is_first = os.environ.get("RANK", "0") == "0"  # torchrun's others work silently
    with stop_on_signals() as stop, Bars(options.quiet or not is_first) as bars:
        checked = check_category(
            options.data, options.category, skip_bad=options.skip_bad,
            progress=_tick(bars, "checking images"),
        )  # fmt: skip
        if is_first:
            _say_left_out(len(checked.left_out))
        steps = run_finetuning(
            checked, settings, options.out,
            seed=options.seed, notify=bars, say=_say, stop=lambda: stop.asked,
        )  # fmt: skip
        at_once = settings.training.batch_size // int(os.environ.get("WORLD_SIZE", "1"))
        for step in steps:
            stop.gently = True
            bars("fine-tuning", step.step, step.steps)
            bars.note(loss=f"{step.loss:.3f}", accuracy=f"{step.accuracy:.2f}")
            if is_first and step.micro_batch < at_once:
                at_once = step.micro_batch
                _say(f"memory is short: batches of {settings.training.batch_size} are computed"
                     f" {at_once} at a time")  # fmt: skip
    run = RunFolder(options.out)
    if not is_first:  # the first is still writing
        return {"run": str(options.out)}
    if stop.asked and not run.result_file.exists():
        _say("stopped; the same command goes on from here")
        return {"run": str(options.out), "exit_status": STOPPED}
    result = read_json(run.result_file)
    print(
        f"accuracy {result['accuracy']:.3f} (chance {result['chance']:.3f}) over the last"
        f" {result['averaged_over_last_updates']} updates; run in {options.out}"
    )
    return {**result, "run": str(options.out)}


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """PatchCore on a category, with a network or a run's tuned one."""
    from cutswap.backbone import load_backbone
    from cutswap.devices import choose_device
    from cutswap.evaluation import evaluate as run_evaluation
    from cutswap.evaluation import write_evaluation
    from cutswap.finetuning import tuned_backbone
    from cutswap.photos import check_category
    from cutswap.run_folder import RunFolder

    need_out(options.out)
    settings = settings_from(options, PatchCoreSettings)
    if options.run_folder and options.weights:
        raise CutSwapError(
            "--run and --weights",
            expected="one of the two",
            found="both",
            fix="leave out --weights to evaluate the run's tuned network",
        )
    device = str(choose_device(options.device))
    if options.run_folder:
        backbone = tuned_backbone(RunFolder(options.run_folder), device)
    else:
        weights = options.weights or "embedded"
        backbone = load_backbone(options.backbone, weights, device=device, seed=options.seed)
    _say_weights(backbone.report.sentence(), backbone.name)
    with Bars(options.quiet) as bars:
        checked = check_category(
            options.data, options.category, skip_bad=options.skip_bad,
            progress=_tick(bars, "checking images"),
        )  # fmt: skip
        _say_left_out(len(checked.left_out))
        found = run_evaluation(checked, backbone, settings, seed=options.seed, notify=bars)
        write_evaluation(found, options.out, notify=bars)
    print(describe(found.summary))
    _say_missed(found.summary["missed"])
    return {**found.summary, "out": str(options.out)}


def evaluate_anomalib(options: argparse.Namespace) -> dict[str, Any]:
    """Another detector on a category, by anomalib's networks and our figures."""
    from cutswap.anomalib_models import need_anomalib
    from cutswap.backbone import load_backbone
    from cutswap.detector_evaluation import evaluate_detector, write_detector
    from cutswap.detector_settings import DetectorSettings
    from cutswap.devices import choose_device
    from cutswap.photos import check_category

    need_out(options.out)
    need_anomalib()
    settings = settings_from(options, DetectorSettings)
    device = str(choose_device(options.device))
    backbone = load_backbone(options.backbone, options.weights, device=device, seed=options.seed)
    _say_weights(backbone.report.sentence(), backbone.name)
    with Bars(options.quiet) as bars:
        checked = check_category(
            options.data, options.category, skip_bad=options.skip_bad,
            progress=_tick(bars, "checking images"),
        )  # fmt: skip
        _say_left_out(len(checked.left_out))
        found = evaluate_detector(
            checked, options.detector, backbone, settings, seed=options.seed, notify=bars
        )
        write_detector(found, options.out)
    print(describe(found.summary))
    _say_missed(found.summary["missed"])
    return {**found.summary, "out": str(options.out)}


def features(options: argparse.Namespace) -> dict[str, Any]:
    """Features of a finished run before and after tuning: points, figures, one line."""
    from cutswap.feature_command import write_feature_report
    from cutswap.feature_settings import FeatureSettings
    from cutswap.run_folder import RunFolder

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


def quality(options: argparse.Namespace) -> dict[str, Any]:
    """Measure a category's negatives; a table, CSV and JSON."""
    from cutswap.files import write_json, write_text
    from cutswap.negative_quality import measure_quality
    from cutswap.photos import check_category
    from cutswap.quality_figures import to_csv, to_text
    from cutswap.quality_settings import QualitySettings

    need_out(options.out)
    settings = settings_from(options, QualitySettings)
    with Bars(options.quiet) as bars:
        checked = check_category(
            options.data, options.category, skip_bad=options.skip_bad,
            progress=_tick(bars, "checking images"),
        )  # fmt: skip
        _say_left_out(len(checked.left_out))
        found = measure_quality(checked, settings, bars)
    result = {"data": checked.to_dict(), "settings": settings.to_dict(), **found.to_dict()}
    write_json(options.out / "quality.json", result)
    write_text(options.out / "quality.csv", to_csv(found.rows))
    print(to_text(found.rows))
    share = "-" if found.foreground_share is None else f"{found.foreground_share:.2f}"
    print(
        f"{found.draws} negatives a method of {found.photos} photos; {share} of the area is"
        f" foreground; brackets: 95%, bootstrap over photos; files in {options.out}"
    )
    return {**result, "out": str(options.out)}


def reproduce(options: argparse.Namespace) -> dict[str, Any]:
    """The paper's tables on a data set, cell by cell."""
    from cutswap.study_command import reproduce as do

    return do(options)


def sweep(options: argparse.Namespace) -> dict[str, Any]:
    """A grid of settings, on processes of this machine or a cluster."""
    from cutswap.sweep_command import sweep as do

    return do(options)


def tune(options: argparse.Namespace) -> dict[str, Any]:
    """A search for settings on held-out synthetic negatives."""
    from cutswap.tune_command import tune as do

    return do(options)


def demo(options: argparse.Namespace) -> dict[str, Any]:
    """The whole chain on the built-in data."""
    from cutswap.demo import run_demo

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
    from cutswap.distill_settings import DistillSettings
    from cutswap.distill_student import distill_student

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
    from cutswap.jobs_command import jobs as do

    return do(options)


def download(options: argparse.Namespace) -> dict[str, Any]:
    """A published data set fetched, or one fetched by hand checked."""
    from cutswap.download_command import download as do

    return do(options)


def export(options: argparse.Namespace) -> dict[str, Any]:
    """Maps, negatives or the network in formats that others read."""
    from cutswap.export_command import export as do

    return do(options)


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Times beside plain baselines, as a table."""
    from cutswap.benchmark.sizes import FULL, QUICK
    from cutswap.benchmark.suite import PARTS, run_benchmark
    from cutswap.benchmark.table import markdown, table

    parts = options.parts.split(",") if options.parts else tuple(PARTS)
    sizes = (QUICK if options.quick else FULL).replace(clock=options.clock)
    with Bars(options.quiet) as bars:
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


def describe(summary: dict[str, Any]) -> str:
    """One line of figures for the screen; `-` for what the data cannot tell."""

    def shown(name: str) -> str:
        value = summary[name]
        return "-" if value is None else f"{value:.3f}"

    return (
        f"image AUROC {shown('image_auroc')}, pixel AUROC {shown('pixel_auroc')},"
        f" AUPRO {shown('aupro')}, F1-max {shown('f1_max')} at {summary['threshold']:.4g};"
        + (f" bank {summary['bank_size']}," if "bank_size" in summary else "")
        + f" {summary['seconds']:.1f} s"
    )


def _say_missed(missed: dict[str, Any]) -> None:
    """Recall by type and by area, below the figures."""
    from cutswap.missed import over_seeds

    print("defects found at that threshold, 95% intervals:")
    kinds = [r for kind in ("by_type", "by_area", "alarms") for r in over_seeds([missed], kind)]
    width = max(len(r.name) for r in kinds)
    for one in kinds:
        print(f"  {one.name:<{width}}  {one.text()}")


def _has_display() -> bool:
    """Whether a window can open; without one, `webbrowser` may start a terminal browser."""
    on_desktop = sys.platform in ("darwin", "win32")
    return on_desktop or any(os.environ.get(v) for v in ("DISPLAY", "WAYLAND_DISPLAY"))


def _tick(bars: Bars, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: bars(stage, done, total)


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "path": str(problem.path),
        "kind": problem.kind,
        "message": problem.message,
        "fatal": problem.fatal,
    }


def _say_problem(problem: Problem) -> None:
    print(f"  {'BAD ' if problem.fatal else 'note'} {problem.path}: {problem.message}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _say_weights(sentence: str, name: str) -> None:
    _say(f"{name}: {sentence}")


def _say_left_out(count: int) -> None:
    if count:
        print(f"left out {count} unusable files; the result lists them", file=sys.stderr)


def _number(flag: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CutSwapError(flag, expected="a number", found=repr(text), fix="see --help") from None

"""Page latency: the start, the first saliency of an image, a slider's new picture.

The core's work for a change is timed here: clusters, a new negative, colours, JPEG. The whole page
around it, rerun on the server, is timed by `benchmarks/bench_pages.py` in a process of its own,
since the core knows nothing of screens; and with a real browser by `make bench-ui`.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from cutswap.benchmark.measurement import Measurement, seconds, skipped, within
from cutswap.benchmark.pictures import demo_photos
from cutswap.benchmark.sizes import Sizes
from cutswap.config import ClusterSettings, NegativeSettings
from cutswap.data.images import to_image
from cutswap.installation.shipped import checkout
from cutswap.negatives.draw import draw_negative
from cutswap.networks.backbone import load_backbone
from cutswap.saliency.clusters import Clusters, cluster_saliency
from cutswap.saliency.layercam import explain
from cutswap.utils.overlays import blend, colour_regions, colourise

MEDIAN, NEARLY_ALL = 0.1, 0.2  # seconds: half of all changes, and 95% of them
PAGES = "benchmarks/bench_pages.py"


def measure_waiting(sizes: Sizes) -> list[Measurement]:
    """Start, first saliency, changes."""
    return [_help(sizes), _first_saliency(sizes), *_changes(sizes)]


def measure_pages(sizes: Sizes) -> list[Measurement]:
    """Whole pages on the server, where the checkout with the app's pages is at hand."""
    what = "whole page rerun on the server"
    root = checkout()
    if root is None or not (root / PAGES).is_file():
        return [skipped("pages", what, f"needs the repository, with {PAGES}")]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pages.json"
        done = subprocess.run(  # noqa: S603 - our own interpreter and script
            [
                sys.executable,
                str(root / PAGES),
                "--count",
                str(sizes.changes),
                "--clock",
                sizes.clock,
                "--json",
                str(out),
            ],
            capture_output=True,
            text=True,
            cwd=root,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return [skipped("pages", what, f"bench_pages.py ended with {done.returncode}: {last}")]
        times = json.loads(out.read_text(encoding="utf-8"))
    return page_measurements(times)


def page_measurements(times: dict[str, object]) -> list[Measurement]:
    """Lines of the table from what `bench_pages.py` wrote."""
    first, switches, changes = (times[k] for k in ("first_page_s", "switches_s", "changes"))
    if not (isinstance(first, float) and isinstance(switches, dict) and isinstance(changes, list)):
        raise TypeError("bench_pages.py wrote another kind of file")
    slowest = max(changes, key=lambda c: c["p95_s"])
    where = f"{slowest['page']}, {slowest['change']}"
    return [
        within("first page", "first page on the server, Python's start included", [first], 5.0),
        within(
            "page switch",
            "slowest switch of pages, seen before",
            [max(switches.values())],
            1.0,
            **switches,
        ),
        *(
            Measurement(
                f"page, {c['page']} {c['change']}",
                f"{c['page'].capitalize()} page rerun after a change of {c['change']}, median",
                ours=c["median_s"],
                figure=c["median_s"],
                target=MEDIAN,
                repetitions=c["changes"],
                spread=tuple(c["range_s"]),
                more={"p95_s": c["p95_s"]},
            )
            for c in changes
        ),
        Measurement(
            "page, slowest 95%",
            f"slowest 95th percentile of these ({where})",
            ours=slowest["p95_s"],
            figure=slowest["p95_s"],
            target=NEARLY_ALL,
            repetitions=slowest["changes"],
        ),
    ]


def _help(sizes: Sizes) -> Measurement:
    def ask() -> None:
        command = [sys.executable, "-m", "cutswap", "--help"]
        subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - our interpreter

    ask()
    times = [seconds(ask) for _ in range(sizes.turns)]
    return within("help", "python -m cutswap --help (wall time)", times, 1.0)


def _first_saliency(sizes: Sizes) -> Measurement:
    """Five levels of a photo the network has not seen, with its weights loaded; then again."""
    photos = demo_photos(sizes.turns + 1, sizes.side)
    loading = seconds(lambda: load_backbone("vgg16"), sizes.clock)
    backbone = load_backbone("vgg16")

    def look(photo: np.ndarray) -> bytes:
        maps = explain(backbone, to_image(photo[None])).upsampled(photo.shape[:2])[0]
        return _jpeg(blend(photo, colourise(maps[2].numpy())))

    look(photos[0])
    times = [seconds(partial(look, photo), sizes.clock) for photo in photos[1:]]
    what = f"first saliency of a new photo of {sizes.side}, embedded weights, to the JPEG"
    return within("first saliency", what, times, 1.0, loading_the_network_s=loading)


def _changes(sizes: Sizes) -> list[Measurement]:
    photo = demo_photos(1, sizes.side)[0]
    maps = explain(load_backbone("vgg16"), to_image(photo[None])).upsampled(photo.shape[:2])[0]
    levels = [level.numpy() for level in maps]
    known: dict[int, Clusters] = {}

    def clusters_at(k: int) -> None:
        regions = cluster_saliency(levels[2], k).regions(levels[2])
        _jpeg(blend(photo, colour_regions(regions)))

    def layer_at(level: int) -> None:
        if level not in known:
            known[level] = cluster_saliency(levels[level], 4)
        _jpeg(blend(photo, colourise(levels[level])))
        _jpeg(blend(photo, colour_regions(known[level].regions(levels[level]))))

    def negative(seed: int, anchors: str = "max-cluster") -> None:
        drawn = draw_negative(
            photo,
            levels[2],
            NegativeSettings(),
            ClusterSettings(anchors=anchors),
            seed=(seed,),
            clusters=known.get(2),
        )
        _jpeg(drawn.photo)

    def opacity(percent: int) -> None:
        _jpeg(blend(photo, colourise(levels[2]), percent / 100))

    strategies = ("max-cluster", "min-cluster", "whole-image", "top-n")
    steps: dict[str, list[Callable[[], None]]] = {
        "K": [partial(clusters_at, k) for k in range(2, 9)],
        "layer": [partial(layer_at, level) for level in range(len(levels))],
        "seed": [partial(negative, seed) for seed in range(100)],
        "anchors": [partial(negative, 0, anchors) for anchors in strategies],
        "opacity": [partial(opacity, percent) for percent in range(0, 101, 10)],
    }
    measurements, nearly_all = [], {}
    for name, changes in steps.items():
        changes[0]()
        cycled = itertools.islice(itertools.cycle(changes), sizes.changes)
        times = sorted(seconds(change, sizes.clock) for change in cycled)
        nearly_all[name] = times[int(0.95 * (len(times) - 1))]
        what = f"the core's work for a change of {name} at {sizes.side}, to the JPEG, median"
        measurements.append(within(f"change, {name}", what, times, MEDIAN, p95_s=nearly_all[name]))
    slowest = max(nearly_all, key=lambda name: nearly_all[name])
    last = within(
        "change, slowest 95%",
        f"slowest 95th percentile of these ({slowest})",
        [nearly_all[slowest]],
        NEARLY_ALL,
    )
    return [*measurements, dataclasses.replace(last, repetitions=sizes.changes, spread=None)]


def _jpeg(picture: np.ndarray) -> bytes:
    _, data = cv2.imencode(".jpg", picture[..., ::-1])
    return data.tobytes()

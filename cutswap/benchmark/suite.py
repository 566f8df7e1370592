"""All comparisons in order, each by name, with their results as one JSON-ready dict."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from cutswap.benchmark.machine import describe_machine
from cutswap.benchmark.measurement import Measurement
from cutswap.benchmark.sizes import Sizes
from cutswap.errors import CutSwapError

# Name on the command line, and the function that measures it; imported only when asked for.
PARTS = {
    "coreset": "picking.measure_coreset",
    "layercam": "attention.measure_layercam",
    "patchcore": "scoring.measure_patchcore",
    "finetuning": "learning.measure_finetuning",
    "feeding": "feeding.measure_feeding",
    "growth": "growing.measure_growth",
    "search": "growing.measure_search",
    "waiting": "waiting.measure_waiting",
    "pages": "waiting.measure_pages",
}


def run_benchmark(
    sizes: Sizes,
    parts: Sequence[str] = tuple(PARTS),
    *,
    threads: int | None = None,
    notify: Callable[[str, int, int], None] | None = None,
) -> tuple[dict[str, Any], list[Measurement]]:
    """Measure the parts asked for.

    Args:
        sizes: how much each is given to do.
        parts: names among `PARTS`.
        threads: of torch; default: as torch chooses.
        notify: called with (part, done, total) before each.

    Returns:
        What the JSON file holds (machine, sizes, seconds, measurements), and the measurements.

    Raises:
        CutSwapError: a part that does not exist, or results that differ from the plain way's.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise CutSwapError(
            "benchmark parts",
            expected=f"some of {', '.join(PARTS)}",
            found=", ".join(unknown) or "none",
            fix="name parts of this list",
        )
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    began = time.perf_counter()
    try:
        machine = describe_machine()
        measurements: list[Measurement] = []
        spent: dict[str, float] = {}
        for done, part in enumerate(parts):
            if notify:
                notify(f"benchmark {part}", done, len(parts))
            module, _, function = PARTS[part].partition(".")
            measure = getattr(importlib.import_module(f"cutswap.benchmark.{module}"), function)
            started = time.perf_counter()
            measurements += measure(sizes)
            spent[part] = round(time.perf_counter() - started, 1)
    finally:
        torch.set_num_threads(before)
    return {
        "kind": "benchmark",
        "machine": machine,
        "sizes": sizes.to_dict(),
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_by_part": spent,
        "measurements": [m.to_dict() for m in measurements],
    }, measurements

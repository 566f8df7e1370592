"""From a changed control to the finished page, on the server alone: no browser, no network.

Runs the app's own scripts under Streamlit's AppTest on the demo data at 256 pixels. Every change
reruns the whole page as it does for a visitor, pictures encoded and all. `make bench-ui` times the
same in a real browser. `--json FILE` keeps every number.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()  # before anything is imported: the first page includes all of it

import argparse  # noqa: E402
import itertools  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from streamlit.testing.v1 import AppTest  # noqa: E402

# Page, what is changed, its key in the session, and values that take turns.
CASES: tuple[tuple[str, str, str, tuple[Any, ...]], ...] = (
    ("saliency", "K", "knob.k", (3, 4, 5, 6, 7)),
    ("saliency", "layer", "knob.layer", ("4", "9", "16", "23", "30")),
    ("negatives", "K", "knob.k", (3, 4, 5, 6, 7)),
    ("negatives", "layer", "knob.layer", ("4", "9", "16", "23", "30")),
    ("negatives", "anchors", "knob.anchors", ("max-cluster", "min-cluster", "whole-image")),
    ("negatives", "seed", "knob.seed", tuple(range(1, 1001))),
)


def measure(case: tuple[str, str, str, tuple[Any, ...]], count: int, clock: Any) -> dict[str, Any]:
    """All changes of one control."""
    page, what, key, values = case
    at = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=120)
    at.run()
    at.switch_page(f"../pages/{page}.py").run()
    times = []
    for value in itertools.islice(itertools.cycle(values), count + len(values[:5])):
        at.session_state[key] = value
        began = clock()
        at.run()
        times.append(clock() - began)
        if at.exception or at.session_state[key] != value:
            raise SystemExit(
                f"{page}: {what} = {value} gave {at.exception or at.session_state[key]}"
            )
    # The first time round fills the caches, as a visitor's first look does.
    times = sorted(times[len(values[:5]) :])
    return {
        "page": page,
        "change": what,
        "changes": len(times),
        "median_s": statistics.median(times),
        "p95_s": times[int(0.95 * (len(times) - 1))],
        "range_s": [times[0], times[-1]],
    }


def main() -> None:
    """Every case once, a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="changes a case [40]")
    parser.add_argument("--json", type=Path, help="file for every number")
    parser.add_argument("--clock", default="wall", choices=("wall", "processor"))
    options = parser.parse_args()
    # Processor seconds of the whole process; the first page is in wall time in any case.
    clock = time.process_time if options.clock == "processor" else time.perf_counter
    with tempfile.TemporaryDirectory() as runs:
        os.environ["CUTSWAP_RUNS"] = runs
        at = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=120)
        at.run()
        first = time.perf_counter() - BEGAN
        print(f"first page {first:.2f} s after the start of Python")
        switches = {}
        for page in ("saliency", "negatives", "train", "results", "data", "inspect"):
            target = f"../pages/{'inspect_heatmaps' if page == 'inspect' else page}.py"
            at.switch_page(target).run()  # its first visit loads libraries and fills caches
            at.switch_page("../pages/start.py").run()
            began = clock()
            at.switch_page(target).run()
            switches[page] = clock() - began
            print(f"{page:<10} switched to in {1000 * switches[page]:>6.0f} ms")
        results = []
        for case in CASES:
            found = measure(case, options.count, clock)
            results.append(found)
            middle, high = 1000 * found["median_s"], 1000 * found["p95_s"]
            name = f"{found['page']:<10} {found['change']:<8}"
            print(f"{name} median {middle:>6.1f} ms   95% {high:>6.1f} ms")
    if options.json:
        result = {"first_page_s": first, "switches_s": switches, "changes": results}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

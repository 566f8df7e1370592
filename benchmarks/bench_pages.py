"""From a changed control to its picture and to the finished page, on the server: no browser.

Runs the app's own scripts under Streamlit's AppTest on the demo data at 256 pixels. Every change
reruns the whole page as it does for a visitor, pictures encoded and all. Two moments are told: the
large picture is handed over (Streamlit sends every element at once, so that is what a visitor waits
for), and the page is complete, contact sheet and comparisons below the fold included.
`make bench-ui` times the same in a real browser. `--json FILE` keeps every number.
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

VIEWS = {"saliency": "saliency.view", "negatives": "negatives.view"}
# Which viewer of a page is the changed one: clusters come after their map, the negative after its
# positive.
HANDED = {"saliency": 1, "negatives": 1}


def measure(case: tuple[str, str, str, tuple[Any, ...]], count: int, clock: Any) -> dict[str, Any]:
    """All changes of one control."""
    page, what, key, values = case
    at = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=120)
    at.run()
    at.switch_page(f"../pages/{page}.py").run()
    times: list[float] = []
    pictures: list[float] = []
    view = sys.modules[f"app.{VIEWS[page]}"]
    handed = _stamped(view, clock)
    for value in itertools.islice(itertools.cycle(values), count + len(values[:5])):
        at.session_state[key] = value
        handed.clear()
        began = clock()
        at.run()
        times.append(clock() - began)
        pictures.append(handed[HANDED[page]] - began)
        if at.exception or at.session_state[key] != value:
            raise SystemExit(
                f"{page}: {what} = {value} gave {at.exception or at.session_state[key]}"
            )
    # The first time round fills the caches, as a visitor's first look does.
    times, pictures = (sorted(found[len(values[:5]) :]) for found in (times, pictures))
    at95 = int(0.95 * (len(times) - 1))
    return {
        "page": page,
        "change": what,
        "changes": len(times),
        "picture_median_s": statistics.median(pictures),
        "picture_p95_s": pictures[at95],
        "median_s": statistics.median(times),
        "p95_s": times[at95],
        "range_s": [times[0], times[-1]],
    }


def _stamped(view: Any, clock: Any) -> list[float]:
    """Moments at which the view has handed a viewer its picture; grows as the page runs."""
    handed: list[float] = []
    plain = getattr(view.viewer, "plain", view.viewer)

    def stamping(*given: Any, **named: Any) -> Any:
        answer = plain(*given, **named)
        handed.append(clock())
        return answer

    stamping.plain = plain  # type: ignore[attr-defined]
    view.viewer = stamping
    return handed


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
        opened = time.perf_counter() - BEGAN
        print(f"first page {opened:.2f} s after the start of Python")
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
            first, late = 1000 * found["picture_median_s"], 1000 * found["picture_p95_s"]
            print(
                f"{name} picture {first:>6.1f} ms, 95% {late:>6.1f} ms"
                f"   page {middle:>6.1f} ms, 95% {high:>6.1f} ms"
            )
    if options.json:
        result = {"first_page_s": opened, "switches_s": switches, "changes": results}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

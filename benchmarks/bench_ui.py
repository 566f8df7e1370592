"""From a key press to the new picture, in a real browser: `make bench-ui`.

Starts the app, opens Chromium (CHROMIUM names another one), and presses arrow keys on sliders of
the Saliency and Negatives pages. Time runs in the page itself, from the key's event to the load
event of the picture that changed. The first presses of a slider are left out: they fill caches.
`--json FILE` keeps every number.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.screenshots import running_app, settle  # noqa: E402

WARM_UP = 5
# Page, size, slider, class of the picture that changes, and which of those.
CASES = (
    ("saliency", 256, "Clusters K", "heat", 1),
    ("saliency", 512, "Clusters K", "heat", 1),
    ("negatives", 256, "Epoch", "after", 0),
    ("negatives", 512, "Epoch", "after", 0),
)
# Viewers live in shadow roots; `stages` finds their pictures in page order.
WATCH = """([layer, which]) => {
  const stages = [...document.querySelectorAll('[data-testid=stMain] *')]
    .flatMap((e) => (e.shadowRoot ? [...e.shadowRoot.querySelectorAll('.stage')] : []));
  const image = stages[which].querySelector(`img.${layer}`);
  window.pressed = 0;
  window.took = null;
  window.addEventListener('keydown', () => { window.pressed = performance.now(); },
    { once: true, capture: true });
  image.addEventListener('load', () => { window.took = performance.now() - window.pressed; },
    { once: true });
}"""


def press(page: Page, slider: str, layer: str, which: int, key: str) -> float:
    """Milliseconds from one key to its picture."""
    page.evaluate(WATCH, [layer, which])
    page.get_by_role("slider", name=slider).press(key)
    page.wait_for_function("window.took !== null", timeout=20_000)
    page.wait_for_timeout(300)  # the rest of the page may finish first, as for a person
    return float(page.evaluate("window.took"))


def measure(page: Page, address: str, case: tuple[str, int, str, str, int], count: int) -> Any:
    """All presses of one case."""
    name, size, slider, layer, which = case
    page.goto(f"{address}{name}?size={size}")
    settle(page)
    # Up and down by three, so that K stays within its range.
    keys = ["ArrowRight" if i // 3 % 2 == 0 else "ArrowLeft" for i in range(count + WARM_UP)]
    times = [press(page, slider, layer, which, key) for key in keys][WARM_UP:]
    ordered = sorted(times)
    return {
        "page": name,
        "size": size,
        "slider": slider,
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
        "all_ms": [round(t, 1) for t in times],
    }


def main() -> None:
    """Every case once, a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30, help="presses a case [30]")
    parser.add_argument("--json", type=Path, help="file for every number")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    began = time.perf_counter()
    with running_app() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.wait_for_selector("[data-testid=stImage] img", timeout=60_000)
        first = time.perf_counter() - began
        print(f"first picture {first:.1f} s after the start (browser's own start included)")
        results = []
        for case in CASES:
            result = measure(page, address, case, options.count)
            results.append(result)
            print(
                f"{result['page']:<10} {result['size']} px  {result['slider']:<10}"
                f" median {result['median_ms']:>6} ms   95% {result['p95_ms']:>6} ms"
            )
        browser.close()
    if options.json:
        about = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        text = json.dumps({**about, "first_picture_s": first, "results": results}, indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

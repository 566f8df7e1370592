"""From the end of a stroke to the new heatmap, in a real browser.

Starts the app, opens Chromium (CHROMIUM names another one), and paints strokes on a photo of the
Inspect page by the mouse. Time runs in the page itself, from the mouse button's release to the load
event of the heatmap, the last one where there are two. The first strokes are left out: they load
networks. `--json FILE` keeps every number.

    python benchmarks/bench_painting.py --count 30
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.screenshots import running_app, settle  # noqa: E402

WARM_UP = 5
MOST = 34  # strokes before the photo is cleared: a painting has at most 40
# What judges, and the page's link.
CASES = (
    ("a bank", "inspect?paint=1"),
    ("banks of two networks", "inspect?paint=1&beside=random"),
)
WATCH = """() => {
  const figure = [...document.querySelectorAll('[data-testid=stMain] *')]
    .map((e) => e.shadowRoot && e.shadowRoot.querySelector('figure.painting')).find(Boolean);
  const heats = [...figure.querySelectorAll('img.heat')];
  window.took = null;
  let left = heats.length, released = 0;
  figure.querySelector('.stage').addEventListener('pointerup',
    () => { released = performance.now(); }, { once: true, capture: true });
  for (const heat of heats) heat.addEventListener('load', () => {
    left -= 1;
    if (left === 0) window.took = performance.now() - released;
  }, { once: true });
}"""


def paint(page: Page, number: int) -> float:
    """Milliseconds from the end of one stroke to the last heatmap."""
    box = page.locator(".painting .stage").bounding_box()
    assert box is not None  # noqa: S101 - for the type checker
    page.evaluate(WATCH)
    x, y = 0.2 + 0.1 * (number % 6), 0.2 + 0.1 * (number // 6 % 6)
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.mouse.down()
    page.mouse.move(
        box["x"] + (x + 0.1) * box["width"], box["y"] + (y + 0.05) * box["height"], steps=6
    )
    page.mouse.up()
    page.wait_for_function("window.took !== null", timeout=20_000)
    page.wait_for_timeout(300)  # as a person, who looks
    return float(page.evaluate("window.took"))


def measure(page: Page, address: str, case: tuple[str, str], count: int) -> dict[str, Any]:
    """All strokes of one case."""
    judges, link = case
    page.goto(address + link)
    panels = 2 if "beside" in link else 1
    page.locator(".painting img.heat").nth(panels - 1).wait_for(timeout=180_000)
    settle(page)
    times = []
    for number in range(count + WARM_UP):
        if number and number % MOST == 0:
            page.get_by_role("button", name="Clear", exact=True).click()
            page.wait_for_timeout(1000)
        times.append(paint(page, number))
    times = times[WARM_UP:]
    ordered = sorted(times)
    return {
        "judges": judges,
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
        "all_ms": [round(t, 1) for t in times],
    }


def main() -> None:
    """Every case once, a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=30, help="strokes a case [30]")
    parser.add_argument("--json", type=Path, help="file for every number")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with running_app() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        results = []
        for case in CASES:
            result = measure(page, address, case, options.count)
            results.append(result)
            print(
                f"{result['judges']:<24} median {result['median_ms']:>6} ms"
                f"   95% {result['p95_ms']:>6} ms"
            )
        browser.close()
    if options.json:
        about = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        text = json.dumps({**about, "results": results}, indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

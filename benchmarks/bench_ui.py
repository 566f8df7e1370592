"""From a key press to the new picture, in a real browser: `make bench-ui`.

Starts the app, opens Chromium (CHROMIUM names another one), and presses arrow keys on sliders of
the Saliency and Negatives pages. Time runs in the page itself, from the key's event to the load
event of the picture that changed. The first presses of a slider are left out: they fill caches.

Then the contact sheet of Inspect is turned page by page, over `--photos` made-up photos scored
before: from the press on "Next page" until all pictures of the new page are there. Forward they are
made, back they are kept. `--json FILE` keeps every number.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cutswap.data.images import save_png  # noqa: E402
from tests.helpers.small_photos import photo_of  # noqa: E402
from tests.screenshots import running_app, settle  # noqa: E402

WARM_UP = 5
# Page, size, slider, class of the picture that changes, and which of those.
CASES = (
    ("saliency", 256, "Clusters K", "heat", 1),
    ("saliency", 512, "Clusters K", "heat", 1),
    ("negatives", 256, "Epoch", "base", 1),
    ("negatives", 512, "Epoch", "base", 1),
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


# The sheet's small pictures are the widest but lowest ones: strips of three. Frames tell a stall.
TURN = """() => {
  const tiles = () => [...document.querySelectorAll('[data-testid=stImage] img')]
    .filter((image) => image.alt.endsWith('what is marked'));
  const before = new Set(tiles().map((image) => image.src));
  window.took = null;
  window.longest = 0;
  let start = 0;
  let last = 0;
  const look = (now) => {
    if (last) window.longest = Math.max(window.longest, now - last);
    last = now;
    const shown = tiles();
    if (shown.length && shown.every((i) => !before.has(i.src) && i.complete && i.naturalWidth)) {
      window.took = now - start;
    } else requestAnimationFrame(look);
  };
  document.addEventListener('pointerdown', () => {
    start = performance.now();
    requestAnimationFrame(look);
  }, { once: true, capture: true });
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
    page.goto(f"{address}{name}?cat=hex_nut+%C2%B7+Demo&size={size}")
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


def score_photos(folder: Path, count: int) -> None:
    """A category `nut` of so many made-up test photos in `data`, its evaluation in `runs`."""
    kinds = (("train/good", 8), ("test/good", count // 2), ("test/spot", count - count // 2))
    for number, (kind, photos) in enumerate(kinds):
        for index in range(photos):
            photo = photo_of(10_000 * number + index, (256, 256))
            save_png(folder / "data/nut" / kind / f"{index:04d}.png", photo)
    words = ["evaluate", "--data", str(folder / "data"), "--category", "nut", "--image-size", "128"]
    out = ["--out", str(folder / "runs/nut")]
    command = [sys.executable, "-m", "cutswap", *words, *out]
    subprocess.run(command, check=True)  # noqa: S603 - our own words


def turn_pages(page: Page, address: str, count: int) -> Any:
    """Turns of the contact sheet: so many forward, and back."""
    page.goto(f"{address}inspect?cat=nut+%C2%B7+data&eval=nut")
    settle(page)
    found: dict[str, Any] = {}
    for way, name in (("forward", "Next page"), ("back", "Previous page")):
        times, longest = [], []
        for _ in range(count):
            page.evaluate(TURN)
            page.get_by_role("button", name=name).click()
            page.wait_for_function("window.took !== null", timeout=20_000)
            page.wait_for_timeout(300)
            times.append(float(page.evaluate("window.took")))
            longest.append(float(page.evaluate("window.longest")))
        ordered = sorted(times)
        found[way] = {
            "median_ms": round(statistics.median(times), 1),
            "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
            "longest_frame_ms": round(max(longest), 1),
            "all_ms": [round(t, 1) for t in times],
        }
    return found


def main() -> None:
    """Every case once, a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30, help="presses a case [30]")
    parser.add_argument(
        "--photos", type=int, default=1000, help="in the contact sheet; 0 leaves it out [1000]"
    )
    parser.add_argument("--json", type=Path, help="file for every number")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    kept = tempfile.TemporaryDirectory()
    sheet = Path(kept.name)
    if options.photos:
        score_photos(sheet, options.photos)
        os.environ |= {"CUTSWAP_DATA": str(sheet / "data"), "CUTSWAP_RUNS": str(sheet / "runs")}
    began = time.perf_counter()
    with kept, running_app() as address, sync_playwright() as playwright:
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
        turns = turn_pages(page, address, options.count) if options.photos else {}
        for way, turned in turns.items():
            print(
                f"contact sheet of {options.photos:,}, {way:<8} median {turned['median_ms']:>6} ms"
                f"   95% {turned['p95_ms']:>6} ms   longest frame {turned['longest_frame_ms']} ms"
            )
        browser.close()
    if options.json:
        about = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        text = json.dumps(
            {**about, "first_picture_s": first, "results": results, "sheet": turns}, indent=2
        )
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Pictures of every page for the README and for the eye: `make screenshots`.

Starts the app on a free port with the demo data, opens Chromium (CHROMIUM names another one), and
writes PNGs of every page, light and dark, wide and phone, into `out/screenshots`; the README's
JPEGs in `assets/readme` are made from the light wide ones.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "",
    "data",
    "saliency",
    "negatives",
    "train",
    "features",
    "inspect",
    "results",
    "study",
    "lesson",
    "spot",
    "stages",
)
README = {"saliency": 1100, "negatives": 1100, "inspect": 1100}  # page: pixels kept from the top
# Where a page is not for its own first photo: training sees good photos alone.
LINKS = {"negatives": "negatives?img=train%2Fgood%2F000"}


@contextlib.contextmanager
def running_app() -> Iterator[str]:
    """The app's address while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app/server.py")]
    server = subprocess.Popen([*command, "--server.port", str(port)], cwd=ROOT)
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address + "_stcore/health", timeout=1)  # noqa: S310
                break
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait()


def settle(page: Page) -> None:
    """Wait until the page has a title and has stopped running."""
    page.wait_for_selector("h1", timeout=180_000)  # a busy machine renders the demo first
    quiet = 0
    for _ in range(600):
        busy = page.locator('[data-testid="stStatusWidget"]').count()
        quiet = 0 if busy else quiet + 1
        if quiet == 10:
            return
        page.wait_for_timeout(200)


def main() -> None:
    """All pages in all looks."""
    out = ROOT / "out" / "screenshots"
    out.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with running_app() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width in (1280, 390):
                context = browser.new_context(
                    viewport={"width": width, "height": 900}, color_scheme=scheme
                )
                page = context.new_page()
                for name in PAGES:
                    page.set_viewport_size({"width": width, "height": 900})
                    page.goto(address + LINKS.get(name, name))
                    settle(page)
                    height = page.evaluate(
                        "document.querySelector('[data-testid=stMain]').scrollHeight"
                    )
                    page.set_viewport_size({"width": width, "height": min(height + 10, 6000)})
                    page.wait_for_timeout(800)
                    page.screenshot(path=out / f"{name or 'start'}_{width}_{scheme}.png")
                context.close()
        browser.close()
    for name, kept in README.items():
        picture = Image.open(out / f"{name}_1280_light.png").convert("RGB")
        picture = picture.crop((0, 0, picture.width, min(kept, picture.height)))
        picture.save(ROOT / "assets/readme" / f"page_{name}.jpg", quality=85)


if __name__ == "__main__":
    main()

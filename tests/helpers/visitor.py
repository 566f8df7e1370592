"""A visitor in a browser, of whose every step the same is asked.

No request leaves the machine, no page shows an exception, the first picture lies on the first
screen, wide and on a phone, and axe finds nothing serious.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.screenshots import settle

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
FOLD = 800  # pixels within which a page's first picture lies
SCREENSHOTS = "CUTSWAP_SCREENSHOTS"  # names the folder that `stop` writes pictures into
MOST_TABS = 150  # from one control to any other of a page
# What has the focus is called so: by its label, or by what is written on it.
CALLED = """
() => {
  const one = document.activeElement;
  const labels = (one.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
  const named = labels.map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  const own = one.getAttribute("aria-label") || named || one.labels?.[0]?.innerText;
  return own || one.closest("button, label, a")?.innerText || "";
}
"""
AXE = """
async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations
    .filter((rule) => ["serious", "critical"].includes(rule.impact))
    .map((rule) => [rule.id, rule.nodes[0].html.slice(0, 200)]);
}
"""


class Visitor:
    """One tab.

    Args:
        browser: of Playwright.
        address: of the app.
        name: of the journey, for its screenshots.
    """

    def __init__(self, browser: Any, address: str, name: str) -> None:
        self.address, self.name = address, name
        self.asked: list[str] = []
        context = browser.new_context(
            viewport=WIDE, permissions=["clipboard-read", "clipboard-write"]
        )
        context.on("request", lambda request: self.asked.append(request.url))
        self.page = context.new_page()
        self.page.set_default_timeout(120_000)  # a busy machine renders the demo first
        self._stops = 0

    def open(self, path: str) -> None:
        """As a link opens it in a new tab."""
        self.page.goto(self.address + path)
        settle(self.page)

    def go(self, place: str) -> None:
        """By the menu."""
        self.page.get_by_test_id("stTopNavLink").get_by_text(place, exact=True).click(delay=100)
        self.page.wait_for_url(lambda url: urlsplit(url).path == f"/{place.lower()}")
        settle(self.page)

    def press(self, name: Any, **more: Any) -> None:
        """A button of the page."""
        main = self.page.get_by_test_id("stMain")
        main.get_by_role("button", name=name, **more).first.click(delay=100)
        settle(self.page)

    def choose(self, name: Any) -> None:
        """An option of a segmented control."""
        self.page.get_by_test_id("stMain").get_by_role("radio", name=name).first.click(delay=100)
        settle(self.page)

    def fill(self, label: str, value: str, kind: str = "spinbutton") -> None:
        """A field, with Enter."""
        field = self.page.get_by_role(kind, name=label)
        field.fill(value)
        field.press("Enter")
        settle(self.page)

    def query(self) -> dict[str, str]:
        """What the link says."""
        return {name: v[-1] for name, v in parse_qs(urlsplit(self.page.url).query).items()}

    def says(self, text: Any) -> None:
        """Wait for a text on the page."""
        self.page.get_by_test_id("stMain").get_by_text(text).first.wait_for()

    def download(self, name: Any, which: int = 0) -> Path:
        """What a button of the page gives."""
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name=name).nth(which).click(delay=100)
        return Path(waiting.value.path())

    def reach(self, name: str) -> None:
        """Press Tab until what has the focus is called so."""
        seen = []
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            seen.append(self.page.evaluate(CALLED))
            if name in seen[-1] and not seen[-1].startswith(("Help for", "Link to")):
                return
        raise AssertionError(f"Tab reaches no {name}, only {list(dict.fromkeys(seen))}")

    def type(self, key: str) -> None:
        """One key, on what has the focus."""
        self.page.keyboard.press(key)
        settle(self.page)

    def stop(self, what: str, *, picture: str | None = ".stage img.base") -> None:
        """Look at the page as a whole, wide and on a phone.

        Args:
            what: of the stop, for its screenshots.
            picture: selector of the page's first picture; None where it has none.
        """
        page = self.page
        settle(page)
        self._stops += 1
        for size in (WIDE, PHONE):
            page.set_viewport_size(size)
            page.wait_for_timeout(700)
            self._look(what, size["width"], picture)
        page.set_viewport_size(WIDE)
        settle(page)
        package = importlib.util.find_spec("axe_playwright_python")
        if package is not None and package.origin is not None:
            script = Path(package.origin).with_name("axe.min.js")
            page.evaluate(script.read_text(encoding="utf-8"))
            found = page.evaluate(AXE)
            assert found == [], f"{what}: {found}"

    def _look(self, what: str, width: int, picture: str | None) -> None:
        page = self.page
        for sign in ("[data-testid=stException]", "text=Something went wrong"):
            assert page.locator(sign).count() == 0, f"{what}, {width}: {sign}"
        main = page.locator("[data-testid=stMain]")
        assert main.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, f"{what}, {width}: wide"
        main.evaluate("e => e.scrollTo(0, 0)")
        folder = os.environ.get(SCREENSHOTS)
        if folder:
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.wait_for_timeout(500)
                name = f"{self.name}_{self._stops:02d}_{what}_{width}_{scheme}.png"
                page.screenshot(path=Path(folder) / name)
            page.emulate_media(color_scheme="light")
            page.wait_for_timeout(500)
        if picture is not None:
            box = page.locator(picture).first.bounding_box()
            assert box is not None, f"{what}, {width}: no picture"
            assert box["y"] + 0.8 * box["height"] <= FOLD, f"{what}, {width}: {box}"

    def leave(self) -> None:
        """Close the tab; nothing has been asked of another machine."""
        self.page.context.close()
        own = urlsplit(self.address).netloc
        away = [
            url
            for url in self.asked
            if not url.startswith(("data:", "blob:")) and urlsplit(url).netloc != own
        ]
        assert self.asked
        assert not away

"""All stages of one photo in a browser: wide, on a phone, and on one sheet of paper."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
pytest.importorskip("playwright")
if not CHROMIUM.is_file():
    pytest.skip(f"needs Chromium at {CHROMIUM}", allow_module_level=True)

from tests.screenshots import running_app, settle  # noqa: E402

pytestmark = pytest.mark.journey
COUNT = 15  # pictures


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A public demo."""
    root = tmp_path_factory.mktemp("stages")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CUTSWAP_DATA", raising=False)
        patch.setenv("CUTSWAP_CACHE", str(root / "cache"))
        patch.setenv("CUTSWAP_RUNS", str(root / "runs"))
        patch.setenv("CUTSWAP_PUBLIC", "1")
        with running_app() as found:
            yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_from_the_start_to_a_sheet_of_paper(address: str, browser: Any, width: int):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(180_000)  # a busy machine renders the demo first
    page.goto(address)
    page.get_by_role("link", name="All stages of one photo").click()
    page.locator(".stages img").nth(COUNT - 1).wait_for()
    settle(page)
    assert page.locator(".stages img").count() == COUNT
    wide = "e => e.scrollWidth - e.clientWidth"
    assert page.locator("[data-testid=stMain]").evaluate(wide) <= 0
    heat = page.locator(".stages img").nth(COUNT - 2)
    before = heat.get_attribute("src")
    page.get_by_role("button", name="Roll").click()
    page.wait_for_function(
        "([n, src]) => document.querySelectorAll('.stages img')[n]?.src !== src",
        arg=[COUNT - 2, before],
    )
    settle(page)
    sheet = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", sheet)) == 1
    page.emulate_media(media="print")
    assert page.locator(".stages").is_visible()
    assert not page.get_by_role("button", name="Roll").is_visible()
    assert not page.get_by_role("button", name="Print").is_visible()
    page.close()

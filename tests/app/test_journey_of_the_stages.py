"""All stages of one photo in a browser: wide, on a phone, and on one sheet of paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.chromium import launched, need_chromium, public_demo

need_chromium()

from tests.helpers.visitor import FOLD  # noqa: E402
from tests.screenshots import settle  # noqa: E402

pytestmark = pytest.mark.journey
COUNT = 15  # pictures


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    yield from public_demo(tmp_path_factory.mktemp("stages"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from launched()


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
    first = page.locator(".stages img, .glance img").locator("visible=true").first.bounding_box()
    assert first is not None
    assert first["y"] + 0.8 * first["height"] <= FOLD
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

"""A defect painted in a browser, by mouse, keys and finger, and its link opened by another one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cutswap.strokes.link_text import from_link
from cutswap.strokes.stroke import BRUSH, PATCH, STAIN, Stroke
from tests.helpers.chromium import launched, need_chromium, public_demo

need_chromium()

from tests.helpers.visitor import AXE  # noqa: E402
from tests.screenshots import settle  # noqa: E402

pytestmark = pytest.mark.journey
PHOTO = "demo/hex_nut test/burr/000"
LAG = 5  # pixels of 256: the page may be a fraction of a pixel off


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    yield from public_demo(tmp_path_factory.mktemp("painting"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from launched()


def opened(browser: Any, address: str, width: int = 1280, **context: Any) -> Any:
    page = browser.new_context(viewport={"width": width, "height": 1000}, **context).new_page()
    page.set_default_timeout(180_000)  # a busy machine renders and scores the demo first
    page.goto(address)
    page.locator(".painting img.heat").first.wait_for()
    settle(page)
    page.locator(".painting .stage").scroll_into_view_if_needed()
    return page


def painted(page: Any, count: int) -> tuple[Stroke, ...]:
    """Strokes in the page's link, once there are so many."""
    page.get_by_text(f"{count} of 40 strokes").wait_for()
    settle(page)
    text = parse_qs(urlsplit(page.url).query).get("strokes", [""])[0]
    strokes, _ = from_link(text, PHOTO)
    assert len(strokes) == count
    return strokes


def drag(page: Any, *shares: tuple[float, float]) -> None:
    """By mouse, through (x, y) shares of the photo."""
    box = page.locator(".painting .stage").bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in shares]
    page.mouse.move(*at[0])
    page.mouse.down()
    for place in at[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def photo_of(page: Any) -> str:
    return str(page.locator(".painting img.photo").get_attribute("src"))


def near(point: tuple[int, int], place: tuple[int, int]) -> bool:
    return abs(point[0] - place[0]) <= LAG and abs(point[1] - place[1]) <= LAG


def test_by_mouse_by_keys_and_by_a_link(address: str, browser: Any):
    page = opened(browser, address + "inspect?paint=1")
    clean = photo_of(page)
    drag(page, (0.3, 0.3), (0.6, 0.4))
    (line,) = painted(page, 1)
    assert line.kind == BRUSH
    assert near(line.points[0], (77, 77))
    assert near(line.points[-1], (102, 154))
    assert photo_of(page) != clean

    page.get_by_role("radio", name="Patch").check()
    drag(page, (0.5, 0.25), (0.25, 0.75))
    patch = painted(page, 2)[1]
    assert patch.kind == PATCH
    assert near(patch.points[0], (64, 128))
    assert near(patch.points[1], (192, 64))

    page.get_by_role("radio", name="Stain").check()
    stage = page.locator(".painting .stage")
    stage.focus()
    keys = ("ArrowUp", "Shift+ArrowLeft", "ArrowUp", "Enter", "Shift+ArrowDown", "Enter")
    for key in keys:  # the first only shows the cross in the middle
        stage.press(key)
    stain = painted(page, 3)[2]
    assert stain.kind == STAIN
    assert stain.points == ((127, 118), (137, 118))

    stage.press("Escape")
    painted(page, 2)
    page.go_back()
    painted(page, 3)
    other = opened(browser, page.url)
    assert photo_of(other) == photo_of(page)
    said = other.locator(".painting .says").inner_text()
    assert said == page.locator(".painting .says").inner_text()
    other.get_by_role("button", name="Clear", exact=True).click()
    other.get_by_text("0 of 40 strokes").wait_for()
    other.wait_for_function(
        "([query, clean]) => [...document.querySelectorAll('*')].some((e) => e.shadowRoot &&"
        " e.shadowRoot.querySelector(query)?.getAttribute('src') === clean)",
        arg=["figure.painting img.photo", clean],
    )


def test_strokes_that_are_faster_than_the_server_are_not_lost(address: str, browser: Any):
    page = opened(browser, address + "inspect?paint=1")
    page.locator(".painting .stage").evaluate(
        """stage => {
          stage.focus();
          const press = (key) => stage.dispatchEvent(new KeyboardEvent("keydown", { key }));
          press("ArrowUp"); // shows the cross
          for (let i = 0; i < 8; i += 1) ["ArrowRight", "Enter", "Enter"].forEach(press);
        }"""
    )
    strokes = painted(page, 8)
    assert [stroke.points for stroke in strokes] == [((128, 129 + i),) for i in range(8)]


def test_on_a_phone_an_exercise_asks_first(address: str, browser: Any):
    page = opened(browser, address + "inspect?paint=1&ask=1", width=390, has_touch=True)
    wide = "e => e.scrollWidth - e.clientWidth"
    assert page.locator("[data-testid=stMain]").evaluate(wide) <= 0
    says = page.locator(".painting .says")
    assert says.inner_text() == ""
    page.locator(".painting .stage").tap()
    painted(page, 1)
    assert says.inner_text() == ""
    page.get_by_role("button", name="Show the heat").click()
    assert "score" in says.inner_text()


def test_axe_finds_nothing_serious(address: str, browser: Any):
    package = pytest.importorskip("axe_playwright_python")
    page = opened(browser, address + "inspect?paint=1")
    script = Path(package.__file__).with_name("axe.min.js")
    page.evaluate(script.read_text(encoding="utf-8"))
    assert page.evaluate(AXE) == []


def test_nonsense_in_a_link_says_why(address: str, browser: Any):
    page = opened(browser, address + "inspect?paint=1&strokes=nonsense")
    page.get_by_text("This is the photo without a painting.").wait_for()
    page.get_by_text("0 of 40 strokes").wait_for()

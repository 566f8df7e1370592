"""The lesson walked through in a browser, wide and on a phone, in public mode and offline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cutswap.lessons.lesson_file import read_lesson, shipped_lesson
from tests.helpers.chromium import launched, need_chromium, public_demo

need_chromium()

from tests.screenshots import settle  # noqa: E402

pytestmark = pytest.mark.journey
STEPS = read_lesson(shipped_lesson()).steps


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    yield from public_demo(tmp_path_factory.mktemp("lesson"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from launched()


def at_step(page: Any, number: int) -> None:
    """Wait until a step is drawn to its end."""
    step = STEPS[number - 1]
    page.get_by_role("heading", name=f"{number}. {step.title}").wait_for()
    page.locator("[data-testid=stMain]").get_by_text(step.caption, exact=True).wait_for()
    settle(page)


def step_of(page: Any) -> int:
    return int(parse_qs(urlsplit(page.url).query).get("step", ["1"])[0])


@pytest.mark.parametrize("width", [1280, 390])
def test_through_the_lesson_by_arrow_keys(address: str, browser: Any, width: int):
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)  # a busy machine renders the demo first
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address + "lesson")
    at_step(page, 1)
    for number, step in enumerate(STEPS, start=1):
        at_step(page, number)
        assert step_of(page) == number
        pictures = page.locator(".stage img.base, [data-testid=stImage] img")
        pictures.first.wait_for()
        wide = "e => e.scrollWidth - e.clientWidth"
        assert page.locator("[data-testid=stMain]").evaluate(wide) <= 0, step.title
        answers = page.get_by_role("radiogroup", name="Your prediction")
        assert page.get_by_role("button", name="Answer", exact=True).is_disabled()
        answers.get_by_text(step.question.answers[step.question.right], exact=True).click()
        page.get_by_role("button", name="Answer", exact=True).click(delay=100)  # once it is enabled
        page.get_by_text("That is right").wait_for()
        page.locator("h1").click()
        page.keyboard.press("ArrowRight")
    page.get_by_text("7 of 7 questions answered").wait_for()
    assert page.get_by_role("button", name="Next step").is_disabled()
    page.keyboard.press("ArrowLeft")
    at_step(page, 6)
    page.go_back()
    at_step(page, 7)
    page.go_back()
    at_step(page, 6)
    page.go_forward()
    at_step(page, 7)
    assert all(url.startswith((address, "data:", "blob:")) for url in asked), "offline"
    context.close()


def test_a_click_moves_the_window_and_the_presenter_sees_nothing_else(address: str, browser: Any):
    size = {"width": 1280, "height": 900}
    context = browser.new_context(viewport=size, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(address + "lesson")
    at_step(page, 1)
    numbers = page.locator(".lesson-numbers")
    before = numbers.inner_text()
    page.locator(".stage").first.click(position={"x": 30, "y": 30})
    page.get_by_role("button", name="Back to the most salient place").click(delay=100)
    settle(page)
    assert numbers.inner_text() == before
    page.get_by_role("button", name="Presenter view").click(delay=100)
    page.get_by_role("button", name="Leave the presenter view").wait_for()
    settle(page)
    for part in ("stHeader", "stSidebar", "stTopNavLink"):
        assert not page.locator(f"[data-testid={part}]").first.is_visible(), part
    type_size = "getComputedStyle(document.documentElement).fontSize"
    assert page.evaluate(type_size) == "20px"
    ground = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
    assert page.evaluate(ground) == "rgb(20, 23, 27)"  # the dark theme's
    page.keyboard.press("ArrowRight")
    at_step(page, 2)
    assert "present=1" in page.url
    page.get_by_role("button", name="Leave the presenter view").click(delay=100)
    page.locator("[data-testid=stTopNavLink]").first.wait_for()
    settle(page)
    assert page.evaluate(type_size) == "16px"
    page.get_by_role("link", name="Only this on Saliency").click(delay=100)
    page.get_by_text(STEPS[1].caption, exact=True).wait_for()
    settle(page)
    assert page.get_by_role("radiogroup", name="Layer").count() == 1
    assert page.get_by_role("slider", name="Clusters K").count() == 0
    assert page.get_by_text("All levels, shallow to deep").count() == 0
    page.get_by_role("button", name="Show the whole page").click(delay=100)
    page.get_by_text("All levels, shallow to deep").wait_for()
    assert "show=" not in page.url
    context.close()

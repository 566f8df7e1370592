"""A recorded run played in a browser: in the lesson, in public mode, wide and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from cutswap.lessons.live_pictures import UPDATES
from tests.helpers.chromium import launched, need_chromium, public_demo

need_chromium()

from tests.helpers.visitor import Visitor  # noqa: E402

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    yield from public_demo(tmp_path_factory.mktemp("states"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from launched()


def test_heat_features_and_curves_move_together(address: str, browser: Any):
    visitor = Visitor(browser, address, "states")
    visitor.open("lesson?step=5&look=time")
    page = visitor.page
    page.locator(".stage img.base").first.wait_for()
    visitor.says(re.compile("after update 0$"))
    visitor.stop("first", picture=None)

    def seen() -> tuple[Any, ...]:
        heat = page.locator(".stage img.heat").first.get_attribute("src")
        cloud, curves = (page.locator(".js-plotly-plot").nth(n) for n in (0, 1))
        marks = cloud.evaluate("e => JSON.stringify(e.data.map(t => Array.from(t.x)))")
        axes = cloud.evaluate("e => JSON.stringify([e.layout.xaxis.range, e.layout.yaxis.range])")
        at = curves.evaluate("e => e.layout.shapes.find(s => s.x0 === s.x1).x0")
        return heat, marks, axes, at

    states = [seen()]
    for update in UPDATES[1:4]:
        visitor.press("Next", exact=True)
        visitor.says(re.compile(f"after update {update}$"))
        states.append(seen())
        assert visitor.query()["update"] == str(update)
    for part, is_still in ((0, False), (1, False), (2, True)):  # the axes stay where they are
        assert (len({state[part] for state in states}) == 1) == is_still, part
    assert [state[3] for state in states] == list(UPDATES[:4])

    slider = page.get_by_role("slider", name="Update")
    slider.press("ArrowRight")
    visitor.says(re.compile(f"after update {UPDATES[4]}$"))
    visitor.press("Play", exact=True)
    visitor.says(re.compile(f"after update {UPDATES[-1]}$"))
    visitor.says("Play")
    assert page.get_by_role("button", name="Next", exact=True).last.is_disabled()
    visitor.stop("last", picture=None)
    page.go_back()
    page.wait_for_timeout(1000)
    assert page.locator("[data-testid=stException]").count() == 0
    visitor.leave()

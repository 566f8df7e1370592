"""A projector from the browser: trained, opened in Inspect, and asked as bank, head and both."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cutswap.runs.queue import JobQueue
from cutswap.runs.states import DONE, read_run
from tests.app.test_journeys import address, browser, opened, shown  # noqa: F401
from tests.screenshots import settle


@pytest.fixture
def runs(address: str) -> Iterator[Path]:  # noqa: ARG001, F811 - it sets the variable
    """The app's runs folder; whatever is still at work there at the end is ended."""
    folder = Path(os.environ["CUTSWAP_RUNS"])
    yield folder
    queue = JobQueue(folder)
    for job in reversed(queue.active()):
        queue.stop(job.run, by_force=True)


def choose(page: Any, label: str) -> None:
    """Press a part of a segmented control."""
    page.get_by_test_id("stMain").get_by_role("radio", name=label, exact=True).click(delay=100)
    settle(page)


@pytest.mark.journey
def test_a_projector_is_trained_and_asked_in_three_ways(address, runs, browser):  # noqa: F811
    page = opened(browser, address + "train?cat=part+%C2%B7+mine")
    choose(page, "Projector")
    updates = page.get_by_role("spinbutton", name="Updates")
    updates.fill("3")
    updates.press("Enter")
    settle(page)
    page.get_by_role("button", name=re.compile("Start$")).click(delay=100)
    page.get_by_role("button", name="Open in Inspect").wait_for(timeout=600_000)
    run = read_run(runs / "part-projector-1")
    assert (run.state, run.steps) == (DONE, 6)

    page.get_by_role("button", name="Open in Inspect").click(delay=100)
    page.get_by_text("What each of them misses").wait_for(timeout=600_000)
    settle(page)
    page.get_by_text(re.compile("The head's share in both is")).first.wait_for()
    page.screenshot(path=runs.parent / "both.png", full_page=True)
    seen: dict[str, tuple[str, str]] = {}
    for label in ("Bank", "Head"):
        choose(page, label)
        page.wait_for_url(re.compile(f"score={label.lower()}"))
        verdict = page.get_by_test_id("stMarkdown").filter(has_text="threshold").first
        seen[label] = (verdict.inner_text(), shown(page))
    assert seen["Bank"][0] != seen["Head"][0]  # another score
    assert seen["Bank"][1] != seen["Head"][1]  # another heatmap
    link = "inspect?cat=part+%C2%B7+mine&run=part-projector-1&score=head"
    page = opened(browser, address + link)
    page.locator(".stage img.heat").first.wait_for(timeout=120_000)
    assert shown(page) == seen["Head"][1]  # the link shows the same

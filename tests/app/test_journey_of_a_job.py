"""A fine-tuning from the browser: started, left alone, found again, stopped, resumed, opened."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cutswap.runs.queue import JobQueue
from cutswap.runs.states import training_curve
from tests.app.test_journeys import browser, opened  # noqa: F401 - a fixture
from tests.helpers.waiting import until
from tests.screenshots import running_app, settle

pytestmark = pytest.mark.journey  # its jobs are processes of their own, one after the other


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runs folder and a cache of its own; whatever is still at work there at the end is ended."""
    monkeypatch.setenv("CUTSWAP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))  # not the user's own
    yield tmp_path / "runs"
    queue = JobQueue(tmp_path / "runs")
    for job in reversed(queue.active()):
        queue.stop(job.run, by_force=True)


@pytest.fixture
def address(runs: Path) -> Iterator[str]:  # noqa: ARG001 - it sets the variable first
    with running_app() as found:
        yield found


@contextlib.contextmanager
def held(runs: Path) -> Iterator[None]:
    """The job at work stands still meanwhile: fast machines finish before a page is drawn."""
    (job,) = (job for job in JobQueue(runs).active() if job.by is not None)
    os.kill(job.by.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(job.by.pid, signal.SIGCONT)


def updates(page: Any) -> int:
    """Updates done, as the page says them."""
    text = page.get_by_test_id("stMetricValue").filter(has_text=re.compile(r"\d+ of \d+"))
    return int(re.match(r"\s*(\d+) of", text.first.inner_text())[1])


def test_a_job_outlives_its_page_and_goes_on_after_a_stop(address: str, runs: Path, browser: Any):  # noqa: F811
    page = opened(browser, address + "train?cat=hex_nut+%C2%B7+Demo")
    for field, value in (("Updates per epoch", "30"), ("Batch", "2")):
        page.get_by_role("spinbutton", name=field).fill(value)
        page.get_by_role("spinbutton", name=field).press("Enter")
        settle(page)
    page.get_by_role("button", name=re.compile("Start$")).click(delay=100)
    said = page.get_by_test_id("stMarkdown")  # the table says it too, in hidden cells
    said.filter(has_text="at work").first.wait_for(timeout=120_000)
    run = runs / "hex_nut-cutswap-1"
    until(lambda: len(training_curve(run)) >= 1, 180)
    with held(runs):
        page.get_by_text(re.compile(r"\d+ of 30")).first.wait_for(timeout=180_000)
        seen = updates(page)
        page.screenshot(path=runs.parent / "at_work.png", full_page=True)
        page.context.close()  # nobody looks

    until(lambda: len(training_curve(run)) > seen + 1, 400)
    with held(runs):
        page = opened(browser, address + "train?cat=hex_nut+%C2%B7+Demo")
        assert updates(page) > seen
        # While a script runs, the header has a Stop of Streamlit's own.
        body = page.get_by_test_id("stMainBlockContainer")
        body.get_by_role("button", name=re.compile("Stop$")).click(delay=100)
        body.get_by_role("button", name=re.compile("Stopping$")).wait_for(timeout=60_000)
    said = page.get_by_test_id("stMarkdown")
    said.filter(has_text="stopped, can be resumed").first.wait_for(timeout=60_000)
    # The run's own part knows first; the whole page follows, and while it is drawn again an old
    # button may stand beside its new one. The form's line goes with that redraw.
    page.get_by_text("It will wait for 1 job").first.wait_for(state="detached", timeout=60_000)
    settle(page)
    done = len(training_curve(run))
    assert updates(page) == done < 30
    assert (run / "checkpoint.safetensors").is_file()

    page.get_by_role("button", name="Resume").click(delay=100)
    page.get_by_role("button", name="Open in Inspect").wait_for(timeout=600_000)
    assert [line["step"] for line in training_curve(run)] == list(range(1, 31))
    page.get_by_text("What it saw at update").wait_for()
    page.get_by_role("button", name="Open in Inspect").click(delay=100)
    page.locator(".stage img.heat").first.wait_for(timeout=600_000)
    # The sidebar's widgets write their parameters after the page's first picture.
    page.wait_for_url(
        lambda url: url.startswith(address + "inspect") and "run=hex_nut-cutswap-1" in url,
        timeout=60_000,
    )
    page.context.close()


def test_jobs_of_two_visitors_wait_for_each_other(address: str, runs: Path, browser: Any):  # noqa: F811
    pages = [opened(browser, address + "train?cat=chip+%C2%B7+Demo") for _ in range(2)]
    for number in range(2, 5):
        page = pages[number % 2]
        page.reload()  # the name field is then free for the next
        settle(page)
        for field in ("Updates per epoch", "Batch"):
            page.get_by_role("spinbutton", name=field).fill("1")
            page.get_by_role("spinbutton", name=field).press("Enter")
            settle(page)
        page.get_by_role("button", name=re.compile("Start$")).click(delay=100)
        until(lambda wanted=number - 1: len(JobQueue(runs).last_of_all()) == wanted, 60)
    until(lambda: all(job.code is not None for job in JobQueue(runs).last_of_all()), 400)
    jobs = JobQueue(runs).last_of_all()
    assert len({job.run for job in jobs}) == 3
    assert [job.code for job in jobs] == [0] * 3
    spans = sorted((job.began, job.ended) for job in jobs)
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:], strict=False))
    for job in jobs:
        assert [line["step"] for line in training_curve(job.run)] == [1]
    for page in pages:
        page.context.close()

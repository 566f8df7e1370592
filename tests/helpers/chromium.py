"""Chromium for the tests that drive a browser, and a public demo for it to look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


def need_chromium() -> None:
    """Skip a whole file of tests, with the reason, where a browser is missing."""
    pytest.importorskip("playwright")
    if not CHROMIUM.is_file():
        pytest.skip(f"needs Chromium at {CHROMIUM}", allow_module_level=True)


def launched() -> Iterator[Any]:
    """A browser until the last test of a file."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


def public_demo(root: Path) -> Iterator[str]:
    """Address of an app in public mode, whose cache and runs lie in `root`."""
    from tests.screenshots import running_app

    with pytest.MonkeyPatch.context() as patch:
        for name in ("CUTSWAP_DATA", "CUTSWAP_LESSON"):
            patch.delenv(name, raising=False)
        patch.setenv("CUTSWAP_CACHE", str(root / "cache"))
        patch.setenv("CUTSWAP_RUNS", str(root / "runs"))
        patch.setenv("CUTSWAP_PUBLIC", "1")
        with running_app() as found:
            yield found

"""The app under AppTest on a small category of its own, without rendering the demo."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.shared import workspace
from app.shared.selection import found_runs
from cutswap.data.images import save_png
from cutswap.errors import CutSwapError
from tests.helpers.small_photos import photo_of

_ADDRESSES = {"inspect_heatmaps": "inspect"}  # where a page's is not its file's name
MAIN = str(Path(__file__).resolve().parents[2] / "app" / "main.py")


def small_app(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the app at `folder`: mine/part as data, runs, cache; no demo.

    Returns:
        The data folder, with 4 good training photos, 1 good and 1 cracked test photo.
    """
    root = folder / "mine"
    for index in range(4):
        save_png(root / "part/train/good" / f"{index:03d}.png", photo_of(index, (64, 64)))
    save_png(root / "part/test/good/000.png", photo_of(10, (64, 64)))
    save_png(root / "part/test/crack/000.png", photo_of(11, (64, 64)))
    monkeypatch.setenv("CUTSWAP_CACHE", str(folder / "cache"))
    monkeypatch.setenv("CUTSWAP_DATA", str(root))
    monkeypatch.setenv("CUTSWAP_RUNS", str(folder / "runs"))
    # Rendering the real demo takes 8 s and is tested elsewhere.
    failed = workspace.DemoRendering(
        error=CutSwapError("demo", expected="space", found="a full disk", fix="free some")
    )
    monkeypatch.setattr(workspace, "demo_rendering", lambda: failed)
    workspace.dataset_of.clear()
    found_runs.clear()
    return root


def open_page(name: str, **query: str) -> AppTest:
    """A page as a visitor's first sight of it."""
    at = AppTest.from_file(MAIN, default_timeout=120)
    for key, value in query.items():
        at.query_params[key] = value
    if name != "start":  # as a link opens it; `switch_page` would run the start page before
        at._page_hash = calc_hash(_ADDRESSES.get(name, name))
    return at.run()


def texts(at: AppTest) -> str:
    """Everything that is said on the page, one line each."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.success, at.text, at.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def assert_alive(at: AppTest) -> None:
    """No traceback, and none of our own either: `plain_errors` says this of a bug."""
    assert not at.exception
    assert "Something went wrong" not in texts(at)

"""The Data, Inspect and Train pages over a folder of hostile files: messages, never tracebacks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.data import disk as data_cache
from app.data import folders as data_folders
from app.shared.selection import found_runs
from cutswap.utils.files import cache_folder
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.robustness.hostile import corpus
from tests.robustness.hostile_pictures import FOREIGN


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Beside a sound category: bad photos, a bad category, bad runs, a bad queue, a bad memory."""
    data_folders.counts.clear()
    data_cache.sizes.clear()
    root = small_app(tmp_path, monkeypatch)
    for number, data in enumerate(FOREIGN.values()):
        (root / "part/test/crack" / f"bad{number:02d}.png").write_bytes(data)
    (root / "part/test/crack" / "a\nb $(touch pwned).png").write_bytes(b"x")
    (root / "part/test/crack" / "[x](javascript:alert(1)) **b**.png").write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(root / "part/test/crack") + b"/\xff.png")).write_bytes(b"x")
    (root / "part/train/good/linked.png").symlink_to("/etc/passwd")
    (root / "empty/train/good").mkdir(parents=True)
    chosen = [c for c in corpus() if c.reader in ("run", "evaluation") and not c.is_heavy][::6]
    for number, case in enumerate(chosen):
        folder = tmp_path / "runs" / f"{number:03d}"
        folder.mkdir(parents=True)
        case.make(folder)
    cache_folder().mkdir(parents=True, exist_ok=True)
    (cache_folder() / "app.json").write_text('{"folders": [5, "\\u0000", "/nowhere", ' + "[" * 9000)
    found_runs.clear()
    return root


@pytest.mark.parametrize("page", ["start", "data", "train", "inspect_heatmaps", "results"])
def test_a_page_over_hostile_files_says_what_is_wrong(page: str, hostile: Path):
    at = open_page(page, cat="part · mine")
    assert_alive(at)
    assert at.session_state["selection"] is not None, at.session_state["selection_error"]
    assert not list(hostile.parents[0].rglob("pwned"))
    if page == "data":
        assert "errors and" in texts(at)
    if page == "train":
        assert at.dataframe or "broken" in texts(at)
    if page == "inspect_heatmaps":
        at.session_state["img"] = "test/crack/bad03"
        at.run()
        assert_alive(at)
        assert at.error or at.warning or at.info


def test_a_damaged_queue_is_a_sentence_on_the_train_page(hostile: Path, tmp_path: Path):
    del hostile
    (tmp_path / "runs" / ".queue.sqlite3").write_bytes(b"hello" * 1000)
    at = open_page("train")
    assert_alive(at)
    assert any("queue" in e.value for e in at.error)

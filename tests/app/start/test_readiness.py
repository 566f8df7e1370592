"""The Start page's list of what is ready says what can be used, and marks nothing else as ready."""

from __future__ import annotations

import pytest

from app.shared import workspace
from app.start.readiness import readiness
from tests.helpers.app import small_app


@pytest.mark.parametrize(
    ("rendered", "total", "has_own", "is_ready", "text"),
    [
        (0, 0, False, False, "demo set, being rendered"),
        (12, 304, False, False, "demo set, being rendered (12 of 304)"),
        (12, 304, True, True, "mine; demo set, being rendered (12 of 304)"),
        (304, 304, False, True, "demo set"),
        (304, 304, True, True, "demo set; mine"),
    ],
)
def test_a_demo_that_is_not_there_yet_is_not_ready(
    rendered, total, has_own, is_ready, text, tmp_path, monkeypatch
):
    root = small_app(tmp_path, monkeypatch)
    if not has_own:
        monkeypatch.setenv("CUTSWAP_DATA", "")
    is_there = rendered == total > 0
    demo = workspace.DemoRendering(root=root if is_there else None, done=rendered, total=total)
    monkeypatch.setattr(workspace, "demo_rendering", lambda: demo)
    item = readiness()[0]
    assert (item.is_ready, item.text) == (is_ready, text)

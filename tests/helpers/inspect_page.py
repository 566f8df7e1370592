"""The Inspect page under AppTest: opened, waited for, read."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.helpers.scored import SIZE

ROOT = Path(__file__).resolve().parents[2]
PAGE = "../pages/inspect_heatmaps.py"
SMALL_SETTINGS = {"pcsize": str(SIZE), "pclayers": "layer1~layer2", "coreset": "0.05"}


def open_page(**query: str) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app/main.py"), default_timeout=60)
    for name, value in query.items():
        at.query_params[name] = value
    return at.run().switch_page(PAGE).run()


def settled(at: AppTest) -> AppTest:
    """Rerun until what the page waited for is there: its own rerun is not AppTest's."""
    for _ in range(3):
        at = at.run()
    return at


def words(at: AppTest) -> str:
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error)
    return "\n".join(e.value for kind in kinds for e in kind)


def button(at: AppTest, text: str):
    return next(b for b in at.button if b.label.startswith(text))


def no_trace(at: AppTest) -> None:
    assert list(at.exception) == []
    assert "Traceback" not in words(at)
    assert "Something went wrong" not in words(at)

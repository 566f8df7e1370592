"""Links to what is not here: the page says so instead of showing something else in silence."""

from __future__ import annotations

import pytest

from tests.helpers.app import assert_alive, open_page, small_app


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"cat": "bolt · mine"}, "category bolt · mine is not here; shown is part · mine."),
        ({"cat": "part · mine", "img": "test/crack/9"}, "image test/crack/9 is not here"),
        ({"cat": "part · mine", "run": "gone"}, "run gone is not here; shown is Embedded"),
    ],
)
def test_a_link_to_what_is_not_here_says_so(link, said, tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("start", **link)
    assert_alive(at)
    told = [toast.value.replace("\\", "") for toast in at.toast]
    assert any(said in text for text in told), told
    at.run()
    assert len(at.toast) == 0


def test_a_link_to_what_is_here_says_nothing(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("start", cat="part · mine", img="train/good/002", run="Random, untrained")
    assert_alive(at)
    assert not at.toast
    assert [box.value for box in at.sidebar.selectbox] == ["mine/part", "train/good/002"]
    for name in ("saliency", "results", "train", "inspect_heatmaps"):  # the run is kept over pages
        at.switch_page(f"../pages/{name}.py").run()
        runs = [box.value for box in at.sidebar.selectbox if box.key == "run"]
        assert runs == ([] if name in ("saliency", "train") else ["random"])

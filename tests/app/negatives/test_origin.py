"""Negatives of photos that training may not learn from: said, and never written as good ones."""

from __future__ import annotations

import shutil

import pytest

from cutswap.data.images import save_png
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.small_photos import photo_of

PART, ZIP = "part · mine", "The same in folders of MVTec AD (ZIP)"


def button(at):
    (found,) = [b for b in at.get("download_button") if b.proto.label == ZIP]
    return found.proto


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("test/crack/000", "a test photo with a real defect (crack)"),
        ("test/good/000", "a good test photo"),
        ("test/unlabelled/000", "a photo to look at"),
    ],
)
def test_a_photo_that_training_never_sees(image, said, tmp_path, monkeypatch):
    root = small_app(tmp_path, monkeypatch)
    if "unlabelled" in image:
        shutil.rmtree(root / "part/test")
        save_png(root / f"part/{image}.png", photo_of(12, (64, 64)))
    at = open_page("negatives", cat=PART, img=image)
    assert_alive(at)
    assert f"This is {said}: **training never sees it**" in texts(at)
    assert button(at).disabled
    (way,) = [b for b in at.button if b.label == "Show a good photo"]
    way.click().run()
    assert_alive(at)
    assert at.sidebar.selectbox[1].value == "train/good/000"
    assert "training never sees" not in texts(at)
    assert not button(at).disabled


def test_a_plain_folder_s_photos_are_not_called_good(tmp_path, monkeypatch):
    root = small_app(tmp_path, monkeypatch)
    for index in range(3):
        save_png(root.parent / "pool" / f"{index}.png", photo_of(index, (64, 64)))
    monkeypatch.setenv("CUTSWAP_DATA", str(root.parent / "pool"))
    at = open_page("negatives")
    assert_alive(at)
    assert "Nobody has said whether this photo shows a good part" in texts(at)
    assert at.sidebar.selectbox[1].options == ["0", "1", "2"]
    assert button(at).disabled
    at.switch_page("../pages/train.py").run()
    assert_alive(at)
    (start,) = [b for b in at.button if b.label == "Start"]
    assert start.disabled
    assert "training learns from good parts only" in texts(at)
    (tick,) = [c for c in at.checkbox if "show good parts" in c.label]
    tick.check().run()
    (start,) = [b for b in at.button if b.label == "Start"]
    assert not start.disabled

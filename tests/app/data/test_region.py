"""Where to look, on the Data page: shown, proposed, refused; honoured by Negatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.figures.where_to_look import RegionKey
from app.negatives.draws import Drawing, draw_anew
from app.shared.caches import PhotoKey, SaliencyKey
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.data.datasets import open_dataset
from cutswap.data.images import save_png
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.small_photos import photo_of

SIDE = 64
PART = "part · mine"


def left() -> np.ndarray:
    region = np.zeros((SIDE, SIDE), bool)
    region[:, : SIDE // 2] = True
    return region


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return small_app(tmp_path, monkeypatch) / "part"


def test_the_page_shows_the_region_and_how_to_be_rid_of_it(part):
    save_png(part / "region.png", left())
    at = open_page("data", cat=PART)
    assert_alive(at)
    assert "50% of each photo is looked at, by region.png" in texts(at)
    assert "take the file out" in texts(at)


def test_a_region_is_proposed_and_nothing_is_written(part):
    for index in range(4):
        photo = np.full((SIDE, SIDE, 3), 250, np.uint8)
        photo[20:44, 20:44] = photo_of(index, (24, 24)) // 3
        save_png(part / f"train/good/{index:03d}.png", photo)
    before = sorted(part.rglob("*"))
    at = open_page("data", cat=PART)
    assert_alive(at)
    assert "All of every photo is looked at" in texts(at)
    (button,) = [b for b in at.button if b.label == "Propose a region"]
    button.click().run()
    assert_alive(at)
    (download,) = [b for b in at.get("download_button") if b.proto.label == "Download region.png"]
    assert not download.proto.disabled
    assert sorted(part.rglob("*")) == before


def test_a_region_that_cannot_be_used_is_said_and_the_page_lives(part):
    save_png(part / "region.png", left() & False)
    at = open_page("data", cat=PART)
    assert "hides everything" in texts(at)
    assert "The same photo in two sets" in texts(at)  # what comes below is still there


def test_negatives_stay_inside(part):
    save_png(part / "region.png", left())
    category = open_dataset(part).category()
    record = category.train[0]
    drawing = Drawing(
        key=SaliencyKey(PhotoKey.of(record.image, SIDE), "squeezenet1_0", "random", ("4",)),
        method="CutPaste",
        levels=(0,),
        negatives=NegativeSettings(),
        clusters=ClusterSettings(),
        weak=WeakAugmentation(),
        seed=0,
        index=0,
        count=4,
        region=RegionKey.of(category),
    )
    for epoch in range(6):
        assert not draw_anew(drawing, epoch).negative.mask[~left()].any()

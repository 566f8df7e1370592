"""Where to look, on the Data page: shown, proposed, refused; honoured by Negatives."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.figures.where_to_look import RegionKey
from app.negatives import shapes
from app.negatives.command import augment_command
from app.negatives.draws import Drawing, contact_sheet, draw, draw_anew, small
from app.shared.caches import PhotoKey, SaliencyKey
from app.viewer.viewer import Picture
from cutswap.commands.parser import main
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.data.datasets import open_dataset
from cutswap.data.images import read_photo, resize_mask, save_png
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


def drawing_of(part: Path, method: str = "CutPaste") -> Drawing:
    category = open_dataset(part).category()
    record = category.train[0]
    return Drawing(
        key=SaliencyKey(PhotoKey.of(record.image, SIDE), "squeezenet1_0", "random", ("4",)),
        method=method,
        levels=(0,),
        negatives=NegativeSettings(),
        clusters=ClusterSettings(),
        weak=WeakAugmentation(),
        seed=0,
        index=0,
        count=4,
        region=RegionKey.of(category),
    )


def test_negatives_stay_inside_and_so_do_the_command_s(part, tmp_path, monkeypatch):
    save_png(part / "region.png", left())
    drawing = drawing_of(part)
    for epoch in range(6):
        assert not draw_anew(drawing, epoch).negative.mask[~left()].any()
    drawn = draw_anew(drawing, 3)
    monkeypatch.chdir(tmp_path)
    assert main([str(word) for word in augment_command(drawing, drawn)]) == 0
    written = read_photo(tmp_path / "negatives/negative_000.png")
    np.testing.assert_array_equal(written, drawn.negative.photo)


def test_pictures_of_negatives_show_the_region(part):
    save_png(part / "region.png", left())
    drawing = drawing_of(part)
    drawn = draw(drawing, 0)
    shown = drawing.shown(drawn.positive)
    np.testing.assert_array_equal(shown[:, 36:], drawn.positive[:, 36:] // 2)
    several = contact_sheet(drawing, 0, 2, 2, 10_000).jpeg
    for data in (small(drawing, 0, SIDE).jpeg, several):
        picture = np.asarray(Image.open(io.BytesIO(data)))[:, 36:SIDE].astype(int)
        assert abs(picture.mean() - shown[:, 36:].mean()) < 8
    swap = drawing_of(part, "CutSwap")
    anchors = shapes.region(swap, draw(swap, 0))
    assert anchors is not None
    assert not anchors[~left()].any()


@pytest.mark.parametrize("page", ["saliency", "negatives"])
def test_pages_outline_where_is_looked(part, page, monkeypatch):
    pictures: list[Picture] = []
    for place in ("app.saliency.view.viewer", "app.negatives.view.viewer"):
        monkeypatch.setattr(place, lambda picture, **_: pictures.append(picture))
    save_png(part / "region.png", left())
    network = {"net": "squeezenet1_0", "w": "random"}
    at = open_page(page, cat=PART, size="128", **network)
    assert_alive(at)
    assert "50% of the photo" in texts(at)
    looked_at = resize_mask(left(), (128, 128))
    assert len(pictures) == (2 if page == "saliency" else 3)
    for picture in pictures:
        if page == "saliency":
            np.testing.assert_array_equal(picture.mask, looked_at)
        else:  # what is hidden is dark, and the border is drawn
            assert picture.base[:, 70:].max() < 128
            assert (picture.base[4:-4, 63] == 255).all()


def test_a_bad_region_is_said_and_saliency_is_shown(part):
    save_png(part / "region.png", left() & False)
    at = open_page("saliency", cat=PART, net="squeezenet1_0", w="random")
    assert "hides everything" in texts(at)
    assert "Outlined" not in texts(at)
    assert "All levels, shallow to deep" in texts(at)
    assert_alive(at)

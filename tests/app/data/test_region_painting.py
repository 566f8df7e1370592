"""Painting or uploading a region on the Data page, and where it is kept."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from app.data import region_keeping, region_painting
from app.data.region_painting import POLYGON, RECTANGLE, Painting
from cutswap.data.datasets import open_dataset
from cutswap.data.images import save_png
from cutswap.data.regions.painted_region import PaintedShape
from cutswap.data.regions.region_of_interest import region_of
from cutswap.errors import CutSwapError
from tests.app.negatives.test_by_hand import Seen
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.small_photos import photo_of

PART = "part · mine"
HEIGHT, WIDTH = 40, 80
TALL, WIDE = 320, 640  # of the picture that is painted on


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small_app(tmp_path, monkeypatch) / "part"
    for index, path in enumerate(sorted(root.rglob("*.png"))):
        save_png(path, photo_of(index, (HEIGHT, WIDTH)))
    return root


def left(size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[:, : size[1] // 2] = True
    return mask


def png(mask: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, format="PNG")
    return stream.getvalue()


def opened(way: str):
    at = open_page("data", cat=PART)
    at = at.segmented_control(key="region.way").set_value(way).run()
    assert_alive(at)
    return at


def uploaded(data: bytes, name: str = "mask.png"):
    at = opened(region_painting.UPLOAD)
    at = at.get("file_uploader")[-1].set_value([(name, data, "image/png")]).run()
    assert_alive(at)
    return at


def use(at):
    return next((b for b in at.button if b.label == "Use this region"), None)


def download(at):
    return [b for b in at.get("download_button") if b.proto.label == "Download region.png"]


def read(part: Path) -> np.ndarray:
    return region_of(open_dataset(part).category()).mask


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (2 * HEIGHT, 2 * WIDTH)])
def test_an_uploaded_mask_is_shown_and_used(part, size):
    at = uploaded(png(left(size)))
    assert "50%** of each photo is looked at" in texts(at)
    assert not (part / "region.png").exists()  # before it is asked for
    at = use(at).click().run()
    assert_alive(at)
    np.testing.assert_array_equal(read(part), left())
    assert "Written:" in texts(at)
    assert "50% of each photo is looked at, by region.png" in texts(at)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no picture", "mask.png"),
        (png(photo_of(0, (HEIGHT, WIDTH))), "values, as a photo has"),
        (png(left((40, 40))), "a region of the photos' shape, 40 x 80"),
        (png(left() & False), "hides everything"),
    ],
    ids=["no picture", "a photo", "another shape", "all black"],
)
def test_a_bad_upload_is_said_and_nothing_is_written(part, data, said):
    at = uploaded(data)
    assert said in texts(at).replace("\\", "")
    assert use(at) is None
    assert not download(at)
    assert not (part / "region.png").exists()
    assert "The same photo in two sets" in texts(at)  # what comes below is still there


def test_a_file_of_others_is_replaced_only_when_that_is_said(part):
    other = png(~left())
    (part / "region.png").write_bytes(other)
    at = uploaded(png(left()))
    assert use(at).disabled
    assert (part / "region.png").read_bytes() == other
    (tick,) = [c for c in at.checkbox if c.label.startswith("Replace the region.png")]
    at = tick.check().run()
    at = use(at).click().run()
    assert_alive(at)
    np.testing.assert_array_equal(read(part), left())
    assert not use(at).disabled  # one's own needs no second word


def test_a_file_that_changed_meanwhile_stays(part):
    at = uploaded(png(left()))
    (part / "region.png").write_bytes(png(~left()))  # behind the page's back
    at = use(at).click().run()
    assert not at.exception
    np.testing.assert_array_equal(read(part), ~left())


@pytest.mark.parametrize("why", ["locked", "roots"])
def test_where_the_app_may_not_write_it_is_downloaded(part, monkeypatch, tmp_path, why):
    if why == "locked":
        locked = SimpleNamespace(access=lambda *_: False, W_OK=os.W_OK)
        monkeypatch.setattr(region_keeping, "os", locked)
        at = uploaded(png(left()))
        assert use(at) is None
        assert len(download(at)) == 1
        assert "may not write into" in texts(at)
    selection = Selected(part)
    if why == "roots":
        monkeypatch.setenv("CUTSWAP_ROOTS", str(tmp_path / "elsewhere"))
    with pytest.raises(CutSwapError, match="a folder that the app may write into"):
        region_keeping.write(selection, left(), None)
    assert not (part / "region.png").exists()


class Selected:
    """What `write` asks of a selection."""

    def __init__(self, root: Path, source: str = "mine") -> None:
        self.category = open_dataset(root).category()
        self.key = f"{source}/part"
        self.source = SimpleNamespace(key=source)


@pytest.mark.parametrize("who", ["public", "demo"])
def test_strangers_and_the_demo_write_nothing(part, monkeypatch, who):
    if who == "public":
        monkeypatch.setenv("CUTSWAP_PUBLIC", "1")
    with pytest.raises(CutSwapError):
        region_keeping.write(Selected(part, who), left(), None)
    assert not (part / "region.png").exists()


def test_rectangles_and_polygons_are_painted_by_clicks(part, monkeypatch):
    seen = Seen()
    monkeypatch.setattr(region_painting, "viewer", seen)
    at = opened(region_painting.PAINT)
    assert "Nothing is looked at yet" in texts(at)
    assert use(at) is None
    assert seen.pictures["region.paint"].base.shape == (TALL, WIDE, 3)  # in its own shape
    seen.pick(at, (0, 0))
    assert [p.place for p in seen.pictures["region.paint"].points] == [(0, 0)]
    seen.pick(at, (TALL - 1, 323))
    assert not seen.pictures["region.paint"].points
    assert "51%** of each photo" in texts(at)

    at.segmented_control(key="region.effect").set_value("hide this").run()
    at.segmented_control(key="region.tool").set_value(POLYGON).run()
    corners = [(0, 0), (TALL - 1, 0), (TALL - 1, 160)]
    for corner in corners:
        seen.pick(at, corner)
    begun = seen.pictures["region.paint"].mask
    assert begun[200, 20]
    assert not begun[200, 200]
    at.button(key="region.close").click().run()
    assert_alive(at)
    at = use(at).click().run()
    found = read(part)
    assert found.shape == (HEIGHT, WIDTH)
    assert not found[:, 41:].any()
    assert not found[np.arange(HEIGHT), np.arange(HEIGHT) // 2].any()  # the triangle
    assert found[:5, 10:40].all()

    for _ in range(2):
        at.button(key="region.undo").click().run()
    assert at.button(key="region.undo").disabled


CORNERS = ((0.1, 0.1), (0.5, 0.2), (0.4, 0.8))


def test_what_is_picked_makes_areas():
    one = Painting().picked(CORNERS[0], RECTANGLE, is_hidden=True)
    assert one == Painting(corners=CORNERS[:1])
    whole = one.picked(CORNERS[1], RECTANGLE, is_hidden=True)
    assert whole == Painting((PaintedShape(CORNERS[:2], is_hidden=True),))
    assert whole.undone() == Painting()
    assert one.undone() == Painting()
    assert Painting().undone() == Painting()


def test_a_click_on_the_first_corner_closes_a_polygon():
    painting = Painting()
    for corner in CORNERS:
        painting = painting.picked(corner, POLYGON, is_hidden=False)
    assert painting.corners == CORNERS
    closed = painting.picked((0.11, 0.09), POLYGON, is_hidden=False)
    assert closed == Painting((PaintedShape(CORNERS),))
    again = Painting(corners=CORNERS[:2]).picked((0.11, 0.09), POLYGON, is_hidden=False)
    assert len(again.corners) == 3  # two corners are no polygon
    long = Painting(corners=CORNERS * 30)
    assert len(long.corners) > region_painting.MOST_CORNERS
    almost = Painting(corners=(CORNERS * 30)[: region_painting.MOST_CORNERS - 1])
    assert almost.picked((0.9, 0.9), POLYGON, is_hidden=False).corners == ()


def test_a_guess_can_be_corrected(part, monkeypatch):
    seen = Seen()
    monkeypatch.setattr(region_painting, "viewer", seen)
    for index, path in enumerate(sorted((part / "train/good").iterdir())):
        photo = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
        photo[10:30, 20:50] = photo_of(index, (20, 30)) // 3
        save_png(path, photo)
    at = open_page("data", cat=PART)
    (propose,) = [b for b in at.button if b.label == "Propose a region"]
    at = propose.click().run()
    at = at.segmented_control(key="region.way").set_value(region_painting.PAINT).run()
    assert_alive(at)
    base = seen.pictures["region.paint"].base
    assert base[160, 300].max() < 120  # the part, bright as it is
    assert base[4, 4].max() == 125  # the ground, dimmed
    seen.pick(at, (0, 0))
    seen.pick(at, (20, 20))
    at = use(at).click().run()
    found = read(part)
    assert found[12:28, 22:48].all()
    assert found[0, 0]
    assert not found[38, 78]

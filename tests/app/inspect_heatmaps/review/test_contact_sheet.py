"""The contact sheet: what the filters leave, page by page, and only the page's pictures made."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.inspect_heatmaps.review import contact_sheet, thumbnails
from app.inspect_heatmaps.review.contact_sheet import ALL, ANY, listed
from app.inspect_heatmaps.review.reviewed import Reviewed
from app.shared.picture_memory import MEMORY
from cutswap.data.records import Record
from cutswap.evaluation.scored_set import read_scored
from cutswap.evaluation.verdicts import HIGHEST, LOWEST, MOST_WRONG
from tests.helpers.datasets import write_image
from tests.helpers.inspect_page import no_trace, open_page, words
from tests.helpers.small_photos import photo_of

SIDE = 16


def reviewed(folder: Path, count: int = 6, *, labelled: bool = True) -> Reviewed:
    """`count` photos of rising score, every third defective; one file stands for all."""
    file = write_image(folder / "photo.png", photo_of(0, (SIDE, SIDE)))
    labels = np.arange(count) % 3 == 0
    defects = tuple("spot" if bad else "good" for bad in labels)
    return Reviewed(
        category="demo/bolt",
        source=(folder,),
        names=tuple(f"test/x/{i:04d}" for i in range(count)),
        defects=defects if labelled else None,
        labels=labels if labelled else None,
        scores=np.arange(count, dtype=float),
        records=[Record(file, "test", defect) for defect in defects],
        threshold=count / 2,
        values=lambda place: np.full((SIDE, SIDE), place / count, np.float32),
        masks=np.zeros((count, SIDE, SIDE), bool) if labelled else None,
        span=(0.0, 1.0),
        usual=0.5,
    )


def opened(at) -> list[str]:
    """What the tiles' buttons say."""
    return [b.label.replace("\\", "") for b in at.button if (b.key or "").startswith("sheet.open.")]


@pytest.mark.parametrize(
    ("group", "defect", "order", "places"),
    [
        # spots are 0 and 3, the threshold is 3: 0 missed, 4 and 5 falsely called
        (ALL, ANY, MOST_WRONG, [0, 5, 4, 3, 2, 1]),
        (ALL, ANY, HIGHEST, [5, 4, 3, 2, 1, 0]),
        (ALL, "spot", LOWEST, [0, 3]),
        ("missed", ANY, MOST_WRONG, [0]),
        ("falsely called", ANY, LOWEST, [4, 5]),
        ("right", "good", HIGHEST, [2, 1]),
        ("missed", "good", HIGHEST, []),
    ],
)
def test_filters_leave_what_they_say(tmp_path, group, defect, order, places):
    assert listed(reviewed(tmp_path), group, defect, order) == places


def test_without_labels_the_rule_alone_filters(tmp_path):
    photos = reviewed(tmp_path, labelled=False)
    assert listed(photos, "called defective", ANY, HIGHEST) == [5, 4, 3]
    assert listed(photos, "called good", ANY, LOWEST) == [0, 1, 2]


def test_a_photo_is_read_once_and_its_strip_is_small(tmp_path, monkeypatch):
    read: list[Path] = []
    real = thumbnails.read_photo
    monkeypatch.setattr(thumbnails, "read_photo", lambda p, b: (read.append(p), real(p, b))[1])
    before = MEMORY.bytes
    photos = reviewed(tmp_path)
    first = thumbnails.thumbnail(photos, 2)
    assert first == thumbnails.thumbnail(photos, 2)
    assert len(read) == 1
    assert 0 < MEMORY.bytes - before < 40_000  # a thousand are a tenth of the memory


def test_a_photo_that_cannot_be_read_has_no_strip_and_no_traceback(tmp_path):
    photos = reviewed(tmp_path)
    photos.records[0].image.write_bytes(b"no picture")
    assert thumbnails.thumbnail(photos, 0) is None


def test_a_strip_dims_what_was_not_looked_at(tmp_path):
    photos = reviewed(tmp_path)
    region = np.zeros((SIDE, SIDE), bool)
    region[:, : SIDE // 2] = True
    sides = [
        np.asarray(Image.open(io.BytesIO(thumbnails.thumbnail(p, 2))))[:, 74:124].mean()
        for p in (photos, replace(photos, source=("inside",), region=region))
    ]
    assert sides[1] == pytest.approx(sides[0] / 2, rel=0.1)


@pytest.mark.usefixtures("saved")
def test_a_page_makes_its_own_pictures_and_no_others(monkeypatch):
    monkeypatch.setattr(contact_sheet, "PAGE", 2)
    made: list[int] = []
    monkeypatch.setattr(contact_sheet, "thumbnail", lambda _, place: made.append(place))
    at = open_page(eval="first")
    no_trace(at)
    assert at.get("pagination")[0].num_pages == 3
    seen = set(opened(at))
    for page in (2, 3):
        made.clear()
        at = at.get("pagination")[0].select(page).run()
        no_trace(at)
        assert len(made) == 2
        assert not seen & set(opened(at))
        seen |= set(opened(at))
    assert len(seen) == 6
    # Another choice of photos begins at its first page.
    at = at.selectbox(key="knob.sheetorder").set_value(LOWEST).run()
    assert at.get("pagination")[0].value == 1


def test_the_page_s_filters_follow_its_threshold(saved):
    found = read_scored(saved / "first")
    spots = np.sort(found.scores[found.labels])
    for threshold, missed in ((float(spots[1]), 1), (float(found.scores.max()) + 1e-9, 3)):
        at = open_page(eval="first", thr=str(threshold), sheet="missed")
        no_trace(at)
        assert len(opened(at)) == missed
        assert all("✖ missed" in text for text in opened(at))
    at = open_page(eval="first", sheettype="spot", sheet="falsely called")
    no_trace(at)
    assert opened(at) == []
    assert "No photo matches this filter" in words(at)


@pytest.mark.usefixtures("saved")
def test_a_tile_opens_its_photo_and_marks_it():
    at = open_page(eval="first", img="test/good/000")
    name = "spot/002"
    tile = next(b for b in at.button if name in b.label.replace("\\", ""))
    at = tile.click().run()
    no_trace(at)
    assert at.session_state["img"] == f"test/{name}"
    place = tile.key.rpartition(".")[2]
    assert next(b for b in at.button if b.key == tile.key).disabled
    at = at.checkbox(key=f"sheet.keep.{place}").check().run()
    assert f"keep.said.{at.session_state['selection'].key}.test/{name}" in at.session_state
    at = at.checkbox(key=f"sheet.keep.{place}").uncheck().run()
    assert "No photo is kept yet" in words(at)


@pytest.mark.usefixtures("saved")
def test_photos_that_vanished_leave_tiles_without_pictures(world):
    for path in (world / "demo/bolt/test/spot").iterdir():
        path.unlink()
    at = open_page(eval="first")
    no_trace(at)
    assert len(opened(at)) == 6
    assert "gone or cannot be read" in words(at)

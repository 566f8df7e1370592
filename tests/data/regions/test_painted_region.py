"""Areas painted over a mask, and the mask written where it may be."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutswap.data.datasets import open_dataset
from cutswap.data.images import save_png
from cutswap.data.records import Category
from cutswap.data.regions.painted_region import PaintedShape, painted
from cutswap.data.regions.region_of_interest import read_region, read_region_bytes, region_of
from cutswap.data.regions.written_region import region_file_mark, write_region
from cutswap.errors import CutSwapError
from tests.helpers.datasets import build_category, noise_photo, write_image

SIZE = (40, 60)


@pytest.fixture
def category(tmp_path: Path) -> Category:
    root = build_category(tmp_path / "bolt")
    for path in root.rglob("*.png"):
        write_image(path, noise_photo(0, SIZE))
    return open_dataset(root).category()


def left() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[:, :30] = True
    return mask


@pytest.mark.parametrize("corners", [((0, 0), (1, 0.5)), ((1, 0.5), (0, 0)), ((0, 0.5), (1, 0))])
def test_a_rectangle_is_two_opposite_corners(corners):
    mask = painted(np.zeros((11, 21), bool), [PaintedShape(corners)])
    expected = np.zeros((11, 21), bool)
    expected[:, :11] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_polygon_closes_by_itself_and_later_areas_count():
    triangle = PaintedShape(((0, 0), (1, 0), (1, 1)))
    mask = painted(np.zeros((101, 101), bool), [triangle])
    assert mask[np.tril_indices(101)].all()
    assert not mask[np.triu_indices(101, 2)].any()
    hole = PaintedShape(((0.6, 0.2), (0.8, 0.4)), is_hidden=True)
    both = painted(np.zeros((101, 101), bool), [triangle, hole])
    assert not both[60:81, 20:41].any()
    assert both.sum() == mask.sum() - 21 * 21
    assert painted(both, [triangle]).sum() == mask.sum()  # over the hole again


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (400, 300)])
def test_all_of_a_photo_of_any_size_can_be_painted(size):
    whole = PaintedShape(((0, 0), (1, 1)))
    assert painted(np.zeros(size, bool), [whole]).all()
    base = np.ones(size, bool)
    assert not painted(base, [PaintedShape(whole.corners, is_hidden=True)]).any()
    assert base.all()  # its own memory


def test_one_corner_is_no_area():
    with pytest.raises(CutSwapError, match="two corners of a rectangle"):
        painted(np.zeros((4, 4), bool), [PaintedShape(((0, 0),))])


def test_what_is_written_is_read_back(category):
    path = write_region(category, left())
    assert path == category.root / "region.png"
    again = open_dataset(category.root).category()
    np.testing.assert_array_equal(region_of(again).mask, left())


def test_a_file_that_the_writer_does_not_know_stays(category):
    path = category.root / "region.png"
    save_png(path, ~left())
    before = path.read_bytes()
    for over in (None, "0" * 64):
        with pytest.raises(CutSwapError, match="found another one"):
            write_region(category, left(), over)
        assert path.read_bytes() == before
    write_region(category, left(), region_file_mark(category))
    np.testing.assert_array_equal(read_region(path).mask, left())


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_link_or_a_folder_of_its_name_stays(category, tmp_path, kind):
    path, other = category.root / "region.png", tmp_path / "other.png"
    if kind == "link":
        other.write_bytes(b"mine")
        path.symlink_to(other)
    else:
        path.mkdir()
    with pytest.raises(CutSwapError, match="move it away first"):
        write_region(category, left(), "0" * 64)
    assert not other.exists() or other.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros(SIZE, bool), "hides everything"),
        (np.ones((40, 40), bool), "a region of the photos' shape, 40 x 60"),
    ],
)
def test_what_cannot_be_a_region_is_not_written(category, mask, said):
    with pytest.raises(CutSwapError, match=said):
        write_region(category, mask)
    assert not (category.root / "region.png").exists()


def test_a_folder_of_photos_alone_takes_none(tmp_path):
    for index in range(2):
        write_image(tmp_path / "photos" / f"{index}.png", noise_photo(index, SIZE))
    photos = open_dataset(tmp_path / "photos").category()
    with pytest.raises(CutSwapError, match="photos alone"):
        write_region(photos, np.ones(SIZE, bool))
    assert not (tmp_path / "photos/region.png").exists()


def encoded(array: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format=kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_an_upload_is_read_as_a_file_is(category, tmp_path, kind):
    data = encoded(left().astype(np.uint8) * 255, kind)
    (tmp_path / "mask").write_bytes(data)
    found, read = read_region_bytes(data, "mask", category), read_region(tmp_path / "mask", SIZE)
    np.testing.assert_array_equal(found.mask, read.mask)
    assert found.sha256 == read.sha256


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"no picture", "image"),
        (encoded(noise_photo(0, SIZE)), "values, as a photo has"),
        (encoded(np.zeros(SIZE, np.uint8)), "hides everything"),
        (encoded(np.full((40, 40), 255, np.uint8)), "a region of the photos' shape"),
    ],
    ids=["empty", "no picture", "a photo", "all black", "another shape"],
)
def test_a_bad_upload_is_refused_by_its_name(category, data, said):
    with pytest.raises(CutSwapError, match=said) as refused:
        read_region_bytes(data, "up.png", category)
    assert refused.value.subject == "up.png"

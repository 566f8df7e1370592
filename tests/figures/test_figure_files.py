"""Files of figures: print size, exact arrays, and how they were made in every one."""

from __future__ import annotations

import io
import json
import shlex
import zipfile

import numpy as np
import pytest
from PIL import Image

from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import COLUMN, PAGE, Origin, arrays_zip, print_png

ORIGIN = Origin(
    "Saliency of test/crack/003",
    {"k": 4, "layer": "16", "fusion": None, "range": [0.02, 0.15]},
    (("saliency", "/data/a photo.png", "--image-size", 256, "--out", "maps"),),
)
PHOTO = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("width", [COLUMN, PAGE, 12.5])
@pytest.mark.parametrize("scale", [1, 40])
def test_a_png_prints_at_its_width(width: float, scale: int):
    picture = np.kron(PHOTO, np.ones((scale, scale, 1), np.uint8))
    image = opened(print_png(picture, ORIGIN, width))
    dpi = image.info["dpi"][0]
    assert image.width / dpi * 25.4 == pytest.approx(width, rel=0.002)
    assert dpi >= 299.5
    assert image.width >= picture.shape[1]  # nothing is thrown away
    assert image.height / image.width == pytest.approx(64 / 96, rel=0.01)


def test_a_picture_of_the_right_size_is_kept_bit_for_bit():
    picture = np.random.default_rng(1).integers(0, 256, (10, 1004, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(opened(print_png(picture, ORIGIN, COLUMN))), picture)


def test_a_png_says_how_it_was_made():
    image = opened(print_png(PHOTO, ORIGIN, COLUMN))
    image.load()
    assert image.text["Title"] == "Saliency of test/crack/003"
    assert json.loads(image.text["Settings"]) == ORIGIN.settings
    words = shlex.split(image.text["Command"])
    assert words == ["python", "-m", "cutswap", *map(str, ORIGIN.commands[0])]
    assert image.text["Software"].startswith("CutSwap ")


@pytest.mark.parametrize("name", ["schräg", "日本", "a\nb", "not\udce4text"])
def test_any_file_name_fits_into_the_text(name: str):
    image = opened(print_png(PHOTO, Origin(name, {"image": name}, (("saliency", name),)), COLUMN))
    image.load()
    assert json.loads(image.text["Settings"]) == {"image": name}


def test_no_command_is_no_empty_line():
    image = opened(print_png(PHOTO, Origin("t"), COLUMN))
    image.load()
    assert "Command" not in image.text


@pytest.mark.parametrize(
    "picture", [PHOTO[..., 0], PHOTO.astype(float), PHOTO[:0], PHOTO[..., :2]], ids=str
)
def test_what_is_no_picture_is_refused(picture: np.ndarray):
    with pytest.raises(CutSwapError, match="uint8 picture"):
        print_png(picture, ORIGIN, COLUMN)


@pytest.mark.parametrize("width", [0, -1, 1001, float("nan")])
def test_a_width_that_is_none_is_refused(width: float):
    with pytest.raises(CutSwapError, match="0 to 1000 mm"):
        print_png(PHOTO, ORIGIN, width)


def test_arrays_come_back_bit_for_bit_with_their_settings():
    arrays = {
        "maps": np.random.default_rng(2).random((2, 5, 5)).astype(np.float32),
        "mask": PHOTO[..., 0] > 100,
        "names": np.array(["CutSwap", "NSA"]),
    }
    with zipfile.ZipFile(io.BytesIO(arrays_zip(arrays, ORIGIN))) as store:
        for name, array in arrays.items():
            found = np.load(io.BytesIO(store.read(f"{name}.npy")), allow_pickle=False)
            assert found.dtype == array.dtype
            assert np.array_equal(found, array)
        about = json.loads(store.read("settings.json"))
    assert about["settings"] == ORIGIN.settings
    assert about["commands"] == [
        shlex.join(map(str, ("python", "-m", "cutswap", *ORIGIN.commands[0])))
    ]
    assert about["arrays"]["maps"] == {"shape": [2, 5, 5], "dtype": "float32"}

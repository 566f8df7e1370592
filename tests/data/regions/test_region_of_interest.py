"""The region of a category: found beside the photos, checked, squashed, part of what is known."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from cutswap.commands.parser import main
from cutswap.data.datasets import open_dataset
from cutswap.data.loading import check_category
from cutswap.data.problems import find_problems
from cutswap.data.regions.region_of_interest import read_region, region_of, with_region
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import evaluation_key
from cutswap.sweeps.identity import data_identity
from tests.helpers.datasets import build_category, build_visa, noise_photo, visa_rows, write_image

SIZE = (48, 40)


def region(value: int = 255, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W) uint8: the right half is hidden."""
    levels = np.zeros(size, np.uint8)
    levels[:, : size[1] // 2] = value
    return levels


@pytest.fixture
def bolt(tmp_path: Path) -> Path:
    root = build_category(tmp_path / "set/bolt")
    for path in [*root.rglob("*.png")]:
        is_mask = "ground_truth" in path.parts
        write_image(
            path, region() if is_mask else noise_photo(zlib.crc32(path.name.encode()) % 99, SIZE)
        )
    return root


def soft(levels: np.ndarray) -> np.ndarray:
    """Antialiased: one column of grey between."""
    levels = levels.copy()
    levels[:, levels.shape[1] // 2] = 90
    return levels


SOUND = {
    "black and white": region(),
    "0 and 1": region(1),
    "larger, of the same shape": region(size=(96, 80)),
    "soft edges": soft(region()),
    "colours": np.repeat(region()[..., None], 3, axis=2),
}


@pytest.mark.parametrize("case", SOUND)
def test_a_region_beside_the_photos_is_found_and_no_photo(bolt, case):
    write_image(bolt / "region.png", SOUND[case])
    category = open_dataset(bolt.parent).category("bolt")
    found = region_of(category)
    assert found is not None
    assert found.share == 0.5
    assert found.at(8).tolist() == [[True] * 4 + [False] * 4] * 8
    assert [p for p in find_problems(category) if p.path == found.path] == []


def test_without_a_region_all_is_looked_at(bolt):
    assert region_of(open_dataset(bolt).category()) is None
    assert "region" not in check_category(bolt, None, skip_bad=False).to_dict()


def test_visa_s_categories_have_theirs(tmp_path):
    build_visa(tmp_path, visa_rows())
    category = open_dataset(tmp_path).category()
    assert category.region is None
    photo = Image.open(category.train[0].image)
    write_image(category.root / "region.png", region(size=photo.size[::-1]))
    assert region_of(open_dataset(tmp_path).category()) is not None


def two_heaps() -> np.ndarray:
    """(H, W) uint8: a bright part on a dark ground, each with the grain of a photo."""
    rng = np.random.default_rng(0)
    means = np.where(region(), 190, 50)
    return np.clip(rng.normal(means, 12), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("radius", [0, 1])
@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp"])
def test_soft_edges_and_jpeg_leave_it_a_region(radius, ending, tmp_path):
    drawn = np.zeros((128, 96), bool)
    drawn[30:100, 20:80] = True
    picture = Image.fromarray(drawn.astype(np.uint8) * 255)
    path = tmp_path / f"mine{ending}"
    picture.filter(ImageFilter.GaussianBlur(radius)).save(path)
    found = read_region(path, drawn.shape).mask
    assert (found != drawn).mean() < 0.01


def test_a_region_that_is_named_is_found_from_every_folder(bolt, tmp_path, monkeypatch):
    write_image(tmp_path / "mine.png", region())
    monkeypatch.chdir(tmp_path)
    category = with_region(open_dataset(bolt).category(), "mine.png")
    assert category.region == tmp_path / "mine.png"


REFUSED = {
    "hides everything": (np.zeros(SIZE, np.uint8), "one that hides everything"),
    "another shape": (region(size=(40, 48)), "40 x 48"),
    "a photo": (noise_photo(3, SIZE), "values, as a photo has"),
    "a photo of a part on a ground": (two_heaps(), "values, as a photo has"),
    "no picture": (b"text", "something else"),
    "empty": (b"", "an empty file"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("way", ["file", "flag"])
def test_what_is_no_region_is_refused_in_one_line(bolt, case, way, tmp_path, capsys):
    content, found = REFUSED[case]
    path = bolt / "region.png" if way == "file" else tmp_path / "mine.png"
    path.write_bytes(content) if isinstance(content, bytes) else write_image(path, content)
    line = ["evaluate", "--data", bolt, "--weights", "random", "--out", tmp_path / "o", "--quiet"]
    line += [] if way == "file" else ["--region", path]
    for more in ([], ["--skip-bad"]):
        assert main([str(word) for word in (*line, *more)]) == 2
        said = [s for s in capsys.readouterr().err.splitlines() if s.startswith("cutswap:")]
        assert len(said) == 1
        assert path.name in said[0]
        assert found in said[0]
    if way == "file":
        assert main(["check-data", "--data", str(bolt), "--quiet"]) == 1
        assert f"BAD  {path}" in capsys.readouterr().out
    assert not (tmp_path / "o").exists()


def test_a_link_to_nothing_is_no_region(bolt):
    (bolt / "region.png").symlink_to("gone.png")
    with pytest.raises(CutSwapError, match=r"region\.png"):
        region_of(open_dataset(bolt).category())


def test_a_region_of_one_pixel_may_vanish_when_it_is_squashed(tmp_path):
    dot = np.zeros((100, 100), bool)
    dot[1, 1] = True
    write_image(tmp_path / "dot.png", dot)
    with pytest.raises(CutSwapError, match="in 8 x 8 pixels, found one that hides everything"):
        read_region(tmp_path / "dot.png").at(8)


def test_another_region_is_another_evaluation_and_another_cell(bolt):
    from cutswap.config import PatchCoreSettings

    def identities() -> tuple[str, str]:
        category = open_dataset(bolt).category()
        key = evaluation_key(category, "f", PatchCoreSettings(), 0)
        return key, str(data_identity(category))

    seen = {identities()}
    write_image(bolt / "region.png", region())
    seen.add(identities())
    record = check_category(bolt, None, skip_bad=False).to_dict()["region"]
    assert record["share"] == 0.5
    levels = region()
    levels[0, 0] = 0
    write_image(bolt / "region.png", levels)
    os.utime(bolt / "region.png", (1, 1))
    seen.add(identities())
    assert len({key for key, _ in seen}) == len({data for _, data in seen}) == 3
    assert check_category(bolt, None, skip_bad=False).to_dict()["region"] != record
    assert check_category(bolt, None, skip_bad=False, region="none").region is None

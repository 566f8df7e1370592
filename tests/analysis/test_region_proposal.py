"""A first guess of where to look: on the part, never over a file that is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutswap.analysis.region_proposal import region_of_maps, region_of_parts
from cutswap.commands.parser import main
from cutswap.data.datasets import open_dataset
from cutswap.data.regions.region_of_interest import region_of
from cutswap.errors import CutSwapError
from tests.helpers.datasets import noise_photo, write_image

SIDE = 64


def part(left: int, size: tuple[int, int] = (SIDE, SIDE), side: int = 20) -> np.ndarray:
    """A dark square on white."""
    photo = np.full((*size, 3), 250, np.uint8)
    photo[22 : 22 + side, left : left + side] = noise_photo(left, (side, side)) // 3
    return photo


def test_the_region_is_where_any_photo_shows_the_part():
    region = region_of_parts(np.stack([part(10), part(30)]))
    assert region[22:42, 10:50].mean() > 0.98  # corners are rounded with the grain
    assert region[20:44, 8:52].sum() == region.sum()  # a margin of 2 pixels around


def test_the_region_is_where_saliency_is_high():
    maps = np.zeros((3, SIDE, SIDE))
    maps[:, 20:40, 20:40] = 0.9
    region = region_of_maps(maps)
    assert region[20:40, 20:40].all()
    assert region[18:42, 18:42].sum() == region.sum()


@pytest.mark.parametrize("photos", ["texture", "blank"])
def test_where_nothing_can_be_hidden_it_is_said(photos):
    one = noise_photo(0, (SIDE, SIDE)) if photos == "texture" else np.full((SIDE, SIDE, 3), 9, "u1")
    with pytest.raises(CutSwapError, match="of which something can be hidden"):
        region_of_parts(one[None])
    with pytest.raises(CutSwapError, match="saliency is even"):
        region_of_maps(np.full((1, SIDE, SIDE), 0.5))


@pytest.fixture
def bolt(tmp_path: Path) -> Path:
    for index in range(3):
        write_image(tmp_path / f"bolt/train/good/{index}.png", part(10 + 5 * index, (96, 128), 40))
    return tmp_path / "bolt"


@pytest.mark.parametrize("by", ["foreground", "saliency"])
def test_the_command_writes_a_region_that_is_then_used(bolt, by, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    line = ["region", "--data", str(bolt), "--by", by, "--image-size", str(SIDE), "--quiet"]
    line += ["--backbone", "squeezenet1_0", "--weights", "random"]
    assert main(line) == 0
    assert "of each photo is looked at" in capsys.readouterr().out
    found = region_of(open_dataset(bolt).category())
    assert found is not None
    assert found.mask.shape == (96, 128)
    assert 0 < found.share < 1
    if by == "foreground":
        assert found.mask[26:58, 14:56].all()
        assert not found.mask[:, 72:].any()
    before = found.path.read_bytes()
    assert main(line) == 2
    assert "never written over" in capsys.readouterr().err
    assert found.path.read_bytes() == before


def test_a_folder_of_photos_alone_gets_none_among_them(tmp_path, capsys):
    for index in range(2):
        write_image(tmp_path / f"in/{index}.png", part(10))
    line = ["region", "--data", str(tmp_path / "in"), "--quiet"]
    assert main(line) == 2
    assert "--region region.png" in capsys.readouterr().err
    assert main([*line, "--out", str(tmp_path / "mine.png")]) == 0
    assert len(list((tmp_path / "in").iterdir())) == 2

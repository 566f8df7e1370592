"""The Inspect page on an evaluation by tiles: photo, heat and figures in the photos' own shape."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps.caches import BankKey
from app.inspect_heatmaps.nearest_normal import compared_in_tiles
from app.shared.caches import PhotoKey
from cutswap.config import PatchCoreSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.loading import check_category
from cutswap.data.reading import FIT
from cutswap.data.regions.region_of_interest import with_resize
from cutswap.evaluation.scored_set import read_scored
from cutswap.evaluation.tiled.evaluate_tiles import (
    LargeCategory,
    fit_tiles,
    write_tiled_evaluation,
)
from tests.helpers.datasets import write_image
from tests.helpers.inspect_page import no_trace, open_page, words
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import tiny_backbone

SHAPE = (90, 150)
SETTINGS = PatchCoreSettings(image_size=64, tile_overlap=32, coreset=0.2, sigma=1.0)


@pytest.fixture
def tiles(world: Path) -> Path:
    """The demo's category with larger photos, and an evaluation by tiles of it."""
    for path in (world / "demo").rglob("*.png"):
        photo = photo_of(0, SHAPE)
        if "ground_truth" in path.parts or "spot" in path.parts:
            spot = np.zeros(SHAPE, bool)
            spot[40:48, 100:108] = True
            photo = spot if "ground_truth" in path.parts else np.where(spot[..., None], 0, photo)
        write_image(path, photo if photo.dtype == bool else photo.astype(np.uint8))
    large = LargeCategory.of(check_category(world / "demo", "bolt", skip_bad=False))
    out, began = world / "runs/tiles", time.perf_counter()
    out.mkdir(parents=True)
    write_tiled_evaluation(large, fit_tiles(large, tiny_backbone(), SETTINGS), out, began)
    return out


def test_it_shows_score_heat_and_figures_and_the_nearest_patch(tiles):
    at = open_page(eval="tiles", img="test/spot/000")
    no_trace(at)
    said = words(at)
    summary = json.loads((tiles / "result.json").read_text())
    assert f"image AUROC **{summary['image_auroc']:.3f}**" in said
    assert "tiles of 64 pixels that overlap by 32 or more" in said
    assert "The most similar normal patch" in [s.value for s in at.subheader]
    assert "apart; that is the heat at this place before it is smoothed" in said
    assert not at.error
    assert "test/spot/000 · score **" in said
    assert any("--tile-overlap=32" in c.value for c in at.code)


@pytest.mark.usefixtures("tiles")
def test_nothing_is_painted_on_tiles():
    at = open_page(eval="tiles", img="test/spot/000", paint="1")
    no_trace(at)
    assert any("cuts them into tiles" in info.value for info in at.info)
    assert "test/spot/000 · score **" in words(at)


def test_a_training_photo_is_scored_tile_by_tile(tiles):
    at = open_page(eval="tiles", img="train/good/000")
    no_trace(at)
    assert not at.error
    assert "A training photo: it was learnt from" in words(at)
    found = read_scored(tiles)
    record = next(r for r in found.records if r.is_good)
    place = found.names.index(record.name)
    score, heat = inspect_caches.by_tiles(tiles, 0, PhotoKey.of_record(record, found.size))
    assert score == pytest.approx(found.scores[place], rel=1e-5)
    np.testing.assert_allclose(heat, found.heatmaps[place], atol=1e-5)


def test_the_patch_compared_is_where_the_heat_is_highest(tiles, world):
    found = read_scored(tiles)
    place = found.names.index("test/spot/000")
    category = with_resize(open_dataset(world / "demo").category("bolt"), FIT)
    key, record = BankKey.of(found.bank_file), found.records[place]
    heat = found.heatmaps[place]
    said, box = compared_in_tiles(key, record, heat, category.train)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert box[0] <= row + 1
    assert row <= box[0] + box[2]
    assert box[1] <= column + 1
    assert column <= box[1] + box[3]
    top = (150 - 90) // 2  # of the photo in its square of 150, where a pixel is a pixel
    assert said.test.box[0] == pytest.approx(box[0] - top)
    assert 32 <= said.test.box[0] <= 52  # the spot is in rows 40 to 47, columns 100 to 107
    assert 92 <= said.test.box[1] <= 112

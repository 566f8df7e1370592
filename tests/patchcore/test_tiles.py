"""Tiles: they cover the photo, each patch is taken once, and no seam tells where they were cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cutswap.config import PatchCoreSettings
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.tiled.tiles import (
    TILE_ALIGN,
    TileLayout,
    need_tiles,
    patch_side,
    photo_patches,
    tiled_patches,
)
from tests.helpers.small_photos import noise_photo
from tests.helpers.tiny_networks import tiny_backbone

LAYERS = ("layer2", "layer3")
sides = st.integers(1, 1500)
multiples = st.integers(2, 12).map(lambda n: n * TILE_ALIGN)


@st.composite
def layouts(draw: st.DrawFn) -> TileLayout:
    size = draw(multiples)
    overlap = draw(st.integers(0, size - TILE_ALIGN))
    return TileLayout((draw(sides), draw(sides)), size, overlap)


@pytest.fixture(scope="module")
def network() -> Backbone:
    return tiny_backbone()


@given(layouts())
def test_tiles_cover_the_photo_and_overlap_as_asked(layout: TileLayout):
    for starts, padded, side in zip(
        (layout.rows, layout.columns), layout.padded, layout.photo, strict=True
    ):
        assert starts[0] == 0
        assert starts[-1] + layout.size == padded >= side
        assert padded - side < TILE_ALIGN or padded == layout.size
        assert all(start % TILE_ALIGN == 0 for start in starts)
        steps = np.diff(starts)
        assert (steps > 0).all()
        assert (layout.size - steps >= layout.overlap).all()
        assert len(steps) == 0 or steps.max() - steps.min() <= TILE_ALIGN


@given(layouts(), st.sampled_from([1, 2, 4, 8, 16, 32]))
def test_each_patch_is_taken_from_one_tile_and_far_from_its_cuts(layout: TileLayout, patch: int):
    for starts, count in zip((layout.rows, layout.columns), layout.grid(patch), strict=True):
        spans = layout.own_spans(starts, patch)
        taken = [n for first, end in spans for n in range(first, end)]
        assert taken == list(range(count))
        for start, (first, end) in zip(starts, spans, strict=True):
            inside = layout.overlap // 2 - patch
            assert first * patch - start >= (0 if start == 0 else inside)
            assert end == count or start + layout.size - end * patch >= inside


@given(layouts())
def test_a_tile_shows_the_photo_and_continues_its_edge(layout: TileLayout):
    photo = noise_photo(0, layout.photo)
    row, column = layout.rows[-1], layout.columns[-1]
    tile = layout.cut(photo, row, column)
    assert tile.shape == (layout.size, layout.size, 3)
    rows = np.minimum(np.arange(row, row + layout.size), layout.photo[0] - 1)
    columns = np.minimum(np.arange(column, column + layout.size), layout.photo[1] - 1)
    np.testing.assert_array_equal(tile, photo[np.ix_(rows, columns)])


@pytest.mark.parametrize("photo_size", [(192, 320), (130, 300), (40, 100)])
def test_patches_are_those_of_one_pass_where_the_overlap_is_wide_enough(network, photo_size):
    """The tiny network sees 51 pixels: 32 on each side of a cut are more than half of that."""
    photo = noise_photo(1, photo_size)
    layout = TileLayout(photo_size, 96, 64)
    assert layout.count > 1
    found = photo_patches(tiled_patches(network, photo, layout, LAYERS, 4))
    lacking = [(0, all_ - side) for all_, side in zip(layout.padded, photo_size, strict=True)]
    whole = np.pad(photo, (*lacking, (0, 0)), mode="edge")
    torch.testing.assert_close(
        found, embed(network, to_image(whole[None]), LAYERS)[0], atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("overlap", [0, 32])
def test_tiles_of_the_same_content_give_the_same_patches(network, overlap):
    """Where the overlap is too narrow for that, too: no tile knows where in the photo it lies."""
    step = 96 - overlap
    photo = np.tile(noise_photo(2, (step, step)), (5, 5, 1))[: 96 + 3 * step, : 96 + 3 * step]
    layout = TileLayout(photo.shape[:2], 96, overlap)
    assert np.diff(layout.rows).tolist() == [step] * 3
    found = photo_patches(tiled_patches(network, photo, layout, LAYERS, 3))
    (first, second), (third, fourth) = layout.own_spans(layout.rows, 4)[1:3]
    torch.testing.assert_close(found[first:second], found[third:fourth], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(found[:, first:second], found[:, third:fourth], atol=1e-6, rtol=1e-6)


def test_the_number_of_tiles_at_once_changes_nothing(network):
    photo = noise_photo(3, (160, 200))
    layout = TileLayout((160, 200), 96, 32)
    one, many = (
        photo_patches(tiled_patches(network, photo, layout, LAYERS, count)) for count in (1, 64)
    )
    torch.testing.assert_close(one, many, atol=1e-5, rtol=1e-5)


def test_patches_that_do_not_fit_into_the_steps_are_refused():
    assert patch_side(256, 32) == 8
    for size, cells in ((256, 30), (256, 4)):
        with pytest.raises(CutSwapError, match="a patch every"):
            patch_side(size, cells)


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"image_size": 100}, "--image-size"),
        ({"tile_overlap": 240}, "--tile-overlap"),
        ({"tile_overlap": None}, "--tile-overlap"),
        ({"shards": 2}, "--shards"),
        ({"reweight": 9}, "--reweight"),
    ],
)
def test_settings_that_do_not_go_with_tiles_are_refused(changes, flag):
    need_tiles(PatchCoreSettings(tile_overlap=64))
    with pytest.raises(CutSwapError) as caught:
        need_tiles(PatchCoreSettings(**{"tile_overlap": 64, **changes}))
    assert caught.value.subject == flag


def test_a_bank_without_tiles_keeps_its_identity():
    assert "tile_overlap" not in PatchCoreSettings().deciding()
    assert PatchCoreSettings(tile_overlap=0).deciding()["tile_overlap"] == 0

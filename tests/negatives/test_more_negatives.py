"""SmoothBlend, NSA, Perlin: where they change a photo, how they meet it, records, the trainer."""

from __future__ import annotations

import copy
import json
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cutswap.config import FAMILIES, METHODS, ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.errors import CutSwapError
from cutswap.negatives.draw import Negative, draw_negative, redraw
from cutswap.negatives.foreground import part_mask
from cutswap.negatives.painting import _fade, paint
from cutswap.negatives.record import POISSON, SMOOTH, Move, NegativeRecord
from cutswap.negatives.samples import TrainingSamples
from cutswap.negatives.single_image import draw_many
from cutswap.negatives.textures import Texture, paint_texture, perlin_noise
from cutswap.saliency.cache import SaliencyMaps
from tests.helpers.small_photos import disc, noise_photo, photo_of

MORE = tuple(m for m in METHODS if m.split("-")[0] in ("smoothblend", "nsa", "perlin"))
SIDE = 64


def draw(positive: np.ndarray, method: str, seed: int = 0, **settings: Any) -> Negative:
    chosen = NegativeSettings(method=method, **settings)
    return draw_negative(positive, None, chosen, ClusterSettings(), seed=(seed,), layer="16")


def where(record: NegativeRecord) -> np.ndarray:
    """(H, W) bool: the only pixels that the record may change."""
    allowed = np.zeros(record.image_size, dtype=bool)
    if record.texture is not None and record.texture.strip is None:
        return ~allowed
    boxes = [(*m.target, *m.placed_size) for m in record.moves]
    if record.texture is not None:
        y, x, h, w = record.texture.strip
        boxes = [
            (*m.target, *m.placed_size) for m in [Move((0, 0, h, w), (y, x), record.texture.angle)]
        ]
    for y, x, h, w in boxes:
        allowed[y : y + h, x : x + w] = True
    return allowed


# Laws of every new method


@given(
    method=st.sampled_from(MORE),
    size=st.tuples(st.integers(1, 61), st.integers(2, 61)),
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["noise", "photo", "nearly flat"]),
    area=st.tuples(st.floats(0.01, 0.5), st.floats(0.01, 0.5)),
)
def test_a_negative_differs_exactly_where_its_mask_says_and_nowhere_else(
    method: str, size: tuple[int, int], seed: int, kind: str, area: tuple[float, float]
):
    positive = {
        "noise": noise_photo,
        "photo": photo_of,
        "nearly flat": lambda s, z: 90 + noise_photo(s, z) // 128,
    }[kind](seed, size)
    original = positive.copy()
    try:
        negative = draw(positive, method, seed, area=tuple(sorted(area)))
    except CutSwapError:
        assume(kind != "nearly flat" and min(size) > 8)  # nothing to see in a few pixels
        raise
    np.testing.assert_array_equal(positive, original)
    assert negative.photo.shape == positive.shape
    assert negative.photo.dtype == np.uint8
    np.testing.assert_array_equal(negative.mask, (negative.photo != positive).any(axis=-1))
    assert negative.mask.any()
    assert not (negative.mask & ~where(negative.record)).any()
    assert (negative.record.layer, negative.record.k, negative.record.strategy) == (None,) * 3
    again = NegativeRecord.from_dict(json.loads(json.dumps(negative.record.to_dict())))
    assert again == negative.record
    np.testing.assert_array_equal(redraw(positive, again).photo, negative.photo)
    np.testing.assert_array_equal(redraw(positive, again).mask, negative.mask)


@pytest.mark.parametrize("method", MORE)
def test_a_constant_photo_only_shows_what_brings_its_own_colour(method: str):
    """Moving a piece of nothing changes nothing; jitter and textures do."""
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    if method.startswith("perlin"):
        assert draw(flat, method).mask.any()
        return
    with pytest.raises(CutSwapError, match="constant or nearly so"):
        draw(flat, method, jitter=0.0)


@pytest.mark.parametrize("method", ["nsa", "nsa-scar"])
def test_poisson_takes_off_even_the_jitter_of_a_constant_photo(method: str):
    """It keeps gradients alone; a flat patch of another colour has none."""
    with pytest.raises(CutSwapError, match="constant or nearly so"):
        draw(np.full((SIDE, SIDE, 3), 90, np.uint8), method, jitter=0.4)


# SmoothBlend


def test_the_fade_is_whole_in_the_middle_and_gone_at_the_edge():
    fade = _fade(40, 20, 0.1)
    assert fade.shape == (40, 20)
    assert fade.max() == fade[20, 10] == 255
    assert max(fade[0].max(), fade[-1].max(), fade[:, 0].max(), fade[:, -1].max()) < 0.15 * 255
    np.testing.assert_array_equal(fade, fade[::-1, ::-1])
    assert (np.diff(fade[20, :10].astype(int)) >= 0).all()


def test_the_fade_is_a_blurred_box():
    """OpenCV's gaussian of the box; profiles are of the integral, so a little apart."""
    box = np.zeros((60, 60))
    box[6:-6, 6:-6] = 255  # 1.5 sigma of 0.0667 * 60 = 4
    blurred = cv2.GaussianBlur(box, (0, 0), 4, borderType=cv2.BORDER_CONSTANT)
    assert np.abs(_fade(60, 60, 4 / 60) - blurred / blurred.max() * 255).max() < 3


def test_no_softness_is_cutpaste():
    photo = noise_photo(0, (SIDE, SIDE))
    move = Move((3, 4, 10, 12), (30, 20), 25.0)
    smooth = Move((3, 4, 10, 12), (30, 20), 25.0, blend=SMOOTH, softness=0.0)
    np.testing.assert_array_equal(paint(photo, (smooth,)), paint(photo, (move,)))


def test_a_smooth_blend_by_hand():
    photo = np.zeros((1, 6, 3), np.uint8)
    photo[:, :3] = 200
    painted = paint(photo, (Move((0, 0, 1, 3), (0, 3), blend=SMOOTH, softness=0.3),))
    alpha = _fade(1, 3, 0.3)[0].astype(int)
    assert painted[0, :, 0].tolist() == [200] * 3 + [(a * 200 + 127) // 255 for a in alpha]


# NSA


def smooth_photo(seed: int) -> np.ndarray:
    return cv2.GaussianBlur(photo_of(seed, (96, 96)), (0, 0), 2)


def test_a_patch_on_its_own_place_changes_nothing():
    """Its gradients are the place's own."""
    photo = smooth_photo(0)
    painted = paint(photo, (Move((20, 30, 31, 17), (20, 30), blend=POISSON),))
    np.testing.assert_array_equal(painted, photo)


def test_a_quarter_turn_blends_the_turned_patch():
    photo = smooth_photo(0)
    turned = photo.copy()
    turned[10:31, 10:31] = np.rot90(photo[10:31, 10:31])  # with some of its surroundings
    move = Move((16, 16, 9, 9), (60, 70), 90.0, blend=POISSON)
    straight = Move((16, 16, 9, 9), (60, 70), blend=POISSON)
    np.testing.assert_array_equal(
        paint(photo, (move,))[60:69, 70:79], paint(turned, (straight,))[60:69, 70:79]
    )


def test_a_brighter_copy_of_the_place_is_the_place():
    """Poisson keeps gradients: a constant added to the patch is gone again."""
    photo = np.zeros((40, 80, 3), np.uint8)
    texture = noise_photo(0, (40, 40)) // 4
    photo[:, :40], photo[:, 40:] = texture, texture + 90
    painted = paint(photo, (Move((10, 50, 20, 20), (10, 10), blend=POISSON),))
    np.testing.assert_array_equal(painted, photo)


def test_a_step_alone_is_bent_to_its_surroundings_by_hand():
    """One pixel, four neighbours: f = mean of the neighbours + mean of the patch's gradients."""
    photo = np.full((3, 9, 3), 100, np.uint8)
    photo[1, 1], photo[0, 1] = 160, 120  # source pixel and its upper neighbour
    painted = paint(photo, (Move((1, 1, 1, 1), (1, 6), blend=POISSON),))
    # neighbours of the target are 100; gradients 160-120, 160-100 three times: their mean is 55
    assert painted[1, 6].tolist() == [155] * 3
    assert (painted != photo).any(axis=-1).sum() == 1


def test_blending_agrees_with_opencv():
    """`seamlessClone` erodes its mask by three pixels and cuts off fractions."""
    photo = smooth_photo(1)
    y, x, h, w, ty, tx = 8, 10, 40, 30, 45, 50
    ours = paint(photo, (Move((y, x, h, w), (ty, tx), blend=POISSON),))
    rim = 4
    patch = photo[y - rim : y + h + rim, x - rim : x + w + rim]
    mask = np.zeros(patch.shape[:2], np.uint8)
    mask[1:-1, 1:-1] = 255
    middle = (tx + w // 2, ty + h // 2)
    theirs = cv2.seamlessClone(patch, photo, mask, middle, cv2.NORMAL_CLONE)
    inner = np.s_[ty + 3 : ty + h - 3, tx + 3 : tx + w - 3]
    moved = np.abs(ours.astype(int) - photo)[inner].mean()
    apart = np.abs(ours.astype(int) - theirs)[inner]
    assert moved > 8
    assert np.median(apart) <= 3
    assert apart.mean() < 0.4 * moved


def test_patches_are_scaled_within_the_range():
    photo = photo_of(0, (128, 128))
    factors = []
    for seed in range(60):
        (move,) = draw(photo, "nsa", seed, area=(0.05, 0.06), aspect=(0.9, 1.1)).record.moves
        placed = move.size or move.source[2:]
        factors.append(placed[0] / move.source[2])
    assert 0.66 < min(factors) < 0.75
    assert 1.25 < max(factors) < 1.34
    assert len(set(factors)) > 10


def test_patches_meet_the_part_at_both_ends():
    photo = np.full((SIDE, SIDE, 3), 200, np.uint8)
    part = disc((SIDE, SIDE), (20, 40), 14)
    photo[part] = noise_photo(0, (SIDE, SIDE))[part] // 4
    assert (part_mask(photo) == part).mean() > 0.97
    for seed in range(20):
        record = draw(photo, "nsa", seed, area=(0.01, 0.02)).record
        (move,) = record.moves
        for y, x, h, w in (move.source, (*move.target, *move.placed_size)):
            assert part_mask(photo)[y : y + h, x : x + w].mean() >= 0.25
    assert record.fallbacks == ()


@pytest.mark.parametrize(
    "photo",
    [
        # a texture; one grey; a part too small to be one; a single pixel
        noise_photo(0, (40, 40)),
        np.full((40, 40, 3), 7, np.uint8),
        np.where(disc((40, 40), (20, 20), 2)[..., None], 0, 200).astype(np.uint8) + np.zeros(
            (1, 1, 3), np.uint8
        ),
        np.zeros((1, 1, 3), np.uint8),
    ],
)  # fmt: skip
def test_without_an_even_border_all_is_part(photo: np.ndarray):
    assert part_mask(photo).all()


def test_a_part_too_far_apart_for_any_pair_is_said():
    photo = np.full((SIDE, SIDE, 3), 200, np.uint8)
    photo[disc((SIDE, SIDE), (32, 32), 9)] = 0
    record = draw(photo, "nsa", area=(0.5, 0.5), max_tries=2, jitter=0.3).record
    assert any("places anywhere" in text for text in record.fallbacks)
    assert record.rejected["off the part"] == 2


# Perlin


@given(
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    cells=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    seed=st.integers(0, 10**6),
)
def test_noise_is_small_and_finite_at_any_size(size, cells, seed):
    noise = perlin_noise(size, cells, np.random.default_rng(seed))
    assert noise.shape == size
    assert np.abs(noise).max() <= 1


def test_noise_is_zero_on_the_lattice_and_smooth_between():
    cells, fine = (3, 4), 401
    noise = perlin_noise((3 * fine, 4 * fine), cells, np.random.default_rng(0))
    for row in (fine, 2 * fine):
        for column in (fine, 2 * fine, 3 * fine):
            assert abs(noise[row, column]) < 0.01
    assert np.abs(np.diff(noise, axis=0)).max() < 0.02
    assert np.abs(np.diff(noise, axis=1)).max() < 0.02
    assert noise.std() > 0.15


def test_noise_by_hand():
    """One pixel in the middle of one cell: the mean of four gradients times the way there."""
    angle = np.random.default_rng(5).uniform(0, 2 * np.pi, (2, 2))
    expected = np.mean(
        [
            np.sin(angle[i, j]) * (0.5 - i) + np.cos(angle[i, j]) * (0.5 - j)
            for i in (0, 1)
            for j in (0, 1)
        ]
    )
    assert perlin_noise((1, 1), (1, 1), np.random.default_rng(5))[0, 0] == pytest.approx(expected)


@given(seed=st.integers(0, 10**6), share=st.floats(0.005, 1.0))
def test_exactly_as_many_pixels_as_drawn_are_covered(seed: int, share: float):
    """A texture that is nowhere the photo's colour shows its whole shape."""
    photo = np.zeros((SIDE, 48, 3), np.uint8)
    pixels = max(1, round(share * SIDE * 48))
    texture = Texture(seed, 1.0, (2, 2), ((9, 9, 9), (250, 20, 10)), (4, 4), pixels)
    assert (paint_texture(photo, texture) != photo).any(axis=-1).sum() == pixels


def test_opacity_mixes_by_hand():
    photo = np.full((8, 8, 3), 100, np.uint8)
    texture = Texture(0, 0.25, (1, 1), ((200, 0, 100), (200, 0, 100)), (1, 1), 64)
    assert (paint_texture(photo, texture) == [125, 75, 100]).all()


def test_a_texture_has_both_its_colours_and_what_is_between():
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    texture = Texture(3, 1.0, (4, 4), ((10, 10, 10), (210, 210, 210)), (1, 1), SIDE * SIDE)
    red = paint_texture(photo, texture)[..., 0]
    assert (red.min(), red.max()) == (10, 210)
    assert len(np.unique(red)) > 60


# Records


def record_of(method: str) -> dict[str, Any]:
    return draw(noise_photo(0, (32, 32)), method, jitter=0.1).record.to_dict()


def edited(method: str, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    values = copy.deepcopy(record_of(method))
    place: Any = values
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return values


@pytest.mark.parametrize("field", Texture.__dataclass_fields__)
def test_a_texture_lacking_a_field_is_refused(field: str):
    with pytest.raises(CutSwapError, match="negative record"):
        NegativeRecord.from_dict(edited("perlin", ("texture", field), ...))


@pytest.mark.parametrize("field", ["blend", "softness", "size"])
def test_a_blend_lacking_a_field_is_refused(field: str):
    with pytest.raises(CutSwapError, match="negative record"):
        NegativeRecord.from_dict(edited("nsa", ("moves", 0, field), ...))


MALFORMED = [
    # moves: another blend, softness out of range, sizes that are none or larger than the image
    ("nsa", ("moves", 0, "blend"), "mixed"),
    ("smoothblend", ("moves", 0, "softness"), 0.4),
    ("smoothblend", ("moves", 0, "softness"), True),
    ("smoothblend", ("moves", 0, "softness"), float("nan")),
    ("nsa", ("moves", 0, "size"), [0, 4]),
    ("nsa", ("moves", 0, "size"), [4.0, 4]),
    ("nsa", ("moves", 0, "size"), [10**9, 10**9]),
    ("nsa", ("moves", 0, "size"), [33, 1]),
    # both or neither of moves and texture
    ("nsa", ("texture",), {}),
    ("perlin", ("texture",), None),
    ("perlin", ("moves",), [{"source": [0, 0, 1, 1]}]),
    # textures: colours, noise, cells, pixels, shapes
    ("perlin", ("texture", "colours"), [[0, 0, 256], [0, 0, 0]]),
    ("perlin", ("texture", "colours"), [[0, 0], [0, 0, 0]]),
    ("perlin", ("texture", "noise"), -1),
    ("perlin", ("texture", "noise"), 1.5),
    ("perlin", ("texture", "opacity"), 1.1),
    ("perlin", ("texture", "cells"), [0, 4]),
    ("perlin", ("texture", "cells"), [10**9, 4]),
    ("perlin", ("texture", "cells"), None),
    ("perlin", ("texture", "grain"), [33, 4]),
    ("perlin", ("texture", "pixels"), 0),
    ("perlin", ("texture", "pixels"), 32 * 32 + 1),
    ("perlin", ("texture", "strip"), [0, 0, 2, 2]),
    ("perlin-scar", ("texture", "strip"), [31, 31, 9, 9]),
    ("perlin-scar", ("texture", "strip"), [0, 0, 10**9, 10**9]),
    ("perlin-scar", ("texture", "strip"), [0, 0, -2, 2]),
    ("perlin-scar", ("texture", "angle"), 1e9),
]


@pytest.mark.parametrize(("method", "path", "value"), MALFORMED, ids=lambda v: str(v)[:30])
def test_a_malformed_record_is_refused(method: str, path: tuple[Any, ...], value: Any):
    with pytest.raises(CutSwapError):
        redraw(noise_photo(0, (32, 32)), NegativeRecord.from_dict(edited(method, path, value)))


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    return [p for k, v in items for p in ((*path, k), *places_in(v, (*path, k)))]


@given(
    data=st.data(),
    method=st.sampled_from(MORE),
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 40)
    | st.floats()
    | st.lists(st.integers(-2, 40), max_size=4)
    | st.sampled_from(["", "poisson", 10**30, {}]),
)
def test_any_edit_is_painted_or_refused_but_never_a_crash(data, method, value):
    path = data.draw(st.sampled_from(places_in(record_of(method))))
    try:
        record = NegativeRecord.from_dict(json.loads(json.dumps(edited(method, path, value))))
        painted = redraw(noise_photo(0, (32, 32)), record)
    except CutSwapError:
        return
    assert painted.photo.shape == (32, 32, 3)


# The trainer, the command line's draws


@pytest.mark.parametrize("family", FAMILIES)
def test_the_trainer_draws_a_patch_and_a_scar_of_the_family_that_repaint(family: str):
    photos = np.stack([photo_of(seed, (SIDE, SIDE)) for seed in range(3)])
    maps = SaliencyMaps(
        [[p[::8, ::8].mean(axis=-1).astype(np.float32)] for p in photos], ("x",), (SIDE, SIDE)
    )
    samples = TrainingSamples(
        photos,
        maps if family == "cutswap" else None,
        family=family,
        ways=3,
        negatives=NegativeSettings(),
        clusters=ClusterSettings(),
        weak=WeakAugmentation(),
        seed=3,
        count=9,
    )
    for number in range(4):
        sample = samples.sample(number)
        assert [n.record.method for n in sample.negatives] == [family, f"{family}-scar"]
        level = None if family != "cutswap" else maps.at(sample.index, 0)
        for way, method in enumerate((family, f"{family}-scar")):
            seen = sample.negatives[way]
            again = redraw(sample.positive, seen.record)
            np.testing.assert_array_equal(again.photo, sample.photos[1 + way])
            ((positive, drawn, _),) = draw_many(
                photos[sample.index],
                level,
                NegativeSettings(method=method),
                ClusterSettings(),
                WeakAugmentation(),
                count=1,
                seed=3,
                layer="x",
                first=number,
            )
            np.testing.assert_array_equal(positive, sample.positive)
            np.testing.assert_array_equal(drawn.photo, seen.photo)
            assert drawn.record == seen.record

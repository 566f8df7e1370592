"""Negatives: swaps obey their laws, stay inside, differ from the positive, repaint bit for bit."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from cutswap.config import ANCHORS, METHODS, ClusterSettings, NegativeSettings
from cutswap.errors import CutSwapError
from cutswap.negatives.color_jitter import Jitter, draw_jitter
from cutswap.negatives.draw import Negative, draw_negative, redraw
from cutswap.negatives.geometry import rotated_size
from cutswap.negatives.painting import paint
from cutswap.negatives.record import Move, NegativeRecord
from cutswap.saliency.clusters import cluster_saliency
from tests.helpers.small_photos import disc, noise_photo, smooth_map

SIDE = 64
Box = tuple[int, int, int, int]


def draw(
    positive: np.ndarray,
    saliency: np.ndarray | None,
    seed: int = 0,
    *,
    clusters: ClusterSettings | None = None,
    **settings: Any,
) -> Negative:
    return draw_negative(
        positive,
        saliency,
        NegativeSettings(**settings),
        clusters or ClusterSettings(),
        seed=(seed,),
        layer="16",
    )


def placed(move: Move) -> Box:
    return (*move.target, *move.placed_size)


def apart(a: Box, b: Box) -> bool:
    return a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]


def pixels(photo: np.ndarray) -> list[tuple[int, ...]]:
    """The multiset of pixels, as a sorted list."""
    return sorted(map(tuple, photo.reshape(-1, 3).tolist()))


def swap_of(first: tuple[int, int], second: tuple[int, int], size: tuple[int, int]) -> tuple:
    return Move((*second, *size), first), Move((*first, *size), second)


def check(positive: np.ndarray, negative: Negative, *, avoid: bool = True) -> None:
    """What holds for every negative of every method."""
    height, width = positive.shape[:2]
    record = negative.record
    assert negative.photo.shape == positive.shape
    assert negative.photo.dtype == np.uint8
    # it differs, and the mask is exactly where
    np.testing.assert_array_equal(negative.mask, (negative.photo != positive).any(axis=2))
    assert negative.mask.any()
    # every patch is cut and placed inside, and nothing changes outside the places
    allowed = np.zeros((height, width), dtype=bool)
    for move in record.moves:
        for y, x, h, w in (move.source, placed(move)):
            assert y >= 0
            assert x >= 0
            assert h >= 1
            assert w >= 1
            assert y + h <= height
            assert x + w <= width
        y, x, h, w = placed(move)
        allowed[y : y + h, x : x + w] = True
    if record.texture is None:  # textures: tests/negatives/test_more_negatives.py
        assert not (negative.mask & ~allowed).any()
    if record.method.startswith("cutswap"):
        first, second = record.moves
        assert first.source[2:] == second.source[2:]
        assert first.angle == second.angle
        assert record.anchors == (first.target, second.target)
        assert (first.source[:2], second.source[:2]) == (second.target, first.target)
        if avoid:
            assert apart(placed(first), placed(second))
            assert apart(first.source, second.source)
    # its record, through text and back, paints it again
    text = json.dumps(record.to_dict(), allow_nan=False)
    again = NegativeRecord.from_dict(json.loads(text))
    assert again == record
    repainted = redraw(positive, again)
    np.testing.assert_array_equal(repainted.photo, negative.photo)
    np.testing.assert_array_equal(repainted.mask, negative.mask)


# Laws of a swap


@st.composite
def swaps(draw: st.DrawFn) -> tuple[np.ndarray, tuple[Move, ...], list[Box]]:
    """A photo and a swap of two patches apart, without rotation or jitter."""
    size = (draw(st.integers(1, 24)), draw(st.integers(1, 24)))
    h, w = draw(st.integers(1, size[0])), draw(st.integers(1, size[1]))
    (first, second) = (
        (draw(st.integers(0, size[0] - h)), draw(st.integers(0, size[1] - w))) for _ in range(2)
    )
    boxes = [(*first, h, w), (*second, h, w)]
    assume(apart(*boxes))
    levels = draw(st.sampled_from([2, 256]))  # two levels: many equal pixels
    photo = np.random.default_rng(draw(st.integers(0, 99))).integers(0, levels, (*size, 3))
    return photo.astype(np.uint8), swap_of(first, second, (h, w)), boxes


@given(case=swaps())
def test_a_swap_keeps_the_pixels_undoes_itself_and_touches_nothing_else(case):
    photo, moves, boxes = case
    original = photo.copy()
    painted = paint(photo, moves)
    np.testing.assert_array_equal(photo, original)  # paint makes a new photo
    assert pixels(painted) == pixels(photo)
    np.testing.assert_array_equal(paint(painted, moves), photo)
    (y1, x1, h, w), (y2, x2, _, _) = boxes
    one, two = np.s_[y1 : y1 + h, x1 : x1 + w], np.s_[y2 : y2 + h, x2 : x2 + w]
    np.testing.assert_array_equal(painted[one], photo[two])
    np.testing.assert_array_equal(painted[two], photo[one])
    outside = np.ones(photo.shape[:2], dtype=bool)
    outside[one] = outside[two] = False
    np.testing.assert_array_equal(painted[outside], photo[outside])


def test_a_swap_by_hand():
    photo = np.arange(6, dtype=np.uint8).repeat(3).reshape(1, 6, 3)
    painted = paint(photo, swap_of((0, 0), (0, 3), (1, 2)))
    assert painted[0, :, 0].tolist() == [3, 4, 2, 0, 1, 5]


def test_overlapping_patches_are_cut_before_any_is_placed_and_the_last_wins():
    photo = np.arange(4, dtype=np.uint8).repeat(3).reshape(1, 4, 3)
    painted = paint(photo, swap_of((0, 0), (0, 1), (1, 2)))
    # P2 = [1, 2] to 0, then P1 = [0, 1] to 1
    assert painted[0, :, 0].tolist() == [1, 0, 1, 3]


def test_a_paste_by_hand():
    photo = np.arange(6, dtype=np.uint8).repeat(3).reshape(1, 6, 3)
    assert paint(photo, (Move((0, 0, 1, 2), (0, 4)),))[0, :, 0].tolist() == [0, 1, 2, 3, 0, 1]


@given(seed=st.integers(0, 10**6))
def test_drawn_swaps_keep_the_pixels_and_undo_themselves(seed: int):
    photo = noise_photo(seed, (24, 32))
    negative = draw(photo, smooth_map(seed, (24, 32)), seed)
    assert pixels(negative.photo) == pixels(photo)
    np.testing.assert_array_equal(paint(negative.photo, negative.record.moves), photo)


# Rotation


@pytest.mark.parametrize(
    "angle",
    [0, -0.0, 1e-12, -1e-12, 0.1, 12.3, 30, 44.999, 45, -45, 89.999, 90, -90, 91, 135, 180, -180],
)
def test_rotated_size_is_what_pillow_really_makes(angle: float):
    for height in (1, 2, 3, 7, 16, 25):
        for width in (1, 2, 5, 10, 31):
            patch = Image.fromarray(np.zeros((height, width, 3), np.uint8))
            turned = patch.rotate(angle, expand=True)
            assert rotated_size((height, width), angle) == (turned.height, turned.width)


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    angle=st.floats(-180, 180, allow_subnormal=False),
)
def test_rotated_size_for_any_angle(size: tuple[int, int], angle: float):
    turned = Image.fromarray(np.zeros((*size, 3), np.uint8)).rotate(angle, expand=True)
    assert rotated_size(size, angle) == (turned.height, turned.width)


@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    angle=st.floats(-180, 180, allow_subnormal=False),
)
def test_corners_that_rotation_uncovers_keep_the_original(size: tuple[int, int], angle: float):
    """A red strip turned on a green photo: no pixel of another colour, least of all black."""
    photo = np.zeros((80, 80, 3), np.uint8)
    photo[..., 1] = 200
    photo[:20, :20] = (200, 0, 0)
    painted = paint(photo, (Move((0, 0, *size), (40, 40), angle),))
    changed = (painted != photo).any(axis=2)
    assert (painted[changed] == (200, 0, 0)).all()
    ys, xs = np.nonzero(changed)
    height, width = rotated_size(size, angle)
    assert len(ys) == 0 or (ys.min() >= 40 and ys.max() < 40 + height)
    assert len(xs) == 0 or (xs.min() >= 40 and xs.max() < 40 + width)
    # about as many pixels as before; a border pixel may round either way
    assert abs(len(ys) - size[0] * size[1]) <= 2 * sum(size)


def test_a_quarter_turn_is_counter_clockwise():
    photo = np.arange(36, dtype=np.uint8).repeat(3).reshape(6, 6, 3)
    painted = paint(photo, (Move((0, 0, 2, 3), (3, 0), 90.0),))
    np.testing.assert_array_equal(painted[3:6, 0:2], np.rot90(photo[0:2, 0:3]))


# Draws of every kind


def map_with(region: np.ndarray, seed: int) -> np.ndarray:
    """(H, W) saliency whose highest cluster at K=2 is the region."""
    return region * 0.99 + np.random.default_rng(seed).random(region.shape) * 0.001


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    height, width = draw(st.integers(1, 64)), draw(st.integers(2, 64))
    y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    kind = draw(st.sampled_from(["disc", "row", "column", "pixel", "corner", "blank", "noise"]))
    region = np.zeros((height, width), dtype=bool)
    if kind == "disc":
        region = disc((height, width), (y, x), draw(st.integers(2, 40)))
    if kind == "row":
        region[y] = True
    if kind == "column":
        region[:, x] = True
    if kind == "pixel":
        region[y, x] = True
    if kind == "corner":
        region[-max(1, height // 8) :, -max(1, width // 8) :] = True
    low, high = sorted((draw(st.floats(0.001, 1)), draw(st.floats(0.001, 1))))
    aspects = sorted((draw(st.floats(0.001, 1000)), draw(st.floats(0.001, 1000))))
    angles = sorted((draw(st.floats(-180, 180)), draw(st.floats(-180, 180))))
    scars = [sorted((draw(st.integers(1, 300)), draw(st.integers(1, 300)))) for _ in range(2)]
    seed = draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    return {
        "positive": noise_photo(seed, (height, width)),
        "saliency": {"blank": np.zeros, "noise": rng.random}.get(
            kind, lambda _: map_with(region, seed)
        )((height, width)),
        "seed": seed,
        "clusters": ClusterSettings(k=draw(st.sampled_from([1, 2, 4])), top_n=2),
        "method": draw(st.sampled_from(METHODS)),
        "area": (low, high),
        "aspect": tuple(aspects),
        "angle": tuple(angles),
        "scar_width": tuple(scars[0]),
        "scar_height": tuple(scars[1]),
        "jitter": draw(st.sampled_from([None, 0.0, 0.1, 0.5])),
        "overlap": draw(st.sampled_from(["avoid", "allow"])),
        "max_tries": draw(st.sampled_from([1, 5, 50])),
    }


@given(case=cases())
def test_any_draw_stays_inside_differs_and_repaints(case: dict[str, Any]):
    positive = case["positive"].copy()
    try:
        negative = draw(**case)
    except CutSwapError:
        # a few pixels, few tries: a paste may land where it was cut, a turned pixel on nothing
        assume(positive.shape[0] * positive.shape[1] >= 64 and case["max_tries"] == 50)
        raise
    np.testing.assert_array_equal(case["positive"], positive)
    check(positive, negative, avoid=case["overlap"] == "avoid")


SIZES = [
    # tiny, thin, short, odd, square
    (1, 2), (2, 1), (1, 30), (30, 1), (2, 2), (3, 3), (2, 40), (5, 4), (8, 8), (17, 64), (64, 64),
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        # a patch as large as the image
        {"area": (1.0, 1.0)},
        # needles lying and standing
        {"aspect": (1e-6, 1e-6)},
        {"aspect": (1e6, 1e6)},
        # scars larger than the image, at any angle
        {"scar_width": (300, 300), "scar_height": (300, 300), "angle": (-180.0, 180.0)},
    ],
    ids=["default", "area 1", "standing", "lying", "large scar"],
)
def test_extreme_sizes(size: tuple[int, int], method: str, settings: dict[str, Any]):
    positive = noise_photo(0, size)
    saliency = np.random.default_rng(0).random(size)
    for seed in range(3):
        full_paste = method == "cutpaste" and "area" in settings
        if full_paste:  # the whole image onto itself: only its colours change
            settings = {**settings, "jitter": 0.5}
        check(positive, draw(positive, saliency, seed, **settings, method=method))


@pytest.mark.parametrize("radius", [2, 3, 5, 10, 20, 40])
@pytest.mark.parametrize("method", ["cutswap", "cutswap-scar"])
def test_compact_regions_give_patches_apart(radius: int, method: str):
    """At 256 pixels, as in training: swaps and turned scars in a disc do not overlap."""
    region = disc((256, 256), (120, 140), radius)
    saliency = map_with(region, 0)
    positive = noise_photo(0, (256, 256))
    clusters = ClusterSettings(k=2)
    known = cluster_saliency(saliency, 2)
    for seed in range(6):
        settings = NegativeSettings(method=method)
        negative = draw_negative(
            positive, saliency, settings, clusters, seed=(seed,), clusters=known
        )
        check(positive, negative)
        for anchor in negative.record.anchors:
            assert region[anchor]


def test_anchors_lie_in_the_region_of_their_strategy():
    saliency = smooth_map(2, (SIDE, SIDE))
    regions = cluster_saliency(saliency, 4).regions(saliency)
    for strategy, cluster in (("max-cluster", 3), ("min-cluster", 0)):
        for seed in range(10):
            negative = draw(
                noise_photo(0, (SIDE, SIDE)),
                saliency,
                seed,
                area=(0.005, 0.01),
                clusters=ClusterSettings(anchors=strategy),
            )
            if not any("moved" in f or "uniform" in f for f in negative.record.fallbacks):
                assert all(regions[a] == cluster for a in negative.record.anchors)


def test_random_cluster_draws_a_cluster_an_image():
    saliency = smooth_map(2, (SIDE, SIDE))
    regions = cluster_saliency(saliency, 4).regions(saliency)
    settings = ClusterSettings(anchors="random-cluster")
    seen = set()
    for seed in range(30):
        record = draw(
            noise_photo(0, (SIDE, SIDE)), saliency, seed, area=(0.002, 0.003), clusters=settings
        ).record
        first, second = (int(regions[a]) for a in record.anchors)
        assert first == second
        seen.add(first)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("method", METHODS)
def test_patch_sizes_follow_the_settings(method: str):
    """Area and aspect of patches, width and height of scars, at 256 pixels with room to spare."""
    settings = NegativeSettings(method=method)
    positive, saliency = noise_photo(0, (256, 256)), np.random.default_rng(0).random((256, 256))
    sizes, angles = [], []
    for seed in range(40):
        record = draw_negative(
            positive, saliency, settings, ClusterSettings(anchors="whole-image"), seed=(seed,)
        ).record
        if not record.fallbacks:
            moved = record.moves[0] if record.moves else record.texture
            angles.append(moved.angle)
            if record.moves:
                sizes.append(record.moves[0].source[2:])
            elif record.texture.strip:
                sizes.append(record.texture.strip[2:])
            else:  # a noise shape has an area and no sides
                assert 0.02 <= record.texture.pixels / 256**2 <= 0.15
    assert len(angles) >= 20
    if method == "perlin":
        assert not sizes
    elif method.endswith("scar"):
        assert all(10 <= h <= 25 and 2 <= w <= 16 for h, w in sizes)
        assert all(-45 <= a <= 45 for a in angles)
        assert min(angles) < -15 < 15 < max(angles)
    else:
        # rounding a side of 20 pixels moves the area by up to 5 %
        assert all(0.018 <= h * w / 256**2 <= 0.16 for h, w in sizes)
        assert all(0.27 <= w / h <= 3.7 for h, w in sizes)
        assert any(w > 1.5 * h for h, w in sizes)
        assert any(h > 1.5 * w for h, w in sizes)
        assert set(angles) == {0.0}


def test_scars_scale_with_the_image():
    positive, saliency = noise_photo(0, (64, 64)), np.random.default_rng(0).random((64, 64))
    for seed in range(20):
        record = draw(positive, saliency, seed, method="cutpaste-scar").record
        h, w = record.moves[0].source[2:]
        assert 2 <= h <= 7
        assert 1 <= w <= 4


@pytest.mark.parametrize("method", ["cutswap-scar", "cutpaste-scar"])
def test_scars_too_large_to_turn_are_made_smaller_not_straight(method: str):
    positive, saliency = noise_photo(0, (64, 64)), np.random.default_rng(0).random((64, 64))
    large = {"scar_width": (300, 300), "scar_height": (300, 300), "angle": (40.0, 50.0)}
    for seed in range(5):
        record = draw(positive, saliency, seed, method=method, **large).record
        assert 40 <= record.moves[0].angle <= 50


@pytest.mark.parametrize(
    ("method", "jitter", "amount"),
    [
        # default: none for swaps, CutPaste's for pastes; and what one says holds for all
        ("cutswap", None, 0.0),
        ("cutswap-scar", None, 0.0),
        ("cutpaste", None, 0.1),
        ("cutpaste-scar", None, 0.1),
        ("cutswap", 0.3, 0.3),
        ("cutpaste", 0.0, 0.0),
    ],
)
def test_jitter_is_each_familys_own(method: str, jitter: float | None, amount: float):
    hues = [
        move.jitter and move.jitter.hue
        for seed in range(12)
        for move in draw(
            noise_photo(0, (32, 32)), smooth_map(0, (32, 32)), seed, method=method, jitter=jitter
        ).record.moves
    ]
    if amount == 0:
        assert set(hues) == {None}
    else:
        assert len(set(hues)) == len(hues)  # each patch has a draw of its own
        assert amount / 2 < max(map(abs, hues)) <= amount


# Seeds


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_repeats_and_seeds_differ(method: str):
    positive, saliency = noise_photo(0, (SIDE, SIDE)), smooth_map(0, (SIDE, SIDE))
    first, again = (
        [draw(positive, saliency, seed, method=method, jitter=0.1) for seed in range(12)]
        for _ in range(2)
    )
    for a, b in zip(first, again, strict=True):
        assert a.record == b.record
        np.testing.assert_array_equal(a.photo, b.photo)
    drawn = [n.record.to_dict() for n in first]
    assert len({json.dumps([d["moves"], d["texture"]]) for d in drawn}) == 12


def test_global_state_does_not_matter():
    positive, saliency = noise_photo(0, (SIDE, SIDE)), smooth_map(0, (SIDE, SIDE))
    records = []
    for state in (1, 2):
        np.random.seed(state)  # noqa: NPY002 - to show that it is not used
        records.append(draw(positive, saliency).record)
    assert records[0] == records[1]


def test_known_clusters_change_nothing():
    positive, saliency = noise_photo(0, (SIDE, SIDE)), smooth_map(0, (SIDE, SIDE))
    settings, clusters = NegativeSettings(), ClusterSettings()
    known = cluster_saliency(saliency, 4)
    for seed in range(5):
        own, given_ = (
            draw_negative(positive, saliency, settings, clusters, seed=(seed,), clusters=c)
            for c in (None, known)
        )
        assert own.record == given_.record


# Degenerate input


@pytest.mark.parametrize(
    ("saliency", "clusters", "said"),
    [
        # nothing salient; fewer values than clusters; a network gone wrong; a map too small
        (np.zeros((SIDE, SIDE)), {}, "uniform anchors: saliency map has 1 (the map is blank)"),
        (np.eye(SIDE), {}, "uniform anchors: saliency map has 2"),
        (np.full((SIDE, SIDE), np.nan), {}, "uniform anchors: saliency has NaN or infinity"),
        (np.eye(SIDE), {"anchors": "top-n", "top_n": 5000}, "uniform anchors: top_n has 5000"),
        # one bright pixel
        (
            np.pad([[1.0]], ((9, SIDE - 10),) * 2) + smooth_map(0, (SIDE, SIDE)) * 0.01,
            {"k": 2},
            "region widened",
        ),
    ],
    ids=["blank", "two values", "nan", "top-n", "one pixel"],
)
def test_degenerate_maps_fall_back_and_say_so(saliency, clusters, said):
    positive = noise_photo(0, (SIDE, SIDE))
    negative = draw(positive, saliency, clusters=ClusterSettings(**clusters))
    check(positive, negative)
    assert any(line.startswith(said) for line in negative.record.fallbacks)


def test_a_plain_draw_says_nothing():
    record = draw(
        noise_photo(0, (SIDE, SIDE)),
        np.random.default_rng(0).random((SIDE, SIDE)),
        area=(0.01, 0.01),
    ).record
    assert record.fallbacks == ()
    assert record.layer == "16"
    assert (record.k, record.strategy, record.seed) == (4, "max-cluster", (0,))


def test_cutpaste_needs_and_records_no_saliency():
    record = draw(noise_photo(0, (SIDE, SIDE)), None, method="cutpaste").record
    assert (record.layer, record.k, record.strategy) == (None, None, None)


@pytest.mark.parametrize("method", [m for m in METHODS if not m.startswith("perlin")])
def test_a_constant_image_is_refused(method: str):
    with pytest.raises(CutSwapError, match="constant or nearly so"):
        draw(np.full((32, 32, 3), 90, np.uint8), smooth_map(0, (32, 32)), method=method, jitter=0.0)


@pytest.mark.parametrize("method", ["cutswap", "cutswap-scar"])
def test_one_pixel_has_no_pair(method: str):
    with pytest.raises(CutSwapError, match="at least two pixels"):
        draw(noise_photo(0, (1, 1)), np.ones((1, 1)), method=method)


def test_a_flat_region_in_an_image_with_structure_falls_back_to_the_whole_image():
    positive = np.full((32, 32, 3), 90, np.uint8)
    positive[:, 16:] = noise_photo(0, (32, 16))
    region = np.zeros((32, 32), dtype=bool)
    region[2:12, 1:6] = True
    negative = draw(
        positive, map_with(region, 0), clusters=ClusterSettings(k=2), area=(0.004, 0.005)
    )
    check(positive, negative)
    assert any("no draw in the region changed a pixel" in f for f in negative.record.fallbacks)
    assert negative.record.rejected["unchanged"] >= 50  # max_tries


@pytest.mark.parametrize("saliency", [None, np.zeros((32, 31)), np.zeros((1, 32, 32))])
def test_a_map_of_another_size_is_refused(saliency: np.ndarray | None):
    with pytest.raises(CutSwapError, match=r"a map of shape \(32, 32\)"):
        draw(noise_photo(0, (32, 32)), saliency)


# Records


@given(
    method=st.sampled_from(METHODS),
    seed=st.integers(0, 2**64),
    more=st.lists(st.integers(0, 2**40), max_size=3),
    anchors=st.sampled_from(ANCHORS),
)
def test_records_survive_json_and_repaint_with_everything_on(method, seed, more, anchors):
    positive, saliency = noise_photo(0, (40, 56)), smooth_map(seed % 100, (40, 56))
    settings = NegativeSettings(method=method, jitter=0.4, angle=(-180, 180))
    negative = draw_negative(
        positive, saliency, settings, ClusterSettings(anchors=anchors), seed=(seed, *more)
    )
    check(positive, negative)
    assert negative.record.seed == (seed, *more)


def record_dict(method: str = "cutswap-scar") -> dict[str, Any]:
    positive = noise_photo(0, (32, 32))
    return draw(positive, smooth_map(0, (32, 32)), method=method, jitter=0.1).record.to_dict()


def edited(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A whole record with one place changed; `...` removes it."""
    values = copy.deepcopy(record_dict())
    place: Any = values
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return values


@pytest.mark.parametrize("field", NegativeRecord.__dataclass_fields__)
def test_a_record_lacking_a_field_is_refused(field: str):
    with pytest.raises(CutSwapError, match="negative record"):
        NegativeRecord.from_dict(edited((field,), ...))


@pytest.mark.parametrize("field", ["source", "target", "angle", "jitter"])
def test_a_move_lacking_a_field_is_refused(field: str):
    with pytest.raises(CutSwapError, match="negative record"):
        NegativeRecord.from_dict(edited(("moves", 0, field), ...))


HUGE = 10**30
MALFORMED = [
    # texts for numbers, fractions and truths for whole numbers
    (("moves", 0, "source"), "1234"),
    (("moves", 0, "source"), ["1", "2", "3", "4"]),
    (("moves", 0, "source"), [1.5, 2, 3, 4]),
    (("moves", 0, "source"), [True, 2, 3, 4]),
    (("moves", 0, "target"), [math.nan, 1]),
    (("moves", 0, "angle"), "45"),
    (("moves", 0, "angle"), None),
    (("moves", 0, "angle"), [45.0]),
    (("image_size",), "32"),
    (("anchors",), [[1, "2"]]),
    (("seed",), "12"),
    (("seed",), [1.0]),
    (("k",), "4"),
    (("k",), 4.5),
    (("rejected",), {"overlap": "3"}),
    # too few, too many, none at all
    (("moves", 0, "source"), [1, 2, 3]),
    (("moves", 0, "target"), [1, 2, 3]),
    (("image_size",), [32]),
    (("moves",), []),
    # angles and colours that are none
    (("moves", 0, "angle"), math.nan),
    (("moves", 0, "angle"), math.inf),
    (("moves", 0, "angle"), 1e308),
    (("moves", 0, "angle"), 10**400),
    (("moves", 0, "jitter", "hue"), math.nan),
    (("moves", 0, "jitter", "hue"), "0.1"),
    (("moves", 0, "jitter", "brightness"), 1e300),
    (("moves", 0, "jitter", "order"), ["hue"]),
    (("moves", 0, "jitter", "order"), "hue"),
    (("moves", 0, "jitter"), True),
    (("moves", 0, "jitter"), {}),
    # boxes outside the image, empty, or too large for any memory
    (("moves", 0, "source"), [-1, 0, 2, 2]),
    (("moves", 0, "source"), [0, 31, 2, 2]),
    (("moves", 0, "source"), [0, 0, 0, 2]),
    (("moves", 0, "source"), [0, 0, -2, 2]),
    (("moves", 0, "source"), [0, 0, 10**6, 10**6]),
    (("moves", 0, "source"), [0, 0, HUGE, HUGE]),
    (("moves", 0, "source"), [HUGE, HUGE, 2, 2]),
    (("moves", 0, "target"), [0, -1]),
    (("moves", 0, "target"), [31, 31]),
    (("moves", 0, "target"), [-HUGE, 0]),
    (("image_size",), [HUGE, HUGE]),
    (("image_size",), [32, 31]),
    # other kinds of thing
    (("moves",), "moves"),
    (("moves",), {"0": 1}),
    (("moves",), None),
    (("moves", 0), None),
    (("moves", 0), [1, 2]),
    (("anchors",), {}),
    (("method",), "cutmix"),
    (("method",), None),
    (("method",), ["cutswap"]),
    (("layer",), 16),
    (("strategy",), 4),
    (("fallbacks",), "none"),
    (("fallbacks",), [1]),
    (("rejected",), []),
    (("rejected",), None),
    # a field nobody knows
    (("extra",), 1),
]


@pytest.mark.parametrize(("path", "value"), MALFORMED, ids=lambda v: str(v)[:40])
def test_a_malformed_record_is_refused(path: tuple[Any, ...], value: Any):
    positive = noise_photo(0, (32, 32))
    with pytest.raises(CutSwapError):
        redraw(positive, NegativeRecord.from_dict(edited(path, value)))


@pytest.mark.parametrize("values", [None, [], "record", 5, {}, [1, 2], {"moves": []}])
def test_what_is_no_record_is_refused(values: Any):
    with pytest.raises(CutSwapError, match="negative record"):
        NegativeRecord.from_dict(values)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into nested dicts and lists."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [p for k, v in items for p in ((*path, k), *places_in(v, (*path, k)))]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 40)
    | st.floats()
    | st.sampled_from([10**9, -(10**9), HUGE, "", "hue", "cutswap"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(data=st.data(), value=json_values)
def test_any_edit_is_painted_or_refused_but_never_a_crash(data: st.DataObject, value: Any):
    path = data.draw(st.sampled_from(places_in(record_dict())))
    try:
        record = NegativeRecord.from_dict(json.loads(json.dumps(edited(path, value))))
        painted = redraw(noise_photo(0, (32, 32)), record)
    except CutSwapError:
        return
    assert painted.photo.shape == (32, 32, 3)


def test_another_positive_size_is_refused():
    record = NegativeRecord.from_dict(record_dict())
    with pytest.raises(CutSwapError, match="32x32 pixels as recorded"):
        redraw(noise_photo(0, (32, 33)), record)


def test_a_mask_counts_a_change_in_any_one_channel():
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[0, 0, 2] = 1
    record = NegativeRecord(
        method="cutswap",
        image_size=(4, 4),
        anchors=((0, 0), (2, 2)),
        moves=swap_of((0, 0), (2, 2), (2, 2)),
        layer=None,
        k=None,
        strategy=None,
        seed=(0,),
        rejected={},
        fallbacks=(),
    )
    mask = redraw(photo, record).mask
    assert np.argwhere(mask).tolist() == [[0, 0], [2, 2]]


def test_jitter_of_a_move_is_the_patchs_alone():
    photo = noise_photo(0, (16, 16))
    jitter = draw_jitter(0.4, np.random.default_rng(0))
    assert isinstance(jitter, Jitter)
    painted = paint(photo, (Move((0, 0, 4, 4), (8, 8), 0.0, jitter),))
    outside = np.ones((16, 16), dtype=bool)
    outside[8:12, 8:12] = False
    np.testing.assert_array_equal(painted[outside], photo[outside])
    assert (painted[8:12, 8:12] != photo[0:4, 0:4]).any()

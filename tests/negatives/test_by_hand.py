"""Swaps placed by hand: the rules of a draw, and its very pixels at its own anchors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cutswap.config import ANCHORS, ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.errors import CutSwapError
from cutswap.negatives.anchors import fitting_corners
from cutswap.negatives.by_hand import BY_HAND, HandPlacing, hand_placing
from cutswap.negatives.draw import NO_CHANGE_IN_REGION, Negative, redraw
from cutswap.negatives.record import NegativeRecord
from cutswap.negatives.single_image import draw_many
from cutswap.saliency.clusters import anchor_region, cluster_saliency
from tests.helpers.small_photos import disc, noise_photo, smooth_map
from tests.negatives.test_negatives import apart, cases, check, draw, map_with, placed

SWAPS = ("cutswap", "cutswap-scar")
SIDE = 64


def placing_of(case: dict[str, Any], negative: Negative) -> HandPlacing:
    rest = {k: v for k, v in case.items() if k not in ("positive", "saliency", "seed", "clusters")}
    clusters = case.get("clusters", ClusterSettings())
    return hand_placing(negative.record, case["saliency"], NegativeSettings(**rest), clusters)


def drawn_and_placing(**case: Any) -> tuple[np.ndarray, Negative, HandPlacing]:
    negative = draw(**case)
    return case["positive"], negative, placing_of(case, negative)


def assert_same_draw(by_hand: Negative, drawn: Negative) -> None:
    np.testing.assert_array_equal(by_hand.photo, drawn.photo)
    np.testing.assert_array_equal(by_hand.mask, drawn.mask)
    said = {"rejected": {}, "fallbacks": (*drawn.record.fallbacks, BY_HAND)}
    assert by_hand.record == replace(drawn.record, **said)


@given(case=cases(), method=st.sampled_from(SWAPS), anchors=st.sampled_from(ANCHORS))
@settings(max_examples=25)
def test_at_the_anchors_of_a_draw_it_is_that_draw_bit_for_bit(case, method, anchors):
    """Any size, region, turn and jitter; shrunk patches and anchors moved inward among them."""
    case |= {"method": method, "clusters": case["clusters"].replace(anchors=anchors)}
    try:
        negative = draw(**case)
    except CutSwapError:
        assume(False)
    first, second = negative.record.anchors
    placing = placing_of(case, negative)
    assert_same_draw(placing.swap(case["positive"], first, second), negative)


@given(case=cases(), method=st.sampled_from(SWAPS), data=st.data())
@settings(max_examples=25)
def test_wherever_it_may_lie_a_swap_keeps_every_law(case, method, data):
    case["method"] = method
    try:
        negative = draw(**case)
    except CutSwapError:
        assume(False)
    placing, positive = placing_of(case, negative), case["positive"]
    first = data.draw(st.sampled_from([tuple(p) for p in np.argwhere(placing.places).tolist()]))
    partners = np.argwhere(placing.partners(first)).tolist()
    assume(partners)
    second = tuple(data.draw(st.sampled_from(partners)))
    try:
        by_hand = placing.swap(positive, first, second)
    except CutSwapError as error:
        if "no pixel that changes" not in str(error):
            raise
        return
    check(positive, by_hand, avoid=case["overlap"] == "avoid")
    assert by_hand.record.anchors == (first, second)
    again = NegativeRecord.from_dict(json.loads(json.dumps(by_hand.record.to_dict())))
    np.testing.assert_array_equal(redraw(positive, again).photo, by_hand.photo)


@pytest.mark.parametrize("strategy", ["max-cluster", "min-cluster", "whole-image", "top-n"])
@pytest.mark.parametrize("method", SWAPS)
def test_places_and_partners_are_those_that_brute_force_finds(method, strategy):
    saliency, clusters = smooth_map(3, (40, 48)), ClusterSettings(anchors=strategy)
    area = {"area": (0.01, 0.02), "scar_height": (20, 30)}
    case = {"positive": noise_photo(0, (40, 48)), "saliency": saliency, "clusters": clusters}
    _, negative, placing = drawn_and_placing(**case, **area, method=method)
    region = anchor_region(saliency, clusters, np.random.default_rng(0))
    h, w = placing.room
    assert all(
        s <= r
        for move in negative.record.moves
        for s, r in zip(placed(move)[2:], (h, w), strict=True)
    )
    fits = {(y, x) for y, x in np.argwhere(region).tolist() if y + h <= 40 and x + w <= 48}
    assert len(fits) > 2
    assert {tuple(p) for p in np.argwhere(placing.places).tolist()} == fits
    partnered = {p for p in fits if any(apart((*p, h, w), (*q, h, w)) for q in fits)}
    assert {tuple(p) for p in np.argwhere(placing.firsts).tolist()} == partnered
    for first in list(fits)[:: max(1, len(fits) // 7)]:
        free = {p for p in fits if apart((*first, h, w), (*p, h, w))}
        assert {tuple(p) for p in np.argwhere(placing.partners(first)).tolist()} == free


@pytest.mark.parametrize(("radius", "room"), [(9, (13, 12)), (9, (10, 11)), (5, (11, 11))])
@pytest.mark.parametrize("may_overlap", [False, True])
def test_beside_a_first_place_there_is_always_a_second(radius, room, may_overlap):
    """A patch in the middle of a small disc leaves no room for another one."""
    places = disc((40, 40), (18, 16), radius)
    placing = HandPlacing(draw(noise_photo(0, (40, 40)), smooth_map(0, (40, 40))).record, room,
                          places, may_overlap)  # fmt: skip
    some = {tuple(p) for p in np.argwhere(places).tolist() if placing.partners(tuple(p)).any()}
    assert {tuple(p) for p in np.argwhere(placing.firsts).tolist()} == some
    assert (len(some) < places.sum()) == (not may_overlap)


def test_patches_may_overlap_where_the_settings_allow_it():
    case = {"positive": noise_photo(0, (SIDE, SIDE)), "saliency": smooth_map(1, (SIDE, SIDE))}
    _, _, placing = drawn_and_placing(**case, overlap="allow", clusters=ClusterSettings(k=1))
    partners = placing.partners((5, 5))
    assert partners[5, 6]
    assert not partners[5, 5]
    check(case["positive"], placing.swap(case["positive"], (5, 5), (5, 6)), avoid=False)


def test_a_random_cluster_is_the_one_of_the_draw():
    clusters = ClusterSettings(anchors="random-cluster")
    case = {"positive": noise_photo(0, (SIDE, SIDE)), "saliency": smooth_map(2, (SIDE, SIDE)),
            "area": (0.002, 0.003), "clusters": clusters}  # fmt: skip
    regions = cluster_saliency(case["saliency"], 4).regions(case["saliency"])
    seen = set()
    for seed in range(12):
        _, negative, placing = drawn_and_placing(**case, seed=seed)
        cluster = int(regions[negative.record.anchors[0]])
        assert set(regions[placing.places].tolist()) == {cluster}
        seen.add(cluster)
    assert seen == {0, 1, 2, 3}


def test_a_draw_that_left_its_region_may_be_placed_where_it_went():
    """The salient half is one colour: no swap inside it shows, and the draw takes the whole."""
    positive, salient = noise_photo(0, (16, 16)), disc((16, 16), (0, 0), 9)
    positive[:14, :14] = 7
    case = {"positive": positive, "saliency": map_with(salient, 0), "area": (0.01, 0.02),
            "clusters": ClusterSettings(k=2), "max_tries": 20}  # fmt: skip
    negative = draw(**case)
    assert NO_CHANGE_IN_REGION in negative.record.fallbacks
    placing = placing_of(case, negative)
    assert placing.places[10, 10]
    assert_same_draw(placing.swap(positive, *negative.record.anchors), negative)


@pytest.mark.parametrize(("seed", "size", "rows"), [(4, (30, 38), 5), (8, (30, 17), 2)])
def test_a_strip_that_was_shrunk_may_lie_where_its_draw_put_it(seed, size, rows):
    """It takes less room than was drawn for it, so its own anchors are not those that now fit."""
    region = np.zeros(size, dtype=bool)
    region[-rows:] = True
    case = {"positive": noise_photo(seed, size), "saliency": map_with(region, seed), "seed": seed,
            "method": "cutswap-scar", "scar_height": (20, 300), "scar_width": (1, 60),
            "angle": (-90.0, 90.0), "max_tries": 3, "clusters": ClusterSettings(k=2)}  # fmt: skip
    positive, negative, placing = drawn_and_placing(**case)
    assert not all(fitting_corners(region, placing.room)[a] for a in negative.record.anchors)
    assert_same_draw(placing.swap(positive, *negative.record.anchors), negative)


@pytest.mark.parametrize(
    ("first", "second", "subject"),
    [
        ((-1, 5), (40, 40), "first anchor"),
        ((5, SIDE), (40, 40), "first anchor"),
        ((SIDE - 1, 5), (40, 40), "first anchor"),  # the patch leaves the image
        ((5, 5), (5, 5), "second anchor"),
        ((5, 5), (6, 5), "second anchor"),  # overlaps the first
        ((5, 5), (40, SIDE - 1), "second anchor"),
        ((5, 5), (40, -3), "second anchor"),
    ],
)
def test_where_a_patch_may_not_lie_is_refused(first, second, subject):
    positive, _, placing = drawn_and_placing(
        positive=noise_photo(0, (SIDE, SIDE)), saliency=smooth_map(1, (SIDE, SIDE)),
        area=(0.02, 0.03), clusters=ClusterSettings(k=1),
    )  # fmt: skip
    with pytest.raises(CutSwapError) as refused:
        placing.swap(positive, first, second)
    assert refused.value.subject == subject
    assert "one of the" in refused.value.expected


def test_two_areas_that_look_the_same_are_refused():
    positive = noise_photo(0, (SIDE, SIDE))
    positive[:, :40] = 7
    _, _, placing = drawn_and_placing(
        positive=positive, saliency=smooth_map(1, (SIDE, SIDE)),
        area=(0.005, 0.006), clusters=ClusterSettings(k=1),
    )  # fmt: skip
    with pytest.raises(CutSwapError, match="no pixel that changes"):
        placing.swap(positive, (1, 1), (40, 20))


def test_only_swaps_of_this_map_are_placed():
    saliency = smooth_map(1, (SIDE, SIDE))
    paste = draw(noise_photo(0, (SIDE, SIDE)), None, method="cutpaste").record
    with pytest.raises(CutSwapError, match="found cutpaste"):
        hand_placing(paste, saliency, NegativeSettings(), ClusterSettings())
    swap = draw(noise_photo(0, (SIDE, SIDE)), saliency).record
    with pytest.raises(CutSwapError, match="a map of shape"):
        hand_placing(swap, saliency[:32], NegativeSettings(), ClusterSettings())


def test_anchors_for_a_method_that_looks_at_no_saliency_are_refused():
    given = (NegativeSettings(method="cutpaste"), ClusterSettings(), WeakAugmentation())
    with pytest.raises(CutSwapError, match="does not look at saliency"):
        draw_many(
            noise_photo(0, (SIDE, SIDE)),
            None,
            *given,
            count=1,
            seed=0,
            layer=None,
            at=((3, 3), (40, 40)),
        )

"""Fused saliency: weighted means by hand, their laws, one map for trainer, command and page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.negatives.draws import Drawing, draw
from app.shared import caches
from app.shared.caches import PhotoKey, SaliencyKey
from cutswap.commands.parser import main
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.data.images import read_photo, resize_photo
from cutswap.errors import CutSwapError
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import load_backbone
from cutswap.saliency.cache import SaliencyMaps, saliency_of
from cutswap.saliency.fusion import fuse, fusion_shares
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.small_photos import smooth_map

LAYERS = ("4", "9", "16", "23", "30")


def stretched(values: np.ndarray) -> np.ndarray:
    return ((values - values.min()) / np.ptp(values)).astype(np.float32)


def some_maps(seed: int, levels: int = 3) -> np.ndarray:
    return np.stack([stretched(smooth_map(seed + i, (12, 9))) for i in range(levels)])


def test_a_mean_by_hand():
    maps = np.array([[[0.0, 1.0, 0.5]], [[1.0, 0.0, 1.0]]], dtype=np.float32)
    # weights 3 and 1: means 0.25, 0.75, 0.625, stretched from 0.25..0.75
    assert fuse(maps, (3, 1)).tolist() == [[0.0, 1.0, 0.75]]
    # equal: 0.5, 0.5, 0.75
    assert fuse(maps).tolist() == [[0.0, 0.0, 1.0]]


@given(seed=st.integers(0, 999), one=st.integers(0, 2), weight=st.floats(1e-6, 1e6))
def test_one_weight_alone_is_that_level_bit_for_bit(seed: int, one: int, weight: float):
    maps = some_maps(seed)
    weights = [0.0] * 3
    weights[one] = weight
    fused = fuse(maps, weights)
    assert fused.dtype == np.float32
    np.testing.assert_array_equal(fused, maps[one])


weights_of_three = st.tuples(*[st.floats(0, 100)] * 3).filter(lambda w: max(w) > 0.01)


@given(seed=st.integers(0, 999), weights=weights_of_three, factor=st.floats(1e-3, 1e3))
def test_only_ratios_of_weights_matter(seed, weights, factor):
    maps = some_maps(seed)
    scaled = fuse(maps, [factor * w for w in weights])
    np.testing.assert_allclose(scaled, fuse(maps, weights), atol=1e-6)


@given(seed=st.integers(0, 999), weights=weights_of_three)
def test_a_fused_map_spans_zero_to_one_and_follows_the_order_of_levels(seed, weights):
    maps = some_maps(seed)
    fused = fuse(maps, weights)
    assert (fused.min(), fused.max()) == (0, 1)
    np.testing.assert_allclose(fused, fuse(maps[::-1], weights[::-1]), atol=1e-6)


@given(weights=st.tuples(*[st.floats(0, 100)] * 2).filter(lambda w: max(w) > 0.01))
def test_equal_levels_are_their_own_fusion(weights):
    level = some_maps(0)[0]
    np.testing.assert_allclose(fuse(np.stack([level, level]), weights), level, atol=1e-6)


def test_blank_levels_and_levels_that_cancel_are_blank():
    level = some_maps(0)[0]
    assert not fuse(np.zeros((2, 4, 4), np.float32)).any()
    assert not fuse(np.stack([level, 1 - level])).any()
    np.testing.assert_array_equal(fuse(np.stack([level, np.zeros_like(level)])), level)


@pytest.mark.parametrize(
    "weights", [(1,), (1, 1, 1, 1), (0, 0, 0), (-1, 1, 1), (float("nan"), 1, 1), (), (1e999, 1, 1)]
)
def test_weights_that_fit_no_levels_are_refused(weights):
    with pytest.raises(CutSwapError, match="3 numbers >= 0"):
        fuse(some_maps(0), weights)


def test_shares_sum_to_one_even_of_huge_and_tiny_weights():
    assert fusion_shares((1e308, 1e308), 2).tolist() == [0.5, 0.5]
    assert fusion_shares((5e-324, 0), 2).tolist() == [1.0, 0.0]


# The trainer


def maps_of(fusion: tuple[float, ...] | None = None) -> SaliencyMaps:
    rng = np.random.default_rng(0)
    maps = [[rng.random(s).astype(np.float32) for s in ((16, 16), (4, 4))] for _ in range(3)]
    return SaliencyMaps(maps, ("fine", "coarse"), (64, 64), fusion)


def test_maps_of_a_set_offer_their_fusion():
    maps = maps_of((3.0, 1.0))
    assert maps.layers == ("fine", "coarse")
    assert maps.levels == ("fine", "coarse", "fused")
    both = np.stack([maps.at(1, 0), maps.at(1, 1)])
    np.testing.assert_array_equal(maps.at(1, 2), fuse(both, (3, 1)))


def test_wrong_weights_are_refused_before_a_network_looks(slim, monkeypatch):
    monkeypatch.setattr("cutswap.saliency.cache.explain", lambda *_, **__: pytest.fail("looked"))
    with pytest.raises(CutSwapError, match="5 numbers >= 0"):
        saliency_of(slim, np.zeros((1, 64, 64, 3), np.uint8), fusion=(1.0,))


def test_a_run_draws_from_the_fused_level_only_when_asked():
    photos = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    common = {
        "family": "cutswap",
        "ways": 2,
        "negatives": NegativeSettings(),
        "clusters": ClusterSettings(),
        "weak": WeakAugmentation(),
        "seed": 0,
        "count": 12,
    }
    plain = TrainingSamples(photos, maps_of(), **common)
    assert {plain.sample(n).negatives[0].record.layer for n in range(12)} == {"fine", "coarse"}
    fused = TrainingSamples(photos, maps_of(), levels=("fused",), **common)
    assert {fused.sample(n).negatives[0].record.layer for n in range(6)} == {"fused"}
    first = TrainingSamples(photos, maps_of((1.0, 0.0)), levels=("fused",), **common)
    level = TrainingSamples(photos, maps_of(), levels=("fine",), **common)
    for n in range(6):
        np.testing.assert_array_equal(first[n], level[n])


# Pages and commands


@pytest.fixture
def part(tmp_path, monkeypatch):
    return small_app(tmp_path, monkeypatch) / "part/train/good/002.png"


WEIGHTS = (1.0, 0.5, 0.25, 0.0, 1.0)


def key_of(path) -> SaliencyKey:
    return SaliencyKey(PhotoKey.of(path, 64), "vgg16", "embedded", LAYERS, fusion=WEIGHTS)


def fused_drawing(path) -> Drawing:
    return Drawing(
        key_of(path),
        "CutSwap",
        (5,),
        NegativeSettings(),
        ClusterSettings(),
        WeakAugmentation(),
        7,
        2,
        4,
    )


def test_the_page_draws_what_a_run_with_fused_levels_draws(part):
    files = sorted(part.parent.glob("*.png"))
    photos = np.stack([resize_photo(read_photo(f), (64, 64)) for f in files])
    maps = saliency_of(load_backbone("vgg16"), photos, LAYERS, fusion=WEIGHTS)
    samples = TrainingSamples(
        photos,
        maps,
        family="cutswap",
        ways=2,
        negatives=NegativeSettings(),
        levels=("fused",),
        clusters=ClusterSettings(),
        weak=WeakAugmentation(),
        seed=7,
        count=12,
    )
    seen = {samples.sample(n).index: n for n in range(4)}
    for epoch in range(2):
        number = seen[2] if epoch == 0 else fused_drawing(part).number(1)
        shown = draw(fused_drawing(part), epoch)
        assert shown.number == number
        trained = samples.sample(number).negatives[0]
        np.testing.assert_array_equal(shown.negative.photo, trained.photo)
        assert shown.negative.record == trained.record
        assert trained.record.layer == "fused"


def test_the_command_fuses_as_the_page_does(part, tmp_path):
    shown = draw(fused_drawing(part), 1)
    common = ["--image-size", "64", "--fusion", ",".join(map(str, WEIGHTS)), "--quiet"]
    out = tmp_path / "out"
    assert main(["saliency", str(part), *common, "--out", str(out)]) == 0
    with np.load(out / "saliency.npz", allow_pickle=False) as written:
        np.testing.assert_array_equal(written["fused"], caches.explained(key_of(part)).maps[5])
    assert (out / "overlay_fused.png").is_file()
    out = tmp_path / "negatives"
    code = main(
        [
            "augment",
            str(part),
            *common,
            "--layer",
            "fused",
            "--weak-jitter",
            "0.1",
            "--seed",
            "7",
            "--first",
            str(shown.number),
            "--count",
            "1",
            "--out",
            str(out),
        ]
    )
    assert code == 0
    np.testing.assert_array_equal(read_photo(out / "negative_000.png"), shown.negative.photo)
    assert f'"fusion": [\n      {WEIGHTS[0]}' in (out / "record.json").read_text()


def test_weights_for_other_layers_are_refused(part, tmp_path, capsys):
    common = ["augment", str(part), "--layer", "fused", "--out", str(tmp_path / "o"), "--quiet"]
    assert main([*common, "--fusion", "1,2"]) == 2
    assert "5 numbers >= 0" in capsys.readouterr().err


def test_other_weights_ask_no_network_again(part, monkeypatch):
    caches.explained(key_of(part))
    monkeypatch.setattr(caches, "network", lambda *_: pytest.fail("the network was asked"))
    other = replace(key_of(part), fusion=(0.0, 0.0, 1.0, 0.0, 0.0))
    found = caches.explained(other)
    np.testing.assert_array_equal(found.maps[5], found.maps[2])


@pytest.mark.parametrize("page", ["saliency", "negatives"])
@pytest.mark.usefixtures("part")
def test_the_fused_level_has_weights_that_live_in_the_url(page):
    at = open_page(page, layer="fused", size="128")
    assert_alive(at)
    assert not at.error
    sliders = {slider.key: slider for slider in at.slider}
    assert {f"knob.weight_{layer}" for layer in LAYERS} <= sliders.keys()
    sliders["knob.weight_9"].set_value(0.5).run()
    assert_alive(at)
    assert at.query_params["weight_9"] in ("0.5", ["0.5"])
    assert "--fusion 1,0.5,1,1,1" in texts(at)
    plain = open_page(page, layer="16", size="128")
    assert not any(slider.key.startswith("knob.weight") for slider in plain.slider)


@pytest.mark.parametrize("page", ["saliency", "negatives"])
@pytest.mark.usefixtures("part")
def test_all_weights_at_zero_are_a_sentence(page):
    at = open_page(page, layer="fused", size="128", **{f"weight_{x}": "0.0" for x in LAYERS})
    assert not at.exception
    assert "not all 0" in at.error[0].value

"""InTra learns to paint, does not see what it paints, and finds what it has not learnt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cutswap.errors import CutSwapError
from cutswap.intra.detector import IntraDetector
from cutswap.intra.network import InpaintingTransformer
from cutswap.intra.settings import PAPER, IntraSettings
from cutswap.intra.windows import random_windows
from cutswap.utils.signals import Stopped

SMALL = IntraSettings(
    image_size=64,
    patch=16,
    window=3,
    width=32,
    blocks=2,
    heads=2,
    windows=16,
    updates=150,
    learning_rate=0.004,
    precision="float32",
)


def stripes(count: int) -> np.ndarray:
    """Good parts: soft stripes, all alike, with a little noise."""
    rng = np.random.default_rng(0)
    wave = 128 + 80 * np.sin(np.arange(64) / 5)
    photos = np.broadcast_to(wave[None, :, None, None], (count, 64, 64, 3))
    return (photos + rng.normal(0, 2, photos.shape)).clip(0, 255).astype(np.uint8)


def fitted(settings: IntraSettings = SMALL, seed: int = 0) -> IntraDetector:
    detector = IntraDetector(settings, seed, "cpu")
    detector.fit(stripes(12), lambda _d, _t: None, lambda: False)
    return detector


@pytest.fixture(scope="module")
def detector() -> IntraDetector:
    return fitted()


def test_a_hidden_patch_is_not_looked_at():
    network = InpaintingTransformer(SMALL)
    windows = random_windows(4, SMALL.grid, SMALL.window, torch.Generator().manual_seed(1))
    patches = torch.rand(4, 9, 768, generator=torch.Generator().manual_seed(2))
    before = network(patches, windows)
    other = patches.clone()
    other[torch.arange(4), windows.hidden] = 0.123
    assert torch.equal(network(other, windows), before)
    other[torch.arange(4), (windows.hidden + 1) % 9] = 0.9  # a neighbour is
    assert not torch.allclose(network(other, windows), before)


@pytest.mark.parametrize("blocks", [2, 3, 4])
def test_early_blocks_feed_late_ones(blocks):
    """Where the middle is cut out, what early blocks made still reaches the end."""
    network = InpaintingTransformer(SMALL.replace(blocks=blocks)).double()
    windows = random_windows(2, SMALL.grid, SMALL.window, torch.Generator().manual_seed(1))
    patches = torch.rand(2, 9, 768, dtype=torch.float64, requires_grad=True)
    if blocks > 2:  # a middle block that lets nothing through
        network.blocks[blocks // 2].forward = torch.zeros_like
    network(patches, windows).sum().backward()
    assert patches.grad.abs().sum() > 0


def test_it_learns_and_finds_a_spot_where_it_is(detector):
    assert len(detector.losses) == 20
    assert min(detector.losses) < 0.7 * detector.losses[0]
    photos = stripes(2)
    photos[1, 20:30, 36:46] = 255 - photos[1, 20:30, 36:46]
    scores, maps = detector.score(photos)
    assert scores[1] > scores[0]
    y, x = divmod(int(maps[1].argmax()), 64)
    assert 10 <= y < 40
    assert 26 <= x < 56
    assert maps.shape == (2, 64, 64)
    assert maps.dtype == scores.dtype == np.float32
    assert np.array_equal(scores, maps.reshape(2, -1).max(axis=1))


def test_a_photo_is_painted_near_what_it_is(detector):
    photos = stripes(1)
    painted = detector.painted(photos)[0].permute(1, 2, 0).numpy()
    wrong = np.abs(painted - photos[0] / 255).mean()
    assert wrong < 0.8 * np.abs(photos[0] / 255 - photos.mean() / 255).mean()


def test_the_map_is_the_squared_deviation_from_the_good_photos(detector):
    found = torch.stack([detector._difference(p[None])[0] for p in detector._patches(stripes(12))])
    assert torch.allclose(detector.normal, found.mean(dim=0))
    _, maps = detector.score(stripes(12))
    assert np.allclose(maps[3], (found[3] - detector.normal) ** 2)


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    short = SMALL.replace(updates=20)
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one, same, other = fitted(short), fitted(short), fitted(short, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.normal, same.normal)
    assert not torch.equal(one.normal, other.normal)


def test_without_held_out_photos_the_last_state_is_kept():
    detector = fitted(SMALL.replace(updates=20, held_out=0.0))
    assert len(detector.losses) == 20
    one = IntraDetector(SMALL.replace(updates=20), 0, "cpu")
    one.fit(stripes(1), lambda _d, _t: None, lambda: False)  # a tenth of one photo is none
    assert np.isfinite(one.score(stripes(1))[0]).all()


def test_progress_counts_updates_and_then_painted_photos():
    told: list[tuple[int, int]] = []
    detector = IntraDetector(SMALL.replace(updates=5), 0, "cpu")
    detector.fit(stripes(3), lambda *d: told.append(d), lambda: False)
    assert told == [(n, 8) for n in range(1, 9)]


def test_it_can_be_stopped():
    asked = iter((False, True))
    with pytest.raises(Stopped):
        IntraDetector(SMALL, 0, "cpu").fit(stripes(3), lambda _d, _t: None, lambda: next(asked))


def test_what_does_not_fit_is_refused(detector):
    with pytest.raises(CutSwapError, match="fit it first"):
        IntraDetector(SMALL, 0, "cpu").score(stripes(1))
    with pytest.raises(CutSwapError, match="64 x 64"):
        detector.score(np.zeros((1, 32, 32, 3), dtype=np.uint8))
    for wrong, words in (
        ({"image_size": 100}, "divisor of the image size"),
        ({"window": 20}, "at most 16"),
        ({"heads": 3}, "divisor of the width"),
    ):
        with pytest.raises(CutSwapError, match=words):
            IntraSettings(**wrong)
    assert IntraSettings(**PAPER).width == 512


def test_a_rate_that_explodes_is_told_in_words():
    wild = SMALL.replace(learning_rate=1.0, updates=200)
    detector = IntraDetector(wild, 0, "cpu")
    with torch.no_grad():
        detector.network.paint.weight.fill_(float("inf"))
    with pytest.raises(CutSwapError, match="lower the learning rate"):
        detector.fit(stripes(3), lambda _d, _t: None, lambda: False)

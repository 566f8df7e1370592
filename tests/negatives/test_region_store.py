"""Regions found before training change nothing that is drawn, here or in another process."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from cutswap.config import ANCHORS, ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.negatives.samples import Sample, TrainingSamples
from cutswap.saliency.cache import SaliencyMaps
from tests.helpers.small_photos import photo_of, smooth_map

SIZE, PHOTOS, LEVELS = (48, 56), 5, ("a", "b")


def samples_of(count: int, **clusters: object) -> TrainingSamples:
    photos = np.stack([photo_of(i, SIZE) for i in range(PHOTOS)])
    maps = [[smooth_map(7 * i + j, (12, 14)).astype(np.float32) for j in (0, 1)] for i in range(5)]
    maps[1][0][:] = 0  # blank: the region falls back to the whole image
    maps[2][1][:] = 0
    maps[2][1][3, 4] = 1  # one bright spot
    return TrainingSamples(
        photos,
        SaliencyMaps(maps, LEVELS, SIZE),
        family="cutswap",
        ways=3,
        negatives=NegativeSettings(),
        clusters=ClusterSettings.from_dict({"top_n": 40, **clusters}),
        weak=WeakAugmentation(),
        seed=4,
        count=count,
        levels=("a", "b", "fused"),
    )


def same(one: Sample, other: Sample) -> None:
    np.testing.assert_array_equal(one.photos, other.photos)
    assert [n.record for n in one.negatives] == [n.record for n in other.negatives]
    for mine, theirs in zip(one.negatives, other.negatives, strict=True):
        np.testing.assert_array_equal(mine.mask, theirs.mask)


@pytest.mark.parametrize("anchors", ANCHORS)
@pytest.mark.parametrize("k", [1, 4])
def test_samples_are_the_same_with_regions_found_before(anchors: str, k: int):
    plain, ready = (samples_of(45, anchors=anchors, k=k) for _ in range(2))
    ready.find_regions()
    for number in range(45):
        same(plain.sample(number), ready.sample(number))


@pytest.mark.parametrize("count", [7, 30, 200])
@pytest.mark.parametrize("first", [0, 5])
def test_every_region_that_is_asked_for_was_found(
    count: int, first: int, monkeypatch: pytest.MonkeyPatch
):
    samples = samples_of(count)
    samples.find_regions(first)
    monkeypatch.setattr(SaliencyMaps, "at", lambda *_: pytest.fail("a map was asked for"))
    for number in range(first, count):
        samples.sample(number)


def test_few_samples_find_few_regions():
    samples = samples_of(3)
    told: list[tuple[int, int]] = []
    samples.find_regions(progress=lambda done, total: told.append((done, total)))
    assert told
    assert told[-1][0] == told[-1][1] <= 3


def draw(samples: TrainingSamples, pipe) -> None:
    photos = samples.photos
    pipe.send((samples.sample(3), photos.flags.writeable, photos.base is None))


def test_another_process_draws_the_same_from_shared_memory():
    samples = samples_of(10)
    samples.find_regions()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=draw, args=(samples, theirs))
    process.start()
    assert ours.poll(60)
    drawn, is_writeable, is_copy = ours.recv()
    process.join(60)
    same(drawn, samples.sample(3))
    assert not is_writeable
    assert not is_copy

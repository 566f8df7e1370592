"""The shared memory of pictures: bounded in bytes, computed once, safe for threads."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import pytest

from app.negatives import draws as negative_draws
from app.shared import caches, picture_memory
from app.shared.picture_memory import MEMORY, PictureMemory, kept, size_of


@dataclass(frozen=True)
class Pair:
    photo: np.ndarray
    mask: np.ndarray


def array(size: int) -> np.ndarray:
    return np.zeros(size, np.uint8)


def test_sizes_are_bytes():
    assert size_of(array(1000)) == 1000
    assert size_of(array(1000)[:10]) == 1000  # a view keeps the whole
    assert 3000 <= size_of(Pair(array(1000), array(2000))) < 3500
    assert 3000 <= size_of((array(1000), [array(2000)])) < 3700
    chart = go.Figure(go.Bar(y=list(range(1000))))
    assert 3000 <= size_of(chart) < 20_000  # Python calls it 48


def test_the_least_recently_used_goes_and_the_sum_stays_below_the_limit():
    memory = PictureMemory(10_000)
    made = []

    def get(key: str, size: int = 3000) -> None:
        memory.get(key, lambda: made.append(key) or array(size))

    for key in "abc":
        get(key)
    get("a")
    get("d")  # b is the oldest
    get("a")
    assert made == ["a", "b", "c", "d"]
    get("b")
    assert made[-1] == "b"
    assert memory.bytes <= 10_000
    get("large", 20_000)
    get("large", 20_000)
    assert made[-2:] == ["large", "large"]  # given, not kept
    assert memory.bytes <= 10_000
    for index in range(1000):
        get(f"{index}", 500 + index)
    assert memory.bytes <= 10_000
    assert memory.bytes == sum(size for _, size in memory._values.values())


def test_eight_threads_that_want_one_thing_have_it_made_once():
    memory, made, start = PictureMemory(), [], threading.Barrier(8)

    def make() -> np.ndarray:
        made.append(1)
        time.sleep(0.05)
        return array(10)

    def get(_: int) -> int:
        start.wait(timeout=60)
        return id(memory.get("one", make))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(get, range(8)))) == 1
    assert made == [1]


def test_what_fails_is_not_kept_and_holds_nobody_up():
    memory = PictureMemory()

    def fail() -> None:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            memory.get("one", fail)
    assert memory.get("one", lambda: 1) == 1
    assert not memory._making


def test_threads_that_push_each_other_s_values_out_get_their_own():
    memory = PictureMemory(5_000)

    def get(number: int) -> bool:
        keys = [(number * 7 + step * 3) % 200 for step in range(60)]
        return all(
            int(memory.get(key, lambda key=key: np.full(900, key, np.uint8))[0]) == key
            for key in keys
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(get, range(40)))
    assert memory.bytes <= 5_000


def test_another_argument_or_function_is_another_value():
    @kept()
    def double(x: int) -> int:
        return 2 * x

    @kept()
    def triple(x: int) -> int:
        return 3 * x

    assert [double(2), triple(2), double(3), double(2)] == [4, 6, 6, 4]


def test_the_pages_pictures_share_one_memory_of_less_than_half_a_gigabyte():
    assert picture_memory.BYTES <= 500_000_000
    assert MEMORY.limit == picture_memory.BYTES
    for make in (
        caches._photo,
        caches._explained,
        caches._fused,
        caches.clusters,
        caches.heat,
        negative_draws._draw,
    ):
        assert make.__wrapped__ is not None
        assert not hasattr(make, "clear")  # Streamlit's own caches have it: they count entries

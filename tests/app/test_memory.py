"""What libraries have created is set apart once, garbage is not; freed pictures go back."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import types
import weakref
from pathlib import Path

import pytest

from app import memory

ROOT = Path(__file__).resolve().parents[2]
# Pictures of many threads, of which each keeps the last: holes that nothing fits into again.
CHURN = """
import sys, threading
from pathlib import Path
import numpy as np
from app import memory
memory._TRIM_EVERY = 0
steady = sys.argv[1] == "steady"
rng, kept = np.random.default_rng(0), []
def rerun():
    pictures = [np.ones(int(n), np.uint8) for n in rng.integers(150_000, 900_000, 200)]
    kept.append(pictures[::40])
for _ in range(60):
    if steady:
        assert memory.steady_allocator()
    thread = threading.Thread(target=rerun)
    thread.start()
    thread.join()
    del kept[:-10]
if steady:
    memory.steady_allocator()
pages = int(Path("/proc/self/statm").read_text().split()[1])
print(pages * 4096 - sum(p.nbytes for row in kept for p in row))
"""


@pytest.mark.parametrize("seconds", [0, 1e9])
def test_garbage_of_reruns_is_collected_when_it_is_time(seconds, monkeypatch):
    monkeypatch.setattr(memory, "_TRIM_EVERY", seconds)
    gc.disable()
    try:
        ring = types.ModuleType("ring")
        ring.itself = ring
        gone = weakref.ref(ring)
        del ring
        memory.steady_allocator()
        assert (gone() is None) == (seconds == 0)
    finally:
        gc.enable()


def test_new_modules_are_set_apart_and_garbage_is_collected_first(monkeypatch):
    monkeypatch.setattr(memory, "_known", 0)
    gc.unfreeze()
    try:
        ring = types.ModuleType("ring")  # a plain namespace cannot be referred to weakly
        ring.itself = ring
        gone = weakref.ref(ring)
        del ring
        memory.freeze_modules()
        assert gone() is None
        frozen = gc.get_freeze_count()
        assert frozen > 10_000
        memory.freeze_modules()  # nothing new has come
        assert gc.get_freeze_count() <= frozen
        for number in range(memory._ENOUGH):
            monkeypatch.setitem(sys.modules, f"no_such_library_{number}", types.ModuleType("x"))
        kept = [[] for _ in range(1000)]
        memory.freeze_modules()
        assert gc.get_freeze_count() >= frozen + len(kept)
    finally:
        gc.unfreeze()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
@pytest.mark.journey
def test_freed_pictures_go_back_to_the_system():
    def left(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", CHURN, how],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return int(done.stdout)

    steady, plain = left("steady"), left("plain")
    print(steady, plain)
    assert steady < plain / 2

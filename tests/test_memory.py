"""What libraries have created is set apart once, and garbage is not."""

from __future__ import annotations

import gc
import sys
import types
import weakref

from app import memory


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

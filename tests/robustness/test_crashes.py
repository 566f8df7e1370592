"""kill -9 and a full disk while caches, runs, banks, the queue, studies and uploads are written.

One kill a writer here; `make crash` does 25. Resumed runs: `test_kills`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cutswap.runs.folder import RunFolder
from cutswap.saliency import cache as saliency_cache
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import tiny_backbone

KILLS = int(os.environ.get("CUTSWAP_CRASHES", "1"))
WRITERS = {
    "saliency",
    "checkpoint",
    "bank",
    "report",
    "queue",
    "study",
    "upload",
    "evaluation",
}
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_kill_leaves_the_old_or_the_new_file_and_a_full_disk_the_old(tmp_path: Path):
    line = [sys.executable, "-m", "tests.robustness.crash_writer", str(tmp_path), str(KILLS)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert told.keys() == WRITERS
    for name, found in told.items():
        absent = found["none"] if name in ("upload", "evaluation") else 0  # folders, not files
        assert found["0"] + found["1"] + absent == KILLS
        if name != "queue":
            assert "expected to be able to write this file" in found["full"]
            assert "free disk space" in found["full"]
            assert found["rest"] == []
    if KILLS >= 20:  # else the moments may all have fallen between two writings
        assert sum(found["interrupted"] for found in told.values()) > 0


def test_what_a_kill_left_beside_does_not_block_a_resumed_run(tmp_path: Path):
    """Half a temporary file of the first writing is not somebody else's file."""
    (tmp_path / ".settings.json.x1y2.tmp").write_text("{")
    RunFolder(tmp_path).refuse_other({"seed": 0})


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", None])
def test_a_damaged_cache_makes_itself_anew(tmp_path: Path, damage: bytes | None):
    photos, layers = photo_of(0, (32, 32))[None], ("layer1", "layer2")
    right = saliency_cache.saliency_of(tiny_backbone(), photos, layers, cache=tmp_path)
    (entry,) = tmp_path.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    again = saliency_cache.saliency_of(tiny_backbone(), photos, layers, cache=tmp_path)
    assert all(np.array_equal(right.at(0, i), again.at(0, i)) for i in range(2))
    assert entry.read_bytes() == whole

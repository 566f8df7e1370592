"""The same seeds, the same numbers: across processes bit for bit, across threads to 0.002.

The pinned hashes are of records, drawn by NumPy's generator from an integer photo and a map of
ones: no decoder, no network and no library's rounding has a part in them, so they are the same on
every machine. A changed hash means that old seeds give other negatives: say so in the changelog.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cutswap.config import METHODS, ClusterSettings, NegativeSettings
from cutswap.negatives.draw import draw_negative

ROOT = Path(__file__).resolve().parents[2]
PINNED = {
    "cutswap": "a1c4a7872068a21d",
    "cutswap-scar": "54ca8382d2e79499",
    "cutpaste": "ca81aec28d0dfcf6",
    "cutpaste-scar": "9bccfbc2d71d80ce",
    "smoothblend": "da6baefda0d97d00",
    "smoothblend-scar": "57492b63b02e3596",
    "nsa": "c3cc67ffeee66848",
    "nsa-scar": "51f4233f1fd3c6dc",
    "perlin": "cf24b16e94dde60a",
    "perlin-scar": "ce3ee817032ab6b8",
}

PROGRAM = """
import hashlib, json, sys, tempfile
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(int(sys.argv[1]))
from cutswap.config import METHODS, ClusterSettings, NegativeSettings
from cutswap.negatives.draw import draw_negative
from tests.helpers.scored import build_parts, score_parts
from tests.helpers.small_photos import photo_of, smooth_map

digest = hashlib.sha256()
for method in METHODS:
    made = draw_negative(photo_of(3, (96, 96)), smooth_map(3, (96, 96)),
                         NegativeSettings(method=method), ClusterSettings(), seed=(5, 1))
    digest.update(made.photo.tobytes() + json.dumps(made.record.to_dict()).encode())
home = Path(tempfile.mkdtemp())
scored = score_parts(build_parts(home / "parts"), home / "scored", seed=4).evaluation
print(json.dumps({
    "negatives": digest.hexdigest(),
    "bank": hashlib.sha256(scored.bank.items.tobytes() + scored.bank.origin.tobytes()).hexdigest(),
    "metrics": {k: v for k, v in scored.metrics.to_dict().items() if isinstance(v, float)},
}))
"""


def answer(threads: int) -> dict:
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": "random"}
    line = [sys.executable, "-c", PROGRAM, str(threads)]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.journey
def test_processes_and_threads_agree():
    first, second, wide = answer(1), answer(1), answer(2)
    assert first == second
    assert wide["negatives"] == first["negatives"]
    assert len(first["metrics"]) >= 4
    for name, value in first["metrics"].items():
        if name != "threshold":  # a score, not a share
            assert wide["metrics"][name] == pytest.approx(value, abs=0.002), name


def record_hash(method: str) -> str:
    """Of three records on an integer photo that needs no library but NumPy."""
    y, x = np.mgrid[:96, :96]
    photo = np.stack([(7 * y + 3 * x) % 256, (y * x) % 256, (5 * x) % 256], axis=-1)
    # A map of two values: the top cluster is the same pixels whatever K-means' last bits are.
    saliency = ((y // 16 + x // 16) % 2).astype(np.float32)
    records = [
        draw_negative(
            photo.astype(np.uint8),
            saliency,
            NegativeSettings(method=method),
            ClusterSettings(k=2),
            seed=(11, number),
            layer="4",
        ).record.to_dict()
        for number in range(3)
    ]
    return hashlib.sha256(json.dumps(rounded(records), sort_keys=True).encode()).hexdigest()[:16]


def rounded(value: object) -> object:
    """Floats to 9 digits: cosines and logarithms may differ in their last bit between machines."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("method", METHODS)
def test_records_are_those_of_every_machine(method: str):
    assert record_hash(method) == PINNED[method]

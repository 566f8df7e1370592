"""Memory that is kept between updates: page faults, counted in a process that did nothing else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("the kernel's counters of Linux", allow_module_level=True)

COUNT = """
import ctypes, json, resource
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: huge pages would hide the faults
import torch
from cutswap.benchmark.measurement import _resident
from cutswap.training.kept_memory import kept_memory

def faults_of_ten_updates():
    for _ in range(10):  # 64 MB; glibc maps some blocks before it finds room in those that were
        torch.ones(16_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with kept_memory():
    pass
small = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    torch.ones(1_000_000)  # 4 MB: glibc learns to keep such blocks, and does not unlearn it
small = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - small
found = {"page": resource.getpagesize(), "small": small, "before": faults_of_ten_updates()}
start = _resident()
try:
    with kept_memory():
        found["inside"] = faults_of_ten_updates()
        found["kept"] = _resident() - start
        raise KeyError
except KeyError:
    found["left"] = _resident() - start
print(json.dumps(found))
"""


def test_blocks_are_used_again_inside_and_given_back_at_the_end():
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    once = 64_000_000 // found["page"]
    assert found["before"] > 9 * once
    assert found["inside"] < once
    assert found["kept"] > 60e6
    assert found["left"] < 10e6
    assert found["small"] < 20 * 4_000_000 // found["page"]

"""Tests. OpenMP gets one thread, before any library reads this: on a busy machine its threads wait
for each other longer than they work.

CUTSWAP_TEST_PRECISION=bfloat16 or float32 makes this process take precision `auto` for that one,
as on another processor; it stands here so that it is done before anything imports the function.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

if _wanted := os.environ.get("CUTSWAP_TEST_PRECISION"):
    from cutswap.utils import devices

    if _wanted not in ("bfloat16", "float32"):
        raise ValueError(f"CUTSWAP_TEST_PRECISION is bfloat16 or float32, not {_wanted!r}")
    devices.fast_bfloat16 = lambda _device: _wanted == "bfloat16"

"""Tests. OpenMP gets one thread, before any library reads this: on a busy machine its threads wait
for each other longer than they work."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

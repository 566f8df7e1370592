"""What can be chosen on the Inspect page, apart, so that pages that only lead there load fast."""

from __future__ import annotations

HERE = "this page"
CORESETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
SIZES = (64, 128, 192, 256, 320, 384, 512)

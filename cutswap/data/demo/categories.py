"""Names of the demo's categories, apart, so that a list of them needs no numpy or OpenCV."""

from __future__ import annotations

CATEGORIES = ("leather", "denim", "chip", "hex_nut")

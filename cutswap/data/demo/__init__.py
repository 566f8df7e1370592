"""Four categories of photographed industrial things, rendered from a seed.

Two textures and two objects, one module each. `rendering.render` paints one picture; `optics`
holds the light, the surfaces and the camera that they share. Only names live here, so that
reading them costs no import of numpy or OpenCV.
"""

from __future__ import annotations

CATEGORIES = ("leather", "denim", "chip", "hex_nut")

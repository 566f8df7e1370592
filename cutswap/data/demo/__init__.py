"""Four categories of photographed industrial things, rendered from a seed.

Two textures and two objects, one module each. `rendering.render` paints one picture; `optics`
holds the light, the surfaces and the camera that they share.
"""

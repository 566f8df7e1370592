"""Convert arrays for the browser: JPEG data URLs, outlines as vector paths, the colour ramp."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from cutswap.utils.overlays import CATEGORY_COLOURS, colourise

JPEG_QUALITY = 92  # at 85 the edges of swapped patches ring; at 92 a 512-pixel photo is 60 KB


def css(colour: np.ndarray) -> str:
    """(3,) uint8 RGB as a CSS colour."""
    return "#" + "".join(f"{int(c):02x}" for c in colour)


# The very colours `colourise` paints with, so that legend and heat cannot drift apart.
RAMP = [css(c) for c in colourise(np.linspace(0, 1, 17)[None])[0]]
CLUSTER_COLOURS = [css(c) for c in CATEGORY_COLOURS]


def jpeg(photo: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG bytes."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(photo[..., ::-1]), options)
    return data.tobytes()


def thumbnail(photo: np.ndarray, width: int) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG bytes, at most `width` pixels wide, each the mean of its area.

    `st.image` reads, shrinks and writes whatever is wider than it shows, in every rerun again.
    """
    height = max(1, round(photo.shape[0] * width / photo.shape[1]))
    if photo.shape[1] > width:
        photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    return jpeg(photo)


def jpeg_url(photo: np.ndarray) -> str:
    """(H, W, 3) uint8 RGB as a data URL."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(photo)).decode("ascii")


def png(array: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB, or (H, W) bool as 0 and 255, as PNG bytes: exact, for downloads."""
    levels = array.astype(np.uint8) * 255 if array.dtype == bool else array[..., ::-1]
    _, data = cv2.imencode(".png", np.ascontiguousarray(levels), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data.tobytes()


def outline_paths(mask: np.ndarray) -> list[str]:
    """Borders of an (H, W) bool mask as SVG paths in pixels, sharp at any zoom."""
    shapes, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    paths = []
    for shape in shapes:
        points = shape[:, 0, :] + 0.5  # (n, xy): through the middle of the border pixels
        if len(points) == 1:  # one pixel has no border to walk along
            points = points + np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        paths.append("M" + "L".join(f"{x:g} {y:g}" for x, y in points) + "Z")
    return paths

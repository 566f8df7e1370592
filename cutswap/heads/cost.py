"""What a head takes to train, by measured times; without torch, for forms and plans.

Processor seconds of one thread at 256 pixels, ResNet18, 40 photos of the demo's hex nut and 8 of
them held out, 3-way, on a machine with more to do (so no wall clock): saliency 0.25 a photo the
first time; 3 pictures a photo through phi 0.22; 8 held-out photos and their made-up defects 5 to 6;
an update of 16 photos 0.14, twice as many as asked for: the trial, the head. In all 39 for 30
updates, and 73 for 100 on the same machine when it was busier still.
"""

from __future__ import annotations

import math

from cutswap.config import HeadSettings

SECONDS_A_SALIENCY = 0.25
SECONDS_A_PICTURE = 0.075
SECONDS_A_HELD_OUT = 0.65
PHOTOS_A_SECOND = 115.0


def head_seconds(
    head: HeadSettings, images: int, ways: int, image_size: int, speed: float = PHOTOS_A_SECOND
) -> float:
    """Seconds from its first photo to its file.

    Args:
        head: its settings.
        images: good training photos.
        ways: 2 or 3, classes of the negatives.
        image_size: side of the photos, pixels.
        speed: photos a second of its updates.
    """
    negatives = images * head.draws * (ways - 1) if head.learns else 0
    before = (images + negatives) * SECONDS_A_PICTURE
    before += math.ceil(images * head.held_out) * SECONDS_A_HELD_OUT
    before += images * SECONDS_A_SALIENCY if head.learns else 0.0
    updates = 2 * head.updates * head.photos / speed if head.learns else 0.0
    return (image_size / 256) ** 2 * before + updates

"""How a photo of any shape becomes the square that a network sees, and heat goes back on it.

squash   the whole photo, its sides stretched alike to the square, as PatchCore's peers do
fit      the whole photo in its own shape; what the square has beside it continues its edges, and
         is looked at nowhere
crop     the largest square from its centre
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from cutswap.data.images import resize_mask, resize_photo
from cutswap.data.reading import CROP, FIT, SQUASH

Box = tuple[int, int, int, int]  # top, left, height, width


@dataclass(frozen=True)
class Frame:
    """The way of one photo.

    Attributes:
        photo: its (height, width).
        size: side S of the square, pixels.
        resize: `SQUASH`, `FIT` or `CROP`.
    """

    photo: tuple[int, int]
    size: int
    resize: str

    @property
    def source(self) -> Box:
        """The part of the photo that is seen."""
        height, width = self.photo
        if self.resize != CROP:
            return 0, 0, height, width
        side = min(height, width)
        return (height - side) // 2, (width - side) // 2, side, side

    @property
    def target(self) -> Box:
        """Where that lies in the square."""
        if self.resize != FIT:
            return 0, 0, self.size, self.size
        longer = max(self.photo)
        height, width = (max(1, round(side * self.size / longer)) for side in self.photo)
        return (self.size - height) // 2, (self.size - width) // 2, height, width

    @property
    def inside(self) -> np.ndarray:
        """(S, S) bool, True where the square shows the photo."""
        top, left, height, width = self.target
        inside = np.zeros((self.size, self.size), bool)
        inside[top : top + height, left : left + width] = True
        return inside

    def of_photo(self, photo: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 to (S, S, 3) uint8; see `resize_photo`."""
        _, _, height, width = self.target
        return np.pad(
            resize_photo(_part(photo, self.source), (height, width)),
            (*self._beside, (0, 0)),
            mode="edge",
        )

    def of_mask(self, mask: np.ndarray) -> np.ndarray:
        """(H, W) bool to (S, S) bool, False beside the photo; see `resize_mask`."""
        _, _, height, width = self.target
        return np.pad(resize_mask(_part(mask, self.source), (height, width)), self._beside)

    def shown(self, picture: np.ndarray) -> np.ndarray:
        """Of a picture of the square, (S, S, 3) uint8, what shows the photo, in its own shape.

        Of a squashed photo its longer side is the square's; the others are taken as they are.
        """
        if self.resize != SQUASH:
            return _part(picture, self.target)
        _, _, height, width = Frame(self.photo, self.size, FIT).target
        large = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(large)

    def back(self, values: np.ndarray) -> np.ndarray:
        """Heat of the square on the photo, bilinear, 0 where the photo was not seen.

        Args:
            values: (S, S) float32.

        Returns:
            (H, W) float32.
        """
        import cv2  # it takes longer to load than all else here

        top, left, height, width = self.source
        part = np.ascontiguousarray(_part(values, self.target))
        large = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
        whole = np.zeros(self.photo, np.float32)
        whole[top : top + height, left : left + width] = large
        return whole

    @property
    def _beside(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows above and below the photo, and columns on its left and right."""
        top, left, height, width = self.target
        return (top, self.size - height - top), (left, self.size - width - left)


def framed_photo(photo: np.ndarray, size: int, resize: str) -> np.ndarray:
    """A photo (H, W, 3) uint8 as the square (S, S, 3) uint8 of its `Frame`."""
    return Frame((photo.shape[0], photo.shape[1]), size, resize).of_photo(photo)


def framed_mask(mask: np.ndarray, size: int, resize: str) -> np.ndarray:
    """A mask (H, W) bool as the square (S, S) bool of its `Frame`."""
    return Frame((mask.shape[0], mask.shape[1]), size, resize).of_mask(mask)


def _part(array: np.ndarray, box: Box) -> np.ndarray:
    top, left, height, width = box
    return array[top : top + height, left : left + width]

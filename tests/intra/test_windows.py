"""Which patches a window holds, by hand on a grid of four."""

from __future__ import annotations

import numpy as np
import torch

from cutswap.intra.windows import every_patch, random_windows, to_patches, to_photos, windows_at


def test_patches_go_and_come_back():
    photos = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    patches = to_patches(photos, 4)
    assert patches.shape == (2, 9, 48)
    # Patch 5 is the last of the second row: rows 4 to 7, columns 8 to 11.
    assert np.array_equal(patches[1, 5].reshape(3, 4, 4).permute(1, 2, 0), photos[1, 4:8, 8:12])
    assert np.array_equal(to_photos(patches, 4).permute(0, 2, 3, 1), photos)


def test_a_window_by_hand():
    one = torch.tensor([1])
    windows = windows_at(one, torch.tensor([0]), torch.tensor([4]), grid=4, window=3)
    assert windows.places.tolist() == [[4, 5, 6, 8, 9, 10, 12, 13, 14]]
    assert windows.targets.tolist() == [9]


def test_every_patch_is_painted_once_and_as_near_the_middle_as_the_edge_allows():
    every = every_patch(4, 3)
    assert every.targets.tolist() == list(range(16))
    assert every.hidden[5] == 4  # one in from the corner: in the middle
    assert every.hidden[0] == 0  # of a corner's there is no window around it
    assert every.hidden[15] == 8
    assert every.places.min() == 0
    assert every.places.max() == 15


def test_random_windows_stay_in_the_photo_and_reach_all_of_it():
    windows = random_windows(2000, 4, 3, torch.Generator().manual_seed(0))
    assert set(windows.targets.tolist()) == set(range(16))
    assert {tuple(p[[0, -1]].tolist()) for p in windows.places} == {
        (0, 10),
        (1, 11),
        (4, 14),
        (5, 15),
    }

"""Shared arrays: equal everywhere, read only, the memory given back with the last of them."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from cutswap.utils.shared_arrays import SharedArray


@pytest.mark.parametrize("shape", [(3, 4), (0, 2), (7,), ()])
@pytest.mark.parametrize("kind", [np.uint8, np.float64, bool])
def test_values_and_copies_are_equal(shape: tuple[int, ...], kind: type):
    values = np.arange(int(np.prod(shape))).reshape(shape).astype(kind)
    shared = SharedArray(values)
    again = pickle.loads(pickle.dumps(shared))  # noqa: S301 - our own bytes
    for array in (shared.values, again.values):
        np.testing.assert_array_equal(array, values)
        assert array.dtype == values.dtype
        assert array.shape == shape
        assert not array.flags.writeable


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
def test_its_file_is_closed_with_it():
    before = len(list(Path("/proc/self/fd").iterdir()))
    arrays = [SharedArray(np.ones(10)).values for _ in range(5)]
    assert all(a.sum() == 10 for a in arrays)
    del arrays
    assert len(list(Path("/proc/self/fd").iterdir())) <= before

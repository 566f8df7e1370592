"""Short memory halves batches and says so once; a lost device is told in one line."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from cutswap.errors import CutSwapError, DeviceLostError
from cutswap.utils.device_errors import FittingBatches, is_device_lost, telling_lost_device

FULL = "CUDA out of memory. Tried to allocate 2.00 GiB"


class Room:
    """Work that fits as long as a batch has at most `rows` rows."""

    def __init__(self, rows: int) -> None:
        self.rows, self.sizes = rows, []

    def __call__(self, part: Tensor) -> Tensor:
        self.sizes.append(len(part))
        if len(part) > self.rows:
            raise torch.OutOfMemoryError(FULL)
        return part * 2


@pytest.mark.parametrize("room", range(1, 12))
@pytest.mark.parametrize("count", [0, 1, 7, 10])
def test_every_row_is_worked_on_once_whatever_fits(room: int, count: int):
    rows, work, fitting = torch.arange(count), Room(room), FittingBatches("a test")
    found = torch.cat(fitting.run(rows, work))
    assert torch.equal(found, rows * 2)
    assert sum(size for size in work.sizes if size <= room) == count


def test_what_fitted_is_remembered_and_said_once(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "cutswap")
    work, fitting = Room(3), FittingBatches("saliency")
    for _ in range(3):
        fitting.run(torch.arange(8), work)
    assert work.sizes == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    assert [r.getMessage() for r in caplog.records] == [
        "saliency: memory is short, so batches are halved until they fit"
    ]


def test_not_even_one_row_fits():
    with pytest.raises(CutSwapError, match="one at a time in scoring") as told:
        FittingBatches("scoring").run(torch.arange(4), Room(0))
    assert FULL in str(told.value)


def test_other_errors_pass():
    def fails(_: Tensor) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        FittingBatches("scoring").run(torch.arange(4), fails)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("CUDA error: unspecified launch failure", True),
        ("CUDA error: uncorrectable ECC error encountered", True),
        (FULL, False),
        ("unknown error", False),
    ],
)
def test_what_a_lost_device_says(text: str, lost: bool):
    assert is_device_lost(RuntimeError(text)) is lost
    expected = DeviceLostError if lost else RuntimeError
    with pytest.raises(expected) as told, telling_lost_device(torch.device("cuda", 1)):
        raise RuntimeError(text)
    if lost:
        assert "\n" not in str(told.value)
        assert str(told.value).startswith("cuda:1: ")
        assert "same command again" in str(told.value)

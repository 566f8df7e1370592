"""Results of updates read some updates later, so that the device never waits for being read.

A device works through what it is given while the processor prepares the next updates. Asking for a
loss stops both until it is there. Here the answer is sent on its way with the update and looked at
when later ones have been given; on the processor itself, nothing is gained and nothing is late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LAG = 4  # updates given before the first of them is read


@dataclass(frozen=True)
class Unread:
    """An update whose loss has not been read yet.

    Attributes:
        step: its number, from 1.
        photos: (B, ways, H, W, 3) uint8, what it saw.
        scores: (B * ways, ways) float32, to be read once `arrived`.
        labels: (B * ways,) int64.
        loss: (pieces,) float32, to be read once `arrived`; their sum is the batch's.
        began: when it began, seconds of `perf_counter`.
        waited: seconds it waited for its photos.
    """

    step: int
    photos: Tensor
    scores: Tensor
    labels: Tensor
    loss: Tensor
    began: float
    waited: float
    _event: Any = None

    @classmethod
    def sent(
        cls,
        step: int,
        photos: Tensor,
        scores: Tensor,
        labels: Tensor,
        loss: Tensor,
        began: float,
        waited: float,
    ) -> Unread:
        """Start the way to the processor, after all that the device was given so far."""
        event = None
        if scores.device.type == "cuda":
            stream = torch.cuda.current_stream(scores.device)
            scores, loss = _pinned(scores), _pinned(loss)
            event = torch.cuda.Event()
            event.record(stream)
        else:
            scores, loss = scores.cpu(), loss.cpu()
        return cls(step, photos, scores, labels, loss, began, waited, event)

    @property
    def mean_loss(self) -> float:
        """Mean cross entropy of the batch."""
        return total_loss(self.loss)

    def arrived(self) -> Unread:
        """Wait until scores and loss can be read."""
        if self._event is not None:
            self._event.synchronize()
        return self


def total_loss(pieces: Tensor) -> float:
    """The batch's mean cross entropy from its pieces' shares, added one after the other."""
    return float(sum(pieces.tolist()))


def _pinned(values: Tensor) -> Tensor:
    there = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return there.copy_(values, non_blocking=True)

"""Gradients of a batch in as many pieces as the memory allows; the batch stays the batch.

Pieces are whole photos with all their classes, or views. The loss of a piece is weighted by its
share of the batch, so the sum of the pieces' gradients is the batch's wherever the loss is a mean
over photos; only batch norm in training mode sees the piece instead of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from cutswap.errors import CutSwapError
from cutswap.utils.device_errors import is_out_of_memory


def cross_entropy_of(scores: Tensor, ways: int) -> Tensor:
    """Mean cross entropy of (b * ways, ways) scores, photo-major, labels 0 to ways - 1 a photo."""
    labels = torch.arange(ways, device=scores.device).repeat(len(scores) // ways)
    return F.cross_entropy(scores, labels)


class MicroBatches:
    """Halves the pieces whenever memory runs out, and remembers what fitted.

    Attributes:
        size: photos a piece holds at most.
        may_halve: false where other processes wait for the same number of pieces, or where the
            loss compares photos of the batch with each other.
    """

    def __init__(self, size: int, *, may_halve: bool = True) -> None:
        self.size = size
        self.may_halve = may_halve

    def backward(
        self,
        model: nn.Module,
        photos: Tensor,
        scores_of: Callable[[Tensor], Tensor],
        loss_of: Callable[[Tensor, int], Tensor] = cross_entropy_of,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Put the batch's gradient into the parameters' `.grad`, which must be None before.

        Args:
            model: its buffers (batch-norm statistics) are put back when a try runs out of memory.
            photos: (B, ways, H, W, 3) uint8.
            scores_of: from (b, ways, H, W, 3) photos to (b * ways, K) scores, photo-major; K is
                ways where they are of classes.
            loss_of: from these scores, float32, and ways to the mean loss of the b photos.

        Returns:
            (B * ways, K) float32 scores on their device, detached; (B * ways,) int64 labels on
            the CPU; and (pieces,) float32 on the device of the scores, whose sum is the batch's
            mean loss. Nothing waits for the device.

        Raises:
            CutSwapError: not even one photo fits.
        """
        # A part in evaluation mode leaves its own alone: of the default recipe, four fifths.
        parts = [part for part in model.modules() if part.training]
        buffers = [buffer for part in parts for buffer in part.buffers(recurse=False)]
        kept = [buffer.clone() for buffer in buffers]
        while True:
            shortage = ""
            try:
                return self._try(photos, scores_of, loss_of)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                shortage = str(error).splitlines()[0][:200]
            # Out of the except block, whose traceback would keep the failed piece alive.
            model.zero_grad(set_to_none=True)
            with torch.no_grad():
                for buffer, value in zip(buffers, kept, strict=True):
                    buffer.copy_(value)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if self.size == 1 or not self.may_halve:
                wanted = "one photo" if self.size == 1 else f"{self.size} photos"
                raise CutSwapError(
                    "memory",
                    expected=f"room for {wanted} in all classes",
                    found=shortage,
                    fix="lower --image-size or --batch-size, or free memory on the device",
                )
            self.size = math.ceil(self.size / 2)

    def _try(
        self,
        photos: Tensor,
        scores_of: Callable[[Tensor], Tensor],
        loss_of: Callable[[Tensor, int], Tensor],
    ) -> tuple[Tensor, Tensor, Tensor]:
        count, ways = photos.shape[:2]
        outputs: list[Tensor] = []
        losses: list[Tensor] = []
        for piece in photos.tensor_split(math.ceil(count / self.size)):
            scores = scores_of(piece).float()
            loss = loss_of(scores, ways) * (len(piece) / count)
            loss.backward()
            losses.append(loss.detach())
            outputs.append(scores.detach())
        return torch.cat(outputs), torch.arange(ways).repeat(count), torch.stack(losses)

"""Several processes on one job, as torchrun starts them: each takes its share of every batch.

    torchrun --nproc-per-node 2 -m cutswap finetune ...

Without torchrun a team has one member and every method does nothing. The batch stays the batch: a
member sees `batch_size / size` photos of it, gradients are averaged by DistributedDataParallel, and
on CUDA batch norm in training mode takes its statistics from the whole batch (SyncBatchNorm; the
CPU has none, there each member uses its own share).
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cutswap.errors import CutSwapError
from cutswap.utils.devices import choose_device

# The first member computes saliency alone while the others wait: hours on a large category.
_PATIENCE = datetime.timedelta(hours=12)


@dataclass(frozen=True)
class Team:
    """Who we are among whom.

    Attributes:
        rank: our number, 0 is the first: it alone writes files.
        size: how many there are.
        local_rank: our number on this machine, which is also that of our CUDA device.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether we write files and talk."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """This process's device: on CUDA the one of its rank."""
        if self.size > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
            return choose_device(f"cuda:{self.local_rank}")
        return choose_device(name)

    def share(self, batch: int) -> tuple[int, int]:
        """(first, last + 1) of our photos in a batch.

        Raises:
            CutSwapError: the batch cannot be shared evenly.
        """
        if batch % self.size:
            raise CutSwapError(
                "--batch-size",
                expected=f"a multiple of the {self.size} processes",
                found=batch,
                fix=f"pass {batch - batch % self.size or self.size}",
            )
        each = batch // self.size
        return self.rank * each, (self.rank + 1) * each

    def synchronise(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Batch norm over the whole team's batch where the device can."""
        if self.size == 1 or device.type != "cuda":
            return model
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model whose backward pass averages gradients over the team."""
        if self.size == 1:
            return model
        return DistributedDataParallel(
            model, device_ids=[device.index] if device.type == "cuda" else None
        )

    def total(self, values: Tensor) -> Tensor:
        """The sum of every member's tensor; float64, on the CPU."""
        if self.size == 1:
            return values
        place = f"cuda:{self.local_rank}" if dist.get_backend() == "nccl" else "cpu"
        summed = values.to(place)
        dist.all_reduce(summed)
        return summed.cpu()

    @contextlib.contextmanager
    def rank_zero_first(self) -> Iterator[None]:
        """The first member does the block, then the others: they find its caches filled."""
        if self.size > 1 and not self.is_first:
            dist.barrier()
        yield
        if self.size > 1 and self.is_first:
            dist.barrier()


@contextlib.contextmanager
def join_team() -> Iterator[Team]:
    """The team torchrun has described in the environment, or a team of one.

    Raises:
        CutSwapError: the environment names a team that makes no sense.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield Team()
        return
    try:
        rank, size, local = (int(os.environ[n]) for n in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    except (KeyError, ValueError) as error:
        raise CutSwapError(
            "the environment",
            expected="RANK, WORLD_SIZE and LOCAL_RANK as torchrun sets them",
            found=error,
            fix="start with torchrun, or unset WORLD_SIZE",
        ) from error
    on_cuda = torch.cuda.is_available()
    if on_cuda:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if on_cuda else "gloo", timeout=_PATIENCE)
    try:
        yield Team(rank, size, local)
    finally:
        dist.destroy_process_group()

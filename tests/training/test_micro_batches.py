"""Out of memory: smaller pieces, the same gradient, the same statistics, the same run."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cutswap.errors import CutSwapError
from cutswap.training.micro_batches import MicroBatches
from cutswap.utils.device_errors import is_out_of_memory
from tests.training.test_finetuner import maps, photos, same, samples_of, tuner_for, untrained  # noqa: F401


class Short:
    """A network whose device holds `room` samples at once."""

    def __init__(self, model: nn.Module, room: int) -> None:
        self.model, self.room, self.calls = model, room, 0

    def __call__(self, seen: Tensor) -> Tensor:
        self.calls += 1
        image = seen.flatten(0, 1).flatten(1).float() / 255
        scores = self.model(image)  # the forward pass is done before the room runs out
        if len(image) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return scores


def batch(count: int, ways: int = 3) -> Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (count, ways, 4, 4, 3), dtype=np.uint8))


def gradient(model: nn.Module, room: int, count: int = 8) -> tuple[Tensor, float, MicroBatches]:
    pieces = MicroBatches(count)
    scores, labels, loss = pieces.backward(model, batch(count), Short(model, room))
    assert scores.shape == (count * 3, 3)
    assert labels.tolist() == [0, 1, 2] * count
    return torch.cat([p.grad.flatten() for p in model.parameters()]), float(loss.sum()), pieces


@pytest.mark.parametrize(("count", "room", "size"), [(8, 24, 8), (8, 23, 4), (8, 3, 1), (7, 9, 2)])
def test_pieces_sum_to_the_batch_s_gradient(count: int, room: int, size: int):
    torch.manual_seed(0)
    model = nn.Linear(48, 3)
    whole, loss, _ = gradient(copy.deepcopy(model), 10**6, count)
    found, other, pieces = gradient(model, room, count)
    assert pieces.size == size
    assert torch.allclose(found, whole, atol=1e-7)
    assert other == pytest.approx(loss, abs=1e-6)


def test_what_fitted_is_remembered():
    model = nn.Linear(48, 3)
    pieces, short = MicroBatches(8), Short(model, 6)
    pieces.backward(model, batch(8), short)
    first = short.calls
    model.zero_grad(set_to_none=True)
    pieces.backward(model, batch(8), short)
    assert (first, short.calls - first) == (1 + 1 + 4, 4)


def test_a_failed_try_leaves_no_trace_in_the_statistics():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(48), nn.Linear(48, 3))
    model.train()
    other = copy.deepcopy(model)
    gradient(model, 12)
    for piece in batch(8).split(4):
        other(piece.flatten(0, 1).flatten(1).float() / 255)
    assert int(model[0].num_batches_tracked) == 2
    assert torch.equal(model[0].running_mean, other[0].running_mean)


def test_not_even_one_photo_fits():
    model = nn.Linear(48, 3)
    with pytest.raises(CutSwapError, match="room for one photo") as told:
        gradient(model, 2)
    assert "2.00 GiB" in str(told.value)
    assert model.weight.grad is None


def test_of_several_processes_none_halves_alone():
    model = nn.Linear(48, 3)
    pieces = MicroBatches(8, may_halve=False)
    with pytest.raises(CutSwapError, match="room for 8 photos"):
        pieces.backward(model, batch(8), Short(model, 12))


def test_other_errors_are_not_taken_for_it():
    model = nn.Linear(5, 3)
    with pytest.raises(RuntimeError, match="shapes"):
        gradient(model, 100)
    assert not is_out_of_memory(RuntimeError("shapes"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))


def test_a_run_short_of_memory_goes_through_and_says_so(untrained, photos, maps):  # noqa: F811
    tuner = tuner_for(untrained, samples_of(photos, maps), batch_size=4)
    plain = tuner_for(untrained, samples_of(photos, maps), batch_size=4)
    real = tuner._network.forward

    def short(image: Tensor) -> Tensor:
        if len(image) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(image)

    tuner._network.forward = short
    steps, others = list(tuner.run()), list(plain.run())
    assert [s.micro_batch for s in steps] == [2] * 4
    assert [s.micro_batch for s in others] == [4] * 4
    assert [s.learning_rate for s in steps] == [s.learning_rate for s in others]
    # Batch norm sees a piece at a time: the loss is the mean of what the pieces cost alone.
    fresh = tuner_for(untrained, samples_of(photos, maps), batch_size=4)
    fresh._train_mode()
    labels = torch.arange(3).repeat(2)
    costs = [
        float(nn.functional.cross_entropy(fresh._scores(piece).detach(), labels))
        for piece in next(fresh._batches()).split(2)
    ]
    assert steps[0].loss == pytest.approx(np.mean(costs), rel=1e-5)
    assert not same(tuner.state(), plain.state())

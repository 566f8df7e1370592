"""Teaching a student of the teacher's own architecture: match the input of every ReLU.

Every rectifier is met in the same order in both networks, so its k-th input in the student has a
target: its k-th input in the teacher. Under teacher forcing each rectifier passes on the teacher's
values instead of the student's own; then every stretch between two rectifiers is a linear
regression on clean inputs, all stretches learn at once, and nothing has to wait for the layers
before it. Measured at 200 updates of batch 64 on ResNet18: 0.18 of the variance unexplained a
stretch with forcing, over 1 without. A second, unforced stage then teaches the composition.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class _Enough(Exception):  # noqa: N818 - not an error: leaves the forward pass early
    pass


@contextlib.contextmanager
def _relu_inputs(
    module: nn.Module, count: int | None, replace: list[Tensor] | None = None
) -> Iterator[list[Tensor]]:
    """Collect the first `count` ReLU inputs of one forward pass, optionally replacing them."""
    seen: list[Tensor] = []

    def before(_relu: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor] | None:
        seen.append(inputs[0])
        if len(seen) == count:
            raise _Enough
        return None if replace is None else (replace[len(seen) - 1],)

    handles = [
        m.register_forward_pre_hook(before) for m in module.modules() if isinstance(m, nn.ReLU)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def relu_inputs(
    module: nn.Module,
    image: Tensor,
    count: int | None = None,
    *,
    forced: list[Tensor] | None = None,
) -> list[Tensor]:
    """Inputs of the first `count` ReLU calls of a forward pass.

    Args:
        module: any network whose rectifiers are `nn.ReLU` modules that do not work in place.
        image: (N, 3, H, W) float, normalised.
        count: calls wanted; the pass stops there. None: all.
        forced: values that each rectifier passes on instead of what reached it.

    Returns:
        `count` tensors (N, C, h, w), in the order of the calls.
    """
    with _relu_inputs(module, count, forced) as seen, contextlib.suppress(_Enough):
        module(image)
    return seen


def count_trained_relus(module: nn.Module, not_loaded: tuple[str, ...], image: Tensor) -> int:
    """How many ReLU calls lie before the first layer whose weights were not loaded."""
    random_parts = {name.split(".")[0] for name in not_loaded}
    if not random_parts:
        return len(relu_inputs(module, image))
    calls = 0
    order: list[int] = []

    def before_relu(_m: nn.Module, _i: tuple[Tensor, ...]) -> None:
        nonlocal calls
        calls += 1

    def before_random(_m: nn.Module, _i: tuple[Tensor, ...]) -> None:
        order.append(calls)

    handles = [
        m.register_forward_pre_hook(before_relu) for m in module.modules() if isinstance(m, nn.ReLU)
    ]
    handles += [
        m.register_forward_pre_hook(before_random)
        for n, m in module.named_children()
        if n in random_parts
    ]
    try:
        with torch.no_grad():
            module(image)
    finally:
        for handle in handles:
            handle.remove()
    return min(order)


def calibrate_batch_norm(student: nn.Module, image: Tensor, forced: list[Tensor]) -> None:
    """Set every batch norm's statistics to those of one teacher-forced batch, then keep them.

    The teacher runs in eval mode, where batch norm is a fixed affine map; a student with fixed
    statistics can equal it exactly, one that follows each batch cannot.
    """
    norms = [m for m in student.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        relu_inputs(student, image, len(forced), forced=forced)
    for norm in norms:
        norm.eval()
        norm.momentum = 0.1


def matching_loss(student: list[Tensor], teacher: list[Tensor], variance: list[Tensor]) -> Tensor:
    """Mean over calls of the squared difference as a share of that call's variance.

    Args:
        student: (N, C, h, w) a call.
        teacher: the same shapes.
        variance: () a call, mean over channels of the teacher's variance.

    Returns:
        () float; 1 is as bad as predicting each channel's mean, 0 is perfect.
    """
    terms = [
        (s - t).square().mean() / v for s, t, v in zip(student, teacher, variance, strict=True)
    ]
    return torch.stack(terms).mean()

"""Convolutions whose backward pass is in bfloat16 while everything else stays in float32.

LayerCAM in bfloat16 throughout is twice as fast, but moves the maps by up to 27% of their peak:
the rounded activations make max pools and ReLUs decide otherwise, and a gradient then arrives at
another pixel. With a float32 forward pass all of them decide as they did, and rounding the
gradients alone moves the maps of the embedded networks by 0.5% to 1.1% (12 photos of 64 pixels),
those of a network of eight random channels a layer by up to 3.4%.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_HALF = torch.bfloat16


class half_backward(TorchFunctionMode):  # noqa: N801 - used as a context, like torch.no_grad
    """Where it is entered, `conv2d` of this thread gets a bfloat16 gradient of its input.

    Weights and biases get none: this is for explaining a network, not for training it. Strings as
    padding and convolutions without a batch are left as they are.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],  # noqa: ARG002 - torch's signature
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """See torch."""
        if func in (functional.conv2d, torch.conv2d) and not kwargs:
            image, weight, bias, stride, padding, dilation, groups = _whole(args)
            if image.ndim == 4 and not isinstance(padding, str):
                return _Convolution.apply(
                    image, weight, bias, _pair(stride), _pair(padding), _pair(dilation), groups
                )
        return func(*args, **(kwargs or {}))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None, *how: Any
    ) -> Tensor:  # (N, C, H, W) to (N, D, h, w)
        ctx.save_for_backward(weight)
        ctx.shape, ctx.how = image.shape, how
        return functional.conv2d(image, weight, bias, *how)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (weight,) = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.how
        # Of the input only the shape counts here, so a single number stands for all.
        image = torch.empty(1, dtype=_HALF, device=weight.device).expand(ctx.shape)
        gradient = torch.ops.aten.convolution_backward(
            gradients[0].to(_HALF),
            image,
            weight.to(_HALF),
            None,
            stride,
            padding,
            dilation,
            False,
            [0, 0],
            groups,
            [True, False, False],
        )[0]
        return gradient.float(), None, None, None, None, None, None


def _whole(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """All seven positional arguments of conv2d, with its defaults."""
    return (*args, *(None, 1, 0, 1, 1)[len(args) - 2 :])


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)

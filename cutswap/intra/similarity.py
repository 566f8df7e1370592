"""How alike two pictures are: SSIM, and gradient magnitudes at one scale or several.

SSIM is Wang et al.'s (2004), gradients are compared as in GMSD (Xue et al. 2014) and over scales
as in RIAD (Zavrtanik et al. 2021), from whom InTra takes it. All of pictures in [0, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

SCALES = 3  # 1, 1/2 and 1/4
SMOOTHED = 21  # pixels: side of the mean filter over a map
_STEADY = 0.0026  # RIAD's constant, GMSD's 170 of gradients in [0, 255]
_SSIM_SIDE, _SSIM_SIGMA = 11, 1.5
_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2


def ssim(one: Tensor, other: Tensor) -> Tensor:
    """Mean structural similarity of each pair, 1 where they are equal.

    Args:
        one: (N, C, H, W) float in [0, 1], H and W at least 11.
        other: of the same shape.

    Returns:
        (N,) float, at most 1.
    """
    channels = one.shape[1]
    line = torch.arange(_SSIM_SIDE, device=one.device, dtype=one.dtype) - _SSIM_SIDE // 2
    line = torch.exp(-(line**2) / (2 * _SSIM_SIGMA**2))
    line = line / line.sum()
    kernel = torch.outer(line, line).expand(channels, 1, -1, -1)

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values, kernel, groups=channels)

    at_one, at_other = mean(one), mean(other)
    varied = mean(one * one) - at_one**2 + mean(other * other) - at_other**2
    together = mean(one * other) - at_one * at_other
    alike = (2 * at_one * at_other + _LUMINANCE) * (2 * together + _CONTRAST)
    most = (at_one**2 + at_other**2 + _LUMINANCE) * (varied + _CONTRAST)
    return (alike / most).mean(dim=(1, 2, 3))


def gradient_similarity(one: Tensor, other: Tensor) -> Tensor:
    """Similarity of gradient magnitudes of the grey pictures, pixel by pixel.

    Args:
        one: (N, C, H, W) float in [0, 1].
        other: of the same shape.

    Returns:
        (N, 1, H, W) float in (0, 1], 1 where the gradients are equal.
    """
    first, second = _gradients(one), _gradients(other)
    return (2 * first * second + _STEADY) / (first**2 + second**2 + _STEADY)


def difference_map(photo: Tensor, painted: Tensor) -> Tensor:
    """One less the gradients' similarity, mean of three scales, smoothed.

    Args:
        photo: (N, 3, H, W) float in [0, 1].
        painted: of the same shape.

    Returns:
        (N, H, W) float in [0, 1).
    """
    size = photo.shape[-2:]
    found = torch.zeros(len(photo), 1, *size, device=photo.device)
    for scale in range(SCALES):
        if scale:
            photo, painted = F.avg_pool2d(photo, 2), F.avg_pool2d(painted, 2)
        same = gradient_similarity(photo, painted)
        found += F.interpolate(same, size=size, mode="bilinear", align_corners=False) / SCALES
    smooth = F.avg_pool2d(
        1 - found, SMOOTHED, stride=1, padding=SMOOTHED // 2, count_include_pad=False
    )
    return smooth.squeeze(1)


def _gradients(picture: Tensor) -> Tensor:
    """(N, 1, H, W) magnitudes by Prewitt's operator; beside the picture its edge goes on."""
    grey = F.pad(picture.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = torch.tensor([[1.0, 0.0, -1.0]] * 3, device=picture.device, dtype=picture.dtype) / 3
    kernel = torch.stack([across, across.T])[:, None]
    both = F.conv2d(grey, kernel)
    # Of two flat pictures the slope of the root would be infinite.
    return (both**2).sum(dim=1, keepdim=True).add(1e-12).sqrt()

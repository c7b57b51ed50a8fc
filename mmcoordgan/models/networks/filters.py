"""Low-pass filters between resolutions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Blur(nn.Module):
    """Low-pass filter with a separable kernel, normalized to sum ``gain``.

    Args:
        kernel: Taps of the one-dimensional kernel.
        padding: Pixels added (before, after) in both directions.
        gain: Sum of the two-dimensional kernel; 4 after upsampling by 2 with zeros.
        mode: Padding, 'constant' (zeros) or 'reflect'.
        stride: Step between outputs.
    """

    kernel: Tensor

    def __init__(
        self,
        kernel: tuple[int, ...],
        padding: tuple[int, int],
        *,
        gain: float = 1.0,
        mode: str = 'constant',
        stride: int = 1,
    ):
        super().__init__()
        self.padding = (padding[0], padding[1], padding[0], padding[1])
        self.mode = mode
        self.stride = stride
        self.register_buffer('kernel', blur_kernel(kernel, gain), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, self.padding, mode=self.mode)
        if x.requires_grad and torch.is_grad_enabled():
            out: Tensor = Filter.apply(x, self.kernel, self.stride)
            return out
        return _filter(x, self.kernel, self.stride)  # exporters follow no autograd functions


class UpsampleRGB(nn.Module):
    """Twice the height and width, filtered with the kernel [1, 3, 3, 1]."""

    kernel: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer('kernel', blur_kernel((1, 3, 3, 1), 4.0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(
            x, _depthwise(self.kernel, x), stride=2, padding=1, groups=x.shape[1]
        )


def blur_kernel(taps: tuple[int, ...], gain: float) -> Tensor:
    """The (n, n) outer product of ``taps`` with itself, scaled to sum ``gain``."""
    line = torch.tensor(taps, dtype=torch.float32)
    kernel = torch.outer(line, line)
    return kernel / kernel.sum() * gain


class Filter(torch.autograd.Function):
    """Filter every channel with a constant kernel, without padding.

    The filter is linear, so that its backward pass is its transpose, whose backward pass is the
    filter again. PyTorch's own double backward of a grouped convolution loops over the groups, and
    R1 has thousands.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.stride, ctx.size = stride, x.shape[2:]
        return _filter(x, kernel, stride)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return Transpose.apply(grad, *ctx.saved_tensors, ctx.stride, ctx.size), None, None


class Transpose(torch.autograd.Function):
    """The transpose of :class:`Filter`: its outputs -> inputs of ``size``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, stride: int, size: Any) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.stride = stride
        # Rows and columns at the end that no output looks at.
        unseen = [
            full - (out - 1) * stride - taps
            for full, out, taps in zip(size, x.shape[2:], kernel.shape)
        ]
        weight = _depthwise(kernel, x)
        return F.conv_transpose2d(
            x, weight, stride=stride, output_padding=unseen, groups=x.shape[1]
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return Filter.apply(grad, *ctx.saved_tensors, ctx.stride), None, None, None


def _filter(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    return F.conv2d(x, _depthwise(kernel, x), stride=stride, groups=x.shape[1])


def _depthwise(kernel: Tensor, x: Tensor) -> Tensor:
    return kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)

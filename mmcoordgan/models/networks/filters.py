"""Low-pass filters between resolutions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Blur(nn.Module):
    """Low-pass filter with a separable kernel, normalized to sum ``gain`` (4 after upsampling).

    ``kernel`` holds the taps of one dimension; ``padding`` pixels are added (before, after) in both
    directions, by ``mode`` 'constant' (zeros) or 'reflect'.
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
        self.register_buffer('kernel', blur_kernel(kernel, gain), persistent=False)
        before, after = padding
        # A convolution pads with zeros by itself, alike on both sides.
        self.inside = before if mode == 'constant' and before == after else 0
        self.padding = (before - self.inside, after - self.inside) * 2
        self.mode = mode
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        if self.mode == 'reflect':
            x = reflect(x, *self.padding[:2])
        elif any(self.padding):
            x = F.pad(x, self.padding)
        kernel = self.kernel.to(x.dtype)
        if x.requires_grad and torch.is_grad_enabled():
            out: Tensor = Filter.apply(x, kernel, self.stride, self.inside)
            return out
        return _filter(x, kernel, self.stride, self.inside)  # exporters follow no functions


class UpsampleRGB(nn.Module):
    """Twice the height and width, filtered with the kernel [1, 3, 3, 1]."""

    kernel: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer('kernel', blur_kernel((1, 3, 3, 1), 4.0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = _depthwise(self.kernel, x)
        return F.conv_transpose2d(x, weight, stride=2, padding=1, groups=x.shape[1])


def reflect(x: Tensor, before: int, after: int) -> Tensor:
    """Pad height and width by reflection, also where PyTorch has no deterministic gradient."""
    if not torch.are_deterministic_algorithms_enabled():
        return F.pad(x, (before, after) * 2, mode='reflect')
    for dim in (2, 3):
        first = x.narrow(dim, 1, before).flip(dim)
        last = x.narrow(dim, x.shape[dim] - 1 - after, after).flip(dim)
        x = torch.cat([first, x, last], dim)
    return x


def blur_kernel(taps: tuple[int, ...], gain: float) -> Tensor:
    """The (n, n) outer product of ``taps`` with itself, scaled to sum ``gain``."""
    line = torch.tensor(taps, dtype=torch.float32)
    kernel = torch.outer(line, line)
    return kernel / kernel.sum() * gain


class Filter(torch.autograd.Function):
    """Filter every channel with a constant kernel.

    The filter is linear, so that its backward pass is its transpose, whose backward pass is the
    filter again. PyTorch's own double backward of a grouped convolution loops over the groups, and
    R1 has thousands.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.stride, ctx.padding, ctx.size = stride, padding, x.shape[2:]
        return _filter(x, kernel, stride, padding)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (kernel,) = ctx.saved_tensors
        x = Transpose.apply(grad, kernel, ctx.stride, ctx.padding, ctx.size)
        return x, None, None, None


class Transpose(torch.autograd.Function):
    """The transpose of :class:`Filter`: its outputs -> inputs of ``size``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kernel: Tensor, stride: int, padding: int, size: Any
    ) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.stride, ctx.padding = stride, padding
        # Rows and columns at the end that no output looks at.
        unseen = [
            full + 2 * padding - (out - 1) * stride - taps
            for full, out, taps in zip(size, x.shape[2:], kernel.shape)
        ]
        weight, groups = _depthwise(kernel, x), x.shape[1]
        return F.conv_transpose2d(x, weight, None, stride, padding, unseen, groups)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        out = Filter.apply(grad, *ctx.saved_tensors, ctx.stride, ctx.padding)
        return out, None, None, None, None


def _filter(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    weight, groups = _depthwise(kernel, x), x.shape[1]
    return F.conv2d(x, weight, None, stride, padding, 1, groups)


def _depthwise(kernel: Tensor, x: Tensor) -> Tensor:
    return kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)

"""StyleGAN2's layers of fixed weights, and its mapping network (arXiv:1912.04958)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .filters import Blur, reflect

GAIN = math.sqrt(2)
"""Of the activation, leaky ReLU of slope 0.2 times sqrt(2), which keeps the variance of its input.

The layers multiply their weights and biases by it, which is the same and touches less memory."""

HALF = math.sqrt(0.5)  # of both paths of a residual block, whose sum keeps the variance


def check_power_of_two(name: str, value: int, minimum: int) -> None:
    if value < minimum or value & (value - 1):
        raise ValueError(f'{name} must be a power of two of at least {minimum}, but got {value}')


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, written over ``x``."""
    return F.leaky_relu(x, 0.2, inplace=True)


def scaled(parameter: Tensor, factor: float, dtype: torch.dtype) -> Tensor:
    """A parameter times a number, in the precision of what it meets."""
    if parameter.dtype == dtype:
        return parameter * factor
    out: Tensor = ScaledCast.apply(parameter, factor, dtype)
    return out


class ScaledCast(torch.autograd.Function):
    """Multiply and cast in one pass, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float, dtype: torch.dtype) -> Tensor:
        ctx.factor, ctx.dtype = factor, x.dtype
        return torch.mul(x, factor, out=torch.empty_like(x, dtype=dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        out = torch.empty_like(grad, dtype=ctx.dtype)
        return torch.mul(grad, ctx.factor, out=out), None, None


class EqualizedLinear(nn.Module):
    """Linear layer whose weight is scaled by its fan-in at run time (equalized learning rate).

    ``lr_multiplier`` scales the learning rate; ``activation``: a scaled leaky ReLU follows.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias_init: float = 0.0,
        lr_multiplier: float = 1.0,
        activation: bool = False,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), float(bias_init)))
        self.scale = lr_multiplier / math.sqrt(in_features)
        self.lr_multiplier = lr_multiplier
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:  # (B, in) -> (B, out)
        gain = GAIN if self.activation else 1
        alpha, beta = self.scale * gain, self.lr_multiplier * gain
        out = torch.addmm(self.bias, x, self.weight.t(), alpha=alpha, beta=beta)
        return leaky_relu(out) if self.activation else out


class EqualizedConv2d(nn.Module):
    """Convolution with equalized learning rate, times ``gain``; see :class:`EqualizedLinear`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        activation: bool = False,
        gain: float = 1.0,
    ):
        super().__init__()
        self.gain = gain * GAIN if activation else gain
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.stride = stride
        self.padding = padding
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        weight = scaled(self.weight, self.scale * self.gain, x.dtype)
        bias = None if self.bias is None else scaled(self.bias, self.gain, x.dtype)
        out = F.conv2d(x, weight, bias, stride=self.stride, padding=self.padding)
        return leaky_relu(out) if self.activation else out


class ResidualDown(nn.Module):
    """StyleGAN2's residual discriminator block: half the height and width.

    ``reflected``: the block of the Swapping Autoencoder's encoder. Its filters are [1, 2, 1], and
    the main path pads by reflection, so that the border of an image leaves no trace
    (arXiv:2007.00653, appendix B).
    """

    def __init__(self, in_channels: int, out_channels: int, reflected: bool = False):
        super().__init__()
        self.reflected = reflected
        self.conv1 = EqualizedConv2d(
            in_channels, in_channels, 3, padding=0 if reflected else 1, activation=True
        )
        # The filter of the skip path takes the stride: a 1x1 convolution needs no pixels between.
        if reflected:
            self.blur = Blur((1, 2, 1), (2, 1), mode='reflect')
            self.skip_blur = Blur((1, 2, 1), (1, 0), stride=2)
        else:
            self.blur = Blur((1, 3, 3, 1), (2, 2))
            self.skip_blur = Blur((1, 3, 3, 1), (1, 1), stride=2)
        self.conv2 = EqualizedConv2d(
            in_channels, out_channels, 3, stride=2, activation=True, gain=HALF
        )
        self.skip = EqualizedConv2d(in_channels, out_channels, 1, bias=False, gain=HALF)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, out, H/2, W/2)
        out = self.conv1(reflect(x, 1, 1) if self.reflected else x)
        return self.conv2(self.blur(out)) + self.skip(self.skip_blur(x))


class PaddedDown(nn.Module):
    """3x3 convolution with stride 2 and activation, zeros at the left and top only."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = EqualizedConv2d(in_channels, out_channels, 3, stride=2, activation=True)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, out, H/2, W/2)
        return self.conv(F.pad(x, (1, 0, 1, 0)))


class MappingNetwork(nn.Module):
    """Pixel norm, then equalized linear layers with activation (CoordGAN): z -> w."""

    def __init__(
        self, latent_dim: int, code_dim: int, *, num_layers: int = 8, lr_multiplier: float = 0.01
    ):
        super().__init__()
        dims = [latent_dim] + [code_dim] * num_layers
        self.layers = nn.ModuleList(
            EqualizedLinear(a, b, lr_multiplier=lr_multiplier, activation=True)
            for a, b in zip(dims, dims[1:])
        )

    def forward(self, z: Tensor) -> Tensor:  # (B, latent_dim) -> (B, code_dim)
        with torch.autocast(z.device.type, enabled=False):  # casts cost more than they save
            w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
            for layer in self.layers:
                w = layer(w)
        return w

"""StyleGAN2's building blocks (arXiv:1912.04958), in plain PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .filters import Blur, UpsampleRGB

GAIN = math.sqrt(2)
"""Of the activation, leaky ReLU of slope 0.2 times sqrt(2), which keeps the variance of its input.

The layers multiply their weights and biases by it, which is the same and touches less memory."""


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, written over ``x``."""
    return F.leaky_relu(x, 0.2, inplace=True)


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
        weight, bias = self.weight * (self.scale * gain), self.bias * (self.lr_multiplier * gain)
        out = F.linear(x, weight, bias)
        return leaky_relu(out) if self.activation else out


class EqualizedConv2d(nn.Module):
    """Convolution with equalized learning rate; ``activation``: a scaled leaky ReLU follows."""

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
    ):
        super().__init__()
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.stride = stride
        self.padding = padding
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        gain = GAIN if self.activation else 1
        weight = self.weight * (self.scale * gain)
        bias = None if self.bias is None else self.bias * gain
        out = F.conv2d(x, weight, bias, stride=self.stride, padding=self.padding)
        return leaky_relu(out) if self.activation else out


class ModulatedConv2d(nn.Module):
    """Convolution with weights of its own for every image, made by a style (StyleGAN2, 2.2).

    The style scales input channels. Scaling the weights rather than the images keeps no scaled
    copy of every feature map for the backward pass. Images are convolved one by one, which is
    faster on CPUs than one grouped convolution (``tools/analysis_tools/benchmark_convolution.py``).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel, odd.
        style_dim: Length of the style vector.
        demodulate: Whether outputs are normalized to unit expected variance.
        upsample: Whether the output has twice the height and width.
        gain: Factor on the output.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        *,
        demodulate: bool = True,
        upsample: bool = False,
        gain: float = 1.0,
    ):
        super().__init__()
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(shape))
        self.modulation = EqualizedLinear(style_dim, in_channels, bias_init=1.0)
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.gain = gain
        self.padding = kernel_size // 2
        self.demodulate = demodulate
        # A stride-2 transposed convolution leaves one extra row and column for the filter.
        self.blur = Blur((1, 3, 3, 1), (1, 1), gain=4.0) if upsample else None

    def forward(self, inputs: Sequence[Tensor], style: Tensor) -> Tensor:
        """Convolve the channels of all inputs, as if they were concatenated.

        Args:
            inputs: Feature maps (B, C1, H, W), (B, C2, H, W) ..., together ``in_channels``.
            style: (B, style_dim).

        Returns:
            (B, out_channels, H, W), or twice the size; may be written over.
        """
        with torch.autocast(style.device.type, enabled=False):
            weights = self._weights(style.to(self.weight.dtype))  # (B, O, I, k, k)
        split = weights.split([x.shape[1] for x in inputs], dim=2)
        out, *others = (self._convolve(x, weight) for x, weight in zip(inputs, split))
        for other in others:
            out.add_(other)
        return out if self.blur is None else self.blur(out)

    def _weights(self, style: Tensor) -> Tensor:  # (B, style_dim) -> (B, O, I, k, k)
        factor = self.modulation(style)[:, None] * self.scale  # (B, 1, I)
        if self.demodulate:
            power = factor[:, 0].square() @ self.weight.square().sum(dim=(2, 3)).t()  # (B, O)
            factor = torch.rsqrt(power + 1e-8)[:, :, None] * factor  # (B, O, I)
        return (self.gain * factor)[:, :, :, None, None] * self.weight

    def _convolve(self, x: Tensor, weights: Tensor) -> Tensor:  # (B, I, H, W), (B, O, I, k, k)
        if self.blur is not None:
            weights = weights.transpose(1, 2)
            return torch.stack([F.conv_transpose2d(a, w, stride=2) for a, w in zip(x, weights)])
        if self.padding == 0:
            return torch.bmm(weights.flatten(2), x.flatten(2)).unflatten(2, x.shape[2:])
        return torch.stack([F.conv2d(a, w, padding=self.padding) for a, w in zip(x, weights)])


class StyledConv(nn.Module):
    """Modulated convolution, noise of a learned strength, bias and activation.

    Arguments as :class:`ModulatedConv2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        *,
        upsample: bool = False,
    ):
        super().__init__()
        self.conv = ModulatedConv2d(
            in_channels, out_channels, kernel_size, style_dim, upsample=upsample, gain=GAIN
        )
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, inputs: Sequence[Tensor], style: Tensor, noise: Tensor | None) -> Tensor:
        """``noise`` is a map (B or 1, 1, H, W) of the output's size, or None for no noise."""
        out = self.conv(inputs, style).add_((GAIN * self.bias)[:, None, None])
        if noise is not None:
            out.add_(GAIN * self.noise_strength * noise)
        return leaky_relu(out)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to three channels, added to the upsampled image so far."""

    def __init__(self, in_channels: int, style_dim: int, *, upsample: bool = False):
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, 3, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))
        self.upsample = UpsampleRGB() if upsample else None

    def forward(self, inputs: Sequence[Tensor], style: Tensor, skip: Tensor | None) -> Tensor:
        out = self.conv(inputs, style) + self.bias[:, None, None]
        if skip is None:
            return out
        return out + (skip if self.upsample is None else self.upsample(skip))


class ResidualDown(nn.Module):
    """StyleGAN2's residual discriminator block: half the height and width."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = EqualizedConv2d(in_channels, in_channels, 3, padding=1, activation=True)
        self.blur = Blur((1, 3, 3, 1), (2, 2))
        self.conv2 = EqualizedConv2d(in_channels, out_channels, 3, stride=2, activation=True)
        # The filter takes the stride: a 1x1 convolution needs no pixels in between.
        self.skip_blur = Blur((1, 3, 3, 1), (1, 1), stride=2)
        self.skip = EqualizedConv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, out, H/2, W/2)
        out = self.conv2(self.blur(self.conv1(x)))
        return (out + self.skip(self.skip_blur(x))) / math.sqrt(2)


class ReflectedResidualDown(nn.Module):
    """Residual block of the Swapping Autoencoder's encoder: half the height and width.

    The main path pads by reflection, so that the border of an image leaves no trace; filters
    are [1, 2, 1] (arXiv:2007.00653, appendix B).
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = EqualizedConv2d(in_channels, in_channels, 3, activation=True)
        self.blur = Blur((1, 2, 1), (2, 1), mode='reflect')
        self.conv2 = EqualizedConv2d(in_channels, out_channels, 3, stride=2, activation=True)
        # The filter takes the stride: a 1x1 convolution needs no pixels in between.
        self.skip_blur = Blur((1, 2, 1), (1, 0), stride=2)
        self.skip = EqualizedConv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, out, H/2, W/2)
        out = self.conv1(F.pad(x, (1, 1, 1, 1), mode='reflect'))
        out = self.conv2(self.blur(out))
        return (out + self.skip(self.skip_blur(x))) / math.sqrt(2)


class PaddedDown(nn.Module):
    """3x3 convolution with stride 2 and activation, zeros at the left and top only."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = EqualizedConv2d(in_channels, out_channels, 3, stride=2, activation=True)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, out, H/2, W/2)
        return self.conv(F.pad(x, (1, 0, 1, 0)))
